"""The four figures of a refusal direction, each with the words of what it shows, its n, its intervals and its judge."""

from collections.abc import Iterator

from safetycase.dossier import numbers
from safetycase.dossier.exhibits.general import methods
from safetycase.dossier.exhibits.refusal_direction.words import deciding_judge, rate
from safetycase.dossier.figures.curve import Series, fragility
from safetycase.dossier.figures.forest import ForestRow, forest
from safetycase.dossier.figures.heatmap import Cell, heatmap
from safetycase.dossier.figures.nulls import NullRow, against_nulls
from safetycase.dossier.page import Figure
from safetycase.evidence.kinds.refusal_direction.findings import Found
from safetycase.evidence.record import Estimate

_MOST_CATEGORIES = 32
"""Per figure, so that it stays on one page."""
_FAMILIES = {"random": "random", "shuffle": "shuffles", "contrast": "contrasts"}


def figures(found: Found) -> dict[str, Figure]:
    """By the name under which the template places them; a figure whose numbers are absent is left out."""
    ablated = _nulls(found, "ablated", "refusal_log_odds_change.harmful.ablated")
    added = _nulls(found, "added", "refusal_log_odds_change.harmless.added")
    return {**_by_category(found), **ablated, **added, **_fragility(found), **_scores(found)}


def _scores(found: Found) -> dict[str, Figure]:
    if not found.candidates:
        return {}
    place = (found.selected.position, found.selected.layer) if found.selected else None
    cells = [Cell(each.position, each.layer, each.refusal_score, each.survives) for each in found.candidates]
    tokens = list(zip(found.positions, found.position_tokens, strict=True))
    picked = (
        f"The selected one, at layer {place[1]} and position {numbers.plain(place[0], 0)}, is framed"
        if place
        else "None was selected"
    )
    lowest, highest = min(each.score for each in cells), max(each.score for each in cells)
    alt = (
        f"Refusal log-odds of {len(cells)} candidate directions over {len(tokens)} token positions and "
        f"{found.n_layers} layers, from {numbers.plain(lowest, 1)} to {numbers.plain(highest, 1)} nats. {picked}."
    )
    caption = (
        "Mean refusal log-odds of harmful validation prompts when the candidate is ablated; lower is more refusal "
        f"removed. {picked}. {found.survivors} of {len(cells)} candidates pass every filter: bold, or marked where "
        f"cells are narrow.{_margin(found)}"
    )
    return {
        "scores": Figure(
            "Every candidate by layer and token position",
            heatmap(cells, tokens, found.n_layers, place, alt=alt),
            caption,
        )
    }


def _margin(found: Found) -> str:
    margin = found.estimates.get("selection_margin.harmful.ablated#validation")
    share = found.estimates.get("selection_share.candidates.resampled")
    said = f" The runner-up is {numbers.measured(margin, 'selection_margin')} behind." if margin else ""
    if share:
        said += f" {numbers.measured(share)} of {numbers.count(share.n)} resamples pick the same candidate."
    return said


def _nulls(found: Found, condition: str, name: str) -> dict[str, Figure]:
    estimate = found.estimates.get(name)
    samples = [sample for sample in found.null_samples if sample.condition == condition and sample.effects]
    if estimate is None or not samples:
        return {}
    rows = [NullRow(f"{len(sample.effects)} {_FAMILIES[sample.family]}", sample.effects) for sample in samples]
    verb, population = ("ablated", "harmful") if condition == "ablated" else ("added", "harmless")
    tests = "; ".join(f"{null.what}: {numbers.p_value(null)}" for null in estimate.nulls)
    alt = f"Change of refusal log-odds when the direction is {verb}: {numbers.measured(estimate, name)}. " + " ".join(
        f"{row.label} range from {numbers.plain(min(row.effects), 2)} to {numbers.plain(max(row.effects), 2)}."
        for row in rows
    )
    caption = (
        f"Direction {verb}, {numbers.count(estimate.n)} {population} test requests; band: "
        f"{numbers.percent(estimate.level)} interval ({estimate.method}). {tests[:1].upper()}{tests[1:]}."
    )
    drawing = against_nulls(estimate, rows, axis_label="change of refusal log-odds, nats", alt=alt)
    return {
        f"nulls_{condition}": Figure(
            f"Effect of {'ablation' if condition == 'ablated' else 'addition'} against its nulls", drawing, caption
        )
    }


