"""Reads an attribution graph back from its file and believes nothing: names, shapes, ranges, order, and that edges lead upwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from safetycase.errors import SourceError
from safetycase.evidence.graphs.adjacency import Adjacency, row_ranges
from safetycase.evidence.graphs.files import FORMAT, SUMS, About, specs
from safetycase.evidence.graphs.graph import AttributionGraph, RowSums, Target
from safetycase.evidence.graphs.pruning import Pruned
from safetycase.evidence.graphs.strongest_edges import Edges
from safetycase.evidence.graphs.untrusted import NotAGraph, check_nodes, expect, with_rows


class StoredGraph(NamedTuple):
    """What a file holds."""

    graph: AttributionGraph
    pruned: Pruned
    replacement: float
    """As it was written; `scores` finds it again."""
    completeness: float


def read_graph(path: Path) -> StoredGraph:
    """The graph of a file that `write_graph` wrote; its edges come in a block per layer, never as a whole matrix.

    Raises SourceError, one line, where the file is missing, truncated or of another format, and where what it holds is no graph.
    """
    with _told_of(path), safe_open(path, framework="numpy") as file:
        about = _about(file)
        graph = _nodes(file, about)
        _check_layout(file, graph)
        check_nodes(graph)
        expect(np.array_equal(file.get_tensor("logit_ids"), graph.target_ids), "logit_ids are not those of the targets in its metadata")
        weights = graph.target_weights.astype(np.float32)
        expect(np.array_equal(file.get_tensor("logit_probs"), weights), "logit_probs are not the weights of the targets in its metadata")
        rows = file.get_slice("adjacency")
        graph = replace(with_rows(graph, lambda first, last: rows[first:last]), sums=_sums(file, graph))
        replacement, completeness = (float(file.get_tensor(name)) for name in ("replacement", "completeness"))
        expect(bool(np.isfinite([replacement, completeness]).all()), "replacement or completeness is no number")
        return StoredGraph(graph, _pruned(file, graph, about), replacement, completeness)


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    try:
        yield
    except NotAGraph as wrong:
        raise SourceError(f"{path}: {wrong}") from wrong
    except OSError as problem:
        raise SourceError(f"{path}: cannot be read: {problem.strerror or problem}") from problem
    except SafetensorError as damaged:
        raise SourceError(f"{path}: no safetensors file, or a truncated one: {damaged}") from damaged


def _about(file: Any) -> About:
    metadata = file.metadata() or {}
    found = metadata.get("format")
    expect(found == FORMAT, f"its metadata say format {found!r}, expected {FORMAT!r} as `safetycase trace` writes it")
    try:
        return About.model_validate_json(metadata.get("graph", ""))
    except ValidationError as invalid:
        problem = invalid.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "graph"
        raise NotAGraph(f"its metadata: {where}: {problem['msg']}") from invalid


def _nodes(file: Any, about: About) -> AttributionGraph:
    """Without edges; how the shapes fit each other is checked next."""
    names = set(file.keys())

    def tensor(name: str, dtype: type, rank: int = 1) -> NDArray[Any]:
        expect(name in names, f"no tensor {name!r}")
        found = np.asarray(file.get_tensor(name))
        told = f"{name}: {found.dtype} {list(found.shape)}, expected {np.dtype(dtype)} of rank {rank}"
        expect(found.dtype == dtype and found.ndim == rank, told)
        return found

    absent = RowSums(*(np.zeros(0) for _ in SUMS)) if f"row_{SUMS[0]}" in names else None
    return AttributionGraph(
        prompt=about.prompt,
        input_tokens=tensor("input_tokens", np.int64),
        token_texts=about.token_texts,
        n_layers=about.n_layers,
        active_features=tensor("active_features", np.int64, rank=2),
        activation_values=tensor("activation_values", np.float32),
        selected_features=tensor("selected_features", np.int64),
        targets=tuple(Target(**target.model_dump()) for target in about.targets),
        adjacency=Adjacency(0, ()),
        sums=absent,
        zeroed_positions=about.zeroed_positions,
        vocabulary=about.vocabulary,
        dtype=about.dtype,
    )


def _check_layout(file: Any, graph: AttributionGraph) -> None:
    """Every tensor is there, alone, with the type and shape that the nodes ask for."""
    expected = specs(graph)
    absent, unknown = sorted(expected.keys() - file.keys()), sorted(set(file.keys()) - expected.keys())
    expect(not absent, f"tensors {', '.join(absent)} are missing")
    expect(not unknown, f"unexpected tensors {', '.join(unknown)}")
    for name, (dtype, shape) in expected.items():
        found = file.get_slice(name)
        told = found.get_dtype(), tuple(found.get_shape())
        expect(told == (dtype, shape), f"{name}: {told[0]} {list(told[1])}, expected {dtype} {list(shape)}")


def _sums(file: Any, graph: AttributionGraph) -> RowSums | None:
    if graph.sums is None:
        return None
    read = {field: file.get_tensor(f"row_{field}") for field in SUMS}
    for field, values in read.items():
        expect(bool(np.isfinite(values).all()), f"row_{field}: NaN or infinite, expected numbers")
    return RowSums(**read)


def _pruned(file: Any, graph: AttributionGraph, about: About) -> Pruned:
    """Masks, with the weights of kept edges from the graph; an edge that is none, or between nodes not kept, contradicts the rest."""
    nodes, cumulative = file.get_tensor("node_mask"), file.get_tensor("cumulative")
    expect(bool(nodes[graph.tokens.start :].all()), "node_mask: leaves out tokens or targets, expected all of them")
    expect(bool(np.isfinite(cumulative).all()), "cumulative: NaN or infinite, expected numbers")
    mask, every = file.get_slice("edge_mask"), np.arange(graph.size)
    parts: list[tuple[NDArray[Any], NDArray[Any], NDArray[np.float32]]] = []
    for first, last in row_ranges(0, graph.size, graph.size):
        rows = every[first:last]
        row, column = np.nonzero(mask[first:last])
        parts.append((rows[row], column, graph.adjacency.part(rows, every)[row, column]))
    target, source, weight = (np.concatenate(each) for each in zip(*parts, strict=True))
    expect(bool((nodes[target] & nodes[source]).all()), "edge_mask: edges of nodes that node_mask leaves out")
    expect(bool((weight != 0).all()), "edge_mask: edges of weight 0")
    edges = Edges(target.astype(np.int32), source.astype(np.int32), weight)
    return Pruned(nodes, edges, cumulative.astype(np.float64), about.node_threshold, about.edge_threshold)
