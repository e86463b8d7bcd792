"""What ablating the circuit, or everything but the circuit, does to refusal log-odds of confirmation prompts, beside random circuits."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence import stats
from safetycase.evidence.circuits.random_circuits import standing
from safetycase.evidence.estimates import Estimates, null_record
from safetycase.evidence.kinds.circuit_trace.findings import Test
from safetycase.evidence.kinds.circuit_trace.names import GRAPHED
from safetycase.evidence.kinds.circuit_trace.observed import CONFIRMATION, Observed
from safetycase.evidence.kinds.circuit_trace.params import TESTS, Read, fewest_nulls
from safetycase.evidence.kinds.circuit_trace.recurrence import Circuit
from safetycase.evidence.record import Null, Unit
from safetycase.evidence.stats import Interval, NullTest, Undefined

Name = Literal["necessity", "sufficiency", "completeness"]
SIDES: Mapping[Name, Literal["greater", "less"]] = {"necessity": "less", "sufficiency": "greater", "completeness": "less"}
ESTIMATES: Mapping[Name, str] = {
    "necessity": "log_odds_change.harmful.ablated",
    "sufficiency": "faithfulness.harmful.kept",
    "completeness": "faithfulness.harmful.rest",
}
CONDITIONS: Mapping[Name, str] = {"necessity": "ablated", "sufficiency": "kept", "completeness": "ablated"}
OWN, ALL = "circuit", "features"
NULL = "the same with random circuits of features matched to the members, on the same prompts"
NO_DENOMINATOR = ("told from zero", "every denominator is zero")
"""What `stats.ratio` says where there is nothing to take a share of."""
NO_EFFECT = "the effect of ablating all features together cannot be told from none, so that no share of it is known"
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Interventions:
    """The three tests, and whether the hypothesis stands so far."""

    tests: tuple[Test, ...] = ()
    holds: bool = False
    """There are members, and all three tests pass."""
    lacking: tuple[str, ...] = ()
    """What kept tests from being computed, one sentence each."""
    nulls: int = 0
    """Random circuits that went through them."""


@dataclass(frozen=True)
class Ablated:
    """Log-odds of prompts, in one order, under every circuit and condition."""

    items: tuple[str, ...]
    unedited: Values
    under: Mapping[tuple[str, str], Values]
    """(circuit, condition) to log-odds, where every prompt has them."""

    def change(self, circuit: str) -> Values:
        """[item]: change of log-odds under ablation, in nats."""
        return self.under[circuit, "ablated"] - self.unedited

    def restored(self, circuit: str, condition: str) -> Values:
        """[item]: numerator of faithfulness: what stays of the effect of all features together."""
        return self.under[circuit, condition] - self.under[ALL, "ablated"]

    @property
    def effect(self) -> Values:
        """[item]: denominator of faithfulness: effect of all features together."""
        effect: Values = self.unedited - self.under[ALL, "ablated"]
        return effect

    def randoms(self, condition: str) -> Iterator[str]:
        """Random circuits that were edited so on every prompt."""
        return (name for name, kind in self.under if kind == condition and name not in (OWN, ALL))


def interventions(seen: Observed, circuit: Circuit, read: Read, estimates: Estimates) -> Interventions:
    """Put the unedited log-odds and every estimate under edits, and read the three tests."""
    _put_baseline(seen, read, estimates)
    names = ("log_odds_change.harmless.ablated", *ESTIMATES.values())
    why = "" if circuit.members else circuit.why_none
    made = {population: why or ablated(seen, population) for population in GRAPHED}
    for population, each in made.items():
        if isinstance(each, str):
            estimates.miss([name for name in names if f".{population}." in name], each)
    harmless, harmful = made["harmless"], made["harmful"]
    if isinstance(harmless, Ablated):
        _put_change(seen, harmless, "harmless", read, estimates)
    if isinstance(harmful, str):
        return Interventions(lacking=() if why else (f"The circuit was not ablated: {harmful}.",))
    _put_change(seen, harmful, "harmful", read, estimates)
    _put_faithfulness(seen, harmful, read, estimates)
    return _tested(seen, harmful, read)


def _put_baseline(seen: Observed, read: Read, estimates: Estimates) -> None:
    for population in GRAPHED:
        items = [item for item in seen.tested(population) if item in seen.baseline]
        if not items:
            estimates.miss([f"log_odds.{population}.baseline"], seen.why_absent("baseline"))
            continue
        made = partial(seen.mean, items, [seen.baseline[item] for item in items], read)
        estimates.put(f"log_odds.{population}.baseline", made, Unit.NATS)


def ablated(seen: Observed, population: str) -> Ablated | str:
    """Log-odds of the confirmation prompts on which the circuit was ablated, or why there are none."""
    table = seen.rows("circuits", population=population, split=CONFIRMATION)
    if isinstance(table, str):
        return table
    found: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    columns = (table[name].tolist() for name in ("circuit", "condition", "item", "log_odds"))
    for name, condition, item, value in zip(*columns, strict=True):
        found[name, condition][item] = value
    items = tuple(sorted(found.get((OWN, "ablated"), {}).keys() & seen.baseline.keys()))
    if not items:
        return f"the circuit was not ablated on {population} confirmation prompts"
    under = {key: np.array([values[item] for item in items]) for key, values in found.items() if values.keys() >= set(items)}
    return Ablated(items, np.array([seen.baseline[item] for item in items]), under)


def _put_change(seen: Observed, made: Ablated, population: str, read: Read, estimates: Estimates) -> None:
    changes = [float(made.change(name).mean()) for name in made.randoms("ablated")]
    change = made.change(OWN)
    nulls = _nulls(standing(float(change.mean()), changes, "less").test) if changes else ()
    estimates.put(f"log_odds_change.{population}.ablated", partial(seen.mean, made.items, change, read), Unit.NATS, nulls)


def _nulls(test: NullTest) -> tuple[Null, ...]:
    return (null_record(NULL, test),)


def _put_faithfulness(seen: Observed, made: Ablated, read: Read, estimates: Estimates) -> None:
    for name in ("sufficiency", "completeness"):
        interval = partial(faithfulness, seen, made, name, read.level)
        reached = _reached(made, name)
        known = not isinstance(reached, str) and not isinstance(_bounded(seen, made, name, read), str)
        nulls = () if isinstance(reached, str) or not reached.nulls or not known else _nulls(reached.standing(SIDES[name]))
        estimates.put(ESTIMATES[name], interval, Unit.FRACTION, nulls)


def faithfulness(seen: Observed, made: Ablated, name: Name, level: float) -> Interval:
    """The share of the effect of all features that stays, a ratio of sums over prompts, clustered by family."""
    condition = CONDITIONS[name]
    if (ALL, "ablated") not in made.under:
        raise Undefined("all features together were not ablated on the same prompts")
    if (OWN, condition) not in made.under:
        raise Undefined("the circuit alone was not kept on the same prompts")
    ratio = stats.ratio(made.restored(OWN, condition), made.effect, seen.clusters(made.items), level)
    return replace(ratio, method=f"share of what ablating all features takes; {ratio.method}")


@dataclass(frozen=True)
class Reached:
    """What the circuit and the random circuits reach in one test."""

    own: float
    nulls: tuple[float, ...]

    def standing(self, side: Literal["greater", "less"]) -> NullTest:
        """The circuit among random ones; ties count against it."""
        return standing(self.own, self.nulls, side).test


def _reached(made: Ablated, name: Name) -> Reached | str:
    """Points of one test, or why there are none."""
    condition = CONDITIONS[name]
    if (OWN, condition) not in made.under:
        return "the circuit alone was not kept on the same prompts"
    randoms = list(made.randoms(condition))
    if name == "necessity":
        return Reached(float(made.change(OWN).mean()), tuple(float(made.change(each).mean()) for each in randoms))
    if (ALL, "ablated") not in made.under:
        return "all features together were not ablated on the same prompts"
    effect = float(made.effect.sum())
    if effect <= 0:
        return "ablating all features together does not lower the log-odds, so that there is no effect of features to carry"
    shares = (float(made.restored(each, condition).sum()) / effect for each in (OWN, *randoms))
    return Reached(next(shares), tuple(shares))


def _tested(seen: Observed, made: Ablated, read: Read) -> Interventions:
    """p by Holm's method over the three, one that could not be had counting as 1; the gate's intervals are taken at 1 - alpha."""
    points = {name: _reached(made, name) for name in ESTIMATES}
    found = {name: each for name, each in points.items() if isinstance(each, Reached) and each.nulls}
    least, fewest = fewest_nulls(TESTS, read.alpha), min((len(each.nulls) for each in found.values()), default=0)
    lacking = [f"{name.capitalize()} could not be tested: {each}." for name, each in points.items() if isinstance(each, str)]
    if fewest < least:
        lacking.append(
            f"{fewest} random circuits went through the tests, too few for {TESTS} under Holm's correction at {read.alpha:g}: at least "
            f"{least} are needed."
        )
    bounds = {name: _bounded(seen, made, name, read) for name in found}
    lacking += [f"{name.capitalize()} could not be tested: {bound}." for name, bound in bounds.items() if isinstance(bound, str)]
    read_ = {name: found[name].standing(SIDES[name]).p for name, bound in bounds.items() if isinstance(bound, bool)}
    adjusted = stats.holm({name: read_.get(name, 1.0) for name in ESTIMATES})
    tests = tuple(_test(name, each, adjusted[name], bounds[name], read) for name, each in found.items())
    return Interventions(tests, len(tests) == TESTS and all(test.passes for test in tests), tuple(lacking), fewest)


def _test(name: Name, each: Reached, adjusted: float, bounded: bool | str, read: Read) -> Test:
    if isinstance(bounded, str):
        return Test(name=name, percentile=0.0, p=1.0, adjusted=1.0, passes=False, nulls=each.nulls, untested=bounded)
    placed = standing(each.own, each.nulls, SIDES[name])
    return Test(
        name=name, percentile=placed.percentile / 100, p=placed.test.p, adjusted=adjusted, passes=adjusted <= read.alpha and bounded,
        nulls=each.nulls,
    )  # fmt: skip


def _bounded(seen: Observed, made: Ablated, name: Name, read: Read) -> bool | str:
    """Whether the whole interval says what the test asks: a fall of at least the minimum effect, some of the effect kept, some taken.

    Or why that cannot be said.
    """
    try:
        if name == "necessity":
            return seen.mean(made.items, made.change(OWN), read, level=1 - read.alpha).high < -read.minimum_effect
        share = faithfulness(seen, made, name, 1 - read.alpha)
    except Undefined as undefined:
        return NO_EFFECT if any(said in undefined.reason for said in NO_DENOMINATOR) else undefined.reason
    return share.low > 0 if name == "sufficiency" else share.high < 1
