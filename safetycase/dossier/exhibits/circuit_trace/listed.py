"""The tables of a circuit trace: members, scores beside random subgraphs, checks by intervention, tests, answers and edges."""

import math
from collections import Counter
from collections.abc import Sequence

from safetycase.dossier import numbers, tokens
from safetycase.dossier.exhibits import general
from safetycase.dossier.exhibits.circuit_trace.words import (
    TESTS,
    answered,
    between,
    curve_range,
    error_beside,
    member_number,
    one_line,
    p_number,
    p_words,
    place,
    shown,
    unit,
    words,
)
from safetycase.dossier.page import Cell, Table
from safetycase.evidence.kinds.circuit_trace.findings import Found, Member, Test
from safetycase.evidence.kinds.circuit_trace.names import GRAPHED, PREDICTED, SCORES, SUBGRAPH_SCORES, edge_share
from safetycase.evidence.record import Estimate, Null, Unit

_MOST_EDGES = 40
"""Edges of the hypothesis that are listed; all of them are in the findings."""
_MOST_TOP = 20
_MOST_SLOTS = 8
"""Slots that a list of absent estimates names one by one."""
_TOKENS = 4
_SCORE_WORDS = {
    "replacement": ("Replacement score", "share of influence that comes from tokens, not from errors"),
    "completeness": ("Completeness score", "share of what nodes read, by influence, that is not error"),
    "error_share": ("Error share", "of the influence on the target, what enters through errors"),
    "unattributed_share": ("Unattributed share", "of what nodes and target read, what no node carries: biases, positions without nodes"),
    "reconstructed": ("Reconstructed", "of the variance of what MLPs write on a prompt; below 0 is worse than its mean"),
    "subgraph_replacement": ("Replacement, pruned", "what was pruned counts as error"),
    "subgraph_completeness": ("Completeness, pruned", "what was pruned counts as error"),
}


def tables(found: Found) -> dict[str, Table]:
    """By the name under which the template places them."""
    overall = {name: each for name, each in found.estimates.items() if "#" not in name}
    made = {
        "members": _members(found),
        "supernodes": _supernodes(found),
        "circuit_edges": _circuit_edges(found),
        "scores": _scores(found),
        "checks": _checks(found),
        "tests": _tests(found),
        "answers": _answers(found),
        "predictions": _predictions(found),
        "stages": _stages(found),
        "top_edges": _top_edges(found),
    }
    return {
        **{name: table for name, table in made.items() if table is not None},
        **general.estimates(dict(sorted(overall.items())), words),
        **general.nulls({name: each for name, each in sorted(overall.items()) if not name.startswith("subgraph_")}, words),
        **general.absent(_gathered(found)),
    }


def _members(found: Found) -> Table | None:
    if not found.members:
        return None
    columns = (
        Cell("Member"),
        Cell("Label, a hypothesis"),
        Cell("Raises, lowers"),
        Cell("Harmful graphs", "number"),
        Cell("Harmless graphs", "number"),
        Cell("Difference later", "number"),
        Cell("Found again", "number"),
        Cell("Effect", "number"),
    )
    caption = (
        f"{numbers.count(len(found.members))} of {numbers.count(found.candidates)} candidates, chosen on discovery pairs. Graphs: share of "
        "pruned graphs in which it stands at this role. Difference later: of these shares on confirmation pairs, where nothing was "
        "chosen; its p is that of the choice: swaps of the labels within pairs that give any candidate as large a difference. Found again: "
        "share of resamples of discovery families. Effect: mean contribution to the target where it is active, by the graph. "
        f"{general.sentence(found.cards_note) if found.cards_note else ''}"
    ).strip()
    rows = tuple(_member(found, member) for member in found.members)
    return Table("Members of the hypothesis", columns, rows, caption, widths=(15, 15, 15, 15, 10, 10, 10, 10), wide=True, dense=True)


def _member(found: Found, member: Member) -> tuple[Cell, ...]:
    again = found.estimates.get(f"recurrence.paraphrase.confirmation#{member.slot}")
    texts = "\n".join(" ".join(map(tokens.alone, each[:_TOKENS])) for each in (member.raises, member.lowers) if each)
    return (
        Cell(member_number(member.slot), "number", note=place(member)),
        Cell(member.label) if member.label else Cell("none", "mute"),
        Cell(texts, "token") if texts else Cell("–"),
        Cell(_recurs(found, member, "harmful"), "number", note=f"paraphrased {numbers.measured(again, 'recurrence')}" if again else ""),
        Cell(_recurs(found, member, "harmless"), "number"),
        Cell(shown(found, f"recurrence_difference.matched.confirmation#{member.slot}"), "number", note=p_words(member.p)),
        Cell(numbers.percent(round(member.stability, 3)), "number"),
        Cell(numbers.plain(member.effect, 2), "number"),
    )