def _by_category(found: Found) -> dict[str, Figure]:
    judge = deciding_judge(found)
    rows = [ForestRow("all", rate(found, "harmful", "baseline"), rate(found, "harmful", "ablated"), bold=True)]
    for category in found.categories:
        before, after = (
            found.estimates.get(f"refusal_rate.harmful.{condition}@{judge}#{category}")
            for condition in ("baseline", "ablated")
        )
        rows.append(ForestRow(category, before, after))
    rows = [row for row in rows if row.before or row.after]
    parts = [rows[start : start + _MOST_CATEGORIES] for start in range(0, len(rows), _MOST_CATEGORIES)]
    return {f"categories_{index}": _forest(part, judge, index, len(parts)) for index, part in enumerate(parts)}


def _forest(rows: list[ForestRow], judge: str, index: int, of: int) -> Figure:
    shown = [estimate for row in rows for estimate in (row.before, row.after) if estimate]
    sizes = sorted(
        {estimate.n for row in rows if not row.bold for estimate in (row.before, row.after) if estimate} or {shown[0].n}
    )
    n = numbers.count(sizes[0]) if sizes[0] == sizes[-1] else f"{sizes[0]} to {numbers.count(sizes[-1])}"
    alt = "Share of harmful requests refused, unmodified and with the direction ablated. " + " ".join(
        f"{row.label}: {_or_absent(row.before)}, {_or_absent(row.after)}." for row in rows
    )
    caption = (
        f"Share of harmful test requests refused, by category; n = {n} per category. "
        f"{numbers.percent(shown[0].level)} intervals: {methods(shown)}. Judge: {judge}."
    )
    part = f", part {index + 1} of {of}" if of > 1 else ""
    return Figure(
        f"Refusal by category, before and after ablation{part}",
        forest(rows, before="unmodified", after="direction ablated", alt=alt),
        caption,
    )


def _fragility(found: Found) -> dict[str, Figure]:
    refusal = Series("refused", tuple(_points(found, "refusal_rate.harmful.{}@" + deciding_judge(found))))
    if len(refusal.points) < 2:
        return {}
    incoherence = Series("incoherent", tuple(_points(found, "incoherent_rate.harmful.{}@" + deciding_judge(found))))
    cost = Series("KL, harmless, nats", tuple(_points(found, "kl.harmless.{}")))
    prefill = rate(found, "harmful", "prefill")
    sampled = refusal.points[0][1]
    intervals = methods(each for _, each in (*refusal.points, *cost.points))
    alt = "Share of harmful requests refused against the number of directions ablated together: " + ", ".join(
        f"{k}: {numbers.measured(estimate)}" for k, estimate in refusal.points
    )
    alt += (
        f". Prefill attack without any edit: {numbers.measured(prefill)}."
        if prefill
        else ". No prefill attack was measured."
    )
    caption = (
        f"Above: answers to {numbers.count(sampled.n)} harmful test requests, judged by {deciding_judge(found)}, "
        "against the number of directions ablated together (successive mean differences, orthogonalised). "
        f"{'Dashed: the black-box prefill attack on the unmodified model. ' if prefill else ''}"
        f"{'Below: KL divergence of the first answer token on harmless requests. ' if cost.points else ''}"
        f"Vertical lines: {numbers.percent(sampled.level)} intervals ({intervals})."
    )
    drawing = fragility(
        refusal,
        incoherence,
        cost,
        ("refused, prefill", prefill) if prefill else None,
        ks=[k for k, _ in refusal.points],
        alt=alt,
    )
    return {"fragility": Figure("Fragility: refusal against the number of ablated directions", drawing, caption)}


def _points(found: Found, pattern: str) -> Iterator[tuple[int, Estimate]]:
    for k in found.fragility_ks:
        condition = {0: "baseline", 1: "ablated"}.get(k, f"ablated-{k}")
        estimate = found.estimates.get(pattern.format(condition))
        if estimate is not None:
            yield k, estimate


def _or_absent(estimate: Estimate | None) -> str:
    return str(numbers.measured(estimate)) if estimate else "absent"
