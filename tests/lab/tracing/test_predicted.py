"""What a graph predicts is the derivative of the model with attention and norms frozen and its features encoded anew."""

import numpy as np
import pytest
import torch

from safetycase.evidence.graphs.effects import changes_by_removal, onto_targets, total_effects
from safetycase.lab.attribution.attribute import attribute_pass
from safetycase.lab.attribution.frozen_change import Addition, frozen_change
from safetycase.lab.attribution.frozen_pass import frozen_pass
from safetycase.lab.tracing.frozen import additions, frozen
from safetycase.lab.tracing.functional import Functional
from tests.lab.attribution.cases import KINDS, PROMPT, Kind, double, transcoders
from tests.lab.small import loaded
from tests.lab.tiny import N_LAYERS
from tests.lab.tracing.studies import COMPLIANCE, CROSS_LAYER, PER_LAYER, REFUSAL, rows_of, study

pytestmark = pytest.mark.lab

STEP = 1e-6
"""So small a multiple of a node's vector that no feature falls silent or begins to fire."""


@pytest.mark.parametrize("kind", [PER_LAYER, CROSS_LAYER, *KINDS[2:]], ids=str)
def test_total_effects_are_the_derivative_of_the_frozen_model(kind: Kind) -> None:
    """Of features, errors and tokens onto the target, and of the same removed onto every feature, in float64."""
    pass_ = frozen_pass(double(), transcoders(kind), PROMPT)
    target = Functional("log-odds", REFUSAL, COMPLIANCE).target(pass_)
    graph = attribute_pass(pass_, [target])
    nodes = np.random.default_rng(0).permutation(graph.target_nodes.start)[:60].tolist()
    edits = [[Addition(each.site, each.position, each.vector * STEP) for each in additions(pass_, graph, node)] for node in nodes]

    measured = frozen_change(pass_, edits, [target], reencoded=range(N_LAYERS))

    effects = total_effects(graph, onto_targets(graph))
    np.testing.assert_allclose(measured.targets[:, 0] / STEP, effects[nodes], rtol=1e-4, atol=1e-5 * np.abs(effects).max())
    for node, changes in zip(nodes, measured.features / STEP, strict=True):
        if node < graph.n_features:
            predicted = -changes_by_removal(graph, [node])[: graph.n_features]
            np.testing.assert_allclose(changes, predicted, rtol=1e-4, atol=1e-7 + 1e-5 * np.abs(predicted).max())
    direct = graph.adjacency.part(np.array([graph.target_nodes.start]), np.arange(graph.size))[0][nodes]
    assert np.abs(effects[nodes] - direct).max() > 1e-2, "no effect through other features was put to the test"


@pytest.mark.parametrize("kind", [PER_LAYER, CROSS_LAYER], ids=str)
def test_edges_hold_under_frozen_intervention(kind: Kind) -> None:
    """The table `frozen`: predicted and measured agree to rounding on every prompt, whatever the target."""
    unit = torch.nn.functional.normalize(torch.ones(32, dtype=torch.float64), dim=0)
    towards = Functional("direction", REFUSAL, COMPLIANCE, unit, layer=2, position=-2)

    rows = rows_of(list(frozen(study(loaded(), transcoders(kind, dtype=torch.float32), functional=towards))), "frozen")

    assert [row["population"] for row in rows] == ["harmful"] * 3 + ["harmless"] * 3
    assert all(row["residual"] < 1e-5 and row["edges"] > 100 for row in rows)
