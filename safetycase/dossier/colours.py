"""How much colour a document may hold: the first cards keep theirs, the others say what was left out and where it is."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from safetycase.dossier import numbers
from safetycase.dossier.page import Card, Dossier, StepSection, Table

ON_PAPER = 3_000
"""Coloured spans of a PDF, notes under the cells of its tables among them: each is a box and a structure element to the renderer."""
ON_SCREEN = 40_000
"""The same of an HTML file, which a phone has to lay out."""
_ELSEWHERE = 300
"""Kept for words of the other blocks: states, shapes, verdicts."""


def bounded(dossier: Dossier, *, paper: bool) -> Dossier:
    """The document with as many colours as it may hold, counted in the order of its pages."""
    most = max(0, (ON_PAPER if paper else ON_SCREEN) - _ELSEWHERE - sum(map(_notes, _tables(dossier))))
    if sum(card.coloured for step in dossier.steps for card in step.exhibit.cards) <= most:
        return dossier
    thinned = _thinned(most, paper)
    sections = tuple(
        replace(
            section,
            blocks=tuple(
                replace(block, steps=tuple(map(thinned, block.steps))) if block.name == "evidence" else block for block in section.blocks
            ),
        )
        for section in dossier.sections
    )
    return replace(dossier, sections=sections)


def _tables(dossier: Dossier) -> Iterator[Table]:
    for section in dossier.sections:
        for block in section.blocks:
            yield from block.tables
            if block.name == "evidence":
                yield from (table for step in block.steps for table in step.exhibit.tables.values())


def _notes(table: Table) -> int:
    return sum(bool(cell.note) + bool(cell.code) for row in table.rows for cell in row)


def _thinned(most: int, paper: bool) -> Callable[[StepSection], StepSection]:
    """Takes the colours of every card from the first one on that no longer fits; steps must come in the order of the pages."""
    left = most
    full = False

    def card(each: Card, data: str) -> Card:
        nonlocal left, full
        full = full or each.coloured > left
        left -= 0 if full else each.coloured
        return each.plain(_said(len(each.excerpts), each.compact, most, data)) if full and each.excerpts else each

    def step(each: StepSection) -> StepSection:
        data = next(iter(each.exhibit.data), "") if paper else ""
        return replace(each, exhibit=replace(each.exhibit, cards=tuple(card(one, data) for one in each.exhibit.cards)))

    return step


def _said(whole: int, shown: int, most: int, data: str) -> str:
    where = f"all windows of this step are in the attached {data}" if data else "the observation of this step holds all windows"
    return (
        f"{min(whole, shown)} of {whole} excerpts, without colours: the cards before this one take the {numbers.count(most)} coloured "
        f"stretches for which this document has room; {where}."
    )
