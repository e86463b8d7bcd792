"""Attribution graphs that circuit-tracer 0.5.0 computed, as our type; tests skip where the folder of real data is missing."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from safetycase.evidence.graphs.adjacency import Adjacency, Block
from safetycase.evidence.graphs.graph import AttributionGraph, Target

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "data" / "attribution_golden" / "llama"
N_LAYERS = 4
VOCABULARY = 1000


class Golden(NamedTuple):
    """A graph of another tool and what that tool says of it."""

    graph: AttributionGraph
    told: dict[str, Any]
    """The arrays of the npz by name."""


def golden(name: str) -> Golden:
    """`jumprelu` (per layer) or `clt` (cross-layer)."""
    path = FOLDER / f"golden_{name}.npz"
    if not path.is_file():
        pytest.skip("the golden attribution graphs in ../shared/data are not here")
    with np.load(path) as archive:
        told = dict(archive)
    tokens, active = told["input_tokens"], told["active_features"]
    targets = tuple(
        Target("logit", f"w{token - 4}", float(weight), "final_norm", len(tokens) - 1, int(token))
        for token, weight in zip(told["logit_ids"], told["logit_probs"], strict=True)
    )
    graph = AttributionGraph(
        prompt="w7 w14",
        input_tokens=tokens,
        token_texts=tuple(f"w{token}" for token in tokens),
        n_layers=N_LAYERS,
        active_features=active,
        activation_values=told["activation_values"],
        selected_features=told["selected_features"],
        targets=targets,
        adjacency=Adjacency(len(told["adjacency"]), ()),
        sums=None,
        zeroed_positions=(0,),
        vocabulary=VOCABULARY,
    )
    return Golden(with_dense(graph, told["adjacency"]), told)


def with_dense(graph: AttributionGraph, dense: np.ndarray[Any, np.dtype[np.float32]]) -> AttributionGraph:
    """The graph with the edges of a matrix, in a block per depth of its targets."""
    from dataclasses import replace

    depths = graph.depths
    blocks = []
    for depth in range(graph.n_layers + 1):
        rows = np.flatnonzero((depths == depth) & dense.any(axis=1))
        columns = np.flatnonzero(depths < depth)
        if len(rows):
            blocks.append(Block(rows, columns, np.ascontiguousarray(dense[np.ix_(rows, columns)])))
    return replace(graph, adjacency=Adjacency(graph.size, tuple(blocks)))
