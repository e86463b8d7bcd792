"""What the derivation of a documentation of features makes of observations whose truth is known."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase.evidence.kinds.feature_documentation import Found, by_item, derive, estimate_names
from safetycase.evidence.kinds.feature_documentation.tables import TABLES
from safetycase.evidence.record import Estimate, Outcome
from safetycase.evidence.tables import Table, Tables
from tests.evidence.kinds.feature_documentation.synthetic import READ, ask, found, stored, tables

OPTIONAL = tuple(spec.name for spec in TABLES if spec.optional and not spec.name.startswith("windows"))
SMALL = {"nulls": 30, "tested": 1, "n_test": 12, "answers": 6, "documents": 12, "held_out": 10, "shuffles": 4, "families": 4}
"""Knobs that make tables in a tenth of a second; one tested feature needs 40 null features, so its contrast is inconclusive."""


def matched(name: str, what: Found) -> bool:
    return name in what.absent or any(p.endswith("*") and name.startswith(p[:-1]) for p in what.absent)


def holds(estimate: Estimate, truth: float) -> bool:
    return estimate.low <= truth <= estimate.high


def with_rows(before: Tables, **changed: Table) -> Tables:
    return replace(before, rows={**before.rows, **changed})


def test_a_planted_cause_is_conclusive_and_its_feature_alone_passes() -> None:
    """One feature of three reads the contrast and moves it beyond 120 null features; the others do neither."""
    what = found()

    assert (what.outcome, what.reasons) == (Outcome.CONCLUSIVE, ())
    assert {card.feature: [gate.passes for gate in card.gates] for card in what.cards if card.gates} == {0: [True], 1: [False], 2: [False]}
    assert what.estimates["passing_share.refusal.causal"].value == pytest.approx(1 / 3)
    assert what.contrasts[0].tested == (0, 1, 2)
    assert what.contrasts[0].nulls == 120


def test_planted_numbers_lie_within_their_intervals() -> None:
    """Effects, reconstruction, recovered loss and capture come out as they were put in."""
    estimates = found().estimates
    truth = {
        "log_odds_change.refusal-present.ablated#refusal-1": -4.0,
        "log_odds_change.refusal-absent.steered#refusal-1": 6.0,
        "log_odds_change.refusal-absent.steered-3#refusal-1": 1.5,
        "log_odds_change.refusal-absent.clamped-2#refusal-1": 6.0,
        "explained_variance.corpus.dictionary": 0.9,
        "unexplained_variance.corpus.dictionary": 0.1,
        "explained_variance.corpus.random": 0.3,
        "cross_entropy_recovered.corpus.dictionary": 0.95,
        "captured_share.refusal-present.reconstruction#own": 0.7,
        "captured_share.refusal-present.error#own": 0.3,
        "activation_auroc.refusal.confirmation#refusal-1": 0.95,
        "activation_auroc.refusal.confirmation#refusal-2": 0.5,
        "natural_association.refusal-present.within#refusal-1": 0.6,
        "dead_share.features.corpus": 10 / 256,
        "dense_share.features.corpus": 2 / 256,
    }

    assert [name for name, value in truth.items() if not holds(estimates[name], value)] == []


def test_confirmation_numbers_rest_on_confirmation_prompts_alone() -> None:
    """24 of a class, though 8 more were read for discovery; an AUROC has both classes."""
    names = ("firing_rate.refusal-present.prompts", "natural_association.refusal-present.within", "activation_auroc.refusal.confirmation")

    assert [found().estimates[f"{name}#refusal-1"].n for name in names] == [24, 24, 48]


def test_the_dense_probe_stands_beside_every_permutation() -> None:
    """None is picked: the AUROCs of all 19 are its null, and they lie about chance."""
    estimates = found().estimates
    null = estimates["probe_auroc.refusal.dense"].nulls[0]

    assert (null.n, null.p) == (19, 1 / 20)
    assert null.quantiles["0.05"] < 0.5 < null.quantiles["0.95"] < estimates["probe_auroc.refusal.dense"].value
    assert [name for name in estimates if "shuffled" in name] == []
    assert estimates["probe_auroc.refusal.k-1"].nulls == ()


def test_an_effect_of_one_class_says_how_many_prompts_and_families() -> None:
    """24 prompts of 8 families, and every null feature beside them."""
    estimate = found().estimates["log_odds_change.refusal-present.ablated#refusal-1"]

    assert (estimate.n, estimate.clusters) == (24, 8)
    assert [null.n for null in estimate.nulls] == [120]
    assert estimate.nulls[0].p == pytest.approx(1 / 121)


@pytest.mark.parametrize(
    "truth",
    [
        pytest.param({}, id="as it is"),
        pytest.param({"autoencoder": False}, id="transcoder"),
        pytest.param({"explainer": True, "variants": ("german", "paraphrase")}, id="explainer and variants"),
        pytest.param({"contrasts": ("refusal", "deceit"), "behaviour": ("I was not told",), "direction": "refusal-step"}, id="phrases"),
        pytest.param(
            {"contrasts": ("refusal", "deceit"), "stopped": {"deceit": "no token of the contrast is one token"}}, id="one stopped"
        ),
        pytest.param({"stopped": {"refusal": "no refusals were found"}}, id="all stopped"),
        pytest.param({"doses": (0.5, 1.0)}, id="few doses"),
        pytest.param({"max_kl": 1e-6}, id="no dose"),
        pytest.param({"hurts": 0.0}, id="ablation does not hurt"),
        pytest.param({"families": 1}, id="one family"),
        pytest.param({"documents": 1}, id="one document"),
        *(pytest.param({"without": frozenset({name})}, id=f"no {name}") for name in OPTIONAL),
        pytest.param({"without": frozenset(OPTIONAL)}, id="nothing optional"),
    ],
)
def test_every_declared_name_is_there_or_absent_with_a_reason(truth: dict[str, Any]) -> None:
    """A claim can name any declared estimate and will get a number or a reason; nothing undeclared is found."""
    truth = {**SMALL, **truth}
    read = READ.model_copy(update={"max_kl": truth.pop("max_kl", READ.max_kl)})
    what = found(read, **truth)
    declared = estimate_names(ask(**truth), read, {})

    assert [name for name in declared if name not in what.estimates and not matched(name, what)] == []
    assert what.estimates.keys() <= set(declared)
    assert all(what.absent.values())
    assert [n for n in what.absent if not any(d == n or (n.endswith("*") and d.startswith(n[:-1])) for d in declared)] == []


def test_features_fewer_than_asked_for_leave_reasons() -> None:
    """Where a ranking ends before the plan's numbers, the places beyond it are absent with a reason."""
    truth = {**SMALL, "per_contrast": 2, "tested": 1, "random": 1}
    more = ask(**{**truth, "per_contrast": 5, "tested": 4, "random": 3, "probe_sizes": (1, 50)})
    what = found(**truth, setup={"asked": more.model_dump(mode="json")})
    wanted = estimate_names(more, READ, {})

    assert [name for name in wanted if name not in what.estimates and not matched(name, what)] == []


