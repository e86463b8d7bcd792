"""How the step ends, and why: every reason that applies, one sentence each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from safetycase.evidence.estimates import Estimates
from safetycase.evidence.kinds.feature_documentation.causes import Causes
from safetycase.evidence.kinds.feature_documentation.gates import Gated
from safetycase.evidence.kinds.feature_documentation.observed import Observed
from safetycase.evidence.record import Outcome

MEASURED = "explained_variance.corpus.dictionary"


@dataclass(frozen=True)
class Ending:
    """An outcome with its reasons; conclusive has none."""

    outcome: Outcome
    reasons: tuple[str, ...] = ()


def ending(seen: Observed, causes: Mapping[str, Causes], gates: Mapping[str, Gated], estimates: Estimates) -> Ending:
    """Conclusive where the dictionary was measured and every gate of every contrast that could be asked was read, passed or not.

    Not applicable where no contrast could be asked: the model shows no behaviour that features could cause.
    """
    stopped = {contrast: seen.stopped(contrast) for contrast in seen.contrasts}
    if all(stopped.values()):
        return Ending(Outcome.NOT_APPLICABLE, tuple(f"{contrast}: {_sentence(why)}" for contrast, why in stopped.items()))
    reasons = [*_quality_reasons(estimates)]
    for contrast, why in stopped.items():
        if not why:
            reasons += [*_reasons(seen, causes[contrast], gates[contrast])]
    return Ending(Outcome.INCONCLUSIVE, tuple(reasons)) if reasons else Ending(Outcome.CONCLUSIVE)


def _quality_reasons(estimates: Estimates) -> Iterator[str]:
    if MEASURED not in estimates.found:
        why = estimates.absent.get(MEASURED) or estimates.absent[f"{MEASURED.rpartition('.')[0]}.*"]
        yield f"How well the dictionary reconstructs is not known: {_sentence(why)}"


def _reasons(seen: Observed, found: Causes, gated: Gated) -> Iterator[str]:
    if not found.tested:
        why = "" if seen.tables.has("causes") else f": {seen.tables.why_absent('causes')}"
        yield _sentence(f"{found.contrast}: no feature was intervened on, so what features cause is not known{why}")
    yield from gated.lacking


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
