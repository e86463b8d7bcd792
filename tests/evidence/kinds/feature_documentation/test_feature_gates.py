"""The causal gate: passed where a cause was planted, and no oftener than declared where features do what null features do."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from safetycase.evidence.kinds.feature_documentation import derive
from safetycase.evidence.kinds.feature_documentation.findings import Found, Gate
from safetycase.evidence.record import Estimate, Outcome
from safetycase.evidence.tables import Table
from tests.evidence.kinds.feature_documentation.synthetic import READ, found, tables

BARE = frozenset(("quality", "splice", "firing", "documents", "relevance", "neighbours", "detection", "capture", "probes", "absorption"))
"""Tables that no gate rests on."""
QUICK = {"without": BARE, "features": 120, "documents": 2, "named": (), "random": 0, "per_contrast": 3, "answers": 4, "held_out": 2}


def gates(what: Found) -> dict[int, Gate]:
    return {gate_of.feature: gate for gate_of in what.cards for gate in gate_of.gates}


def first(**truth: Any) -> Gate:
    return gates(found(**truth))[0]


def effect(what: Found, edit: str) -> Estimate:
    side = "present" if edit == "ablated" else "absent"
    return what.estimates[f"log_odds_change.refusal-{side}.{edit}#refusal-1"]


def test_a_planted_cause_passes_every_condition() -> None:
    """It reads the contrast, and both edits move it beyond all null features, Holm's correction included."""
    gate = first()

    assert (gate.reads, gate.ablation, gate.steering, gate.passes, gate.reasons) == (True, True, True, True, ())
    assert gate.p_ablation == pytest.approx(6 / 121)
    assert (gate.dose, gate.dose_index) == (2.0, 5)


def test_features_that_do_what_null_features_do_pass_no_oftener_than_alpha() -> None:
    """Over 60 observations whose tested features read the contrast and have effects from the distribution of the nulls.

    Effects are large beside the declared minimum, so that Holm's correction alone holds the gate; any false pass counts.
    """
    read = READ.model_copy(update={"alpha": 0.1, "minimum_auroc": 0.5, "max_kl": 100.0})
    runs = 60
    truth = {**QUICK, "causal": 0, "reading": 3, "auroc": 0.999, "spread": 4.0, "nulls": 60, "n_test": 6, "n_validation": 2, "families": 6}

    passed = sum(any(gate.passes for gate in gates(found(read, **truth, seed=seed)).values()) for seed in range(runs))

    assert 0 < passed <= runs * (0.1 + 3 * np.sqrt(0.1 * 0.9 / runs))


@pytest.mark.parametrize(
    ("truth", "fails", "reason"),
    [
        pytest.param({"reading": 0}, "reads", "is not bounded above 0.7", id="reads nothing"),
        pytest.param({"ablated": 0.0, "steered": 0.0}, "both", "not bounded below -0.5", id="moves nothing"),
        pytest.param({"ablated": -0.4, "steered": 0.4}, "both", "not bounded above +0.5", id="moves too little"),
        pytest.param({"ablated": -2.0, "steered": 2.0, "spread": 6.0}, "both", "no further than null features do", id="nulls move as far"),
        pytest.param({"ablated": 4.0, "steered": -6.0}, "both", "not bounded below -0.5", id="the wrong way"),
    ],
)
def test_a_gate_says_which_condition_fails(truth: dict[str, Any], fails: str, reason: str) -> None:
    """Each condition is needed, and its sentence names the numbers."""
    gate = first(**truth)

    assert not gate.passes
    assert gate.reads == (fails != "reads")
    assert (gate.ablation or gate.steering) == (fails == "reads")
    assert any(reason in each for each in gate.reasons), gate.reasons


@pytest.mark.parametrize("edit", ["ablated", "steered"])
def test_a_gate_is_judged_by_the_bound_nearest_zero(edit: str) -> None:
    """A declared minimum between bound and point is not passed, one short of the bound is."""
    estimate = effect(found(), edit)
    bound = min(abs(estimate.low), abs(estimate.high))

    def holds(minimum: float) -> bool:
        gate = gates(found(READ.model_copy(update={"minimum_effect": minimum})))[0]
        return gate.ablation if edit == "ablated" else gate.steering

    assert holds(0.99 * bound)
    assert not holds((bound + abs(estimate.value)) / 2)


@pytest.mark.parametrize(("split", "dose"), [pytest.param("validation", 1.0, id="discovery"), pytest.param("test", 2.0, id="confirmation")])
def test_doses_are_chosen_on_discovery_prompts(split: str, dose: float) -> None:
    """A divergence beyond the bound at the largest dose counts on the split validation and on no other."""
    before = tables()
    causes = before.table("causes")
    loud = (causes["split"] == split) & (causes["edit"] == "steer") & (causes["dose"] == 2.0)
    changed = Table({**causes.columns, "kl": np.where(loud, 10.0, causes["kl"])})
    what = derive(replace(before, rows={**before.rows, "causes": changed}), READ)

    assert gates(what)[0].dose == dose