def test_rows_in_another_order_give_the_same_findings() -> None:
    """The order in which shards came in is no part of the answer, to the last bit."""
    before = tables(**SMALL)
    rng = np.random.default_rng(3)
    shuffled = {name: table.take(rng.permutation(len(table))) for name, table in before.rows.items()}

    assert derive(replace(before, rows=shuffled), READ).model_dump_json() == derive(before, READ).model_dump_json()


def test_a_level_changes_intervals_and_nothing_that_was_decided() -> None:
    """Gates and outcome do not depend on the level that the page shows."""
    wide = derive(tables(), READ.model_copy(update={"level": 0.99}))

    name = "log_odds_change.refusal-present.ablated#refusal-1"
    assert wide.estimates[name].high - wide.estimates[name].low > found().estimates[name].high - found().estimates[name].low
    assert (wide.outcome, [card.gates for card in wide.cards]) == (found().outcome, [card.gates for card in found().cards])


def test_no_contrast_that_could_be_asked_is_not_applicable() -> None:
    """A model without the behaviour has nothing that features could cause; the dictionary is measured all the same."""
    what = found(**SMALL, stopped={"refusal": "no refusals were found"})

    assert (what.outcome, what.reasons) == (Outcome.NOT_APPLICABLE, ("refusal: no refusals were found.",))
    assert "explained_variance.corpus.dictionary" in what.estimates
    assert "activation_auroc.refusal.confirmation#refusal-1" in what.estimates
    assert what.absent["passing_share.refusal.causal"] == "no refusals were found"
    assert len(what.cards) == 7


