"""Scores beside random subgraphs, checks by rank, predictions, patching and the faithfulness curve of a circuit trace."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from safetycase.evidence.kinds.circuit_trace import Found, derive
from tests.evidence.kinds.circuit_trace.circuit_case import READ, found, stored, tables


def changed(table: str, **columns: Any) -> Found:
    """Findings where columns of one table are functions of their rows."""
    rows = [{**row, **{name: made(row) for name, made in columns.items()}} for row in tables().table(table).rows()]
    return derive(replace(tables(), rows={**tables().rows, table: stored(table, rows)}), READ)


def test_pruned_graphs_stand_beside_random_subgraphs() -> None:
    """Means over the same prompts, draw by draw; a score that is like theirs is not beyond them."""
    beyond, like = found(), found(subgraph=0.3)
    name = "subgraph_replacement.harmful.pruned"

    assert (beyond.estimates[name].nulls[0].n, beyond.estimates[name].nulls[0].p) == (30, 1 / 31)
    assert like.estimates[name].nulls[0].p > 0.05
    assert beyond.estimates["replacement.harmful.graph"].nulls == ()


def test_a_draw_that_misses_a_prompt_is_no_null() -> None:
    """A mean over other prompts is not compared."""
    rows = [row for row in tables().table("graph_nulls").rows() if (row["item"], row["draw"]) != ("harmful-confirmation-003", 7)]

    what = derive(replace(tables(), rows={**tables().rows, "graph_nulls": stored("graph_nulls", rows)}), READ)

    assert what.estimates["subgraph_replacement.harmful.pruned"].nulls[0].n == 29
    assert what.estimates["subgraph_replacement.harmless.pruned"].nulls[0].n == 30


def test_scores_rest_on_confirmation_prompts() -> None:
    """Graphs of discovery prompts do not enter."""
    what = changed("graphs", error_share=lambda row: row["error_share"] if row["split"] == "test" else 1.0)

    assert what.estimates["error_share.harmful.graph"] == found().estimates["error_share.harmful.graph"]


def test_what_transcoders_reconstruct_may_lie_below_nothing() -> None:
    """No bound at 0 hides transcoders of another model; prompts on which nothing varies are left out, and counted."""
    bad = found(reconstructed=-1.5).estimates["reconstructed.harmful.graph"]
    some = changed("graphs", reconstructed=lambda row: None if row["item"].endswith("001") else row["reconstructed"])
    none = changed("graphs", reconstructed=lambda row: None)

    assert bad.value == pytest.approx(-1.5, abs=0.03)
    assert bad.low < bad.value < bad.high < 0
    assert some.estimates["reconstructed.harmful.graph"].n == found().estimates["reconstructed.harmful.graph"].n - 1
    assert none.absent["reconstructed.harmful.graph"] == "it could be had of no graph"


def test_predictions_of_nodes_and_edges_are_ranked_against_what_was_measured() -> None:
    """Good predictions correlate, those that tell nothing do not, and the figure has every point."""
    good, bad = found(), found(prediction=0.0)

    for name in ("node_prediction.harmful.nodes", "edge_prediction.harmful.edges"):
        assert good.estimates[name].low > 0.5
        assert bad.estimates[name].low < 0 < bad.estimates[name].high
    assert len(good.predicted_measured) == good.estimates["node_prediction.harmful.nodes"].n


def test_the_scale_of_a_prediction_is_learned_on_discovery_prompts() -> None:
    """Predictions ten times too large and shifted explain as much; noise explains nothing beyond the mean."""
    name = "explained_change.confirmation.circuit"
    scaled = changed("predictions", predicted=lambda row: 5 - 10 * row["predicted"])
    noise = found(prediction=0.0)

    assert scaled.estimates[name].value == pytest.approx(found().estimates[name].value)
    assert found().estimates[name].low > 0.2
    assert noise.estimates[name].value < 0.1
    assert noise.estimates[name].low < 0


def test_a_perfect_prediction_has_no_interval_and_a_biased_half_is_not_forgiven() -> None:
    """Errors are those on confirmation prompts: a shift there alone counts against the prediction."""
    name = "explained_change.confirmation.circuit"
    exact = changed("predictions", predicted=lambda row: row["measured"])
    shifted = changed("predictions", predicted=lambda row: row["measured"] + (3.0 if row["split"] == "test" else 0.0))
    flat = changed("predictions", predicted=lambda _: 1.0)

    assert "same ratio" in exact.absent[name]
    assert shifted.estimates[name].value < 0
    assert "there is no line" in flat.absent[name]


def test_what_tells_the_classes_apart_explains_nothing_within_a_class() -> None:
    """A prediction that knows the class and nothing else: much of both together, as the class alone does, and nothing of either."""
    flat = {"harmful": -4.0, "harmless": 0.0}
    what = changed("predictions", predicted=lambda row: flat[row["population"]] + 1e-6 * len(row["item"]) * row["measured"])
    both, alone = (what.estimates[f"explained_change.confirmation.{each}"] for each in ("circuit", "class-mean"))

    assert alone.value > 0.9
    assert both.value == pytest.approx(alone.value, abs=0.01)
    for population in flat:
        assert what.estimates[f"explained_change.{population}.circuit"].value < 0.1


def test_shares_explained_come_out_as_by_hand() -> None:
    """One line for both classes; squares around the mean of the class's own discovery prompts, or of all of them."""
    rows = [dict(row) for row in tables().table("predictions").rows()]
    known, unseen = ([row for row in rows if (row["split"] == "test") == tested] for tested in (False, True))
    slope, intercept = np.polyfit([row["predicted"] for row in known], [row["measured"] for row in known], 1)

    def squares(of: list[dict[str, Any]], around: Any) -> float:
        return sum((float(row["measured"]) - float(around(row))) ** 2 for row in of)

    means = {each: float(np.mean([row["measured"] for row in known if row["population"] == each])) for each in ("harmful", "harmless")}
    centre = float(np.mean([row["measured"] for row in known]))
    for each in means:
        own = [row for row in unseen if row["population"] == each]
        wanted = 1 - squares(own, lambda row: intercept + slope * row["predicted"]) / squares(own, lambda row: means[row["population"]])
        assert found().estimates[f"explained_change.{each}.circuit"].value == pytest.approx(wanted)
    baseline = 1 - squares(unseen, lambda row: means[row["population"]]) / squares(unseen, lambda _: centre)
    assert found().estimates["explained_change.confirmation.class-mean"].value == pytest.approx(baseline)


