"""What editing the direction does to refusal log-odds on the test split, beside what directions without meaning do."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence import stats
from safetycase.evidence.estimates import Estimates, null_record
from safetycase.evidence.kinds.refusal_direction.findings import NullSample
from safetycase.evidence.kinds.refusal_direction.fragility import fragility_ks, why_no_more
from safetycase.evidence.kinds.refusal_direction.observed import Observed
from safetycase.evidence.kinds.refusal_direction.params import Read
from safetycase.evidence.record import Null, Unit
from safetycase.evidence.stats import Interval, NullTest, Undefined
from safetycase.evidence.tables import Table

Condition = Literal["ablated", "added"]
NullFamily = Literal["random", "shuffle", "contrast"]

ASKED_OF: Mapping[Condition, str] = {"ablated": "harmful", "added": "harmless"}
"""The population on which a condition is an effect on refusal."""

NULL_FAMILIES: Mapping[NullFamily, str] = {
    "random": "directions of the same norm drawn from the covariance of activations",
    "shuffle": "mean differences of shuffled labels, each through the whole selection",
    "contrast": "mean differences of unrelated contrasts among harmless prompts",
}


@dataclass(frozen=True)
class Effect:
    """The change of refusal log-odds under one condition, and the same change under every null direction."""

    condition: Condition
    change: Interval
    """At level 1 - alpha, whatever level the page shows."""
    nulls: Mapping[NullFamily, NullTest]
    samples: tuple[NullSample, ...]


@dataclass(frozen=True)
class Changes:
    """Edited minus unedited refusal log-odds of the same test prompts, in nats."""

    items: tuple[str, ...]
    edited: NDArray[np.float64]
    change: NDArray[np.float64]


def effects(seen: Observed, read: Read, estimates: Estimates) -> dict[Condition, Effect | str]:
    """Put every estimate of an effect on log-odds; per condition the effect for the outcome, or why there is none."""
    _put_baseline(seen, read, estimates)
    _put_fragility(seen, read, estimates)
    return {condition: _effect(condition, seen, read, estimates) for condition in ASKED_OF}


def _put_baseline(seen: Observed, read: Read, estimates: Estimates) -> None:
    for population in seen.populations:
        name = f"refusal_log_odds.{population}.baseline"
        items = [item for item in seen.test_items[population] if item in seen.baseline]
        if not items:
            why = "no test prompt was scored" if seen.tables.has("baseline") else seen.tables.why_absent("baseline")
            estimates.miss([name], why)
            continue
        values = np.array([seen.baseline[item] for item in items])
        estimates.put(name, partial(_mean, seen, items, values, read), Unit.NATS)


def _mean(seen: Observed, items: list[str] | tuple[str, ...], values: NDArray[np.float64], read: Read) -> Interval:
    return stats.mean(values, seen.clusters(items), read.level, seen.tables.seed, read.resamples)


def _put_fragility(seen: Observed, read: Read, estimates: Estimates) -> None:
    estimates.miss(["refusal_log_odds.harmful.ablated-*"], _why_no_effects(seen) or why_no_more(seen))
    for k in fragility_ks(seen):
        name = f"refusal_log_odds.harmful.ablated-{k}"
        changes = changes_by_direction(seen, "fragility", "ablated").get(f"k-{k}")
        if changes is None:
            estimates.miss([name], _why_no_effects(seen) or f"{k} directions were not scored together")
            continue
        estimates.put(name, partial(_mean, seen, changes.items, changes.edited, read), Unit.NATS)


def _why_no_effects(seen: Observed) -> str | None:
    if not seen.tables.has("effects"):
        return seen.stopped or seen.tables.why_absent("effects")
    if not seen.baseline:
        return seen.tables.why_absent("baseline")
    return None


def _effect(condition: Condition, seen: Observed, read: Read, estimates: Estimates) -> Effect | str:
    population = ASKED_OF[condition]
    level_name = f"refusal_log_odds.{population}.{condition}"
    name = f"refusal_log_odds_change.{population}.{condition}"
    names = (level_name, name, f"{name}#reselected")
    own = changes_by_direction(seen, "selected", condition).get("selected")
    if own is None:
        why = _why_no_effects(seen) or f"the selected direction was not {condition} on {population} test prompts"
        estimates.miss(names, why)
        return why
    tests, samples = _null_tests(seen, condition, float(own.change.mean()))
    nulls = [null_record(NULL_FAMILIES[family], test) for family, test in tests.items()]
    conditional = partial(stats.mean, own.change, seen.clusters(own.items), seed=seen.tables.seed, resamples=read.resamples)
    estimates.put(level_name, partial(_mean, seen, own.items, own.edited, read), Unit.NATS)
    estimates.put(name, partial(conditional, level=read.level), Unit.NATS, nulls)
    _put_reselected(f"{name}#reselected", seen, condition, partial(conditional, level=read.level), nulls, estimates)
    try:
        change = conditional(level=1 - read.alpha)
    except Undefined as undefined:
        return undefined.reason
    return Effect(condition, change, tests, samples)


def changes_by_direction(seen: Observed, family: str, condition: Condition) -> dict[str, Changes]:
    """Direction to changes on the population that the condition is asked of."""
    if _why_no_effects(seen) is not None:
        return {}
    table = seen.tables.table("effects").where(family=family, condition=condition, population=ASKED_OF[condition])
    kept = np.array([item in seen.baseline for item in table["item"]], dtype=bool)
    return dict(_by_direction(seen, table.take(kept)))


def _by_direction(seen: Observed, table: Table) -> Iterator[tuple[str, Changes]]:
    if not len(table):
        return
    directions, which = np.unique(table["direction"].astype(np.str_), return_inverse=True)
    before = np.array([seen.baseline[item] for item in table["item"]])
    order = np.argsort(which, kind="stable")
    for number, rows in enumerate(np.split(order, np.searchsorted(which[order], np.arange(1, len(directions))))):
        edited = table["log_odds"][rows]
        yield str(directions[number]), Changes(tuple(table["item"][rows].tolist()), edited, edited - before[rows])


def _null_tests(seen: Observed, condition: Condition, observed: float) -> tuple[dict[NullFamily, NullTest], tuple[NullSample, ...]]:
    tests: dict[NullFamily, NullTest] = {}
    samples = []
    for family in NULL_FAMILIES:
        changes = sorted(changes_by_direction(seen, family, condition).items(), key=lambda each: _in_number(each[0]))
        if not changes:
            continue
        means = [float(each.change.mean()) for _, each in changes]
        tests[family] = stats.null_test(observed, means, "less" if condition == "ablated" else "greater")
        names = tuple(name.removeprefix(f"{family}-") for name, _ in changes)
        samples.append(NullSample(family=family, condition=condition, names=names, effects=tuple(means)))
    return tests, tuple(samples)


def _in_number(direction: str) -> tuple[int, str]:
    """Sorts random-9 before random-10, and contrasts by name."""
    last = direction.rsplit("-", 1)[-1]
    return (int(last), "") if last.isdecimal() else (0, direction)


def _put_reselected(
    name: str, seen: Observed, condition: Condition, conditional: "partial[Interval]", nulls: list[Null],
    estimates: Estimates,
) -> None:  # fmt: skip
    replicates = [float(each.change.mean()) for each in changes_by_direction(seen, "resample", condition).values()]
    if not replicates:
        estimates.miss([name], "the selection was not made again on resampled prompts")
        return
    stand_ins = _stand_ins(seen)

    def interval() -> Interval:
        at_level = conditional()
        made = stats.with_selection(at_level, replicates, at_level.level)
        note = f"; in {stand_ins} no candidate passed and the best in range stood in" if stand_ins else ""
        return replace(made, method=made.method + note)

    estimates.put(name, interval, Unit.NATS, nulls)


def _stand_ins(seen: Observed) -> int:
    if not seen.tables.has("reselections"):
        return 0
    return int(seen.tables.table("reselections").where(family="resample", fallback=True)["fallback"].sum())
