"""Single interventions: what is measured is a plain re-run of the edited model, and what is predicted is the graph's own sum."""

from dataclasses import replace

import pytest
import torch

from safetycase.evidence.kinds.circuit_trace.selection import Node
from safetycase.lab.dictionaries.dictionary import DictionarySet
from safetycase.lab.model import LoadedModel
from safetycase.lab.tracing.checks import checks
from safetycase.lab.tracing.circuit_edits import UNEDITED, CircuitEdit
from safetycase.lab.tracing.functional import Functional
from safetycase.lab.tracing.graphs import Graphs
from safetycase.lab.tracing.study import TraceStudy
from tests.lab.attribution.cases import Kind, double, transcoders
from tests.lab.tracing.by_hand import ByHand, by_hand
from tests.lab.tracing.studies import CROSS_LAYER, PER_LAYER, active_nodes, one_by_one, rows_of, stored, study

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    """A random Llama of three layers in float64."""
    return double()


def chosen(traced: TraceStudy, made: Graphs) -> list[Node]:
    """Two features of each layer that are active on the first confirmation prompt, and one of an absent role."""
    nodes = [node for node in active_nodes(traced, made, "a-confirmation-0") if node[2] in ("instruction", "end-1")]
    return [node for layer in (2, 0, 1) for node in [each for each in nodes if each[0] == layer][:2]] + [(1, 0, "absent")]


def rerun(model: LoadedModel, made: DictionarySet, traced: TraceStudy, item: str, edit: CircuitEdit) -> ByHand:
    return by_hand(model, made, traced.tokens[item], traced.roles_of(item), edit)


@pytest.mark.parametrize("kind", [PER_LAYER, CROSS_LAYER], ids=str)
def test_measured_changes_are_those_of_the_model_run_by_hand(model: LoadedModel, kind: Kind) -> None:
    """Of log-odds and target, and of other members' pre-activations where these are active; silent members have no row."""
    dictionaries = transcoders(kind)
    traced = study(model, dictionaries)
    made = Graphs(traced)
    members = chosen(traced, made)

    events = list(checks(traced, made, members))

    nodes, edges = rows_of(events, "node_checks"), rows_of(events, "edge_checks")
    items = [pair.harmful.id for pair in traced.sampled.confirmation]
    active = {(item, number) for item in items for number, node in enumerate(members, start=1) if node in active_nodes(traced, made, item)}
    assert {(row["item"], row["member"]) for row in nodes} == active
    assert {number for _, number in active} == {1, 2, 3, 4, 5, 6}
    assert len(edges) > 10
    for row in nodes[::3]:
        item, edit = row["item"], CircuitEdit(frozenset({members[row["member"] - 1]}), "ablated")
        before, after = rerun(model, dictionaries, traced, item, UNEDITED), rerun(model, dictionaries, traced, item, edit)
        change = float((traced.functional.log_odds(after.logits[None]) - traced.functional.log_odds(before.logits[None]))[0])
        assert row["log_odds_change"] == pytest.approx(change, abs=1e-5)
        assert row["measured"] == row["log_odds_change"]
        assert row["predicted"] == pytest.approx(made.predicted(item, [members[row["member"] - 1]]))
        for edge in edges:
            if (edge["item"], edge["source"]) == (item, row["member"]):
                layer, feature, _ = members[edge["target"] - 1]
                places = made.of(item).features[made.nodes(item, members)[members[edge["target"] - 1]], 1]
                expected = (after.read[layer] - before.read[layer])[places] @ dictionaries.at(layer).W_enc[feature]
                assert layer > members[row["member"] - 1][0]
                assert edge["measured"] == pytest.approx(float(expected.sum()), abs=1e-5)
    stored(events)  # every row has the columns of its table


def test_predictions_hold_where_only_linear_paths_lead(model: LoadedModel) -> None:
    """A small feature of the last layer at the last position writes straight to the stream: the direction behind it loses just that."""
    dictionaries = transcoders(PER_LAYER)
    traced = study(model, dictionaries)
    made = Graphs(traced)
    members = [node for node in active_nodes(traced, made, "a-confirmation-0") if node[0] == 0 and node[2] == "end-1"][:2]
    towards = torch.nn.functional.normalize(dictionaries.at(0).W_dec[members[0][1], 0], dim=0)
    traced = replace(traced, functional=Functional("direction", (20,), (44,), towards, layer=1))

    rows = rows_of(list(checks(traced, Graphs(traced), members)), "node_checks")

    assert rows
    for row in rows:
        assert row["measured"] == pytest.approx(row["predicted"], rel=1e-5)
    assert min(row["predicted"] for row in rows) < -0.05


def test_checks_do_not_depend_on_the_batch(model: LoadedModel) -> None:
    """All interventions in one pass and each in its own."""
    dictionaries = transcoders(CROSS_LAYER)
    together, alone = study(model, dictionaries), study(model, dictionaries, batches=one_by_one(model))
    members = chosen(together, Graphs(together))

    found, expected = (list(checks(each, Graphs(each), members)) for each in (together, alone))

    for table in ("node_checks", "edge_checks"):
        for row, other in zip(rows_of(found, table), rows_of(expected, table), strict=True):
            assert row == pytest.approx(other, abs=1e-5)