def test_one_edit_is_enough_for_a_feature_that_reads() -> None:
    """Ablation that changes nothing does not fail a feature whose steering passes, nor the other way round."""
    steered, ablated = first(ablated=0.0), first(steered=0.0)

    assert (steered.ablation, steered.steering, steered.passes, steered.reasons) == (False, True, True, ())
    assert (ablated.ablation, ablated.steering, ablated.passes, ablated.reasons) == (True, False, True, ())


def test_too_few_null_features_let_nothing_pass() -> None:
    """Six tests need 120, and say so; with fewer than 119 the smallest p fails Holm's correction as well."""
    assert not any(gate.passes for gate in gates(found(nulls=118)).values())
    assert "at least 120 are needed" in found(nulls=119).reasons[0]
    assert (first(nulls=120).passes, found(nulls=120).outcome) == (True, Outcome.CONCLUSIVE)


def test_tests_of_all_contrasts_are_one_family() -> None:
    """A second contrast doubles the tests: what passed alone does not any more, and 240 null features are needed."""
    alone, both = found(), found(contrasts=("refusal", "deceit"))

    def p_of_refusal(what: Found) -> float | None:
        return next(gate.p_ablation for card in what.cards for gate in card.gates if gate.contrast == "refusal")

    assert p_of_refusal(alone) == pytest.approx(6 / 121)
    assert p_of_refusal(both) == pytest.approx(12 / 121)
    assert any("too few for 12 tests" in reason and "240" in reason for reason in both.reasons)


def test_doses_off_target_are_passed_over_for_tested_and_null_features_alike() -> None:
    """With half a nat per unit of dose, a bound of 0.3 nats leaves the third dose of five."""
    what = found(READ.model_copy(update={"max_kl": 0.3}))

    assert gates(what)[0].dose == 0.5
    assert effect(what, "steered").value == pytest.approx(1.5, abs=0.2)
    assert max(next(each.effects for each in what.null_effects if each.edit == "steered")) < 0.5


def test_without_an_admissible_dose_there_is_no_steering_effect() -> None:
    """The reason is told, and null features without a dose count as changing nothing."""
    what = found(READ.model_copy(update={"max_kl": 1e-6}))

    assert (gates(what)[0].dose, gates(what)[0].p_steering, gates(what)[0].steering) == (None, None, False)
    assert "no dose of steering was taken" in what.absent["log_odds_change.refusal-absent.steered#refusal-1"]
    assert set(next(each.effects for each in what.null_effects if each.edit == "steered")) == {0.0}
    assert any("120 of 120 null features" in each for each in what.limitations)


def test_incoherent_doses_are_passed_over() -> None:
    """Where the two largest doses garble answers to discovery prompts, the third is taken; those to confirmation prompts do not count."""
    assert first(incoherent=0.5, garbled_in=("validation",)).dose == 0.5
    assert first(incoherent=0.5, garbled_in=("test",)).dose == 2.0


def test_without_answers_to_discovery_prompts_coherence_is_no_part_of_the_choice() -> None:
    """Confirmation prompts never choose a dose: the gate asks there for coherence, and fails."""
    what = found(incoherent=0.5, answers_to=("test",))
    gate = gates(what)[0]

    assert (gate.dose, gate.steering) == (2.0, False)
    assert what.estimates["incoherent_rate.refusal-absent.steered#refusal-1"].value == 0.5
    assert any("doses were chosen without regard to coherence" in each for each in what.limitations)


def test_incoherence_is_told_of_answers_to_confirmation_prompts_alone() -> None:
    """Answers that chose the dose are no evidence of it."""
    what = found(READ.model_copy(update={"max_incoherent": 0.5}), incoherent=0.5, garbled_in=("validation",))
    estimate = what.estimates["incoherent_rate.refusal-absent.steered#refusal-1"]

    assert (estimate.value, estimate.n) == (0.0, 12)


def test_a_dose_that_garbles_confirmation_answers_alone_fails_steering() -> None:
    """Coherence on discovery prompts does not carry over by itself."""
    gate = first(incoherent=0.5, garbled_in=("test",))

    assert (gate.dose, gate.steering) == (2.0, False)
    assert gate.passes  # by ablation


def test_nulls_of_the_figure_are_those_of_the_test() -> None:
    """Every null feature is drawn, and the p counts those that reach as far."""
    what = found()
    drawn: dict[str, tuple[float, ...]] = {each.edit: each.effects for each in what.null_effects}

    for edit, beyond in (("ablated", np.less_equal), ("steered", np.greater_equal)):
        null = effect(what, edit).nulls[0]
        assert null.n == len(drawn[edit]) == 120
        assert null.p == pytest.approx((1 + beyond(drawn[edit], effect(what, edit).value).sum()) / 121)
