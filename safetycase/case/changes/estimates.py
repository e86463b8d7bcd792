"""Estimates that both versions have, each with an interval of its difference; and those that one version lacks."""

from collections.abc import Iterator
from dataclasses import replace

from safetycase.case.changes.differences import Pair, difference
from safetycase.case.changes.records import Difference, EstimateChange, EstimatePresence, Snapshot, Word
from safetycase.case.claims import why_absent
from safetycase.case.judged import JudgedStep
from safetycase.evidence import stats
from safetycase.evidence.judges import judge_names
from safetycase.evidence.kinds import load
from safetycase.evidence.record import Findings

FAMILY_LEVEL = 0.95
"""At which the intervals of all differences hold together."""

_RANKS = {Word.UP: 0, Word.DOWN: 0, Word.NONE_SEEN: 1, Word.NOT_COMPARABLE: 2}


def compared(old: Snapshot, new: Snapshot) -> tuple[EstimateChange, ...]:
    """Estimates that were measured anew, those that moved and those that claims rest on first.

    All intervals of differences hold together at `FAMILY_LEVEL`: estimates on which claims rest share one half of what may err, all others
    the other half, so that what was declared to matter is not drowned by what is merely listed. What the same observation gave twice is
    left out where its value is the same.
    """
    claims = _claims(old, new)
    pairs = list(_pairs(old, new))
    kept = [pair for pair in pairs if pair.has_interval]
    resting = sum((pair.step, pair.name) in claims for pair in kept)
    levels = _levels(resting, len(kept) - resting)
    found = [
        _change(pair, levels[(pair.step, pair.name) in claims], tuple(sorted(claims.get((pair.step, pair.name), ())))) for pair in pairs
    ]
    return tuple(sorted(found, key=lambda each: (_RANKS[each.word], not each.claims)))


def _levels(resting: int, others: int) -> dict[bool, float]:
    """Level of each interval (Bonferroni), by whether a claim rests on the estimate; a half that is empty gives its share to the other."""
    both = 2 if resting and others else 1
    return {on: stats.simultaneous_level(FAMILY_LEVEL, max(1, both * n)) for on, n in ((True, resting), (False, others))}


def _claims(old: Snapshot, new: Snapshot) -> dict[tuple[str, str], set[str]]:
    """(step, estimate) to the claims of either version that rest on it."""
    found: dict[tuple[str, str], set[str]] = {}
    for judgement in (*old.case.judgements, *new.case.judgements):
        for criterion in judgement.claim.criteria:
            found.setdefault((criterion.step, criterion.estimate), set()).add(judgement.id)
    return found


def one_sided(has: Snapshot, lacks: Snapshot) -> tuple[EstimatePresence, ...]:
    """Estimates of one version that the other lacks, with the reason."""
    return tuple(
        EstimatePresence(step=step, name=name, estimate=found.estimates[name], reason=_why_lacking(step, name, found, lacks))
        for step, found in has.findings.items()
        for name in sorted(found.estimates.keys() - _estimates(step, found, lacks))
    )


def _pairs(old: Snapshot, new: Snapshot) -> Iterator[Pair]:
    before, after = ({step.id: step for step in each.case.steps} for each in (old, new))
    for step, now in new.findings.items():
        names = sorted(now.estimates.keys() & _estimates(step, now, old))
        if not names:
            continue
        if _same_observation(before.get(step), after.get(step)):
            yield from _read_otherwise(step, names, old.findings[step], now)
        else:
            yield from _measured_anew(step, names, old, new)


def _read_otherwise(step: str, names: list[str], was: Findings, now: Findings) -> Iterator[Pair]:
    """What one observation gave twice: another value shows another reading or other labels, not another model."""
    for name in names:
        if was.estimates[name].value != now.estimates[name].value:
            yield Pair(step, name, was.estimates[name], now.estimates[name], {}, {}, "the same observation, read or labelled otherwise")


