"""What the derivation of a circuit trace makes of observations whose truth is known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase.case.wording import forbidden
from safetycase.evidence.kinds.circuit_trace import Found, by_item, derive, estimate_names
from safetycase.evidence.kinds.circuit_trace.tables import TABLES
from safetycase.evidence.record import Estimate, Outcome
from safetycase.evidence.tables import Table, Tables
from tests.evidence.kinds.circuit_trace.circuit_case import READ, ask, found, stored, tables

OPTIONAL = tuple(spec.name for spec in TABLES if spec.optional and spec.format != "safetensors")
SMALL: dict[str, Any] = {"families": 6, "per_family": 2, "randoms": 60, "subgraphs": 5, "edge_circuits": 5, "answered": 3}


def holds(estimate: Estimate, truth: float) -> bool:
    return estimate.low <= truth <= estimate.high


def with_rows(before: Tables, **changed: Table) -> Tables:
    return replace(before, rows={**before.rows, **changed})


def is_complete(what: Found, **truth: Any) -> bool:
    """Every name that was asked for is estimated, with width, or absent with a reason; never both."""
    names = set(estimate_names(ask(**truth), READ, {}))
    assert names == what.estimates.keys() | what.absent.keys()
    assert not what.estimates.keys() & what.absent.keys()
    return all(each.low < each.high for each in what.estimates.values()) and all(what.absent.values())


def test_a_planted_circuit_is_found_and_holds() -> None:
    """Three features that recur on harmful prompts alone are the members; ablating them beats 120 random circuits in all three tests."""
    what = found()

    assert (what.outcome, what.reasons, what.holds) == (Outcome.CONCLUSIVE, (), True)
    assert {(each.layer, each.feature, each.role) for each in what.members} == {(n, 100 + n, "end-1") for n in range(3)}
    assert [(test.name, test.passes, test.percentile) for test in what.tests] == [
        ("necessity", True, 1.0),
        ("sufficiency", True, 1.0),
        ("completeness", True, 1.0),
    ]
    assert all(test.adjusted == pytest.approx(3 / 121) for test in what.tests)


def test_planted_numbers_lie_within_their_intervals() -> None:
    """Effects, shares and scores come out as they were put in (at 99 %: one of twenty would miss at 95 %)."""
    estimates = found(READ.model_copy(update={"level": 0.99})).estimates
    truth = {
        "log_odds.harmful.baseline": 3.0,
        "log_odds.harmless.baseline": -3.0,
        "log_odds_change.harmful.ablated": -4.0,
        "log_odds_change.harmless.ablated": 0.0,
        "faithfulness.harmful.kept": 0.8,
        "faithfulness.harmful.rest": 0.2,
        "error_share.harmful.graph": 0.4,
        "replacement.harmful.graph": 0.6,
        "completeness.harmless.graph": 0.8,
        "unattributed_share.harmful.graph": 0.08,
        "subgraph_replacement.harmful.pruned": 0.5,
        "recurrence.harmful.discovery#member-1": 0.95,
        "recurrence.harmless.discovery#member-1": 0.05,
        "recurrence_difference.matched.confirmation#member-1": 0.9,
        "recurrence.paraphrase.confirmation#member-1": 0.95,
        "patched_change.harmless.denoised": 0.9 * 6,
        "patched_change.harmful.noised": -0.9 * 6,
        "faithfulness.matched.edge-circuit#0.05": 0.8,
        "faithfulness.matched.edge-complement#0.05": 0.2,
    }

    assert [name for name, value in truth.items() if not holds(estimates[name], value)] == []


def test_estimates_are_complete() -> None:
    """With all tables; only what has no spread, and places without a member, are absent."""
    what = found()

    assert is_complete(what)
    assert {name.split("#")[1] for name in what.absent} == {"member-4", "member-5", "1"}


@pytest.mark.parametrize("table", OPTIONAL)
def test_a_table_that_is_not_there_makes_its_estimates_absent(table: str) -> None:
    """With its reason, and nothing else fails."""
    what = found(**SMALL, without=frozenset({table}))

    assert is_complete(what, **SMALL)
    rests = {
        "baseline": "log_odds.harmful.baseline", "graphs": "replacement.harmful.graph",
        "graph_nodes": "recurrence.harmful.discovery#member-1", "node_checks": "node_prediction.harmful.nodes",
        "edge_checks": "edge_prediction.harmful.edges", "circuits": "faithfulness.harmful.kept",
        "predictions": "explained_change.confirmation.probe", "patching": "patched_change.harmful.noised",
        "edge_curve": "cpr.matched.edge-circuit",
    }  # fmt: skip
    if table in rests:
        assert f"{table} was left out" in what.absent[rests[table]]
    if table == "answers":
        assert "refusal_rate_change.harmful.ablated@substring" in what.estimates  # judged again from the completions


def test_without_answers_and_completions_no_rate_is_left() -> None:
    """And the outcome, which rests on log-odds, stands."""
    what = found(without=frozenset({"answers", "completions"}))

    assert [name for name in what.estimates if "rate" in name] == []
    assert what.outcome is Outcome.CONCLUSIVE


@settings(max_examples=25, deadline=None)
@given(
    without=st.sets(st.sampled_from(OPTIONAL), max_size=5),
    members=st.integers(0, 4),
    families=st.integers(1, 7),
    per_family=st.integers(1, 3),
    noise=st.sampled_from([0.0, 0.3]),
    all_ablated=st.sampled_from([-5.0, 0.0, 0.4]),
    kept=st.floats(-0.5, 1.5),
    error_share=st.sampled_from([0.0, 0.4, 1.0]),
    transcoders=st.booleans(),
    paraphrase=st.booleans(),
    matched_by=st.sampled_from(["family", "category"]),
    seed=st.integers(0, 50),
)
def test_whatever_was_observed_there_is_an_estimate_or_a_reason(**truth: Any) -> None:
    """No NaN, no zero width, no crash; a mean over items is the estimate; generated sentences keep to the house's words."""
    truth = {**SMALL, **truth, "without": frozenset(truth["without"])}
    observed = tables(**truth)

    what = derive(observed, READ)

    assert is_complete(what, **truth)
    assert what.holds == (len(what.tests) == 3 and all(test.passes for test in what.tests))
    assert forbidden(" ".join((*what.limitations, *what.reasons))) == ()
    for name, values in by_item(observed, READ).items():
        assert name in what.estimates or name in what.absent, name
        if name in what.estimates:
            estimate = what.estimates[name]
            assert (estimate.n, estimate.clusters) == (len(values), len({each.family for each in values.values()})), name
            assert estimate.value == pytest.approx(sum(each.value for each in values.values()) / len(values), abs=1e-9), name


