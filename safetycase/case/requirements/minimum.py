"""The closed grammar of minima: what findings lack of what a pack asks before it lets them count."""

from collections.abc import Iterator

from safetycase.case.claims import why_absent
from safetycase.case.requirements.packs import Minimum
from safetycase.evidence.record import Estimate, Findings


def unmet(minimum: Minimum, found: Findings, *, declared_before: bool) -> tuple[str, ...]:
    """What is lacking, one phrase each; empty where the minimum is met."""
    return tuple(_unmet(minimum, found, declared_before))


def _unmet(minimum: Minimum, found: Findings, declared_before: bool) -> Iterator[str]:
    if minimum.outcome is not None and found.outcome.value != minimum.outcome:
        reasons = f": {'; '.join(found.reasons)}" if found.reasons else ""
        yield f"the outcome is {found.outcome.value.replace('_', ' ')}{reasons}"
    for name in minimum.estimates:
        estimates = _named(found, name)
        if not estimates:
            yield f"no estimate {name} ({why_absent(name, found)})"
            continue
        n, clusters = max(each.n for each in estimates), max(each.clusters for each in estimates)
        if minimum.n is not None and n < minimum.n:
            yield f"{name} rests on {n} prompts, at least {minimum.n} are asked for"
        if minimum.clusters is not None and clusters < minimum.clusters:
            yield f"{name} rests on {clusters} independent groups, at least {minimum.clusters} are asked for"
    for name in minimum.nulls:
        if not any(each.nulls for each in _named(found, name)):
            yield f"{name} stands beside no null"
    if minimum.declared_before and not declared_before:
        yield "the plan was declared or edited after the evidence was seen"
    if minimum.made_here and found.imported is not None:
        yield "the observation was made elsewhere and cannot be replayed here"


def _named(found: Findings, name: str) -> list[Estimate]:
    """Estimates of this quantity, population and condition, by whichever judge; those of single items do not stand for all."""
    return [each for full, each in found.estimates.items() if full.split("@")[0] == name and "#" not in full]