def test_the_patched_cell_is_chosen_on_discovery_pairs() -> None:
    """A cell that carries more on confirmation pairs alone is not the one that is named."""

    def patched(row: dict[str, Any]) -> float:
        favoured = row["split"] == "test" and (row["layer"], row["role"]) == (0, "instruction")
        return float(row["clean"] if favoured else row["patched"])

    name = "patched_change.harmless.denoised"
    what = changed("patching", patched=patched)

    assert what.estimates[name] == found().estimates[name]
    assert what.estimates[name].method.startswith("layer 2 at end-1, chosen on discovery pairs")


def test_heat_cells_are_shares_of_the_difference() -> None:
    """Both directions, both halves, every layer and role."""
    cells = {(cell.direction, cell.split, cell.layer, cell.role): cell for cell in found().patching}

    assert len(cells) == 2 * 2 * 4 * 2
    for direction in ("denoise", "noise"):
        peak, other = cells[direction, "confirmation", 2, "end-1"], cells[direction, "confirmation", 1, "end-1"]
        assert peak.value == pytest.approx(0.9, abs=0.03)
        assert other.value == pytest.approx(0.09, abs=0.03)
        assert peak.low is not None
        assert peak.high is not None
        assert peak.low < peak.value < peak.high


def test_a_cell_that_carries_everything_has_no_interval() -> None:
    """The last layer at the last position: the share is 1 on every pair."""
    what = changed("patching", patched=lambda row: row["clean"] if (row["layer"], row["role"]) == (3, "end-1") else row["patched"])

    cell = next(cell for cell in what.patching if (cell.layer, cell.role) == (3, "end-1"))
    assert cell.value == pytest.approx(1.0)
    assert (cell.low, cell.high) == (None, None)


