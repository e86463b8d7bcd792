"""How much colour a document may hold: the first cards keep theirs, the others say what was left out and where it is."""

from collections.abc import Callable
from dataclasses import replace

from safetycase.dossier import numbers
from safetycase.dossier.page import Card, Dossier, StepSection

ON_PAPER = 3_000
"""Coloured stretches of a PDF: each is a box and a structure element, and a renderer takes a kilobyte of memory for it."""
ON_SCREEN = 40_000
"""The same of an HTML file, which a phone has to lay out."""


def bounded(dossier: Dossier, *, paper: bool) -> Dossier:
    """The document with as many colours as it may hold, counted in the order of its pages."""
    most = ON_PAPER if paper else ON_SCREEN
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
        f"stretches that one document holds; {where}."
    )
