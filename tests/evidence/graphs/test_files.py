"""Graphs on disk: the names and types of circuit-tracer's arrays, the same graph back, and files that are none in one line."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from safetycase.errors import SourceError, StoreError
from safetycase.evidence.graphs.files import write_graph
from safetycase.evidence.graphs.graph import AttributionGraph, RowSums, Target
from safetycase.evidence.graphs.pruning import Pruned, prune
from safetycase.evidence.graphs.reading import read_graph
from safetycase.evidence.graphs.scores import scores
from tests.evidence.graphs.golden import golden
from tests.evidence.graphs.random_graphs import random_graph


@pytest.mark.parametrize("name", ["jumprelu", "clt"])
def test_tensors_are_named_and_typed_as_in_the_golden_graphs(name: str, tmp_path: Path) -> None:
    """Every array of the npz comes back under its name, of its type and shape, with its values."""
    graph, told = golden(name)
    path = write_graph(tmp_path / "graph.safetensors", graph, prune(graph), scores(graph))

    found = load_file(path)

    assert found.keys() == told.keys()
    for key, values in told.items():
        assert (found[key].dtype, found[key].shape) == (values.dtype, values.shape), key
        np.testing.assert_allclose(found[key], values, atol=1e-6, err_msg=key)


@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.sampled_from([0.3, 0.8, 1.0]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
def test_a_graph_comes_back_as_it_was(tmp_path: Path, seed: int, left_out: int, threshold: float) -> None:
    """Nodes, targets, edges, row sums, masks: all of it, bit for bit but for the shares, which are float32 on disk."""
    graph = random_graph(seed, left_out=left_out)
    direction = Target("direction", 'refusal direction \u2028 "quoted"', 1.5, "resid_pre.2", 1)
    graph = replace(graph, targets=(*graph.targets[:-1], direction))
    pruned = prune(graph, threshold)

    read = read_graph(write_graph(tmp_path / "graph.safetensors", graph, pruned, scores(graph)))

    _assert_same(read.graph, graph)
    _assert_same_pruned(read.pruned, pruned)
    assert (read.replacement, read.completeness) == scores(graph)[:2]


def test_the_same_graph_gives_the_same_bytes(tmp_path: Path) -> None:
    """Nothing in the file depends on when or where it was written."""
    graph = random_graph(0)
    one, other = (write_graph(tmp_path / f"{i}" / "g.safetensors", graph, prune(graph), scores(graph)) for i in (1, 2))

    assert one.read_bytes() == other.read_bytes()


def test_targets_that_are_no_tokens_have_ids_beyond_the_vocabulary(tmp_path: Path) -> None:
    """And a token that is a target twice is one the second time."""
    graph = random_graph(1)
    first = graph.targets[0]
    graph = replace(graph, targets=(first, replace(first, kind="logit-difference", token=None), first))
    path = write_graph(tmp_path / "graph.safetensors", graph, prune(graph), scores(graph))

    np.testing.assert_array_equal(load_file(path)["logit_ids"], [first.token, graph.vocabulary + 1, graph.vocabulary + 2])


def test_an_old_file_survives_a_write_that_fails(tmp_path: Path) -> None:
    """Whole or not at all, and nothing half-written stays beside it."""
    graph = random_graph(2)
    path = write_graph(tmp_path / "graph.safetensors", graph, prune(graph), scores(graph))
    before = path.read_bytes()
    pruned = replace(prune(graph), cumulative=np.zeros(3))

    with pytest.raises(AssertionError, match="cumulative"):
        write_graph(path, graph, pruned, scores(graph))

    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["graph.safetensors"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "taken").write_text("", encoding="utf-8")
    graph = random_graph(3)

    with pytest.raises(StoreError, match="cannot be written"):
        write_graph(tmp_path / "taken" / "graph.safetensors", graph, prune(graph), scores(graph))


Tensors = dict[str, Any]


def _changed(name: str, change: Callable[[Any], Any]) -> Callable[[Tensors], None]:
    def apply(tensors: Tensors) -> None:
        tensors[name] = change(tensors[name])

    return apply


def _at(place: Any, value: Any) -> Callable[[Any], Any]:
    def apply(values: Any) -> Any:
        values = values.copy()
        values[place] = value
        return values

    return apply


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda t: t.pop("adjacency"), "tensors adjacency are missing", id="no adjacency"),
        pytest.param(lambda t: t.pop("active_features"), "no tensor 'active_features'", id="no features"),
        pytest.param(lambda t: t.update(extra=np.zeros(1)), "unexpected tensors extra", id="one too many"),
        pytest.param(_changed("adjacency", lambda a: a[:-1]), "adjacency: F32", id="not square"),
        pytest.param(_changed("adjacency", lambda a: a.astype(np.float64)), "adjacency: F64", id="another type"),
        pytest.param(_changed("active_features", lambda a: a[:, 0]), "active_features: int64", id="another rank"),
        pytest.param(_changed("input_tokens", lambda a: a.sum()), "input_tokens: int64", id="a scalar"),
        pytest.param(_changed("input_tokens", lambda a: a + 1000), "beyond the vocabulary of 50", id="token beyond the vocabulary"),
        pytest.param(_changed("active_features", _at((0, 1), 99)), "positions beyond the prompt's 4", id="position out of range"),
        pytest.param(_changed("active_features", _at((0, 0), -1)), "layers beyond the model's 3", id="layer out of range"),
        pytest.param(_changed("active_features", lambda a: a[::-1]), "not in ascending order", id="features out of order"),
        pytest.param(_changed("active_features", _at(1, [0, 1, 2**60])), "features that are no index", id="absurd feature"),
        pytest.param(_changed("selected_features", _at(-1, 10**9)), "places beyond the 30 active", id="selected out of range"),
        pytest.param(_changed("selected_features", lambda a: a[::-1]), "selected_features: not in ascending", id="selected out of order"),
        pytest.param(_changed("activation_values", _at(0, np.nan)), "activation_values: NaN", id="activation that is none"),
        pytest.param(_changed("adjacency", _at((0, 1), np.inf)), "adjacency: NaN or infinite", id="infinite edge"),
        pytest.param(_changed("adjacency", _at((0, 29), 1.0)), "from their own layer or above", id="edge downwards"),
        pytest.param(_changed("adjacency", _at((33, 0), 1.0)), "edges into errors or tokens", id="edge into an error"),
        pytest.param(_changed("logit_ids", _at(0, 3)), "not those of the targets", id="other target"),
        pytest.param(_changed("logit_probs", _at(0, 3.0)), "not the weights of the targets", id="other weight"),
        pytest.param(_changed("node_mask", _at(-1, False)), "leaves out tokens or targets", id="target left out"),
        pytest.param(_changed("edge_mask", _at((33, 0), True)), "edge_mask: edges of", id="kept edge that is none"),
        pytest.param(_changed("cumulative", _at(0, np.nan)), "cumulative: NaN", id="cumulative that is none"),
        pytest.param(_changed("row_found", _at(0, np.nan)), "row_found: NaN", id="sum that is none"),
        pytest.param(lambda t: t.pop("row_found"), "tensors row_found are missing", id="a sum missing"),
    ],
)
def test_arrays_that_are_no_graph_are_refused(change: Callable[[Tensors], None], said: str, tmp_path: Path) -> None:
    """One line says what is wrong with which tensor."""
    path, tensors, metadata = _written(tmp_path)
    change(tensors)
    save_file({name: np.array(values, order="C") for name, values in tensors.items()}, path, metadata)

    with pytest.raises(SourceError) as refused:
        read_graph(path)

    assert said in str(refused.value)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"n_layers": 2}, "adjacency: F32", id="fewer layers"),
        pytest.param({"n_layers": 4}, "adjacency: F32", id="more layers"),
        pytest.param({"token_texts": ["a"]}, "1 texts of 4 tokens", id="texts of other tokens"),
        pytest.param({"targets": []}, "adjacency: F32", id="no targets"),
        pytest.param({"node_threshold": 2}, "node_threshold", id="threshold beyond 1"),
        pytest.param({"zeroed_positions": [4]}, "zeroed position is beyond", id="zeroed beyond the prompt"),
        pytest.param({"surprise": 1}, "surprise", id="unknown field"),
    ],
)
def test_metadata_that_contradict_the_arrays_are_refused(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    """What is no tensor is checked against what is."""
    path, tensors, metadata = _written(tmp_path)
    metadata["graph"] = json.dumps(json.loads(metadata["graph"]) | change)
    save_file(tensors, path, metadata)

    with pytest.raises(SourceError, match=said):
        read_graph(path)


def test_a_truncated_file_and_no_file_are_one_line(tmp_path: Path) -> None:
    """Cut at any of some places, of another format, or missing."""
    path, tensors, _ = _written(tmp_path)
    data = path.read_bytes()

    for length in (0, 7, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(SourceError, match="truncated"):
            read_graph(path)
    save_file(tensors, path, None)
    with pytest.raises(SourceError, match=r"expected 'safetycase\.attribution_graph\.1'"):
        read_graph(path)
    with pytest.raises(SourceError, match="cannot be read"):
        read_graph(tmp_path / "nowhere.safetensors")


def _written(folder: Path) -> tuple[Path, Tensors, dict[str, str]]:
    graph = random_graph(7)
    path = write_graph(folder / "graph.safetensors", graph, prune(graph), scores(graph))
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    return path, load_file(path), metadata


def _assert_same(found: AttributionGraph, graph: AttributionGraph) -> None:
    for field in ("input_tokens", "active_features", "activation_values", "selected_features"):
        np.testing.assert_array_equal(getattr(found, field), getattr(graph, field), err_msg=field)
    for field in ("prompt", "token_texts", "n_layers", "targets", "zeroed_positions", "vocabulary", "dtype"):
        assert getattr(found, field) == getattr(graph, field), field
    np.testing.assert_array_equal(found.adjacency.dense(), graph.adjacency.dense())
    assert isinstance(found.sums, RowSums)
    for field, values in vars(graph.sums).items():
        np.testing.assert_array_equal(getattr(found.sums, field), values, err_msg=field)


def _assert_same_pruned(found: Pruned, pruned: Pruned) -> None:
    np.testing.assert_array_equal(found.node_mask, pruned.node_mask)
    for field, values in vars(pruned.edges).items():
        np.testing.assert_array_equal(getattr(found.edges, field), values, err_msg=field)
    np.testing.assert_allclose(found.cumulative, pruned.cumulative, atol=1e-6)
    assert (found.node_threshold, found.edge_threshold) == (pruned.node_threshold, pruned.edge_threshold)