def test_the_curve_and_its_areas_come_out() -> None:
    """By trapezoids over the planted points; random circuits lie below, and chance is told from the circuit."""
    what = found()
    shares, f = np.array([0.01, 0.05, 0.2, 0.5, 1.0]), np.array([0.5, 0.8, 0.95, 1.05, 1.0])
    areas = {"cpr": float(np.trapezoid(f, shares)) / 0.99, "cmd": float(np.trapezoid(np.abs(1 - f), shares)) / 0.99}

    for name, area in areas.items():
        estimate = what.estimates[f"{name}.matched.edge-circuit"]
        assert estimate.value == pytest.approx(area, abs=0.005)
        assert estimate.nulls[0].p == 1 / 41
    assert [point.share for point in what.curve] == shares.tolist()
    assert [point.faithfulness for point in what.curve] == pytest.approx(f.tolist(), abs=0.02)
    assert [point.completeness for point in what.curve] == pytest.approx((1 - f).tolist(), abs=0.06)
    assert [point.p for point in what.curve] == [1 / 41] * 4 + [1.0]


def test_edges_like_random_ones_are_not_beyond_them() -> None:
    """Neither at a point nor in the areas."""
    what = found(edge_faithfulness=(0.0, 0.02, 0.1, 0.4, 1.0))

    assert what.estimates["cpr.matched.edge-circuit"].nulls[0].p > 0.05
    assert what.estimates["cmd.matched.edge-circuit"].nulls[0].p > 0.05
    assert all(point.p > 0.05 for point in what.curve)


def test_the_value_of_an_area_is_that_of_its_curve() -> None:
    """The interval's ratio of sums and the trapezoid of points are one number."""
    points = found().curve
    shares, f = [point.share for point in points], np.array([point.faithfulness for point in points])

    assert found().estimates["cpr.matched.edge-circuit"].value == pytest.approx(float(np.trapezoid(f, shares)) / 0.99)
    assert found().estimates["cmd.matched.edge-circuit"].value == pytest.approx(float(np.trapezoid(np.abs(1 - f), shares)) / 0.99)


def test_a_random_circuit_of_edges_that_misses_a_pair_is_no_null() -> None:
    """Nor is a pair left out for it."""
    rows = [row for row in tables().table("edge_curve").rows() if (row["circuit"], row["pair"]) != ("random-4", "harmful-confirmation-001")]

    what = derive(replace(tables(), rows={**tables().rows, "edge_curve": stored("edge_curve", rows)}), READ)

    estimate = what.estimates["cpr.matched.edge-circuit"]
    assert (estimate.n, estimate.nulls[0].n) == (16, 39)


def test_the_largest_frozen_residual_is_told() -> None:
    """Not the mean."""
    what = changed("frozen", residual=lambda row: 0.25 if row["item"].endswith("001") else 0.0)

    assert (what.frozen_residual, what.frozen_edges) == (0.25, 1200)


def test_a_perfect_curve_over_few_edges_has_the_whole_area() -> None:
    """Half of all edges at most, and what they keep is all: 100 %, and nothing between the curve and 1."""
    what = found(edge_shares=(0.02, 0.5), edge_faithfulness=(1.0, 1.0), random_faithfulness=(0.1, 0.2))

    assert what.estimates["cpr.matched.edge-circuit"].value == pytest.approx(1, abs=0.02)
    assert what.estimates["cmd.matched.edge-circuit"].value == pytest.approx(0, abs=0.02)


def test_one_share_has_no_area() -> None:
    """A point is no curve."""
    what = found(edge_shares=(0.5,), edge_faithfulness=(0.9,), random_faithfulness=(0.2,))

    assert "no area" in what.absent["cpr.matched.edge-circuit"]
    assert what.estimates["faithfulness.matched.edge-circuit#0.5"].value == pytest.approx(0.9, abs=0.02)


def test_the_strongest_edges_come_first() -> None:
    """Fifty, signs kept."""
    edges = found().top_edges

    assert len(edges) == 50
    assert [abs(edge.score) for edge in edges] == sorted((abs(edge.score) for edge in edges), reverse=True)
    assert edges[0].score == -1.0
