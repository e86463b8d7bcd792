"""Edges of attribution graphs: equal to circuit-tracer's, to plain autograd on every architecture, and they add up."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from safetycase.evidence.graphs.graph import AttributionGraph
from safetycase.lab.attribution import edge_rows
from safetycase.lab.attribution.attribute import attribute, attribute_pass
from safetycase.lab.attribution.frozen_pass import FrozenPass, frozen_pass
from safetycase.lab.attribution.partial_influence import partial_influence
from safetycase.lab.attribution.targets import TopLogits, top_logits
from safetycase.lab.attribution.zeroed_positions import GEMMA_3_PREFIX, zeroed_positions
from safetycase.lab.dictionaries.reading import read_dictionary_set
from safetycase.lab.model import load_model
from tests.lab.attribution.cases import KINDS, PROMPT, Kind, double, exists, passed, sums_of, transcoders
from tests.lab.attribution.reference import Reference, reference_pass
from tests.lab.small import loaded
from tests.lab.tiny import ARCHITECTURES
from tests.source import ROOT

pytestmark = pytest.mark.lab

GOLDEN = ROOT.parent / "shared/data/attribution_golden/llama"
needs_goldens = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden attribution graphs in ../shared/data are not here")
Dense = NDArray[np.float64]
TARGETS = 6
"""Rows of a kind that are compared with autograd."""


@needs_goldens
@pytest.mark.parametrize("kind", ["jumprelu", "clt"])
def test_the_graphs_of_circuit_tracer_are_found(kind: str) -> None:
    """Equal nodes and targets, edges to 1e-5, on its own model and transcoders."""
    golden = np.load(GOLDEN / f"golden_{kind}.npz")
    model = load_model("model", base=GOLDEN, dtype="float32", device="cpu")

    graph = attribute(model, read_dictionary_set(GOLDEN / f"transcoders_{kind}"), torch.from_numpy(golden["input_tokens"]), TopLogits())

    assert np.array_equal(golden["active_features"], graph.active_features)
    assert np.array_equal(golden["selected_features"], graph.selected_features)
    np.testing.assert_allclose(graph.activation_values, golden["activation_values"], atol=1e-5, rtol=1e-5)
    assert golden["logit_ids"].tolist() == [target.token for target in graph.targets]
    np.testing.assert_allclose(graph.target_weights, golden["logit_probs"], atol=1e-6)
    np.testing.assert_allclose(graph.adjacency.dense(), golden["adjacency"], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_edges_are_those_of_plain_autograd(architecture: str, kind: Kind) -> None:
    """In float64, on every architecture and kind of transcoder: features, errors and tokens into features and logits."""
    if not exists(architecture, kind):
        return
    pass_ = passed(architecture, kind)

    graph = attribute_pass(pass_, TopLogits(3))

    reference = reference_pass(pass_.model, transcoders(kind), PROMPT, [0])
    expected, found = _reference_rows(pass_, reference), graph.adjacency.dense()
    assert torch.equal(torch.cat([a.nonzero() for a in reference.activations]), pass_.features.indices[:, 1:])
    for row, values in expected.items():
        np.testing.assert_allclose(found[row], values, atol=1e-5 * np.abs(found).max(), err_msg=f"row {row}")


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_edges_and_what_no_node_accounts_for_add_up(architecture: str, kind: Kind) -> None:
    """Nodes, decoder biases, zeroed outputs and model biases give what the model computed (the edge-sum identity)."""
    if not exists(architecture, kind):
        return

    graph = attribute_pass(passed(architecture, kind), TopLogits(3))

    sums = sums_of(graph)
    total = sums.edges + sums.decoder_bias + sums.zeroed + sums.model_bias
    np.testing.assert_allclose(total, sums.found, atol=2e-6 * np.abs(sums.found).max())
    assert np.abs(sums.zeroed).max() > 1e-3
    assert np.abs(sums.decoder_bias).max() > 1e-3


def test_the_size_of_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets one by one, and all at once, give the same graph."""
    model, made = double("gemma2"), transcoders(KINDS[1])
    graphs = []
    for numbers in (1, 2**30):
        monkeypatch.setitem(edge_rows.CHUNK_NUMBERS, "cpu", numbers)
        graphs.append(attribute(model, made, PROMPT, TopLogits()))

    one, other = graphs
    assert len(one.adjacency.blocks) > len(other.adjacency.blocks)
    np.testing.assert_allclose(one.adjacency.dense(), other.adjacency.dense(), atol=1e-6)
    np.testing.assert_allclose(sums_of(one).model_bias, sums_of(other).model_bias, atol=1e-6)