def _recurs(found: Found, member: Member, population: str) -> str:
    """With its interval where there is one."""
    text = shown(found, f"recurrence.{population}.discovery#{member.slot}")
    return text if text != "–" else numbers.percent(round(member.recurs if population == "harmful" else member.recurs_harmless, 3))


def _supernodes(found: Found) -> Table | None:
    if not found.supernodes:
        return None
    rows = tuple((Cell(one_line(each.name)), Cell(", ".join(map(member_number, each.members)))) for each in found.supernodes)
    caption = "Members that write alike, aim alike and appear on the same prompts; the name is a hypothesis, as labels are."
    return Table("Supernodes", (Cell("Supernode"), Cell("Members")), rows, caption, widths=(60, 40), dense=True)


def _circuit_edges(found: Found) -> Table | None:
    if not found.edges:
        return None
    strongest = sorted(found.edges, key=lambda edge: (-abs(edge.weight), edge.source, edge.target))[:_MOST_EDGES]
    names = {member.slot: f"{member_number(member.slot)}, layer {member.layer}, {member.role}" for member in found.members}
    rows = tuple(
        (
            Cell(names.get(edge.source, edge.source)),
            Cell(names.get(edge.target, edge.target)),
            Cell(_signed(edge.weight), "number"),
            Cell(numbers.percent(round(edge.share, 3)), "number"),
        )
        for edge in strongest
    )
    columns = (Cell("From member"), Cell("To"), Cell("Mean weight", "number"), Cell("Kept by pruned graphs", "number"))
    part = f"{numbers.count(len(rows))} of {numbers.count(len(found.edges))}, the strongest. " if len(rows) < len(found.edges) else ""
    caption = (
        f"{part}Direct effect where both ends are active, on harmful discovery prompts: on the target's value, or on the pre-activation of "
        f"another member; weights into two members are in units of their own. {error_beside(found)}"
    )
    return Table("Edges of the hypothesis", columns, rows, caption, widths=(35, 35, 15, 15), dense=True, wide=True)


def _scores(found: Found) -> Table | None:
    conditions = (*((score, "graph") for score in SCORES), *((score, "pruned") for score in SUBGRAPH_SCORES))
    rows = tuple(_score(found, score, condition) for score, condition in conditions)
    if all(cell.text == "–" for row in rows for cell in row[1:3]):
        return None
    columns = (
        Cell("Score"),
        *(Cell(f"{population.capitalize()} prompts", "number") for population in GRAPHED),
        Cell("Random subgraphs", "number"),
    )
    sizes = "; ".join(_sizes(found, population) for population in GRAPHED)
    exact = (
        f" Exactness: the edges into each node add up to what the model computed there, up to {_small(found.exactness)} of it at worst."
        if found.exactness is not None
        else " Whether the edges add up to what the model computed is not known."
    )
    caption = (
        f"Means over graphs. Features per graph, {sizes}. Random subgraphs: as many features per layer as the pruned graph, drawn from the "
        "active ones of the same harmful prompts; quantiles, and the share of them that score lower. There is no p: what was kept was "
        "chosen by the influence that the score measures, so that it lies above them all but surely. What keeps most influence is a "
        f"picture of one prompt, and no circuit.{exact}"
    )
    return Table("How much of the computation the pictures hold", columns, rows, caption, widths=(40, 20, 20, 20), wide=True, dense=True)


def _sizes(found: Found, population: str) -> str:
    active, kept = shown(found, f"active_features.{population}.graph"), shown(found, f"kept_features.{population}.pruned")
    return f"{population}: {active} active, {kept} after pruning"


def _score(found: Found, score: str, condition: str) -> tuple[Cell, ...]:
    name, meaning = _SCORE_WORDS[score]
    estimates = [found.estimates.get(f"{score}.{population}.{condition}") for population in GRAPHED]
    random = "\n".join(_null(null, score) for null in estimates[0].nulls) if estimates[0] else ""
    beyond = "; ".join(_below(null) for null in estimates[0].nulls) if estimates[0] else ""
    return (
        Cell(name, note=meaning),
        *(Cell(_or_dash(each, score), "number") for each in estimates),
        Cell(random or "–", "number", note=beyond),
    )


def _below(null: Null) -> str:
    """The median of what random subgraphs give, where it is kept, and how many lie lower, from p = (1 + as high) / (1 + N)."""
    middle = f"median {numbers.percent(round(null.quantiles['0.5'], 3))}; " if "0.5" in null.quantiles else ""
    lower = null.n + 1 - round(null.p * (null.n + 1))
    return f"{middle}{numbers.count(lower)} of {numbers.count(null.n)} lower"


