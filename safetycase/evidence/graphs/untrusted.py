"""A graph out of arrays that a file holds: nodes checked, a square matrix read a few rows at a time into blocks."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from safetycase.evidence.graphs.adjacency import Adjacency, Block, Nodes, Values, row_ranges
from safetycase.evidence.graphs.graph import AttributionGraph

ReadRows = Callable[[int, int], Values]
"""Rows first to last of the square matrix, the last excluded: [row, node]."""


class NotAGraph(ValueError):
    """What is wrong with the arrays, without the name of their file; whoever reads the file makes it an error of the tree."""


def check_nodes(graph: AttributionGraph) -> None:
    """Raises NotAGraph for whatever of the nodes contradicts the rest: ranges, order, lengths, numbers that are none."""
    active, chosen = graph.active_features, graph.selected_features
    expect(graph.n_positions > 0 and len(graph.targets) > 0, "no tokens or no targets, expected at least one of each")
    expect(len(graph.token_texts) == graph.n_positions, f"{len(graph.token_texts)} texts of {graph.n_positions} tokens")
    expect(_within(graph.input_tokens, graph.vocabulary), f"input_tokens: ids beyond the vocabulary of {graph.vocabulary}")
    expect(active.ndim == 2 and active.shape[1] == 3, f"active_features: shape {list(active.shape)}, expected [active, 3]")
    expect(_within(active[:, 0], graph.n_layers), f"active_features: layers beyond the model's {graph.n_layers}")
    expect(_within(active[:, 1], graph.n_positions), f"active_features: positions beyond the prompt's {graph.n_positions}")
    expect(_within(active[:, 2], 2**40), "active_features: features that are no index")
    expect(_ascending(active), "active_features: not in ascending order, each once")
    expect(len(graph.activation_values) == len(active), f"{len(graph.activation_values)} activation_values of {len(active)} features")
    expect(bool(np.isfinite(graph.activation_values).all()), "activation_values: NaN or infinite, expected numbers")
    expect(_within(chosen, len(active)), f"selected_features: places beyond the {len(active)} active features")
    expect(bool((np.diff(chosen) > 0).all()), "selected_features: not in ascending order, each once")
    weights = graph.target_weights
    expect(bool(np.isfinite(weights).all() and (weights >= 0).all()), "weights of targets: negative or no numbers")
    expect(bool((weights > 0).any()), "weights of targets: all are 0, so that nothing has influence")
    expect(_within(np.array([target.position for target in graph.targets]), graph.n_positions), "a target's position is beyond the prompt")
    ids = np.array([target.token for target in graph.targets if target.token is not None], dtype=np.int64)
    expect(_within(ids, graph.vocabulary), f"a target's id is beyond the vocabulary of {graph.vocabulary}")
    expect(_within(np.array(graph.zeroed_positions, dtype=np.int64), graph.n_positions), "a zeroed position is beyond the prompt")


def with_rows(graph: AttributionGraph, read: ReadRows) -> AttributionGraph:
    """The graph with the edges of a square matrix, in a block per layer of its targets; no whole copy is made.

    Raises NotAGraph where an edge is no finite number, leads into an error or a token, or does not lead upwards.
    """
    depths = graph.depths
    blocks = []
    for depth in range(graph.n_layers + 1):
        rows = _rows_at(graph, depths, depth)
        if len(rows):
            columns = np.flatnonzero(depths < depth)
            blocks.append(Block(rows, columns, _block(rows, columns, graph.size, read)))
    for first, last in row_ranges(graph.errors.start, graph.tokens.stop, graph.size):
        expect(not read(first, last).any(), "adjacency: edges into errors or tokens, expected none")
    return replace(graph, adjacency=Adjacency(graph.size, tuple(blocks)))


def expect(holds: bool, otherwise: str) -> None:
    """Raises NotAGraph unless it holds."""
    if not holds:
        raise NotAGraph(otherwise)


def _rows_at(graph: AttributionGraph, depths: Nodes, depth: int) -> Nodes:
    """The features of a layer, or the targets; side by side, as nodes are numbered."""
    nodes = np.arange(graph.size)
    return np.flatnonzero((depths == depth) & ((nodes < graph.n_features) | (nodes >= graph.target_nodes.start)))


def _block(rows: Nodes, columns: Nodes, size: int, read: ReadRows) -> Values:
    values = np.empty((len(rows), len(columns)), dtype=np.float32)
    start = int(rows[0])
    for first, last in row_ranges(start, start + len(rows), size):
        whole = read(first, last)
        expect(bool(np.isfinite(whole).all()), f"adjacency: NaN or infinite in rows {first} to {last - 1}, expected numbers")
        values[first - start : last - start] = whole[:, columns]
        upward = np.count_nonzero(values[first - start : last - start])
        expect(upward == np.count_nonzero(whole), f"adjacency: rows {first} to {last - 1} have edges from their own layer or above")
    return values


def _within(values: Nodes, bound: int) -> bool:
    return bool(((values >= 0) & (values < bound)).all())


def _ascending(features: Nodes) -> bool:
    """Rows (layer, position, feature) in lexicographic order, none twice."""
    later, earlier = features[1:], features[:-1]
    step = np.where(later[:, 0] != earlier[:, 0], later[:, 0] - earlier[:, 0], 0)
    step = np.where(step == 0, later[:, 1] - earlier[:, 1], step)
    step = np.where(step == 0, later[:, 2] - earlier[:, 2], step)
    return bool((step > 0).all())
