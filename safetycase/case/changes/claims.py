"""Claims that differ between two versions: what was declared otherwise, and whose support was lost or gained."""

from collections.abc import Iterable, Iterator

from safetycase.case.changes.records import ClaimChange, ClaimDifference, ClaimEffect
from safetycase.case.claims import Judgement, Standing, Verdict, compare

_ORDER = (ClaimEffect.LOST, ClaimEffect.GAINED, ClaimEffect.OTHER)


def claim_changes(old: Iterable[Judgement], new: Iterable[Judgement]) -> tuple[ClaimChange, ...]:
    """Claims that differ, by id: those that lost support first, then those that gained it.

    A claim whose evidence alone moved, within the same verdict, is none of them.
    """
    before, after = ({each.id: each for each in judged} for judged in (old, new))
    found = [_change(name, before.get(name), after.get(name)) for name in sorted(before.keys() | after.keys())]
    return tuple(sorted((each for each in found if each.differs), key=lambda each: (_ORDER.index(each.effect), each.id)))


def _change(name: str, was: Judgement | None, now: Judgement | None) -> ClaimChange:
    return ClaimChange(id=name, effect=_effect(was, now), differs=tuple(_differs(was, now)), was=was, now=now)


def _differs(was: Judgement | None, now: Judgement | None) -> Iterator[ClaimDifference]:
    if was is None or now is None:
        yield ClaimDifference.ADDED if was is None else ClaimDifference.REMOVED
        return
    if was.claim.text != now.claim.text:
        yield ClaimDifference.REWORDED
    if was.claim.bears != now.claim.bears:
        yield ClaimDifference.BEARING
    if was.claim.criteria != now.claim.criteria:
        yield ClaimDifference.BOUNDS
    if was.verdict is not now.verdict:
        yield ClaimDifference.VERDICT
    if set(was.standing) != set(now.standing):
        yield ClaimDifference.STANDING
    if Standing.SUSPECT in now.standing and Standing.SUSPECT not in was.standing:
        yield ClaimDifference.SUSPECT


def _effect(was: Judgement | None, now: Judgement | None) -> ClaimEffect:
    """Lost however it came about, by evidence, by other bounds or by taking the claim away; gained only by evidence."""
    if (_speaks(was, "favourable") and not _speaks(now, "favourable")) or (_speaks(now, "adverse") and not _speaks(was, "adverse")):
        return ClaimEffect.LOST
    if _speaks(was, "favourable") and _speaks(now, "favourable") and not _by_old_bounds(was, now):
        return ClaimEffect.LOST
    if now is None or (was is not None and (was.claim.bears, was.claim.criteria) != (now.claim.bears, now.claim.criteria)):
        return ClaimEffect.OTHER
    better = _speaks(now, "favourable") and not _speaks(was, "favourable")
    # That evidence for an adverse claim is gone is no evidence against it.
    overturned = _speaks(was, "adverse") and now.verdict is Verdict.REFUTED
    return ClaimEffect.GAINED if better or overturned else ClaimEffect.OTHER


def _by_old_bounds(was: Judgement | None, now: Judgement | None) -> bool:
    """Whether the new evidence would support the claim by the bounds that it had: to lower a bound is no support."""
    assert was is not None, now
    assert now is not None, was
    found = {(each.criterion.step, each.criterion.estimate): each.estimate for each in now.criteria}
    for each in was.criteria:
        estimate = found.get((each.criterion.step, each.criterion.estimate))
        if each.criterion not in {one.criterion for one in now.criteria} and (
            estimate is None or compare(each.criterion, estimate, 0.0)[0] is not Verdict.SUPPORTED
        ):
            return False
    return True


def _speaks(judgement: Judgement | None, bears: str) -> bool:
    """Whether a claim of that bearing is supported."""
    return judgement is not None and judgement.claim.bears == bears and judgement.verdict is Verdict.SUPPORTED