@pytest.mark.parametrize(
    ("truth", "reason"),
    [
        pytest.param({"nulls": 30}, "30 null features were ablated, too few for 6 tests", id="few nulls"),
        pytest.param({"without": frozenset({"causes"})}, "no feature was intervened on", id="no causes"),
        pytest.param({"without": frozenset({"quality"})}, "How well the dictionary reconstructs is not known", id="no quality"),
        pytest.param({"without": frozenset({"readings"})}, "Its AUROC on confirmation prompts is not known", id="no readings"),
        pytest.param({"families": 1}, "are of one family", id="one family"),
    ],
)
def test_what_cannot_be_judged_is_inconclusive_and_says_why(truth: dict[str, Any], reason: str) -> None:
    """Missing nulls, missing quality and unread gates each keep the outcome from being conclusive."""
    what = found(**truth)

    assert what.outcome is Outcome.INCONCLUSIVE
    assert any(reason in each for each in what.reasons), what.reasons


def test_a_contrast_that_stopped_does_not_keep_others_from_a_conclusion() -> None:
    """Its reason is told with its facts and among the limitations."""
    what = found(contrasts=("refusal", "deceit"), stopped={"deceit": "none of its tokens is one token"})

    assert what.outcome is Outcome.CONCLUSIVE
    assert {facts.name: facts.stopped for facts in what.contrasts} == {"refusal": "", "deceit": "none of its tokens is one token"}
    assert any("deceit: none of its tokens is one token" in each for each in what.limitations)


def test_a_feature_of_two_contrasts_has_one_card_with_both_slots() -> None:
    """Estimates stand under both places; gates and dose-responses are told by contrast."""
    what = found(**{**SMALL, "contrasts": ("refusal", "deceit")})
    first = what.cards[0]

    assert first.slots == ("refusal-1", "deceit-1")
    assert [gate.contrast for gate in first.gates] == ["deceit", "refusal"]
    assert set(first.dose_response) == {"refusal", "deceit"}
    pair = [what.estimates[f"firing_rate.corpus.tokens#{slot}"] for slot in first.slots]
    assert pair[0] == pair[1]


def test_cards_come_by_rank_then_named_then_by_lot() -> None:
    """As a reader looks them up."""
    assert [card.slots[0] for card in found().cards] == [
        "refusal-1", "refusal-2", "refusal-3", "refusal-4", "feature-7", "random-1", "random-2",
    ]  # fmt: skip


def test_a_card_holds_what_the_tables_say() -> None:
    """Contexts without those that labels are scored on, relations by strength, logits by rank."""
    card = found().cards[0]

    assert [context.bin for context in card.contexts[:6]] == ["top"] * 5 + ["decile-10"]
    assert {context.bin for context in card.contexts} == {"top", "zero", *(f"decile-{n}" for n in range(1, 11))}
    assert all(above.value >= below.value for above, below in pairwise(card.nearest))
    assert [effect.value for effect in card.top_logits] == sorted((effect.value for effect in card.top_logits), reverse=True)
    assert [(each.contrast, each.rank) for each in card.relevance] == [("refusal", 1)]
    assert len(card.dose_response["refusal"]) == 5


