"""Attribution graphs as Neuronpedia's JSON: its schema, circuit-tracer's fields, ids that never collide, other graphs left alone."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase.dossier.exports.neuronpedia_graph import GraphNames, neuronpedia_graph, write_neuronpedia_graph
from safetycase.errors import SourceError
from safetycase.evidence.graphs.graph import AttributionGraph, Target
from safetycase.evidence.graphs.pruning import Pruned, prune
from tests.evidence.graphs.golden import golden
from tests.evidence.graphs.random_graphs import random_graph

SCHEMA = Path(__file__).resolve().parents[3] / "shared" / "data" / "neuronpedia_graph_schema.json"
NAMES = GraphNames(slug="graph", scan="tiny-llama", settings={"max_n_logits": 10, "desired_logit_prob": 0.95})


@pytest.mark.parametrize("name", ["jumprelu", "clt"])
def test_a_golden_graph_validates_and_is_whole(name: str) -> None:
    """Neuronpedia's schema holds; the links are the kept edges with their weights, the nodes those that links touch and all ends."""
    graph, told = golden(name)
    found = _told(graph, prune(graph), NAMES)

    _validate(found)
    assert len(found["links"]) == told["edge_mask"].sum()
    touched = told["edge_mask"].any(axis=0) | told["edge_mask"].any(axis=1)
    touched[-len(graph.targets) - graph.n_positions :] = True
    assert len(found["nodes"]) == touched.sum()
    weights = np.array([link["weight"] for link in found["links"]], dtype=np.float32)
    np.testing.assert_array_equal(weights, told["adjacency"][told["edge_mask"]])


def test_nodes_are_described_as_circuit_tracer_describes_them() -> None:
    """Layers are texts, features are Cantor's pairing, influence is cumulative and null for targets, clerps can be taken apart."""
    graph, told = golden("jumprelu")
    found = {node["feature_type"]: node for node in _told(graph, prune(graph), NAMES)["nodes"]}

    feature = found["cross layer transcoder"]
    layer, index, position = map(int, feature["node_id"].split("_"))
    node = next(i for i, row in enumerate(graph.features.tolist()) if row == [layer, position, index])
    assert feature["feature"] == (layer + index) * (layer + index + 1) // 2 + index
    assert (feature["layer"], feature["ctx_idx"], feature["jsNodeId"]) == (str(layer), position, f"{layer}_{index}-0")
    assert feature["activation"] == pytest.approx(told["activation_values"][node])
    assert feature["influence"] == pytest.approx(told["cumulative"][node], abs=1e-6)
    error = found["mlp reconstruction error"]
    assert error["node_id"] == f"ERR_{error['layer']}_{error['ctx_idx']}"
    assert error["feature"] == -1
    assert found["embedding"]["layer"] == "E"
    logit = found["logit"]
    assert logit["layer"] == "5"
    assert logit["influence"] is None
    assert logit["clerp"] == f'Output "w{logit["feature"] - 4}" (p={logit["token_prob"]:.3f})'


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8)
def test_no_two_nodes_share_an_id(seed: int) -> None:
    """Not even where a feature of layer 0 has the index of a layer, two targets are one token, or a target is no token."""
    graph = _full(random_graph(seed, n_positions=5, n_active=700))
    pruned = prune(graph, 1.0, 1.0)

    nodes = _told(graph, pruned, NAMES)["nodes"]

    ids = [node["node_id"] for node in nodes]
    assert len(set(ids)) == len(ids) == np.unique([pruned.edges.source, pruned.edges.target]).size + _loose_ends(graph, pruned)
    assert len({node["jsNodeId"] for node in nodes if node["feature_type"] != "cross layer transcoder"}) == sum(
        node["feature_type"] != "cross layer transcoder" for node in nodes
    )


def test_every_link_joins_nodes_of_the_file() -> None:
    """Ids in links are ids of nodes, and each pair stands once."""
    graph = random_graph(3, n_active=60)

    found = _told(graph, prune(graph), NAMES)

    ids = {node["node_id"] for node in found["nodes"]}
    pairs = [(link["source"], link["target"]) for link in found["links"]]
    assert {name for pair in pairs for name in pair} <= ids
    assert len(set(pairs)) == len(pairs)


