"""The linearity theorem: with everything frozen, taking a node's vector twice changes each feature and target by exactly its edge."""

import numpy as np
import pytest
import torch

from safetycase.errors import ModelError
from safetycase.lab.attribution.attribute import attribute_pass
from safetycase.lab.attribution.frozen_change import Addition, frozen_change
from safetycase.lab.attribution.frozen_pass import FrozenPass, frozen_pass
from safetycase.lab.attribution.targets import TargetVector, direction, log_odds_gradient, logit_difference, top_logits
from safetycase.lab.dictionaries.site import Site
from tests.lab.attribution.cases import KINDS, PROMPT, Kind, double, exists, passed, transcoders
from tests.lab.tiny import ARCHITECTURES

pytestmark = pytest.mark.lab

FLOAT32 = 3e-7
"""Edges are stored in float32: one rounding of the largest of them."""


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_adding_a_nodes_vector_changes_everything_by_its_edges(architecture: str, kind: Kind) -> None:
    """Features (at all sites they write), errors and tokens; on pre-activations of every active feature and on targets anywhere."""
    if not exists(architecture, kind):
        return
    pass_ = passed(architecture, kind)
    targets = everywhere(pass_)
    graph = attribute_pass(pass_, targets)
    edits, columns = node_vectors(pass_)

    change = frozen_change(pass_, edits, targets)

    edges = graph.adjacency.dense()
    largest = np.abs(edges).max()
    np.testing.assert_allclose(change.features.numpy(), edges[: graph.n_features, columns].T, atol=FLOAT32 * largest)
    np.testing.assert_allclose(change.targets.numpy(), edges[graph.target_nodes][:, columns].T, atol=FLOAT32 * largest)
    assert np.abs(edges[graph.target_nodes][:, columns]).max(axis=1).min() > 1e-4


def test_features_that_are_encoded_anew_pass_a_change_on() -> None:
    """With every layer re-encoded and no feature switched, the change is that over all paths: (1 - A)^-1."""
    pass_ = frozen_pass(double(), transcoders(Kind("relu", "mlp_in", "mlp_raw_out")), PROMPT)
    targets = top_logits(pass_, 3)
    graph = attribute_pass(pass_, targets)
    node = graph.tokens.start + 3
    small = 1e-7
    edit = [Addition(Site("resid_pre", 0), 3, small * pass_.layers[0].pre[3])]

    change = frozen_change(pass_, [edit], targets, reencoded=range(pass_.n_layers))

    # A feature's edges are for all of its activation: a change of the pre-activation by x gives x / activation of them.
    edges = graph.adjacency.dense().astype(np.float64)
    per_unit = edges.copy()
    per_unit[:, : graph.n_features] /= graph.activation_values
    every_path = np.linalg.solve(np.eye(graph.size) - per_unit, edges[:, node])
    np.testing.assert_allclose(change.features[0].numpy() / small, every_path[: graph.n_features], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(change.targets[0].numpy() / small, every_path[graph.target_nodes], rtol=1e-4, atol=1e-5)


def test_a_free_pass_moves_norms_and_patterns_too() -> None:
    """Unfrozen, the model answers a large change otherwise than its edges say, and a tiny one differs to first order."""
    pass_ = passed("llama", KINDS[0])
    targets = top_logits(pass_, 3)
    edit = [Addition(Site("resid_pre", 1), 2, pass_.layers[1].pre[2])]

    frozen, free = (frozen_change(pass_, [edit], targets, frozen=value).targets for value in (True, False))

    assert (frozen - free).abs().max() > 1e-3


def test_the_model_is_left_as_it_was() -> None:
    """Neither hooks nor the attention implementation stay."""
    model = double("gemma2")
    before = model.module.config._attn_implementation
    pass_ = frozen_pass(model, transcoders(KINDS[0]), PROMPT)

    frozen_change(pass_, [[Addition(Site("resid_pre", 0), 1, pass_.layers[0].pre[1])]])

    assert model.module.config._attn_implementation == before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.module.modules())


def test_what_cannot_be_edited_or_frozen_is_refused() -> None:
    """Sites inside a norm, and re-encoding in a free model."""
    pass_ = passed("llama", KINDS[0])
    vector = torch.ones(32)

    with pytest.raises(ModelError, match="inside a norm"):
        frozen_change(pass_, [[Addition(Site("mlp_in_normalized", 0), 1, vector)]])
    with pytest.raises(ModelError, match="a free model has none"):
        frozen_change(pass_, [], frozen=False, reencoded=[0])


def everywhere(pass_: FrozenPass) -> list[TargetVector]:
    """Targets of every kind, at every kind of site."""
    vector = torch.randn(pass_.final.shape[-1], generator=torch.Generator().manual_seed(5), dtype=pass_.final.dtype)
    sites = [("resid_pre.1", -1), ("resid_post.1", 4), ("mlp_in.2", -2), ("attn_out.1", -1), ("mlp_out.1", 5), ("final_norm", 3)]
    directions = [direction(pass_, vector, site, position) for site, position in sites]
    return [*top_logits(pass_, 3), logit_difference(pass_, [3], [7, 8]), log_odds_gradient(pass_, [3, 4]), *directions]


def node_vectors(pass_: FrozenPass) -> tuple[list[list[Addition]], list[int]]:
    """What some features, all errors and all tokens write, and their nodes."""
    features, n_pos = pass_.features, pass_.n_positions
    writes = pass_.transcoders[0].writes[0].name
    edits, columns = [], []
    for node in np.linspace(0, len(features) - 1, 15).astype(int).tolist():
        layer, position, feature = features.indices[node].tolist()
        dictionary = pass_.transcoders[layer]
        rows = features.values[node] * dictionary.W_dec[feature]
        edits.append([Addition(site, position, row) for site, row in zip(dictionary.writes, rows, strict=True)])
        columns.append(node)
    for layer in range(pass_.n_layers):
        edits += [[Addition(Site(writes, layer), position, pass_.errors[layer, position])] for position in range(n_pos)]
    edits += [[Addition(Site("resid_pre", 0), position, pass_.layers[0].pre[position])] for position in range(n_pos)]
    return edits, columns + list(range(len(features), len(features) + (pass_.n_layers + 1) * n_pos))
