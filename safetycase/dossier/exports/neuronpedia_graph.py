"""Attribution graphs as the JSON that Neuronpedia and circuit-tracer's frontend read, written in parts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from safetycase import __version__
from safetycase.errors import SourceError
from safetycase.evidence.graphs.graph import AttributionGraph
from safetycase.evidence.graphs.pruning import Pruned
from safetycase.evidence.graphs.whole_files import write_whole

METADATA = "graph-metadata.json"
SCHEMA_VERSION = 1
"""Of circuit-tracer's frontend: features are numbered by Cantor's pairing of layer and index."""
LINKS_AT_A_TIME = 1 << 16

Feature = tuple[int, int]
"""Layer and index."""


@dataclass(frozen=True)
class GraphNames:
    """What a reader of the file is told beside the graph."""

    slug: str
    """Names the graph among others, and its file."""
    scan: str
    """The model, or the set of dictionaries, as Neuronpedia knows it."""
    transcoders: tuple[str, ...] = ()
    description: str = ""
    settings: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """How the graph was made: `generation_settings`."""
    labels: Mapping[Feature, str] = field(default_factory=dict)
    """What features are called: their `clerp`."""
    supernodes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Groups of nodes under a name; those that are not in the file are left out."""


def write_neuronpedia_graph(folder: Path, graph: AttributionGraph, pruned: Pruned, names: GraphNames) -> Path:
    """Write `<slug>.json` and put its metadata into the `graph-metadata.json` beside it; other graphs' metadata stay.

    Raises StoreError where a file cannot be written, SourceError where the metadata that lie there cannot be read.
    """
    metadata = _metadata(graph, pruned, names)
    others = [each for each in _listed(folder / METADATA) if each.get("slug") != names.slug]
    path = write_whole(folder / f"{names.slug}.json", (part.encode() for part in neuronpedia_graph(graph, pruned, names)))
    write_whole(folder / METADATA, [json.dumps({"graphs": [*others, metadata]}, indent=2, allow_nan=False).encode()])
    return path


def neuronpedia_graph(graph: AttributionGraph, pruned: Pruned, names: GraphNames) -> Iterator[str]:
    """The JSON in parts. Nodes: those kept that an edge touches, with all tokens and targets; links by target, then by source.

    `influence` of a node is the share of all influence held once it is reached, as circuit-tracer has it; null for targets. Ids of
    errors are `ERR_<layer>_<position>`: circuit-tracer's `0_<layer>_<position>` also name features of layer 0.
    """
    ids = _ids(graph)
    shown = _shown(graph, pruned)
    encoded = {node: json.dumps(ids[node]) for node in shown}
    yield '{"metadata":' + json.dumps(_metadata(graph, pruned, names), allow_nan=False)
    yield ',"qParams":' + json.dumps(_saved_view(ids, set(shown), names.supernodes))
    yield ',"nodes":['
    for place, node in enumerate(shown):
        yield ("," if place else "") + json.dumps(_node(graph, pruned, names, node, ids[node]), allow_nan=False)
    yield '],"links":['
    edges = pruned.edges
    for start in range(0, len(edges), LINKS_AT_A_TIME):
        some = slice(start, start + LINKS_AT_A_TIME)
        told = zip(edges.source[some].tolist(), edges.target[some].tolist(), edges.weight[some].tolist(), strict=True)
        links = ",".join([f'{{"source":{encoded[s]},"target":{encoded[t]},"weight":{weight:.9g}}}' for s, t, weight in told])
        yield ("," if start else "") + links
    yield "]}\n"


def _ids(graph: AttributionGraph) -> list[str]:
    """[node]: no two alike; layers of targets are beyond the model's, errors and tokens begin with letters."""
    features = [f"{layer}_{feature}_{position}" for layer, position, feature in graph.features.tolist()]
    errors = [f"ERR_{layer}_{position}" for layer in range(graph.n_layers) for position in range(graph.n_positions)]
    tokens = [f"E_{token}_{position}" for position, token in enumerate(graph.input_tokens.tolist())]
    ids = zip(graph.target_ids.tolist(), graph.targets, strict=True)
    return [*features, *errors, *tokens, *(f"{graph.n_layers + 1}_{each}_{target.position}" for each, target in ids)]


