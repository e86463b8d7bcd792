"""Graphs of many prompts are reduced to what the functions of `evidence.graphs` say of each, however they are kept or resumed."""

import numpy as np
import pytest
import torch

from safetycase.evidence.graphs.effects import onto_targets, total_effects
from safetycase.evidence.graphs.pruning import prune
from safetycase.evidence.graphs.random_subgraphs import random_subgraph_scores
from safetycase.evidence.graphs.scores import influence, scores, subgraph_scores
from safetycase.lab.attribution.attribute import attribute
from safetycase.lab.attribution.frozen_pass import frozen_pass
from safetycase.lab.attribution.reconstructed import reconstructed
from safetycase.lab.dictionaries.dictionary import DictionarySet
from safetycase.lab.model import LoadedModel
from safetycase.lab.observing import Event, Rows
from safetycase.lab.tracing import graphs as module
from safetycase.lab.tracing.graphs import Graphs, graphs
from tests.lab.attribution.cases import transcoders
from tests.lab.small import loaded
from tests.lab.tracing.studies import PER_LAYER, SMALL, rows_of, stored, study

pytestmark = pytest.mark.lab

ITEM = "b-discovery-1"


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    """A random Llama of three layers."""
    return loaded()


@pytest.fixture(scope="module")
def made() -> DictionarySet:
    """Random transcoders for it."""
    return transcoders(PER_LAYER, dtype=torch.float32)


@pytest.fixture(scope="module")
def events(model: LoadedModel, made: DictionarySet) -> list[Event]:
    """The stage, run once."""
    traced = study(model, made, pairs=2)
    return list(graphs(traced, Graphs(traced)))


def test_rows_are_what_the_functions_of_graphs_say(model: LoadedModel, made: DictionarySet, events: list[Event]) -> None:
    """Of one prompt: scores of the whole and the pruned graph, random subgraphs, and kept features summed over positions of a role."""
    traced = study(model, made, pairs=2)
    pass_ = frozen_pass(model, made, traced.tokens[ITEM])
    graph = attribute(model, made, traced.tokens[ITEM], [traced.functional.target(pass_)])
    pruned = prune(graph, SMALL.node_threshold, SMALL.edge_threshold)
    kept = np.flatnonzero(pruned.node_mask[: graph.n_features])
    assert graph.sums is not None

    (row,) = [each for each in rows_of(events, "graphs") if each["item"] == ITEM]
    assert (row["population"], row["split"]) == ("harmless", "train")
    assert {name: row[name] for name in scores(graph)._fields} == pytest.approx(scores(graph)._asdict())
    assert row["reconstructed"] == pytest.approx(reconstructed(pass_).total)
    subgraph = subgraph_scores(graph, pruned.node_mask[: graph.n_features])
    assert (row["subgraph_replacement"], row["subgraph_completeness"]) == pytest.approx(tuple(subgraph))
    assert (row["active"], row["nodes"], row["kept_features"], row["kept_edges"]) == (
        len(graph.active_features), graph.n_features, len(kept), len(pruned.edges),
    )  # fmt: skip
    assert row["target_value"] == pytest.approx(float(graph.sums.found[-1]))
    nulls = [each for each in rows_of(events, "graph_nulls") if each["item"] == ITEM]
    drawn = random_subgraph_scores(graph, pruned.node_mask[: graph.n_features], SMALL.random_subgraphs, traced.seed_of(ITEM))
    assert [each["draw"] for each in nulls] == list(range(1, 20))
    assert [each["replacement"] for each in nulls] == pytest.approx(drawn.replacement.tolist())

    found = {(each["layer"], each["feature"], each["role"]): each for each in rows_of(events, "graph_nodes") if each["item"] == ITEM}
    roles, effects, shares = traced.roles_of(ITEM), total_effects(graph, onto_targets(graph)), influence(graph).nodes
    by_node: dict[tuple[int, int, str], list[int]] = {}
    for place in kept.tolist():
        layer, position, feature = graph.features[place].tolist()
        by_node.setdefault((layer, feature, roles[position]), []).append(place)
    assert set(found) == set(by_node)
    assert max(map(len, by_node.values())) > 1
    for node, places in by_node.items():
        assert found[node]["positions"] == len(places)
        assert found[node]["influence"] == pytest.approx(shares[places].sum() / shares.sum())
        assert found[node]["effect"] == pytest.approx(effects[places].sum())
        assert found[node]["activation"] == pytest.approx(float(graph.activation_values[places].max()))


def test_graphs_that_cannot_be_kept_are_traced_again(
    monkeypatch: pytest.MonkeyPatch, model: LoadedModel, made: DictionarySet, events: list[Event]
) -> None:
    """The same rows, and one tracing for all that is asked of a prompt in a row."""
    traced, calls = study(model, made, pairs=2), []

    def counted(*given: object) -> object:
        calls.append(given)
        return frozen_pass(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "KEPT_BYTES", 0)
    monkeypatch.setattr(module, "frozen_pass", counted)
    kept = Graphs(traced)

    assert list(graphs(traced, kept)) == events

    calls.clear()
    items = list(traced.tokens)
    for item in items:
        kept.predicted(item, [(0, 0, "end-1")])
        kept.nodes(item, [(0, 0, "end-1")])
    assert len(calls) == len(items)


def test_a_resumed_stage_yields_what_a_whole_one_does(
    monkeypatch: pytest.MonkeyPatch, model: LoadedModel, made: DictionarySet, events: list[Event]
) -> None:
    """Killed behind any shard: those stored are handed out, the others made, and the next stages are told the same."""
    shards = stored(events)
    names = [(event.table, event.part) for event in events if isinstance(event, Rows)]
    assert [table for table, _ in names] == ["graphs", "graph_nulls", "graph_nodes"]
    rows = rows_of(events, "graph_nodes")
    whole = {(row["item"], row["layer"], row["feature"], row["role"]): row["effect"] for row in rows}
    assert _returned(model, made, {name: shards[name] for name in names[:2]}) == pytest.approx(whole)
    monkeypatch.setattr(module, "frozen_pass", None)  # nothing is traced where all is stored
    assert _returned(model, made, shards) == pytest.approx(whole)


def _returned(model: LoadedModel, made: DictionarySet, finished: object) -> dict[tuple[str, int, int, str], float]:
    """Effects by item and node, as the stage returns them."""
    traced = study(model, made, pairs=2, finished=lambda table, part: finished.get((table, part)))  # type: ignore[attr-defined]
    stage = graphs(traced, Graphs(traced))
    while True:
        try:
            next(stage)
        except StopIteration as end:
            return {(item, row["layer"], row["feature"], row["role"]): row["effect"] for item, rows in end.value.items() for row in rows}
