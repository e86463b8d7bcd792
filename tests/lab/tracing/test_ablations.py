"""What circuits ablated and kept do, row by row, and what was predicted of it before."""

import numpy as np
import pytest
import torch

from safetycase.lab.model import LoadedModel
from safetycase.lab.tracing.ablations import _ridge, ablations, predictions
from safetycase.lab.tracing.circuit_edits import ALL_ABLATED, UNEDITED, CircuitEdit
from safetycase.lab.tracing.graphs import Graphs
from tests.lab.attribution.cases import transcoders
from tests.lab.small import loaded
from tests.lab.tracing.studies import PER_LAYER, rows_of, stored, study

pytestmark = pytest.mark.lab

MEMBERS = [(0, feature, "end-1") for feature in range(6)]
RANDOMS = [[(1, feature, "end-1")] for feature in range(12)]


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    """A random Llama of three layers."""
    return loaded()


def test_every_row_says_what_was_done(model: LoadedModel) -> None:
    """On confirmation prompts alone: the circuit on both classes, random ones and all features on harmful prompts."""
    traced = study(model, transcoders(PER_LAYER, dtype=torch.float32))

    events = list(ablations(traced, MEMBERS, RANDOMS))

    rows = rows_of(events, "circuits")
    edits = {
        **{("circuit", kind): CircuitEdit(frozenset(MEMBERS), kind) for kind in ("ablated", "kept")},
        **{(f"random-{n}", kind): CircuitEdit(frozenset(each), kind) for n, each in enumerate(RANDOMS, 1) for kind in ("ablated", "kept")},
        ("features", "ablated"): ALL_ABLATED,
    }
    harmful, harmless = (
        [prompt.id for prompt in side] for side in zip(*(pair.prompts for pair in traced.sampled.confirmation), strict=True)
    )
    expected = {(item, *name) for item in harmful for name in edits} | {(item, "circuit", "ablated") for item in harmless}
    assert {(row["item"], row["circuit"], row["condition"]) for row in rows} == expected
    assert len(rows) == len(expected)
    found = traced.under([(row["item"], edits[row["circuit"], row["condition"]]) for row in rows])[:, 0]
    assert [row["log_odds"] for row in rows] == pytest.approx(found.tolist(), abs=1e-4)
    assert {(row["population"], row["split"]) for row in rows} == {("harmful", "test"), ("harmless", "test")}
    stored(events)


def test_predictions_stand_beside_what_is_measured(model: LoadedModel) -> None:
    """Of both halves and classes: the graph's prediction, the change that ablation brings, and a probe fitted on discovery alone."""
    traced = study(model, transcoders(PER_LAYER, dtype=torch.float32))
    made = Graphs(traced)

    events = list(predictions(traced, MEMBERS, made))

    rows = rows_of(events, "predictions")
    assert {row["item"] for row in rows} == set(traced.tokens)
    edit = CircuitEdit(frozenset(MEMBERS), "ablated")
    for row in rows:
        before, after = traced.under([(row["item"], UNEDITED), (row["item"], edit)])[:, 0].tolist()
        assert row["measured"] == pytest.approx(after - before, abs=1e-4)
        assert row["predicted"] == pytest.approx(made.predicted(row["item"], MEMBERS))
    discovery = [row for row in rows if row["split"] == "train"]
    assert np.corrcoef([row["probe"] for row in discovery], [row["measured"] for row in discovery])[0, 1] > 0.5
    stored(events)


def test_the_probe_is_ridge_regression() -> None:
    """The dual solution is that of the normal equations, on inputs in units of their spread; a constant input is left alone."""
    generator = np.random.default_rng(0)
    x, y, at = generator.normal(size=(12, 30)), generator.normal(size=12), generator.normal(size=(5, 30))
    x[:, 3] = at[:, 3] = 2.0

    found = _ridge(x, y, at)

    scale = np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    wide, wide_at = (x - x.mean(axis=0)) / scale, (at - x.mean(axis=0)) / scale
    slopes = np.linalg.solve(wide.T @ wide + len(x) * np.eye(30), wide.T @ (y - y.mean()))
    np.testing.assert_allclose(found, y.mean() + wide_at @ slopes, rtol=1e-9)
