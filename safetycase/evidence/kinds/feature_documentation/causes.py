"""What intervening on tested features does, beside what the same interventions on null features do."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from safetycase.evidence import stats
from safetycase.evidence.estimates import Estimates, null_record
from safetycase.evidence.kinds.feature_documentation.answers import Answers
from safetycase.evidence.kinds.feature_documentation.changes import Changes, Edited, dosing
from safetycase.evidence.kinds.feature_documentation.dosing import Dosing
from safetycase.evidence.kinds.feature_documentation.findings import DoseEffect, NullEffects
from safetycase.evidence.kinds.feature_documentation.observed import Observed
from safetycase.evidence.kinds.feature_documentation.params import ABSENT, PRESENT, Read, population
from safetycase.evidence.record import Null, Unit
from safetycase.evidence.stats import Interval, NullTest, Undefined

Condition = Literal["ablated", "steered"]
ASKED_OF: Mapping[Condition, str] = {"ablated": PRESENT, "steered": ABSENT}
EDITS: Mapping[Condition, str] = {"ablated": "ablate", "steered": "steer"}
_ON_ABSENT = ("log_odds_change", "kl", "dose_response")
NULL = (
    "the same edit of active features, nearest in direction norm times mean peak on present discovery prompts and in the share of these on "
    "which they fire"
)
STEERED_NULL = "steering is along unit directions, whatever their norm"


@dataclass(frozen=True)
class Effect:
    """What one edit of one tested feature does to confirmation prompts, beside its nulls."""

    changes: Changes
    test: NullTest | None
    """None where no null feature went through the same edit."""


@dataclass(frozen=True)
class Causes:
    """The interventions of one contrast."""

    contrast: str
    tested: tuple[int, ...]
    """By rank."""
    doses: Mapping[int, Dosing]
    """Of tested features."""
    effects: Mapping[tuple[int, Condition], Effect | str]
    """Or why there is none."""
    nulls: Mapping[Condition, tuple[float, ...]]
    null_dosed: int
    """Null features for which a dose of steering could be chosen."""
    curves: Mapping[int, tuple[DoseEffect, ...]]

    def null_effects(self) -> tuple[NullEffects, ...]:
        """For the figure of effect against null."""
        return tuple(NullEffects(contrast=self.contrast, edit=edit, effects=effects) for edit, effects in self.nulls.items() if effects)


def causes(seen: Observed, contrast: str, made: Edited, answers: Answers | str, read: Read, estimates: Estimates) -> Causes:
    """Put every estimate of a contrast's log-odds, unedited and edited.

    `answers` are those of the first judge; of those to validation prompts the choice of doses takes account.
    """
    tested = made.roles.get((contrast, "tested"), ())
    doses = {feature: dosing(seen, made, answers, contrast, feature, read) for feature in tested}
    nulls, dosed = _nulls(seen, contrast, made, read)
    effects = {
        (feature, condition): _effect(seen, contrast, made, feature, condition, doses[feature], nulls[condition])
        for feature in tested
        for condition in ASKED_OF
    }
    found = Causes(contrast, tested, doses, effects, nulls, dosed, _curves(seen, contrast, made, tested, answers, read))
    _put_baseline(seen, contrast, read, estimates)
    present, absent = population(contrast, PRESENT), population(contrast, ABSENT)
    patterns = [f"log_odds_change.{present}.ablated#*", f"kl.{present}.*", *(f"{each}.{absent}.*" for each in _ON_ABSENT)]
    estimates.miss(patterns, why_no_place(seen, found))
    for slot, feature in seen.ranked(contrast):
        if feature in tested:
            _put(seen, found, made, slot, feature, read, estimates)
    return found


def why_no_place(seen: Observed, found: Causes) -> str:
    """Why there is nothing at places that no tested feature has."""
    if seen.stopped(found.contrast):
        return seen.stopped(found.contrast)
    if not seen.tables.has("causes"):
        return seen.tables.why_absent("causes")
    return f"this edit was not made; {len(found.tested)} feature{' was' if len(found.tested) == 1 else 's were'} intervened on"


def dose_of(seen: Observed, chosen: Dosing) -> float | None:
    """The chosen multiple of the residual norm."""
    return None if chosen.index is None else float(seen.setup["doses"][chosen.index])


def _nulls(seen: Observed, contrast: str, made: Edited, read: Read) -> tuple[dict[Condition, tuple[float, ...]], int]:
    """Mean changes of null features, each steered at its own chosen dose; one without a dose is left alone, which changes nothing."""
    ablated, moved, dosed = [], [], 0
    for feature in made.roles.get((contrast, "null"), ()):
        changes = made.of(contrast, feature, "ablate", 0.0, PRESENT)
        if changes is not None:
            ablated.append(float(changes.change.mean()))
        dose = dose_of(seen, dosing(seen, made, None, contrast, feature, read))
        changes = None if dose is None else made.of(contrast, feature, "steer", dose, ABSENT)
        if changes is not None:
            dosed += 1
        if dose is None or changes is not None:
            moved.append(0.0 if changes is None else float(changes.change.mean()))
    return {"ablated": tuple(ablated), "steered": tuple(moved)}, dosed


def _effect(
    seen: Observed, contrast: str, made: Edited, feature: int, condition: Condition, chosen: Dosing, nulls: tuple[float, ...]
) -> Effect | str:
    dose = 0.0 if condition == "ablated" else dose_of(seen, chosen)
    if dose is None:
        return f"no dose of steering was taken: {chosen.reason}"
    changes = made.of(contrast, feature, EDITS[condition], dose, ASKED_OF[condition])
    if changes is None:
        return "this edit was not made on confirmation prompts"
    side: Literal["less", "greater"] = "less" if condition == "ablated" else "greater"
    return Effect(changes, stats.null_test(float(changes.change.mean()), nulls, side) if nulls else None)


def _curves(
    seen: Observed, contrast: str, made: Edited, tested: tuple[int, ...], answers: Answers | str, read: Read
) -> dict[int, tuple[DoseEffect, ...]]:
    curves = {}
    for feature in tested:
        points = []
        for dose in seen.setup["doses"]:
            changes = made.of(contrast, feature, "steer", dose, ABSENT)
            try:
                mean = None if changes is None else seen.mean(changes.items, changes.change, read)
            except Undefined:
                mean = None
            if mean is not None and changes is not None:
                incoherent = None if isinstance(answers, str) else answers.incoherent_share(feature, dose, test=True)
                kl = max(0.0, float(changes.kl.mean()))
                points.append(DoseEffect(dose=dose, change=mean.value, low=mean.low, high=mean.high, kl=kl, incoherent=incoherent))
        curves[feature] = tuple(points)
    return curves


def _put_baseline(seen: Observed, contrast: str, read: Read, estimates: Estimates) -> None:
    log_odds = seen.baseline.get(contrast, {})
    for side in (PRESENT, ABSENT):
        where = population(contrast, side)
        items = sorted(item for item in seen.test_items.get(where, ()) if item in log_odds)
        if items:
            mean = partial(seen.mean, items, [log_odds[item] for item in items], read)
            estimates.put(f"log_odds.{where}.baseline", mean, Unit.NATS)
        else:
            lacking = "no confirmation prompt was scored" if seen.tables.has("baseline") else seen.tables.why_absent("baseline")
            estimates.miss([f"log_odds.{where}.baseline"], seen.stopped(contrast) or lacking)


def _put(seen: Observed, found: Causes, made: Edited, slot: str, feature: int, read: Read, estimates: Estimates) -> None:
    contrast, absent = found.contrast, population(found.contrast, ABSENT)
    for condition, side in ASKED_OF.items():
        where, effect = population(contrast, side), found.effects[feature, condition]
        names = [f"{quantity}.{where}.{condition}#{slot}" for quantity in ("log_odds_change", "kl")]
        if isinstance(effect, str):
            estimates.miss(names, effect)
            continue
        mean = partial(seen.mean, effect.changes.items, effect.changes.change, read)
        estimates.put(names[0], mean, Unit.NATS, _records(found, condition, effect))
        estimates.put(names[1], partial(_mean_kl, seen, effect.changes, read), Unit.NATS)
    for kind, name, doses in (("steer", "steered", seen.setup["doses"]), ("clamp", "clamped", seen.setup["clamps"])):
        for index, dose in enumerate(doses, start=1):
            changes = made.of(contrast, feature, kind, dose, ABSENT)
            _put_mean(seen, f"log_odds_change.{absent}.{name}-{index}#{slot}", changes, read, estimates)
    estimates.put(f"dose_response.{absent}.steered#{slot}", partial(_dose_response, seen, contrast, made, feature, read), Unit.CORRELATION)


def _records(found: Causes, condition: Condition, effect: Effect) -> tuple[Null, ...]:
    if effect.test is None:
        return ()
    what = NULL
    if condition == "steered":
        undosed = f"{effect.test.n - found.null_dosed} of {effect.test.n} have none and count as no change"
        what += f"; {STEERED_NULL}, each at its own chosen dose ({undosed})"
    return (null_record(what, effect.test),)


def _put_mean(seen: Observed, name: str, changes: Changes | None, read: Read, estimates: Estimates) -> None:
    if changes is None:
        estimates.miss([name], "this edit was not made on confirmation prompts")
    else:
        estimates.put(name, partial(seen.mean, changes.items, changes.change, read), Unit.NATS)


def _dose_response(seen: Observed, contrast: str, made: Edited, feature: int, read: Read) -> Interval:
    found = {dose: made.of(contrast, feature, "steer", dose, ABSENT) for dose in seen.setup["doses"]}
    curves = {dose: dict(zip(each.items, each.change, strict=True)) for dose, each in found.items() if each is not None}
    if len(curves) < 5:
        raise Undefined(f"a dose-response needs at least 5 doses, {len(curves)} were tried on confirmation prompts")
    items = sorted(set.intersection(*(set(curve) for curve in curves.values())))
    changes = np.array([[curve[item] for curve in curves.values()] for item in items])
    return stats.rank_correlation(tuple(curves), changes, seen.clusters(items), read.level, seen.tables.seed, read.resamples)


def _mean_kl(seen: Observed, changes: Changes, read: Read) -> Interval:
    made = seen.mean(changes.items, changes.kl, read)
    # A divergence is never negative; rounding in its logarithms can make it so by a hair.
    return replace(made, low=max(made.low, min(0.0, made.value)))
