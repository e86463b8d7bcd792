"""The figures of a circuit trace: graphs, predicted against measured, tests beside random circuits, patching, and the curve."""

from collections.abc import Iterator, Sequence

from safetycase.dossier import numbers
from safetycase.dossier.exhibits.circuit_trace import pictures
from safetycase.dossier.exhibits.circuit_trace.words import TESTS, p_words, role_order, shown
from safetycase.dossier.figures.faithfulness import Random, Step, faithfulness
from safetycase.dossier.figures.nulls import NullRow, against_nulls
from safetycase.dossier.figures.patching import Patched, patching
from safetycase.dossier.figures.scatter import drawn, scatter
from safetycase.dossier.page import Figure
from safetycase.evidence.kinds.circuit_trace.findings import CurvePoint, Found, HeatCell
from safetycase.evidence.kinds.circuit_trace.names import edge_share

_PATCHED = {"denoise": ("Harmful states in the harmless run", "patched_change.harmless.denoised"),
            "noise": ("Harmless states in the harmful run", "patched_change.harmful.noised")}  # fmt: skip
_MOST_ROLES = 58
_LOWEST, _HIGHEST = -1.0, 2.0
"""Of faithfulness, as drawn."""
_AXES = {
    "necessity": "change of refusal log-odds, nats",
    "sufficiency": "share of the effect that is kept",
    "completeness": "share of the effect that is left",
}


def figures(found: Found, texts: pictures.TokenTexts) -> dict[str, Figure]:
    """By the name under which the template places them; a figure whose numbers are absent is left out."""
    circuit = pictures.hypothesis(found)
    return {
        **({"circuit": circuit} if circuit is not None else {}),
        **dict(_predicted(found)),
        **dict(_tests(found)),
        **dict(_patching(found)),
        **dict(_curve(found)),
        **pictures.single_prompts(found, texts),
    }


def _predicted(found: Found) -> Iterator[tuple[str, Figure]]:
    points = found.predicted_measured
    name = "node_prediction.harmful.nodes"
    if not points:
        return
    shows = len(drawn(points))
    part = "" if shows == len(points) else f" {numbers.count(shows)} of {numbers.count(len(points))} points are drawn, every n-th."
    estimate = found.estimates.get(name)
    rank = f"rank correlation {numbers.measured(estimate, name)}" if estimate else "no rank correlation could be had"
    count = numbers.count(len(points))
    alt = f"{count} points: the change of the target that graphs predict, and the change measured in the free model; {rank}."
    caption = (
        "Each point is a member ablated by itself on a harmful confirmation prompt: what its graph predicted for the target, "
        f"and what the model gave, with attention and normalisation free. Dashed: both are equal. {rank[:1].upper()}{rank[1:]}.{part}"
    )
    drawing = scatter(points, x_label="predicted change of the target", y_label="measured change of the target", alt=alt)
    yield "predicted", Figure("Predicted against measured, member by member", drawing, caption)


def _tests(found: Found) -> Iterator[tuple[str, Figure]]:
    for test in found.tests:
        name, asks = TESTS[test.name]
        estimate = found.estimates.get(name)
        if estimate is None or not test.nulls or test.untested:
            continue
        count = len(test.nulls)
        drawing = against_nulls(
            estimate,
            [NullRow(f"{numbers.count(count)} random", test.nulls)],
            axis_label=_AXES[test.name],
            alt=f"{asks[:1].upper()}{asks[1:]}: measured {numbers.measured(estimate, name)}; random circuits from "
            f"{numbers.plain(min(test.nulls), 2)} to {numbers.plain(max(test.nulls), 2)}.",
        )
        caption = (
            f"Asks whether {asks}. {numbers.percent(round(test.percentile, 3))} of {numbers.count(count)} random circuits do worse; "
            f"{p_words(test.p)}, by Holm's method over the three tests {p_words(test.adjusted)}: "
            f"{'passes' if test.passes else 'does not pass'}."
        )
        yield test.name, Figure(test.name.capitalize(), drawing, caption)


