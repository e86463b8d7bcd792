"""Measures of the dictionary: what they are of a perfect and of a useless reconstruction, and where there is nothing to measure."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from safetycase.evidence.kinds.feature_documentation import Found, derive
from safetycase.evidence.tables import Row
from tests.evidence.kinds.feature_documentation.synthetic import READ, found, stored, tables

SMALL = {"nulls": 4, "tested": 1, "n_test": 4, "documents": 20, "held_out": 4, "shuffles": 2, "answers": 2, "random": 0, "named": ()}


def of_quality(**columns: Any) -> Found:
    """Findings where the dictionary's rows of the table `quality` are changed by functions of the row."""
    before = tables(**SMALL)
    rows: list[Row] = []
    for row in before.table("quality").rows():
        changed = {name: change(row) for name, change in columns.items()} if row["method"] == "dictionary" else {}
        rows.append({**row, **changed})
    return derive(replace(before, rows={**before.rows, "quality": stored("quality", rows)}), READ)


def test_a_perfect_reconstruction_explains_all_variance() -> None:
    """1 and 0, with intervals that have width: what so few documents leave open."""
    what = of_quality(error=lambda row: 0.0, legacy=lambda row: float(row["tokens"]))
    explained = what.estimates["explained_variance.corpus.dictionary"]

    assert (explained.value, explained.high) == (1.0, 1.0)
    assert 0.8 < explained.low < 1.0
    assert what.estimates["unexplained_variance.corpus.dictionary"].value == 0.0
    assert what.estimates["explained_variance_legacy.corpus.dictionary"].value == 1.0


def test_the_mean_as_reconstruction_explains_nothing() -> None:
    """The error is then the variance: spread about the reference mean, less the offset."""
    what = of_quality(error=lambda row: row["spread"] - 0.25 * row["tokens"])

    assert what.estimates["explained_variance.corpus.dictionary"].value == pytest.approx(0.0, abs=1e-12)


def test_the_global_formula_is_one_minus_error_over_variance() -> None:
    """Sums over all documents, not a mean of documents' own ratios; the offset is taken off per token."""
    before = tables(**SMALL)
    rows = before.table("quality").where(method="dictionary")
    variance = rows["spread"].sum() - 0.25 * rows["tokens"].sum()
    estimates = derive(before, READ).estimates

    assert estimates["explained_variance.corpus.dictionary"].value == pytest.approx(1 - rows["error"].sum() / variance)
    assert estimates["explained_variance_legacy.corpus.dictionary"].value == pytest.approx(rows["legacy"].sum() / rows["tokens"].sum())
    assert "legacy formula" in estimates["explained_variance_legacy.corpus.dictionary"].method


def test_explained_and_unexplained_add_up() -> None:
    """Intervals mirror each other."""
    estimates = found().estimates
    explained, rest = (estimates[f"{name}.corpus.dictionary"] for name in ("explained_variance", "unexplained_variance"))

    assert (explained.low, explained.value, explained.high) == pytest.approx((1 - rest.high, 1 - rest.value, 1 - rest.low))


def test_a_fixed_number_of_active_features_has_no_width() -> None:
    """A dictionary that keeps the k largest has the same count on every token, and says so."""
    what = of_quality(active=lambda row: 8.0 * row["tokens"])
    estimate = what.estimates["l0.corpus.dictionary"]

    assert (estimate.low, estimate.value, estimate.high) == (8.0, 8.0, 8.0)
    assert "the same on every token" in estimate.method


@pytest.mark.parametrize("hurts", [0.0, -1.0, 0.05])
def test_recovered_loss_is_absent_where_ablation_does_not_hurt(hurts: float) -> None:
    """A share of a loss that is not bounded above zero is no number."""
    what = found(**SMALL, hurts=hurts)
    name = "cross_entropy_recovered.corpus.dictionary"

    assert name not in what.estimates
    assert "not bounded above zero: there is no loss to recover" in what.absent[name]
    assert "cross_entropy.corpus.ablated" in what.estimates


def test_recovered_loss_is_one_for_a_perfect_splice_and_zero_for_an_ablation() -> None:
    """Both ends of the scale."""
    perfect, useless = (found(**SMALL, recovered=recovered).estimates for recovered in (1.0, 0.0))

    for name in ("cross_entropy_recovered", "kl_recovered"):
        assert perfect[f"{name}.corpus.dictionary"].value == pytest.approx(1.0, abs=0.02)
        assert useless[f"{name}.corpus.dictionary"].value == pytest.approx(0.0, abs=0.02)


def test_baselines_stand_beside_their_own_kind_of_dictionary() -> None:
    """Random, PCA and neurons beside an autoencoder; the linear map and top neurons beside a transcoder, which has no skip path."""
    autoencoder, transcoder = found(**SMALL), found(**SMALL, autoencoder=False)

    assert autoencoder.methods == ("dictionary", "random", "pca", "neurons")
    assert transcoder.methods == ("dictionary", "linear", "top-neurons")
    assert "explained_variance.corpus.linear" in transcoder.estimates
    assert "explained_variance.corpus.linear" not in autoencoder.estimates
    assert "no skip path" in transcoder.absent["explained_variance.corpus.skip"]


def test_intervals_are_over_documents() -> None:
    """Tokens are counted, documents are the independent units; shares of features are over features."""
    estimates = found().estimates
    explained, dead = estimates["explained_variance.corpus.dictionary"], estimates["dead_share.features.corpus"]

    assert (explained.n, explained.clusters) == (3840, 40)
    assert (dead.n, dead.clusters) == (256, 256)
    assert "fired on none of 3840 tokens" in dead.method


def test_more_documents_of_the_same_kind_give_shorter_intervals() -> None:
    """As an interval over documents must."""
    few, many = (found(**{**SMALL, "documents": n}).estimates["explained_variance.corpus.dictionary"] for n in (10, 80))

    assert many.high - many.low < 0.6 * (few.high - few.low)
    assert np.isclose(many.value, 0.9, atol=0.02)
