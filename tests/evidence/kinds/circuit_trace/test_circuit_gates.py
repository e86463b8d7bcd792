"""The three tests of a circuit: each fails when its own condition is broken, and chance passes them as often as declared."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from safetycase.evidence.estimates import Estimates
from safetycase.evidence.kinds.circuit_trace.derive import derive
from safetycase.evidence.kinds.circuit_trace.interventions import Interventions, interventions
from safetycase.evidence.kinds.circuit_trace.observed import observed
from safetycase.evidence.kinds.circuit_trace.params import Read
from safetycase.evidence.kinds.circuit_trace.recurrence import circuit_of
from safetycase.evidence.record import Outcome
from safetycase.evidence.tables import Tables
from tests.evidence.kinds.circuit_trace import on_graphs, on_interventions
from tests.evidence.kinds.circuit_trace.circuit_case import READ, found, stored, tables
from tests.evidence.kinds.circuit_trace.planted import Planted


def passing(**truth: Any) -> set[str]:
    return {test.name for test in found(**truth).tests if test.passes}


@pytest.mark.parametrize(
    ("truth", "passes"),
    [
        pytest.param({"random_ablated": -4.0}, {"sufficiency"}, id="random circuits take as much"),
        pytest.param({"ablated": -0.3, "spread": 0.02, "noise": 0.05}, {"sufficiency", "completeness"}, id="below the minimum effect"),
        pytest.param({"random_kept": 0.8}, {"necessity", "completeness"}, id="random circuits keep as much"),
        pytest.param({"kept": -0.1, "random_kept": -0.6}, {"necessity", "completeness"}, id="nothing is kept"),
        pytest.param({"ablated": 0.5, "random_ablated": 2.0}, {"sufficiency"}, id="ablation takes nothing"),
    ],
)
def test_each_test_fails_when_its_own_condition_is_broken(truth: dict[str, Any], passes: set[str]) -> None:
    """p alone is not enough, nor is the effect alone; what fails is still conclusive, and the hypothesis does not hold."""
    what = found(**truth)

    assert passing(**truth) == passes
    assert (what.outcome, what.holds) == (Outcome.CONCLUSIVE, False)


def test_an_effect_below_the_minimum_beats_random_circuits_and_does_not_pass() -> None:
    """Its p is as small as 120 random circuits allow: it is the interval that fails it."""
    necessity = found(ablated=-0.3, spread=0.02, noise=0.05).tests[0]

    assert (necessity.name, necessity.percentile, necessity.passes) == ("necessity", 1.0, False)
    assert necessity.adjusted <= 0.05


@pytest.mark.parametrize(
    ("name", "truth", "estimate", "bound"),
    [
        ("necessity", {"ablated": -0.55, "spread": 0.02, "noise": 0.4}, "log_odds_change.harmful.ablated", -0.5),
        ("sufficiency", {"kept": 0.01, "random_kept": -0.6, "noise": 1.0}, "faithfulness.harmful.kept", 0.0),
        ("completeness", {"ablated": -0.1, "random_ablated": 2.0, "noise": 1.0}, "faithfulness.harmful.rest", 1.0),
    ],
)
def test_the_interval_decides_not_the_point(name: str, truth: dict[str, Any], estimate: str, bound: float) -> None:
    """A point on the right side of its bound does not pass where the interval straddles it, though it is beyond every random circuit."""
    what = found(seed=4, **truth)
    made, test = what.estimates[estimate], next(test for test in what.tests if test.name == name)

    assert made.value > bound if name == "sufficiency" else made.value < bound
    assert made.low < bound < made.high
    assert test.adjusted <= 0.05
    assert not test.passes


def test_the_gate_does_not_move_with_the_level_of_the_page() -> None:
    """Intervals of the gate are taken at 1 - alpha, whatever level is shown."""
    tests = [found(READ.model_copy(update={"level": level}), ablated=-0.75, noise=0.6).tests for level in (0.6, 0.95, 0.9999)]

    assert tests[0] == tests[1] == tests[2]


def test_a_smaller_alpha_asks_for_more_random_circuits() -> None:
    """120 cannot give p <= 0.01 for three tests: 300 are needed, and the step says so."""
    what = found(Read(resamples=200, alpha=0.01))

    assert what.outcome is Outcome.INCONCLUSIVE
    assert what.reasons == (
        "120 random circuits went through the tests, too few for 3 under Holm's correction at 0.01: at least 300 are needed.",
    )
    assert not what.holds


def test_without_all_features_ablated_two_tests_cannot_be_had() -> None:
    """Faithfulness has no denominator then; Holm counts what is missing as 1."""
    rows = [dict(row) for row in tables().table("circuits").rows() if row["circuit"] != "features"]

    again = _derived(rows)

    assert [test.name for test in again.tests] == ["necessity"]
    assert again.tests[0].adjusted == pytest.approx(3 * found().tests[0].p)
    reason = "could not be tested: all features together were not ablated on the same prompts."
    assert again.lacking == (f"Sufficiency {reason}", f"Completeness {reason}")
    assert not again.holds


def test_features_that_carry_no_refusal_leave_nothing_to_keep() -> None:
    """A share of an effect of the wrong sign would call a circuit sufficient that lowers refusal: it is not read."""
    what = found(all_ablated=1.0)

    assert [test.name for test in what.tests] == ["necessity"]
    assert (what.outcome, what.holds) == (Outcome.INCONCLUSIVE, False)
    assert "there is no effect of features to carry" in what.reasons[0]


def test_a_share_of_an_effect_that_may_be_none_is_not_tested() -> None:
    """Features together lower refusal by chance as much as not: neither percentile nor p is given, and no jargon says why."""
    rows = []
    for row in tables().table("circuits").rows():
        sign = int(row["item"][-3:]) % 2 * 2 - 1.0
        rows.append(
            {
                **row,
                "log_odds": row["log_odds"]
                if row["circuit"] != "features"
                else on_graphs.log_odds(Planted(), row["item"]) + 4 * sign - 0.1,
            }
        )

    again = _derived(rows)

    necessity, *shares = again.tests
    assert necessity.untested == ""
    assert necessity.adjusted == pytest.approx(3 * found().tests[0].p)
    assert [(test.name, test.percentile, test.p, test.passes) for test in shares] == [
        ("sufficiency", 0.0, 1.0, False),
        ("completeness", 0.0, 1.0, False),
    ]
    assert all("cannot be told from none" in test.untested for test in shares)
    assert again.lacking == tuple(f"{test.name.capitalize()} could not be tested: {test.untested}." for test in shares)
    assert not re.search("tail|bounds|denominator", " ".join(again.lacking))


def test_a_random_circuit_that_misses_a_prompt_is_no_null() -> None:
    """Means over other prompts are not compared."""
    rows = [dict(row) for row in tables().table("circuits").rows()]
    dropped = next(index for index, row in enumerate(rows) if row["circuit"] == "random-5")

    again = _derived(rows[:dropped] + rows[dropped + 1 :])

    assert [len(test.nulls) for test in again.tests] == [119, 120, 119]


def _derived(rows: list[dict[str, Any]], base: Tables | None = None) -> Interventions:
    before = base or tables()
    seen = observed(replace(before, rows={**before.rows, "circuits": stored("circuits", rows)}))
    return interventions(seen, circuit_of(seen), READ, Estimates())


def test_a_circuit_like_any_other_passes_as_often_as_declared() -> None:
    """The circuit is drawn as the random ones are: P(p <= alpha) is alpha at each, and hardly any hypothesis holds."""
    small: dict[str, Any] = {"families": 6, "per_family": 2, "randoms": 59, "random_ablated": -2.0, "random_kept": 0.5}
    base, runs = tables(**small), 80
    p: dict[str, list[float]] = {"necessity": [], "sufficiency": [], "completeness": []}
    held = 0

    for seed in range(runs):
        falls, keeps = 0.2 * np.random.default_rng([seed, 1]).standard_normal(2)
        plan = Planted(**small, ablated=-2.0 + falls, kept=0.5 + keeps / 5)
        made = _derived([dict(row) for row in on_interventions.circuits(plan, draw=seed)], base)
        held += made.holds
        for test in made.tests:
            p[test.name].append(test.p)

    for name, values in p.items():
        assert len(values) == runs
        for alpha in (0.05, 0.1, 0.25, 0.5):
            error = 3.5 * np.sqrt(alpha * (1 - alpha) / runs)
            assert alpha - error <= np.mean(np.array(values) <= alpha) <= alpha + error, (name, alpha)
    assert held / runs <= 0.02


def test_nulls_stand_beside_every_effect_under_edits() -> None:
    """120 random circuits for log-odds and shares, 20 for answers."""
    estimates = found().estimates
    names = ("log_odds_change.harmful.ablated", "faithfulness.harmful.kept", "faithfulness.harmful.rest")

    assert [[null.n for null in estimates[name].nulls] for name in names] == [[120]] * 3
    assert [null.n for null in estimates["refusal_rate_change.harmful.ablated@substring"].nulls] == [20]
    assert estimates["refusal_rate_change.harmful.ablated@substring"].value == -1.0
    assert estimates["incoherent_rate.harmful.ablated"].value == pytest.approx(1 / 12)


def test_random_circuits_answered_on_other_prompts_are_no_nulls() -> None:
    """The change of answers is compared on the same prompts."""
    dropped = ("random-3", "harmful-confirmation-002")
    rows = [row for row in tables().table("answers").rows() if (row["circuit"], row["item"]) != dropped]

    what = derive(replace(tables(), rows={**tables().rows, "answers": stored("answers", rows)}), READ)

    assert [null.n for null in what.estimates["refusal_rate_change.harmful.ablated@substring"].nulls] == [19]