def _patching(found: Found) -> Iterator[tuple[str, Figure]]:
    for direction, (title, name) in _PATCHED.items():
        cells, split = _cells(found, direction)
        if not cells:
            continue
        every = sorted({cell.role for cell in cells}, key=role_order)
        roles = every[-_MOST_ROLES:]
        strongest = sorted(cells, key=lambda cell: (-abs(cell.value), cell.layer, cell.role))[:3]
        told = "; ".join(f"layer {cell.layer}, {cell.role}: {numbers.plain(cell.value, 2)}" for cell in strongest)
        drawing = patching(
            [Patched(cell.layer, roles.index(cell.role), cell.value, _beyond_zero(cell)) for cell in cells if cell.role in roles],
            roles,
            max(found.n_layers, 1 + max(cell.layer for cell in cells)),
            unit="share of the difference",
            alt=f"{title}: share of the difference that each state carries, by layer and role; the largest: {told}.",
        )
        yield f"patching_{direction}", Figure(title, drawing, _patching_caption(found, name, direction, split, len(every) - len(roles)))


def _beyond_zero(cell: HeatCell) -> bool:
    return cell.low is not None and cell.high is not None and (cell.low > 0 or cell.high < 0)


def _cells(found: Found, direction: str) -> tuple[Sequence[HeatCell], str]:
    """Those of confirmation pairs; of discovery pairs where there are no others."""
    for split in ("confirmation", "discovery"):
        cells = [cell for cell in found.patching if (cell.direction, cell.split) == (direction, split)]
        if cells:
            return cells, split
    return (), ""


def _chosen(found: Found, direction: str) -> tuple[int, str] | None:
    """The cell whose effect is largest on discovery pairs: the one that the estimates are about."""
    cells = [cell for cell in found.patching if (cell.direction, cell.split) == (direction, "discovery")]
    best = min(cells, key=lambda cell: (-cell.value, cell.layer, cell.role), default=None)
    return (best.layer, best.role) if best is not None else None


def _patching_caption(found: Found, name: str, direction: str, split: str, cut: int) -> str:
    chosen = _chosen(found, direction)
    told = (
        f" Largest on discovery pairs: the input of layer {chosen[0]} at {chosen[1]}; on confirmation pairs it changes refusal log-odds by "
        f"{shown(found, name)}."
        if chosen
        else ""
    )
    left = f" {numbers.count(cut)} roles are left out of the drawing." if cut else ""
    return (
        "Share of the difference in refusal log-odds of a pair's prompts that goes over with one state, the input of a layer at a role, "
        f"on {split} pairs: 0 nothing, 1 all of it, below 0 against it. Bold or framed: the interval holds no 0, cell by cell.{told} "
        f"A state that carries a difference need not be where it arises.{left}"
    )


def _curve(found: Found) -> Iterator[tuple[str, Figure]]:
    if not found.curve:
        return
    points = sorted(found.curve, key=lambda point: point.share)
    steps = [_step(found, point) for point in points]
    told = "; ".join(f"{numbers.percent(each.share)} of edges {numbers.plain(each.faithfulness, 2)}" for each in points)
    ends = [end for each in points for end in (each.faithfulness, each.random_low, each.random_high)]
    beyond = any(not _LOWEST <= end <= _HIGHEST for end in ends)
    edge = f" Values beyond {numbers.plain(_LOWEST, 0)} and {numbers.plain(_HIGHEST, 0)} are drawn there." if beyond else ""
    every = [each for name, each in found.estimates.items() if name.startswith("faithfulness.matched.edge-circuit#")]
    levels = f" {numbers.percent(every[0].level)} intervals, whose methods are in the findings." if every else ""
    caption = (
        "Exact edge patching on confirmation pairs: circuits of the edges that attribution scores highest. 1 is the whole effect, 0 none; "
        "what all edges but these keep stands in the table. In place of what is left out: "
        f"{found.ablation.rstrip('.') or 'not stated'}; another choice gives another curve.{levels}{edge}"
    )
    drawing = faithfulness(
        steps,
        of=round(points[-1].edges / points[-1].share),
        things="edges",
        band="5 to 95 %",
        alt=f"Faithfulness by share of edges: {told}.",
    )
    yield "curve", Figure("How much few edges keep", drawing, caption)


def _step(found: Found, point: CurvePoint) -> Step:
    estimate = found.estimates.get(f"faithfulness.matched.edge-circuit#{edge_share(point.share)}")
    low, high = (_held(estimate.low), _held(estimate.high)) if estimate else (None, None)
    random = Random(_held(point.random_low), _held(point.random_middle), _held(point.random_high))
    return Step(point.edges, _held(point.faithfulness), low, high, random)


def _held(value: float) -> float:
    """Ratios whose denominator is small run away, and would squash all else."""
    return min(_HIGHEST, max(_LOWEST, value))
