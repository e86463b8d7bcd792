"""Which tested features pass the causal gate of a contrast: they read it, and ablating or steering them moves it beyond their nulls."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from safetycase.evidence import stats
from safetycase.evidence.estimates import Estimates
from safetycase.evidence.kinds.feature_documentation.answers import Answers
from safetycase.evidence.kinds.feature_documentation.causes import Causes, Condition, Effect, dose_of
from safetycase.evidence.kinds.feature_documentation.findings import Gate
from safetycase.evidence.kinds.feature_documentation.observed import Observed
from safetycase.evidence.kinds.feature_documentation.params import Read, fewest_nulls
from safetycase.evidence.kinds.feature_documentation.readings import Peaks, reads_contrast
from safetycase.evidence.record import Unit
from safetycase.evidence.stats import Interval, Undefined


@dataclass(frozen=True)
class Gated:
    """The gates of one contrast."""

    gates: Mapping[int, Gate]
    """Tested feature to its gate."""
    lacking: tuple[str, ...]
    """What kept gates from being read, one sentence each."""


@dataclass(frozen=True)
class GateCondition:
    """One condition of a gate: whether it holds, why not, and whether that could be read at all."""

    holds: bool
    why: str = ""
    readable: bool = True


Family = Mapping[tuple[str, int, Condition], float]
"""Contrast, feature and edit to the adjusted p value; every test of the step is one of the family."""


def adjusted(causes: Iterable[Causes]) -> Family:
    """Holm's p values over both edits of every tested feature of every contrast, an edit that could not be made counting as 1."""
    raw = {(found.contrast, *key): _raw(effect) for found in causes for key, effect in found.effects.items()}
    by_name = stats.holm({repr(key): p for key, p in raw.items()})
    return {key: by_name[repr(key)] for key in raw}


def _raw(effect: Effect | str) -> float:
    return effect.test.p if isinstance(effect, Effect) and effect.test is not None else 1.0


def gates(
    seen: Observed, found: Causes, family: Family, peaks: Peaks, answers: Answers | str, read: Read, estimates: Estimates
) -> Gated:  # fmt: skip
    """Every tested feature's gate, and the share that passes; nothing here depends on the level that the page shows.

    Intervals are taken at level 1 - alpha, p values from the `adjusted` ones of the whole step.
    """
    made, lacking = {}, [*_few_nulls(found, len(family), read)]
    for feature in found.tested:
        reads = _reads(seen, found.contrast, feature, peaks, read)
        ablation = _edit(seen, found, feature, "ablated", family, read)
        steering = _edit(seen, found, feature, "steered", family, read)
        steering = _coherent(found, feature, steering, answers, seen, read)
        lacking += [f"{found.contrast}, feature {feature}: {each.why}" for each in (reads, ablation, steering) if not each.readable]
        made[feature] = _gate(seen, found, feature, reads, ablation, steering, family)
    _put_share(found.contrast, made, seen, read, estimates)
    return Gated(made, tuple(lacking))


def _few_nulls(found: Causes, tests: int, read: Read) -> Iterator[str]:
    least = fewest_nulls(tests, read.alpha)
    for condition, effects in found.nulls.items():
        if found.tested and len(effects) < least:
            yield (
                f"{found.contrast}: {len(effects)} null features were {condition}, too few for {tests} tests under Holm's correction "
                f"at {read.alpha:g}: at least {least} are needed."
            )


def _reads(seen: Observed, contrast: str, feature: int, peaks: Peaks, read: Read) -> GateCondition:
    try:
        auroc = reads_contrast(seen, contrast, feature, peaks, 1 - read.alpha)
    except Undefined as undefined:
        return GateCondition(False, f"Its AUROC on confirmation prompts is not known: {undefined.reason}.", readable=False)
    if auroc.low > read.minimum_auroc:
        return GateCondition(True)
    return GateCondition(False, f"Its AUROC on confirmation prompts, {_told(auroc, '.2f')}, is not bounded above {read.minimum_auroc:g}.")