def test_targets_that_are_no_tokens_are_virtual_logits() -> None:
    """Their ids lie beyond the vocabulary, their label survives even where it looks like what frontends take apart."""
    graph = random_graph(4, n_targets=1)
    difference = Target("logit-difference", 'refusal - "compliance" (p=oops)', 1.0, "final_norm", 3)
    graph = replace(graph, targets=(difference,))

    found = _told(graph, prune(graph), NAMES)

    (logit,) = (node for node in found["nodes"] if node["feature_type"] == "logit")
    assert logit["feature"] == graph.vocabulary
    assert logit["clerp"].split("(p=")[1].split(")")[0] == "1.000"
    _validate(found)


def test_labels_and_supernodes_go_along() -> None:
    """A feature's label is its clerp at every position; groups hold ids of nodes that are shown, and are pinned."""
    graph = random_graph(5)
    pruned = prune(graph)
    kept = np.flatnonzero(pruned.node_mask[: graph.n_features])
    gone = int(np.flatnonzero(~pruned.node_mask[: graph.n_features])[0])
    layer, _, feature = graph.features[kept[0]].tolist()
    groups = (("harm \u2028 </script>", (int(kept[0]), int(kept[1]), gone)), ("nothing left", (gone,)))
    names = replace(NAMES, labels={(layer, feature): "a label"}, supernodes=groups)

    found = _told(graph, pruned, names)

    labelled = [node for node in found["nodes"] if node["clerp"] == "a label"]
    assert {node["node_id"].rsplit("_", 1)[0] for node in labelled} == {f"{layer}_{feature}"}
    ids = [f"{layer}_{feature}_{position}" for layer, position, feature in graph.features[kept[:2]].tolist()]
    assert found["qParams"]["supernodes"] == [["harm \u2028 </script>", *ids]]
    assert found["qParams"]["pinnedIds"] == ids
    _validate(found)


def test_who_made_it_and_how_is_told() -> None:
    """Generator, pruning and generation settings stand in the metadata."""
    graph = random_graph(6)

    metadata = _told(graph, prune(graph, 0.7, 0.9), replace(NAMES, description="a description"))["metadata"]

    assert metadata["info"]["generator"]["name"] == "safetycase"
    assert metadata["info"]["description"] == "a description"
    assert metadata["pruning_settings"] == {"node_threshold": 0.7, "edge_threshold": 0.9}
    assert metadata["generation_settings"]["max_n_logits"] == 10
    assert metadata["prompt_tokens"] == list(graph.token_texts)


def test_metadata_of_other_graphs_in_the_folder_stay(tmp_path: Path) -> None:
    """The index beside the graphs lists each once; writing a graph again replaces its own entry."""
    graph = random_graph(7)
    pruned = prune(graph)

    for slug in ("one", "other", "one"):
        write_neuronpedia_graph(tmp_path, graph, pruned, replace(NAMES, slug=slug))

    index = json.loads((tmp_path / "graph-metadata.json").read_text(encoding="utf-8"))
    assert [each["slug"] for each in index["graphs"]] == ["other", "one"]
    assert index["graphs"][0] == json.loads((tmp_path / "other.json").read_text(encoding="utf-8"))["metadata"]


@pytest.mark.parametrize("damaged", ["{", "[]", '{"graphs": [1]}'])
def test_an_index_that_is_none_is_left_alone(tmp_path: Path, damaged: str) -> None:
    """It is not overwritten: one line says what was expected, before anything is written."""
    (tmp_path / "graph-metadata.json").write_text(damaged, encoding="utf-8")
    graph = random_graph(8)

    with pytest.raises(SourceError, match="expected"):
        write_neuronpedia_graph(tmp_path, graph, prune(graph), NAMES)

    assert [each.name for each in tmp_path.iterdir()] == ["graph-metadata.json"]


def _told(graph: AttributionGraph, pruned: Pruned, names: GraphNames) -> dict[str, Any]:
    told: dict[str, Any] = json.loads("".join(neuronpedia_graph(graph, pruned, names)))
    return told


def _validate(told: dict[str, Any]) -> None:
    if not SCHEMA.is_file():
        pytest.skip("Neuronpedia's schema in ../shared/data is not here")
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(told)


def _full(graph: AttributionGraph) -> AttributionGraph:
    """With targets that ask for the same id, and with no id."""
    first = graph.targets[0]
    return replace(graph, targets=(first, first, replace(first, kind="vector", token=None)))


def _loose_ends(graph: AttributionGraph, pruned: Pruned) -> int:
    ends = set(range(graph.tokens.start, graph.size))
    return len(ends - set(pruned.edges.source.tolist()) - set(pruned.edges.target.tolist()))