def _null(null: Null, name: str) -> str:
    """From the lowest to the highest quantile that is kept; a dash where none is."""
    if not null.quantiles:
        return "–"
    low, high = min(null.quantiles, key=float), max(null.quantiles, key=float)
    return between(null.quantiles[low], null.quantiles[high], unit(name), name)


def _checks(found: Found) -> Table | None:
    rows = []
    for name, what, how in (
        (
            "node_prediction.harmful.nodes",
            "Members, one at a time",
            "change of the target in the free model, against the graph's prediction",
        ),
        ("edge_prediction.harmful.edges", "Members on other members", "change of their pre-activations, against the graph's edges"),
    ):
        estimate = found.estimates.get(name)
        if estimate is not None:
            rows.append((Cell(what, note=how), Cell(_or_dash(estimate, name), "number"), Cell(numbers.count(estimate.n), "number")))
    if found.frozen_residual is not None:
        rows.append(
            (
                Cell("Edges with attention and norms frozen", note="exact but for rounding: what remains is a fault of the instrument"),
                Cell(f"{_small(found.frozen_residual)} at worst", "number"),
                Cell(numbers.count(found.frozen_edges), "number"),
            )
        )
    if not rows:
        return None
    columns = (Cell("Pushed on"), Cell("Agreement", "number"), Cell("n", "number"))
    caption = (
        "Predicted against measured change under intervention, on prompts that nothing was chosen on: rank correlations, with intervals "
        "over families; with attention and norms frozen, the largest difference relative to the largest prediction."
    )
    return Table("Whether pushing does what the graph predicts", columns, tuple(rows), caption, widths=(60, 25, 15))


def _tests(found: Found) -> Table | None:
    if not found.tests:
        return None
    columns = (
        Cell("Test"),
        Cell("Measured", "number"),
        Cell("Random circuits", "number"),
        Cell("Percentile", "number"),
        Cell("p", "number"),
        Cell("p, Holm", "number"),
        Cell("Verdict"),
    )
    rows = tuple(
        (
            Cell(test.name.capitalize(), note=TESTS[test.name][1]),
            Cell(shown(found, TESTS[test.name][0]), "number"),
            Cell(_range(test.nulls, TESTS[test.name][0]), "number"),
            *(Cell("–" if test.untested else text, "number") for text in _read(test)),
            Cell("could not be tested" if test.untested else "● passes" if test.passes else "○ no"),
        )
        for test in found.tests
    )
    caption = (
        "On harmful confirmation prompts. Random circuits: "
        f"{found.null_note.rstrip('.') or 'features matched to the members'}. Percentile: "
        "share of them that do worse. A test passes with the p adjusted by Holm's method over the three; necessity also needs the interval "
        "beyond the declared effect. Not to pass supports nothing, nor does it speak for another circuit."
        + "".join(f" {test.name.capitalize()} could not be tested: {test.untested}." for test in found.tests if test.untested)
    )
    return Table("Three tests beside random circuits", columns, rows, caption, widths=(25, 20, 15, 10, 10, 10, 10), wide=True, dense=True)


def _read(test: Test) -> tuple[str, str, str]:
    return numbers.percent(round(test.percentile, 3)), p_number(test.p), p_number(test.adjusted)


def _range(values: Sequence[float], name: str) -> str:
    return between(min(values), max(values), unit(name), name) if values else "–"


def _answers(found: Found) -> Table | None:
    judges = sorted(
        {name.split("@")[1] for name in found.estimates if name.startswith("refusal_rate.harmful.") and "@" in name},
        key=lambda judge: (judge != next(iter(found.judge_versions), ""), judge),
    )
    rows = tuple(
        (
            Cell(judge, note=_answered(found, judge)),
            *(Cell(shown(found, f"refusal_rate.harmful.{condition}@{judge}"), "number") for condition in ("baseline", "ablated")),
            _change(found, f"refusal_rate_change.harmful.ablated@{judge}"),
        )
        for judge in judges
    )
    if not rows:
        return None
    broken = found.estimates.get("incoherent_rate.harmful.ablated")
    apart = f" With the members ablated, {numbers.measured(broken, 'incoherent_rate')} of answers fall apart." if broken else ""
    columns = (Cell("Judge"), Cell("Unmodified", "number"), Cell("Members ablated", "number"), Cell("Change", "number"))
    caption = (
        f"Share of generated answers to harmful confirmation prompts that refuse; beside the change, what random circuits give.{apart}"
    )
    return Table("Generated refusals", columns, rows, caption, widths=(25, 25, 25, 25))


def _answered(found: Found, judge: str) -> str:
    rate = found.estimates.get(f"refusal_rate.harmful.ablated@{judge}")
    return answered(found, rate) if rate is not None else ""


def _change(found: Found, name: str) -> Cell:
    estimate = found.estimates.get(name)
    nulls = "; ".join(f"random {_null(null, name)}, {numbers.p_value(null)}" for null in estimate.nulls) if estimate else ""
    return Cell(_or_dash(estimate, name), "number", note=nulls)