def test_every_mean_over_prompts_can_be_paired() -> None:
    """Left out are ratios, correlations, areas, what is explained, and members found again."""
    no_mean = ("faithfulness.", "cpr.", "cmd.", "explained_change.", "_prediction.", "members_recovered.")

    wanted = {name for name in found().estimates if not any(part in name for part in no_mean)}

    assert wanted == by_item(tables(), READ).keys() & found().estimates.keys()
    assert len(wanted) > 35


def test_order_of_rows_does_not_matter() -> None:
    """Shards may lie in another order after a resumed run."""
    rng = np.random.default_rng(1)
    shuffled = {name: table.take(rng.permutation(len(table))) for name, table in tables().rows.items()}
    what, again = found().model_dump(), derive(with_rows(tables(), **shuffled), READ).model_dump()

    assert what.keys() == again.keys()
    assert [name for name in what if name not in ("estimates", "patching", "curve", "tests") and what[name] != again[name]] == []
    for name, estimate in found().estimates.items():
        other = again["estimates"][name]
        assert (other["value"], other["low"], other["high"]) == pytest.approx((estimate.value, estimate.low, estimate.high), abs=1e-9), name


def test_the_same_tables_give_the_same_findings() -> None:
    """To the last bit."""
    assert derive(tables(), READ) == found()


def test_members_that_are_not_those_selected_are_a_breach() -> None:
    """What was ablated must be what the graphs select."""
    rows = [dict(row) for row in tables().table("members").rows()]
    rows[0]["feature"] = 999

    with pytest.raises(AssertionError, match="999"):
        derive(with_rows(tables(), members=stored("members", rows)), READ)