def _shown(graph: AttributionGraph, pruned: Pruned) -> list[int]:
    touched = np.zeros(graph.size, dtype=np.bool_)
    touched[pruned.edges.source], touched[pruned.edges.target] = True, True
    touched[graph.tokens.start :] = True
    return [int(node) for node in np.flatnonzero(touched)]


def _node(graph: AttributionGraph, pruned: Pruned, names: GraphNames, node: int, name: str) -> dict[str, Any]:
    influence = float(np.float32(pruned.cumulative[node]))
    if node < graph.errors.start:
        layer, position, feature = graph.features[node].tolist()
        activation = float(graph.activation_values[graph.selected_features[node]])
        own = {
            "feature": _cantor(layer, feature), "layer": str(layer), "feature_type": "cross layer transcoder",
            "jsNodeId": f"{layer}_{feature}-0", "clerp": names.labels.get((layer, feature), ""), "activation": activation,
        }  # fmt: skip
    elif node < graph.tokens.start:
        layer, position = divmod(node - graph.errors.start, graph.n_positions)
        own = {"feature": -1, "layer": str(layer), "feature_type": "mlp reconstruction error", "jsNodeId": f"{name}-0", "clerp": ""}
    elif node < graph.target_nodes.start:
        position = node - graph.tokens.start
        token = int(graph.input_tokens[position])
        own = {"feature": position, "layer": "E", "feature_type": "embedding", "jsNodeId": f"E_{token}-{position}", "clerp": ""}
    else:
        return _target(graph, node - graph.target_nodes.start, name)
    return {"node_id": name, "ctx_idx": position, **_COMMON, "influence": influence, "activation": None, **own}


_COMMON: Mapping[str, Any] = {"token_prob": 0.0, "is_target_logit": False, "run_idx": 0, "reverse_ctx_idx": 0}


def _target(graph: AttributionGraph, place: int, name: str) -> dict[str, Any]:
    """A logit; what is no logit stands as one whose id is beyond the vocabulary, as circuit-tracer has it."""
    target, token = graph.targets[place], int(graph.target_ids[place])
    return {
        "node_id": name,
        "ctx_idx": target.position,
        **_COMMON,
        "feature": token,
        "layer": str(graph.n_layers + 1),
        "feature_type": "logit",
        "token_prob": target.weight,
        "is_target_logit": place == 0,
        "jsNodeId": f"L_{token}-{target.position}",
        "clerp": f'Output "{target.label.replace("(p=", "(p =")}" (p={target.weight:.3f})',  # frontends take the first `(p=` apart
        "influence": None,
        "activation": None,
    }


def _cantor(layer: int, feature: int) -> int:
    return (layer + feature) * (layer + feature + 1) // 2 + feature


def _saved_view(ids: Sequence[str], shown: set[int], supernodes: Sequence[tuple[str, Sequence[int]]]) -> dict[str, Any]:
    groups = [[label, *(ids[node] for node in nodes if node in shown)] for label, nodes in supernodes]
    groups = [group for group in groups if len(group) > 1]
    pinned = list(dict.fromkeys(name for group in groups for name in group[1:]))
    return {"pinnedIds": pinned, "supernodes": groups, "linkType": "both", "clickedId": "", "sg_pos": ""}


def _metadata(graph: AttributionGraph, pruned: Pruned, names: GraphNames) -> dict[str, Any]:
    return {
        "slug": names.slug,
        "scan": names.scan,
        "transcoder_list": list(names.transcoders),
        "prompt_tokens": list(graph.token_texts),
        "prompt": graph.prompt,
        "node_threshold": pruned.node_threshold,
        "schema_version": SCHEMA_VERSION,
        "info": {
            **({"description": names.description} if names.description else {}),
            "generator": {"name": "safetycase", "version": __version__},
        },
        "generation_settings": {"dtype": graph.dtype, "zeroed_positions": list(graph.zeroed_positions), **names.settings},
        "pruning_settings": {"node_threshold": pruned.node_threshold, "edge_threshold": pruned.edge_threshold},
    }


def _listed(path: Path) -> list[dict[str, Any]]:
    """Metadata of the graphs in a folder."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as problem:
        raise SourceError(f"{path}: cannot be read, expected the metadata of the graphs in this folder: {problem}") from problem
    graphs = found.get("graphs") if isinstance(found, dict) else None
    if not isinstance(graphs, list) or not all(isinstance(each, dict) for each in graphs):
        raise SourceError(f'{path}: expected {{"graphs": [metadata, …]}}, found something else')
    return graphs
