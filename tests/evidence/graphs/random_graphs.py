"""Attribution graphs of random edges, of any size: what no golden graph covers."""

from dataclasses import replace

import numpy as np

from safetycase.evidence.graphs.adjacency import Adjacency, Block
from safetycase.evidence.graphs.graph import AttributionGraph, RowSums, Target


def random_graph(
    seed: int,
    *,
    n_layers: int = 3,
    n_positions: int = 4,
    n_active: int = 30,
    n_targets: int = 3,
    left_out: int = 0,
    density: float = 0.5,
    width: int = 64,
) -> AttributionGraph:
    """A graph whose edges lead upwards and never back in position, with row sums that obey the edge-sum identity."""
    generator = np.random.default_rng(seed)
    places = np.sort(generator.choice(n_layers * (n_positions - 1) * width, size=n_active, replace=False))
    layer, rest = np.divmod(places, (n_positions - 1) * width)
    position, feature = np.divmod(rest, width)
    selected = np.sort(generator.choice(n_active, size=n_active - left_out, replace=False))
    weights = generator.dirichlet(np.ones(n_targets)) * 0.9 if n_targets else np.zeros(0)
    graph = AttributionGraph(
        prompt='<s> one two "three"',
        input_tokens=generator.integers(0, 50, n_positions),
        token_texts=tuple(f" t{place}" for place in range(n_positions)),
        n_layers=n_layers,
        active_features=np.stack([layer, position + 1, feature], axis=1).astype(np.int64),
        activation_values=generator.uniform(0.1, 5, n_active).astype(np.float32),
        selected_features=selected,
        targets=tuple(
            Target("logit", f" answer {i}", float(weight), "final_norm", n_positions - 1, 10 + i) for i, weight in enumerate(weights)
        ),
        adjacency=Adjacency(0, ()),
        sums=None,
        zeroed_positions=(0,),
        vocabulary=50,
    )
    adjacency = _edges(graph, generator, density)
    return replace(graph, adjacency=adjacency, sums=_sums(graph, adjacency, generator))


def _edges(graph: AttributionGraph, generator: np.random.Generator, density: float) -> Adjacency:
    depths, positions = graph.depths, positions_of(graph)
    blocks = []
    for depth in range(graph.n_layers + 1):
        rows, columns = np.flatnonzero((depths == depth) & has_inputs(graph)), np.flatnonzero(depths < depth)
        if len(rows):
            values = generator.standard_t(3, (len(rows), len(columns))).astype(np.float32)
            values *= generator.random(values.shape) < density
            values *= positions[rows][:, None] >= positions[columns][None]
            values *= (~is_zeroed_error(graph))[columns][None]
            blocks.append(Block(rows, columns, values))
    return Adjacency(graph.size, tuple(blocks))


def _sums(graph: AttributionGraph, adjacency: Adjacency, generator: np.random.Generator) -> RowSums:
    rows = np.flatnonzero(has_inputs(graph))
    edges = np.zeros(graph.size)
    for block in adjacency.blocks:
        edges[block.rows] = block.values.sum(axis=1, dtype=np.float64)
    edges = edges[rows] + (generator.normal(size=len(rows)) if graph.n_features < len(graph.active_features) else 0)
    decoder_bias, zeroed = generator.normal(0, 0.2, (2, len(rows)))
    return RowSums(edges, decoder_bias, zeroed, np.zeros(len(rows)), edges + decoder_bias + zeroed)


def has_inputs(graph: AttributionGraph) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """[node]: features and targets."""
    mask = np.zeros(graph.size, dtype=np.bool_)
    mask[: graph.n_features], mask[graph.target_nodes] = True, True
    return mask


def positions_of(graph: AttributionGraph) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """[node]"""
    every = np.arange(graph.n_positions)
    targets = np.array([target.position for target in graph.targets], dtype=np.int64)
    return np.concatenate([graph.features[:, 1], np.tile(every, graph.n_layers), every, targets])


def is_zeroed_error(graph: AttributionGraph) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """[node]: error nodes at zeroed positions, whose edges are 0."""
    mask = np.zeros(graph.size, dtype=np.bool_)
    mask[graph.errors] = np.tile(np.isin(np.arange(graph.n_positions), graph.zeroed_positions), graph.n_layers)
    return mask