def _predictions(found: Found) -> Table | None:
    named = (
        ("circuit", "The graphs", "each prompt's own graph, before the run; slope and intercept from discovery prompts of both classes"),
        ("probe", "A linear probe", found.prediction_note or "fitted on discovery prompts"),
        ("class-mean", "The class alone", "the mean change of harmful, or of harmless, discovery prompts"),
    )
    if not any(name.startswith("explained_change.") for name in found.estimates):
        return None
    rows = tuple(
        (Cell(what, note=how), *(Cell(shown(found, f"explained_change.{prompts}.{condition}"), "number") for prompts in PREDICTED))
        for condition, what, how in named
    )
    columns = (Cell("Predicted by"), Cell("R², harmful", "number"), Cell("R², harmless", "number"), Cell("R², both", "number"))
    caption = (
        "Out-of-sample R² of the change of refusal log-odds under ablation of the members, prompt by prompt on confirmation prompts. 0 is "
        "the mean change of the discovery prompts of the class, in the last column of both classes together; below 0 is worse than that. "
        "What is explained of both together is in part that the classes differ: the last row knows of nothing else."
    )
    return Table("Prediction of unseen prompts", columns, rows, caption, widths=(40, 20, 20, 20))


def _top_edges(found: Found) -> Table | None:
    if not found.top_edges:
        return None
    rows = tuple(
        (Cell(each.source, "mono"), Cell(each.target, "mono"), Cell(_signed(each.score), "number")) for each in found.top_edges[:_MOST_TOP]
    )
    columns = (Cell("From"), Cell("To"), Cell("Score", "number"))
    caption = (
        f"Edge attribution with integrated gradients, mean over discovery pairs, nats: the {len(rows)} largest in magnitude. A score is an "
        f"approximation; the curve patches exactly. {general.sentence(found.edge_nodes) if found.edge_nodes else ''}"
    ).strip()
    return Table("Strongest edges of heads and MLPs", columns, rows, caption, widths=(35, 35, 30), dense=True)


def _stages(found: Found) -> Table | None:
    if not found.curve:
        return None
    columns = (
        Cell("Edges kept"),
        Cell("Faithfulness", "number"),
        Cell("All but these", "number"),
        Cell("Random circuits", "number"),
        Cell("p", "number"),
    )
    rows = tuple(
        (
            Cell(numbers.percent(point.share), "number", note=f"{numbers.count(point.edges)} edges"),
            Cell(_of_stage(found, "edge-circuit", point.share, point.faithfulness), "number"),
            Cell(_of_stage(found, "edge-complement", point.share, point.completeness), "number"),
            Cell(between(point.random_low, point.random_high, Unit.FRACTION, "faithfulness"), "number"),
            Cell(p_number(point.p), "number"),
        )
        for point in found.curve
    )
    summary = [
        f"{what}: {shown(found, f'{name}.matched.edge-circuit')}"
        for name, what in (("cpr", "area under the curve"), ("cmd", "area between the curve and 1"))
        if f"{name}.matched.edge-circuit" in found.estimates
    ]
    areas = f" As shares of {curve_range(found)}, {'; '.join(summary)}." if summary else ""
    caption = f"Random circuits have as many edges, drawn by lot.{areas}"
    return Table("The faithfulness curve in numbers", columns, rows, caption, widths=(20, 25, 25, 20, 10), wide=True, dense=True)


def _of_stage(found: Found, condition: str, share: float, value: float) -> str:
    text = shown(found, f"faithfulness.matched.{condition}#{edge_share(share)}")
    return text if text != "–" else numbers.percent(round(value, 3))


def _gathered(found: Found) -> Found:
    """The findings with absent estimates of many members named together."""
    alike = Counter((name.partition("#")[0], reason) for name, reason in found.absent.items() if "#" in name)
    named: dict[str, str] = {}
    for name, reason in found.absent.items():
        stem, mark, _ = name.partition("#")
        named.setdefault(f"{stem}#…" if mark and alike[stem, reason] > _MOST_SLOTS else name, reason)
    return found.model_copy(update={"absent": named})


def _or_dash(estimate: Estimate | None, name: str) -> str:
    return str(numbers.measured(estimate, name)) if estimate else "–"


def _signed(value: float) -> str:
    """With its sign and three significant digits, so that no sign hangs on colour."""
    places = 2 if abs(value) >= 1 else 3
    return f"{'+' if value > 0 else ''}{numbers.plain(value, places)}"


def _small(value: float) -> str:
    """A residual, never below what was found: a power of ten where it is tiny."""
    if value >= 1e-4 or value == 0:
        return f"{float(f'{value:.1g}'):g}"
    return f"1e{numbers.MINUS}{math.floor(-math.log10(value) + 1e-9)}"
