"""How the step ends, and why: every reason that applies, one sentence each."""

from collections.abc import Iterator
from dataclasses import dataclass

from safetycase.evidence.estimates import Estimates
from safetycase.evidence.kinds.circuit_trace.interventions import Interventions
from safetycase.evidence.kinds.circuit_trace.observed import Observed
from safetycase.evidence.kinds.circuit_trace.recurrence import Circuit
from safetycase.evidence.record import Outcome

PATCHED = ("patched_change.harmless.denoised", "patched_change.harmful.noised")
CURVE = "cpr.matched.edge-circuit"


@dataclass(frozen=True)
class Ending:
    """An outcome with its reasons; conclusive has none."""

    outcome: Outcome
    reasons: tuple[str, ...] = ()


def ending(seen: Observed, circuit: Circuit, made: Interventions, estimates: Estimates) -> Ending:
    """Conclusive where there are members and all tests could be read, passed or not, and what else was asked could be had.

    Not applicable where nothing could be asked of refusals. Inconclusive where no member was selected: that none was found does not
    show that there is none.
    """
    if seen.stopped:
        return Ending(Outcome.NOT_APPLICABLE, (_sentence(seen.stopped),))
    reasons = (*_of_circuit(seen, circuit, made), *_without_dictionaries(seen, estimates))
    return Ending(Outcome.INCONCLUSIVE, reasons) if reasons else Ending(Outcome.CONCLUSIVE)


def _of_circuit(seen: Observed, circuit: Circuit, made: Interventions) -> Iterator[str]:
    if seen.ask.transcoders is None:
        return
    if not circuit.members:
        yield f"No circuit was found: {circuit.why_none}. That none was found does not show that there is none."
    yield from made.lacking


def _without_dictionaries(seen: Observed, estimates: Estimates) -> Iterator[str]:
    if seen.ask.patching_pairs:
        for name in PATCHED:
            if name not in estimates.found:
                yield f"Activation patching gave no {name}: {_sentence(_why(estimates, name))}"
    if seen.ask.edge_pairs and CURVE not in estimates.found:
        yield f"Edges of heads and MLPs gave no faithfulness curve: {_sentence(_why(estimates, CURVE))}"


def _why(estimates: Estimates, name: str) -> str:
    return estimates.why_absent([name])[name]


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