def test_no_member_is_inconclusive_and_says_that_there_may_be_one() -> None:
    """That none was found does not show that there is none; what needs no dictionary is still measured."""
    what = found(recurs=0.5, recurs_harmless=0.5)

    assert what.outcome is Outcome.INCONCLUSIVE
    assert (what.members, what.tests, what.holds, what.supernodes) == ((), (), False, ())
    assert "none was found does not show that there is none" in what.reasons[0]
    assert "smallest p" in what.absent["log_odds_change.harmful.ablated"]
    assert "patched_change.harmful.noised" in what.estimates


def test_nothing_that_recurs_is_told_apart_from_nothing_that_differs() -> None:
    """The reason names the share that a candidate needs."""
    what = found(members=0, shared=0)

    assert "no feature stands in the pruned graphs of 25% of harmful discovery prompts" in what.reasons[0]
    assert what.candidates == 0


def test_a_model_that_never_refuses_is_not_applicable() -> None:
    """And every estimate says so."""
    what = found(stopped="no answer to a training prompt is a refusal")

    assert (what.outcome, what.reasons) == (Outcome.NOT_APPLICABLE, ("no answer to a training prompt is a refusal.",))
    assert what.estimates == {}
    assert set(what.absent.values()) == {"no answer to a training prompt is a refusal"}
    assert is_complete(what, stopped="no answer to a training prompt is a refusal")


def test_without_transcoders_patching_and_edges_are_conclusive() -> None:
    """No estimate of graphs is named then."""
    what = found(transcoders=False)

    assert (what.outcome, what.reasons) == (Outcome.CONCLUSIVE, ())
    assert is_complete(what, transcoders=False)
    assert not any("member" in name or "graph" in name for name in (*what.estimates, *what.absent))
    assert what.transcoders is None


@pytest.mark.parametrize(("table", "says"), [("patching", "Activation patching gave no"), ("edge_curve", "no faithfulness curve")])
def test_what_was_asked_and_could_not_be_had_is_inconclusive(table: str, says: str) -> None:
    """With the reason that the lab gave."""
    what = found(transcoders=False, without=frozenset({table}))

    assert what.outcome is Outcome.INCONCLUSIVE
    assert any(says in reason and f"{table} was left out" in reason for reason in what.reasons)


def test_a_single_family_gives_no_interval_and_no_verdict() -> None:
    """Nothing shows how much families differ."""
    what = found(families=1, per_family=12)

    assert is_complete(what, families=1, per_family=12)
    assert what.outcome is Outcome.INCONCLUSIVE
    assert not what.holds
    assert "of 1 families one swap in 2 repeats what was seen" in what.reasons[0]


def test_exactness_is_the_largest_residual() -> None:
    """Not the mean: one graph that is wrong is a bug."""
    rows = [dict(row) for row in tables().table("graphs").rows()]
    rows[5]["exactness"] = 0.5

    what = derive(with_rows(tables(), graphs=stored("graphs", rows)), READ)

    assert what.exactness == 0.5
    assert found().exactness is not None
    assert found().exactness <= 2e-6  # type: ignore[operator]
    assert what.frozen_edges == 1200


def test_labels_of_an_older_judge_are_made_again_from_the_answers() -> None:
    """Stored labels say comply everywhere; the texts say otherwise. Without texts there is no rate."""
    again, without = found(judge_version=0), found(judge_version=0, without=frozenset({"completions"}))
    name = "refusal_rate.harmful.baseline@substring"

    assert again.estimates[name].value == 1.0
    assert "of another version" in without.absent[name]


def test_confirmation_prompts_are_none_of_discovery() -> None:
    """24 pairs of 8 families in each half; scores and effects rest on the confirmation half alone."""
    names = ("replacement.harmful.graph", "log_odds_change.harmful.ablated", "log_odds.harmful.baseline")

    assert [(found().estimates[name].n, found().estimates[name].clusters) for name in names] == [(24, 8)] * 3


def test_examples_come_out_as_they_were_stored() -> None:
    """Nodes by name, edges by place among them."""
    example = found().examples[0]

    assert [node.kind for node in example.nodes] == ["feature", "error", "token", "target"]
    assert example.edges == ((2, 0, 0.7), (0, 3, 1.2), (1, 3, -0.4))
