"""Writes attribution graphs as safetensors, tensors named as in circuit-tracer's graphs, without holding a square matrix in memory."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from safetycase.evidence.graphs.adjacency import row_ranges
from safetycase.evidence.graphs.graph import AttributionGraph, TargetKind
from safetycase.evidence.graphs.pruning import Pruned
from safetycase.evidence.graphs.scores import Scores
from safetycase.evidence.graphs.strongest_edges import Edges
from safetycase.evidence.graphs.whole_files import write_whole

FORMAT = "safetycase.attribution_graph.1"
DTYPES: Mapping[str, str] = {"I64": "<i8", "F64": "<f8", "F32": "<f4", "BOOL": "|b1"}
SUMS = ("edges", "decoder_bias", "zeroed", "model_bias", "found")
"""Fields of `RowSums`, written as `row_<field>`."""


class AboutTarget(BaseModel):
    """A target, beside what the tensors say of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    kind: TargetKind
    label: str
    weight: float = Field(ge=0)
    site: str
    position: int = Field(ge=0)
    token: int | None


class About(BaseModel):
    """What of a graph is no tensor: JSON in the file's metadata."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    prompt: str
    token_texts: tuple[str, ...]
    n_layers: int = Field(ge=1)
    vocabulary: int = Field(ge=1)
    dtype: str
    zeroed_positions: tuple[int, ...]
    targets: tuple[AboutTarget, ...]
    node_threshold: float = Field(ge=0, le=1)
    edge_threshold: float = Field(ge=0, le=1)


class Spec(NamedTuple):
    """A tensor of the file."""

    dtype: str
    shape: tuple[int, ...]


def write_graph(path: Path, graph: AttributionGraph, pruned: Pruned, scores: Scores) -> Path:
    """Write a graph, what is left of it pruned, and its scores; the square matrices go out a few rows at a time.

    Raises StoreError where the file cannot be written.
    """
    return write_whole(path, _parts(graph, pruned, scores))


def specs(graph: AttributionGraph) -> dict[str, Spec]:
    """Tensors of a graph's file by name; those of `row_sums` only where the graph has them."""
    n, size, targets = len(graph.active_features), graph.size, len(graph.targets)
    told = {
        "input_tokens": Spec("I64", (graph.n_positions,)),
        "active_features": Spec("I64", (n, 3)),
        "activation_values": Spec("F32", (n,)),
        "selected_features": Spec("I64", (graph.n_features,)),
        "adjacency": Spec("F32", (size, size)),
        "logit_ids": Spec("I64", (targets,)),
        "logit_probs": Spec("F32", (targets,)),
        "replacement": Spec("F64", ()),
        "completeness": Spec("F64", ()),
        "node_mask": Spec("BOOL", (size,)),
        "edge_mask": Spec("BOOL", (size, size)),
        "cumulative": Spec("F32", (size,)),
    }
    if graph.sums is not None:
        told |= {f"row_{field}": Spec("F64", (graph.n_features + targets,)) for field in SUMS}
    return told


def _parts(graph: AttributionGraph, pruned: Pruned, scores: Scores) -> Iterator[bytes]:
    told = specs(graph)
    order = sorted(told, key=lambda name: (-np.dtype(DTYPES[told[name].dtype]).itemsize, name))
    yield _header(told, order, _about(graph, pruned))
    for name in order:
        match name:
            case "adjacency":
                yield from _adjacency(graph)
            case "edge_mask":
                yield from _edge_mask(graph.size, pruned.edges)
            case _:
                values = np.asarray(_small(name, graph, pruned, scores), dtype=DTYPES[told[name].dtype])
                assert values.shape == told[name].shape, (name, values.shape, told[name].shape)
                yield values.tobytes()


def _header(told: Mapping[str, Spec], order: list[str], about: About) -> bytes:
    """Length and JSON, as safetensors has it: wider types first, so that every tensor is aligned to its own."""
    entries: dict[str, Any] = {"__metadata__": {"format": FORMAT, "graph": about.model_dump_json()}}
    start = 0
    for name in order:
        dtype, shape = told[name]
        end = start + int(np.prod(shape, dtype=np.int64)) * np.dtype(DTYPES[dtype]).itemsize
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _about(graph: AttributionGraph, pruned: Pruned) -> About:
    return About(
        prompt=graph.prompt,
        token_texts=graph.token_texts,
        n_layers=graph.n_layers,
        vocabulary=graph.vocabulary,
        dtype=graph.dtype,
        zeroed_positions=graph.zeroed_positions,
        targets=tuple(AboutTarget(**vars(target)) for target in graph.targets),
        node_threshold=pruned.node_threshold,
        edge_threshold=pruned.edge_threshold,
    )


def _small(name: str, graph: AttributionGraph, pruned: Pruned, scores: Scores) -> Any:
    match name:
        case "logit_ids":
            return graph.target_ids
        case "logit_probs":
            return graph.target_weights
        case "replacement" | "completeness":
            return getattr(scores, name)
        case "node_mask" | "cumulative":
            return getattr(pruned, name)
        case _ if name.startswith("row_"):
            return getattr(graph.sums, name.removeprefix("row_"))
        case _:
            return getattr(graph, name)


def _adjacency(graph: AttributionGraph) -> Iterator[bytes]:
    every = np.arange(graph.size)
    for first, last in row_ranges(0, graph.size, graph.size):
        yield graph.adjacency.part(every[first:last], every).astype("<f4", copy=False).tobytes()


def _edge_mask(size: int, edges: Edges) -> Iterator[bytes]:
    for first, last in row_ranges(0, size, size):
        start, stop = np.searchsorted(edges.target, [first, last])
        mask = np.zeros((last - first, size), dtype=np.bool_)
        mask[edges.target[start:stop] - first, edges.source[start:stop]] = True
        yield mask.tobytes()