def test_a_row_holds_only_sources_that_can_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """No column of a block lies at a later position or a higher layer than its last target."""
    monkeypatch.setitem(edge_rows.CHUNK_NUMBERS, "cpu", 1)

    graph = attribute(double("qwen3"), transcoders(KINDS[0]), PROMPT, TopLogits())

    features = graph.features
    for block in graph.adjacency.blocks:
        if block.rows[0] >= graph.n_features:
            continue
        layer, last = features[block.rows[0], 0], features[block.rows, 1].max()
        sources = block.columns[block.columns < graph.n_features]
        assert (features[sources, 0] < layer).all()
        assert (features[sources, 1] <= last).all()
        assert block.values.dtype == np.float32


def test_without_a_leading_special_token_nothing_is_zeroed() -> None:
    """Position 0 is left out for what it holds, not for where it is; a caller can say otherwise."""
    model, made = double(), transcoders(KINDS[0])
    plain = PROMPT[1:]

    assert attribute(model, made, PROMPT, TopLogits()).zeroed_positions == (0,)
    assert attribute(model, made, plain, TopLogits()).zeroed_positions == ()
    asked = attribute(model, made, plain, TopLogits(), zeroed=[0, 2])
    assert asked.zeroed_positions == (0, 2)
    assert not set(asked.active_features[:, 1]) & {0, 2}
    errors = asked.adjacency.dense()[:, asked.errors].reshape(-1, asked.n_layers, asked.n_positions)
    assert not errors[:, :, [0, 2]].any()
    assert errors[:, :, 1].any()


def test_conversations_of_gemma_3_lose_their_first_four_positions() -> None:
    """circuit-tracer's rule, for that prefix and that architecture alone."""
    prefix = torch.tensor([*GEMMA_3_PREFIX, 9])

    assert zeroed_positions(loaded("gemma3_text"), prefix) == (0, 1, 2, 3)
    assert zeroed_positions(loaded("gemma2"), prefix) == (0,)
    assert zeroed_positions(loaded("gemma3_text"), torch.tensor([2, 9, 9, 9, 9])) == (0,)


def test_a_budget_takes_features_by_their_influence_so_far() -> None:
    """As circuit-tracer does: rank all by influence over the rows so far, add the best, rank anew."""
    model, made = double("llama"), transcoders(KINDS[0])
    pass_ = frozen_pass(model, made, PROMPT)
    whole = attribute_pass(pass_, TopLogits())

    graph = attribute_pass(pass_, TopLogits(), max_features=20, update_interval=2, batch_size=3)

    expected = _budget_by_power_iteration(whole, 20, 6)
    assert expected.tolist() == graph.selected_features.tolist()
    kept = np.concatenate([expected, np.arange(whole.n_features, whole.size)])
    np.testing.assert_allclose(graph.adjacency.dense(), whole.adjacency.dense()[np.ix_(kept, kept)], atol=1e-6)
    all_sums = sums_of(whole).edges
    kept_rows = [*expected, *range(whole.n_features, len(all_sums))]
    np.testing.assert_allclose(sums_of(graph).edges, all_sums[kept_rows], atol=1e-6)


