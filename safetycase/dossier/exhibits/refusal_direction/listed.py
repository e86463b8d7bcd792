"""The tables of a refusal direction."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

from safetycase.case.claims import why_absent
from safetycase.dossier import numbers
from safetycase.dossier.exhibits import general
from safetycase.dossier.exhibits.general import distinct
from safetycase.dossier.exhibits.refusal_direction.words import (
    CONDITIONS,
    POPULATIONS,
    QUANTITIES,
    condition_words,
    judges,
    words,
)
from safetycase.dossier.page import Cell, SampleText, Table
from safetycase.evidence.kinds.refusal_direction.findings import CandidateScore, Found, Sample
from safetycase.evidence.record import Estimate

_MOST_CANDIDATES = 12
_ARMS = ("baseline", "ablated", "added")


def tables(found: Found, samples: Sequence[SampleText]) -> dict[str, Table]:
    """By the name under which the template places them."""
    overall = {name: estimate for name, estimate in found.estimates.items() if not _category(name, found)}
    listed = {
        **_candidates(found),
        **_tokens(found),
        **_judges(found),
        **general.estimates(dict(sorted(overall.items(), key=_reading_order)), words),
        **general.nulls(overall, words),
        **_by_category(found),
        **general.absent(found),
    }
    if found.samples:
        listed["samples"] = _samples(found, samples)
    return listed


def _reading_order(named: tuple[str, Estimate]) -> tuple[str | int, ...]:
    """By quantity, then judge, population and condition, in the order in which they are spoken of."""
    stem, _, item = named[0].partition("#")
    stem, _, judge = stem.partition("@")
    quantity, population, condition = (*stem.split("."), "", "")[:3]
    ranks = ((QUANTITIES, quantity), (POPULATIONS, population), (CONDITIONS, condition))
    places = [list(known).index(each) if each in known else len(known) for known, each in ranks]
    return (places[0], judge, *places[1:], condition, item)


def _category(name: str, found: Found) -> str:
    item = name.partition("#")[2]
    return item if item in found.categories else ""


def _candidates(found: Found) -> dict[str, Table]:
    if not found.candidates:
        return {}
    survivors = sorted((each for each in found.candidates if each.survives), key=lambda each: each.refusal_score)
    picked = (found.selected.position, found.selected.layer) if found.selected else None
    shown = list(
        dict.fromkeys([*survivors[:2], *(each for each in survivors if each.on_pareto_front or each.picked_share)])
    )
    others = sorted((each for each in found.candidates if not each.survives), key=lambda each: each.refusal_score)
    shown = (shown or others)[:_MOST_CANDIDATES]
    scores = (Cell(each, "number") for each in ("Refusal, ablated", "Refusal, added", "KL", "Picked in"))
    columns = (Cell("Position, layer"), *scores, Cell("Role"))
    rows = tuple(_candidate_row(each, picked, survivors) for each in shown)
    caption = (
        f"{found.survivors} of {len(found.candidates)} candidates pass every filter. Means over the validation split, "
        "in nats: refusal log-odds of harmful prompts under ablation, of harmless ones under addition, KL divergence "
        "on harmless prompts. Pareto: no other survivor has both less refusal and less divergence. "
        "Picked in: share of resamples of training and validation prompts."
    )
    return {
        "candidates": Table(
            "The pick, the runner-up and the Pareto set",
            columns,
            rows,
            caption,
            widths=(15, 20, 15, 10, 15, 25),
            wide=True,
        )
    }


def _candidate_row(
    each: CandidateScore, picked: tuple[int, int] | None, survivors: Sequence[CandidateScore]
) -> tuple[Cell, ...]:
    roles = []
    if (each.position, each.layer) == picked:
        roles.append("selected")
    elif len(survivors) > 1 and each == survivors[1]:
        roles.append("runner-up")
    if each.on_pareto_front:
        roles.append("Pareto")
    if not each.survives:
        roles.append("filtered out")
    share = numbers.percent(each.picked_share) if each.picked_share is not None else "–"
    scores = tuple(
        Cell(numbers.plain(score, 3), "number") for score in (each.refusal_score, each.steering_score, each.kl)
    )
    return (
        Cell(f"{numbers.plain(each.position, 0)}, {each.layer}"),
        *scores,
        Cell(share, "number"),
        Cell(", ".join(roles) or "–"),
    )


def _tokens(found: Found) -> dict[str, Table]:
    if not found.refusal_tokens:
        return {}
    columns = (
        Cell("First token of a refusal"),
        Cell("Token id", "number"),
        Cell("Refusals begun", "number"),
        Cell("Answers begun", "number"),
    )
    rows = tuple(
        (
            Cell(repr(each.text)[1:-1], "mono"),
            *(Cell(numbers.count(number), "number") for number in (each.token, each.refusals, each.answers)),
        )
        for each in found.refusal_tokens
    )
    return {
        "tokens": Table(
            "Refusal tokens", columns, rows, "Counts of judged answers to training prompts.", widths=(40, 20, 20, 20)
        )
    }


def _by_category(found: Found) -> dict[str, Table]:
    groups: dict[tuple[str, str, str], dict[str, dict[str, Estimate]]] = {}
    for name, estimate in found.estimates.items():
        category = _category(name, found)
        if category:
            quantity, population, arm = name.partition("#")[0].split(".", 2)
            condition, _, judge = arm.partition("@")
            groups.setdefault((judge, quantity, population), {}).setdefault(category, {})[condition] = estimate
    order = {key: index for index, key in enumerate(itertools.product(judges(found), QUANTITIES, POPULATIONS))}
    ordered = sorted(groups, key=lambda key: (order.get(key, len(order)), key))
    return {f"category_{index}": _category_table(key, groups[key]) for index, key in enumerate(ordered)}


def _category_table(key: tuple[str, str, str], rows: Mapping[str, Mapping[str, Estimate]]) -> Table:
    judge, quantity, population = key
    conditions = list(
        dict.fromkeys(
            [
                *(arm for arm in _ARMS if any(arm in row for row in rows.values())),
                *(arm for row in rows.values() for arm in row),
            ]
        )
    )
    columns = (
        Cell("Category"),
        Cell("n", "number"),
        *(Cell(condition_words(arm).capitalize(), "number") for arm in conditions),
    )
    filled = tuple(
        (Cell(category), Cell(_sizes(row), "number"), *_arm_cells(row, conditions, quantity))
        for category, row in sorted(rows.items())
    )
    every = [estimate for row in rows.values() for estimate in row.values()]
    caption = (
        f"{numbers.percent(every[0].level)} intervals: {general.methods(every)}. "
        f"Names: {quantity}.{population}.({' | '.join(conditions)})@{judge}#category."
    )
    what = QUANTITIES.get(quantity, quantity).capitalize()
    title = f"{what} by category: {POPULATIONS.get(population, population)}, judge {judge}"
    return Table(
        title,
        columns,
        filled,
        caption,
        widths=(25, 10, *(65 // len(conditions) // 5 * 5 for _ in conditions)),
        wide=len(conditions) > 1,
        dense=True,
    )


def _arm_cells(row: Mapping[str, Estimate], conditions: Sequence[str], quantity: str) -> Iterator[Cell]:
    for arm in conditions:
        yield Cell(str(numbers.measured(row[arm], quantity)), "number") if arm in row else Cell("absent", "mute")


def _sizes(row: Mapping[str, Estimate]) -> str:
    return ", ".join(numbers.count(n) for n in sorted({estimate.n for estimate in row.values()}))


def _judges(found: Found) -> dict[str, Table]:
    columns = (
        Cell("Judge"),
        Cell("Answers"),
        Cell("κ", "number"),
        Cell("Sensitivity", "number"),
        Cell("Specificity", "number"),
        Cell("Labelled", "number"),
    )
    rows, reasons = [], []
    for judge, arm in itertools.product(judges(found), _ARMS):
        names = [f"judge_{quantity}.all.{arm}@{judge}" for quantity in ("kappa", "sensitivity", "specificity")]
        estimates = [found.estimates.get(name) for name in names]
        if not any(estimates):
            reasons.append(why_absent(names[0], found))
            continue
        cells = (
            Cell(str(numbers.measured(e, name)), "number") if e else Cell("absent", "mute")
            for name, e in zip(names, estimates, strict=True)
        )
        rows.append(
            (
                Cell(judge),
                Cell(condition_words(arm)),
                *cells,
                Cell(numbers.count(next(e.n for e in estimates if e)), "number"),
            )
        )
    if not rows:
        return {}
    caption = "Agreement with a person who labelled a blinded sample of answers, arm by arm." + (
        f" Absent for the others: {distinct(reasons)}." if reasons else ""
    )
    return {
        "judges": Table(
            "How the text judges agree with a person",
            columns,
            tuple(rows),
            caption,
            widths=(15, 20, 20, 20, 15, 10),
            wide=True,
        )
    }


def _samples(found: Found, texts: Sequence[SampleText]) -> Table:
    by_item = {(each.arm, each.population, each.item): each for each in texts}
    columns = (
        Cell("Item"),
        Cell("Arm"),
        Cell("Request"),
        Cell("Label"),
        *((Cell("Prompt"), Cell("Answer")) if by_item else ()),
    )
    rows = tuple(_sample_row(each, by_item) for each in found.samples)
    said = (
        ""
        if by_item
        else " Texts are restricted: they lie in the restricted folder of the case and are not part of this rendering."
    )
    caption = f"Drawn uniformly at random with seed {found.sample_seed}; the label is that of the deciding judge.{said}"
    widths = (15, 10, 15, 10, 25, 25) if by_item else (20, 25, 35, 20)
    return Table("Random raw samples", columns, rows, caption, widths=widths, wide=bool(by_item))


def _sample_row(each: Sample, texts: Mapping[tuple[str, str, str], SampleText]) -> tuple[Cell, ...]:
    cells = (
        Cell(each.item[:12], "mono"),
        Cell(condition_words(each.arm)),
        Cell(POPULATIONS.get(each.population, each.population)),
        Cell(each.label),
    )
    if not texts:
        return cells
    text = texts.get((each.arm, each.population, each.item))
    return (*cells, Cell(text.prompt if text else "not stored"), Cell(text.answer if text else "not stored"))
