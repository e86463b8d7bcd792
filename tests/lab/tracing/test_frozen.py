"""Edges of graphs within a budget hold under frozen intervention, too."""

import pytest

from safetycase.lab.attribution.frozen_pass import frozen_pass
from safetycase.lab.tracing.frozen import PROMPTS, frozen
from tests.lab.attribution.cases import double, transcoders
from tests.lab.tracing.studies import PER_LAYER, SMALL, rows_of, study

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("max_features", [50, 7500], ids=["within a budget", "whole"])
def test_graphs_are_no_larger_than_the_plan_allows_and_agree_to_rounding(max_features: int) -> None:
    """A large model's graph is not made whole for this check alone; its edges are those of the model run frozen."""
    traced = study(double(), transcoders(PER_LAYER), ask=SMALL.model_copy(update={"max_features": max_features}))
    pass_ = frozen_pass(traced.model, traced.transcoders, traced.tokens["a-confirmation-0"])

    rows = rows_of(list(frozen(traced)), "frozen")

    assert len(pass_.features) > 50
    assert len(rows) == 2 * min(PROMPTS, len(traced.sampled.confirmation))
    assert all(row["residual"] < 1e-5 for row in rows)
    assert all(0 < row["edges"] <= row["nodes"] * (min(max_features, len(pass_.features) * 3) + 1) for row in rows)