def _measured_anew(step: str, names: list[str], old: Snapshot, new: Snapshot) -> Iterator[Pair]:
    was, now = old.findings[step], new.findings[step]
    items_was, items_now = old.by_item(step), new.by_item(step)
    derived = f"derived by version {was.derive_version} of {now.kind} there, by {now.derive_version} here"
    tolerance = max(old.case.tolerance, new.case.tolerance)
    for name in names:
        reason = _other_judge(step, name, old, new) or _other_unit(name, was, now)
        values = items_was.get(name, {}), items_now.get(name, {})
        pair = Pair(step, name, was.estimates[name], now.estimates[name], *values, reason, tolerance)
        # Values by prompt that give both sealed estimates show that the two versions derive this estimate alike.
        alike = was.derive_version == now.derive_version or pair.is_paired
        yield pair if reason or alike else replace(pair, reason=derived)


def _change(pair: Pair, level: float, claims: tuple[str, ...]) -> EstimateChange:
    found = difference(pair, level) if pair.has_interval else None
    if found is not None:
        word, reason = _word(found, pair.numerical), ""
    elif pair.reason:
        word, reason = Word.NOT_COMPARABLE, pair.reason
    else:
        word, reason = Word.NONE_SEEN, f"the same value, but for what is numerical, on each of the {len(pair.shared)} shared prompts"
    return EstimateChange(
        step=pair.step, name=pair.name, claims=claims, was=pair.was, now=pair.now, word=word, difference=found, reason=reason,
    )  # fmt: skip


def _word(found: Difference, numerical: float) -> Word:
    if found.low > numerical:
        return Word.UP
    return Word.DOWN if found.high < -numerical else Word.NONE_SEEN


def _same_observation(was: JudgedStep | None, now: JudgedStep | None) -> bool:
    return was is not None and now is not None and was.observation_sha256 == now.observation_sha256 is not None


def _estimates(step: str, found: Findings, other: Snapshot) -> set[str]:
    """Estimates of the same step in another version; none where the step is of another kind."""
    there = other.findings.get(step)
    return set(there.estimates) if there is not None and there.kind == found.kind else set()


def _why_lacking(step: str, name: str, found: Findings, lacks: Snapshot) -> str:
    there = lacks.findings.get(step)
    if there is not None:
        return why_absent(name, there) if there.kind == found.kind else f"the step is of kind {there.kind} there"
    return "the step has not been run there" if step in {each.id for each in lacks.case.steps} else "the plan has no such step there"


def _other_unit(name: str, was: Findings, now: Findings) -> str:
    before, after = was.estimates[name].unit, now.estimates[name].unit
    return "" if before is after else f"counted in {before} there, in {after} here"


def _other_judge(step: str, name: str, old: Snapshot, new: Snapshot) -> str:
    """Why labels of the two versions are not the same judge's; empty where nothing says so."""
    if "@" not in name:
        return ""
    judge = name.split("#")[0].split("@")[1]
    # A kind need not record the versions of its judges; where it does, findings say them by name.
    before, after = (getattr(each.findings[step], "judge_versions", {}).get(judge) for each in (old, new))
    if before is not None and after is not None and before != after:
        return f"judged by version {before} of {judge} there, by version {after} here"
    if judge in judge_names():
        return ""
    models = _judging_model(step, old), _judging_model(step, new)
    return "" if models[0] == models[1] else "judged by another model"


def _judging_model(step: str, snapshot: Snapshot) -> str | None:
    """Digest of the model in the role of judge; None where it cannot be told."""
    judged = next((each for each in snapshot.case.steps if each.id == step), None)
    if judged is None:
        return None
    kind = load(judged.kind)
    try:
        model = kind.model_roles(kind.Ask.model_validate(judged.params)).get("judge")
    except ValueError:
        return None
    return next((each.digest for each in snapshot.case.models if each.id == model), None)