def _edit(seen: Observed, found: Causes, feature: int, condition: Condition, family: Family, read: Read) -> GateCondition:
    edit = "Ablation" if condition == "ablated" else "Steering"
    effect = found.effects[feature, condition]
    if isinstance(effect, str):
        chosen = condition == "steered" and found.doses[feature].index is None
        return GateCondition(False, f"{edit}: {effect}.", readable=chosen)
    if effect.test is None:
        return GateCondition(False, f"{edit} stands beside no null feature.", readable=False)
    try:
        change = seen.mean(effect.changes.items, effect.changes.change, read, 1 - read.alpha)
    except Undefined as undefined:
        same = bool(np.ptp(effect.changes.change) <= 1e-12)
        return GateCondition(False, f"{edit} changes every prompt alike: {undefined.reason}.", readable=same)
    reached = -change.high if condition == "ablated" else change.low
    if reached <= read.minimum_effect:
        bound = -read.minimum_effect if condition == "ablated" else read.minimum_effect
        side = "below" if condition == "ablated" else "above"
        return GateCondition(False, f"{edit} changes log-odds by {_told(change, '+.2f')} nats: not bounded {side} {bound:+g}.")
    p = family[found.contrast, feature, condition]
    if p > read.alpha:
        return GateCondition(
            False,
            f"{edit} moves log-odds no further than null features do: {effect.test.exceed} of {effect.test.n} move them as far "
            f"(p = {p:.3g} after Holm's correction, above {read.alpha:g}).",
        )
    return GateCondition(True)


def _coherent(found: Causes, feature: int, steering: GateCondition, answers: Answers | str, seen: Observed, read: Read) -> GateCondition:
    """Steering must leave answers coherent on confirmation prompts too, where there are answers."""
    dose = dose_of(seen, found.doses[feature])
    if not steering.holds or isinstance(answers, str) or dose is None:
        return steering
    share = answers.incoherent_share(feature, dose, test=True)
    if share is None or share <= read.max_incoherent:
        return steering
    return GateCondition(False, f"Steering at dose {dose:g} makes {share:.0%} of answers incoherent, more than {read.max_incoherent:.0%}.")


def _gate(
    seen: Observed, found: Causes, feature: int, reads: GateCondition, ablation: GateCondition, steering: GateCondition,
    family: Family,
) -> Gate:  # fmt: skip
    passes = reads.holds and (ablation.holds or steering.holds)
    failed = [each.why for each in (reads, ablation, steering) if not each.holds]
    p = {condition: _p(found, feature, condition, family) for condition in ("ablated", "steered")}
    index = found.doses[feature].index
    return Gate(
        contrast=found.contrast, reads=reads.holds, ablation=ablation.holds, steering=steering.holds, passes=passes,
        p_ablation=p["ablated"], p_steering=p["steered"], dose=dose_of(seen, found.doses[feature]),
        dose_index=None if index is None else index + 1, reasons=() if passes else tuple(failed),
    )  # fmt: skip


def _p(found: Causes, feature: int, condition: Condition, family: Family) -> float | None:
    effect = found.effects[feature, condition]
    return family[found.contrast, feature, condition] if isinstance(effect, Effect) and effect.test is not None else None


def _put_share(contrast: str, made: Mapping[int, Gate], seen: Observed, read: Read, estimates: Estimates) -> None:
    name = f"passing_share.{contrast}.causal"
    if not made:
        estimates.miss([name], seen.stopped(contrast) or "no feature was intervened on")
        return
    n, passing = len(made), sum(gate.passes for gate in made.values())
    low, high = stats.clopper_pearson(passing, n, read.level)
    method = f"{passing} of {n} tested features pass the causal gate, a count of these; Clopper-Pearson as if they were drawn by lot"
    estimates.keep(name, Interval(passing / n, low, high, read.level, n, n, method), Unit.FRACTION)


def _told(made: Interval, form: str) -> str:
    return f"{made.value:{form}} ({made.low:{form}} to {made.high:{form}})"