def test_partial_influence_is_the_sum_over_all_paths() -> None:
    """One pass from the top gives the series of matrix powers."""
    pass_ = frozen_pass(double(), transcoders(KINDS[0]), PROMPT)
    traced = top_logits(pass_)
    rows = edge_rows.edge_rows(pass_)
    rows.add_targets(traced)
    rows.add_features(np.arange(len(pass_.features)))
    weights = np.array([each.target.weight for each in traced])

    found = partial_influence(rows, weights)

    expected = _series(attribute_pass(pass_, traced), np.ones(len(pass_.features), dtype=bool))
    np.testing.assert_allclose(found, expected[: len(found)], rtol=1e-5, atol=1e-8)


def _reference_rows(pass_: FrozenPass, reference: Reference) -> dict[int, Dense]:
    """Dense rows of some features of every layer and of all targets, features | errors | tokens."""
    model, features = pass_.model, pass_.features
    values = {}
    for layer in range(pass_.n_layers):
        own = features.of_layer(layer)
        for node in np.linspace(own.start, own.stop - 1, TARGETS).astype(int).tolist():
            _, position, feature = features.indices[node].tolist()
            values[node] = reference.read[layer][position] @ pass_.transcoders[layer].W_enc[feature]
    first = len(features) + (pass_.n_layers + 1) * pass_.n_positions
    head: Any = model.sites.unembedding
    weight = head.weight
    for number, each in enumerate(top_logits(pass_, 3)):
        values[first + number] = reference.final[-1] @ (weight[each.target.token] - weight.mean(0))
    return {row: _row(pass_, reference, value, first) for row, value in values.items()}


def _row(pass_: FrozenPass, reference: Reference, value: torch.Tensor, first: int) -> Dense:
    gradients, embedded = reference.effects(value)
    row = torch.zeros(first + 3, dtype=torch.float64)
    for layer, dictionary in enumerate(pass_.transcoders):
        own = pass_.features.of_layer(layer)
        _, position, feature = pass_.features.indices[own].unbind(dim=1)
        for above in range(len(dictionary.writes)):
            written = pass_.features.values[own, None] * dictionary.W_dec[feature, above]
            row[own] += (gradients[layer + above][position] * written).sum(-1)
    errors = []
    for layer in range(pass_.n_layers):
        made = pass_.transcoders[layer].b_dec + reference.skipped[layer]
        for source in range(layer + 1):
            dictionary = pass_.transcoders[source]
            if layer < source + len(dictionary.writes):
                made = made + reference.activations[source] @ dictionary.W_dec[:, layer - source]
        left = reference.written[layer] - made
        left[0] = 0
        errors.append((gradients[layer] * left).sum(-1))
    row[len(pass_.features) : first] = torch.cat([*errors, (embedded * reference.embedded.detach())[0].sum(-1)])
    dense: Dense = row.detach().numpy()
    return dense


def _series(graph: AttributionGraph, rows: NDArray[np.bool_]) -> Dense:
    """Influence of every node by matrix powers, with only some features' rows known."""
    known = np.ones(graph.size, dtype=bool)
    known[: graph.n_features] = rows
    matrix = np.abs(graph.adjacency.dense().astype(np.float64)) * known[:, None]
    matrix /= np.maximum(matrix.sum(axis=1, keepdims=True), 1e-8)
    passed = np.zeros(graph.size)
    passed[graph.target_nodes] = graph.target_weights
    total = np.zeros(graph.size)
    while passed.any():
        passed = passed @ matrix
        total += passed
    return total


def _budget_by_power_iteration(graph: AttributionGraph, most: int, at_once: int) -> NDArray[np.int64]:
    visited = np.zeros(graph.n_features, dtype=bool)
    while visited.sum() < most:
        ranked = np.argsort(-_series(graph, visited)[: graph.n_features], kind="stable")
        visited[ranked[~visited[ranked]][: min(at_once, most - visited.sum())]] = True
    return np.flatnonzero(visited)