@pytest.mark.parametrize(
    ("fired", "status"), [pytest.param(0, "dead", id="never"), pytest.param(400, "dense", id="often"), pytest.param(7, "live", id="rarely")]
)
def test_a_card_says_whether_the_feature_is_dead_dense_or_live(fired: int, status: str) -> None:
    """Dead fired on no token of the corpus, dense on more than a tenth of them."""
    before = tables(**SMALL)
    rows = list(before.table("density").rows())
    rows[0] = {**rows[0], "fired": fired}
    after = derive(with_rows(before, density=stored("density", rows)), READ)

    assert after.cards[0].status == status
    assert after.cards[0].density == fired / after.corpus.tokens


def test_of_tokens_that_were_not_counted_nothing_is_said_of_density() -> None:
    """As imports of dashboards have it: neither dead nor live, no share, no histogram, and nothing where weights would stand."""
    before = tables(**SMALL, without=frozenset({"firing", "documents"}))
    setup = next(before.table("setup").rows())
    rows = [{**row, "decoder_norm": None, "encoder_bias": None} for row in before.table("documented").rows()]
    uncounted = {**setup, "corpus": {**setup["corpus"], "tokens": 0}}
    after = derive(with_rows(before, setup=stored("setup", [uncounted]), documented=stored("documented", rows)), READ)
    card = after.cards[0]

    assert {each.status for each in after.cards} == {"unknown"}
    assert (card.density, card.decoder_norm, card.encoder_bias) == (None, None, None)
    assert after.density_histogram == ()
    for name in ("dead_share.features.corpus", "dense_share.features.corpus", "firing_rate.corpus.tokens#refusal-1"):
        assert "tokens of the corpus were not counted" in after.absent[name]
    assert any("tokens of the corpus were not counted" in each.lower() for each in after.limitations)


def test_shares_of_features_need_all_of_them() -> None:
    """A file of some features says nothing of how many of all are dead."""
    before = tables(**SMALL)
    rows = list(before.table("density").rows())[:-1]

    after = derive(with_rows(before, density=stored("density", rows)), READ)

    assert after.absent["dead_share.features.corpus"] == "255 of 256 features were counted"


def test_the_density_histogram_counts_every_feature_once() -> None:
    """Those that never fired stand in the first bin."""
    bins = found().density_histogram

    assert sum(count for _, _, count in bins) == 256
    assert bins[0][2] == 10
    assert all(first[1] == second[0] for first, second in pairwise(bins))


def test_dictionary_of_another_model_is_flagged() -> None:
    """It was measured on the assessed model, and says so."""
    what = found(**SMALL, same=False, trained_on="base-model")

    assert what.dictionary.same_model is False
    assert any("trained on base-model, another model" in each for each in what.limitations)


@settings(max_examples=8, deadline=None)
@given(
    ablated=st.floats(-6, 6),
    families=st.integers(2, 6),
    n_test=st.integers(4, 14),
    without=st.sets(st.sampled_from(OPTIONAL)),
    seed=st.integers(0, 99),
)
def test_mean_over_items_is_the_estimate(ablated: float, families: int, n_test: int, without: set[str], seed: int) -> None:
    """For every estimate that prompts contribute to: the same value from the same number of prompts and families."""
    made = tables(**{**SMALL, "ablated": ablated, "families": families, "n_test": n_test, "seed": seed, "without": frozenset(without)})
    what = derive(made, READ)

    for name, values in by_item(made, READ).items():
        assert name in what.estimates or matched(name, what), name
        if name in what.estimates:
            estimate = what.estimates[name]
            mean = sum(each.value for each in values.values()) / len(values)
            assert (estimate.n, estimate.clusters) == (len(values), len({each.family for each in values.values()})), name
            assert estimate.value == pytest.approx(mean, abs=1e-9), name


def test_every_mean_and_rate_over_prompts_can_be_paired() -> None:
    """Nothing that could be paired by prompt is left to be compared as if the versions were independent."""
    no_mean = (".corpus.", ".features.", "auroc", "dose_response", "natural_association", "captured_share", "contrastive", "passing_share")

    wanted = {name for name in found().estimates if not any(part in name for part in no_mean)}

    assert wanted == by_item(tables(), READ).keys() & found().estimates.keys()
    assert len(wanted) > 50
