"""How a refusal direction is shown: sentences, four figures, tables."""

from collections.abc import Iterator
from typing import cast

from safetycase.case.claims import why_absent
from safetycase.dossier.exhibits.refusal_direction import sentences
from safetycase.dossier.exhibits.refusal_direction.drawn import figures
from safetycase.dossier.exhibits.refusal_direction.listed import tables
from safetycase.dossier.exhibits.refusal_direction.words import deciding_judge, unit, why_no_rate, words
from safetycase.dossier.page import Exhibit, Figure, Quoted, Table
from safetycase.evidence.kinds.refusal_direction.findings import Found
from safetycase.evidence.record import Findings

__all__ = ["exhibit", "unit", "words"]


def exhibit(found: Findings, quoted: Quoted) -> Exhibit:
    """All that the pages show of these findings."""
    found = cast(Found, found)
    drawn, listed = figures(found), tables(found, quoted.samples)
    return Exhibit(
        sentence=sentences.lead(found),
        more=sentences.more(found),
        scope=sentences.scope(found),
        key_numbers=sentences.key_numbers(found),
        not_shown=sentences.NOT_SHOWN,
        figures=drawn,
        tables=listed,
        missing=dict(_missing(found, drawn, listed)),
        notes={"filter": found.filter_note} if found.filter_note else {},
    )


def _missing(found: Found, drawn: dict[str, Figure], listed: dict[str, Table]) -> Iterator[tuple[str, str]]:
    judge = deciding_judge(found)
    reasons = {
        "scores": "no candidate was scored",
        "nulls_ablated": _why_no_effect(found, "refusal_log_odds_change.harmful.ablated"),
        "nulls_added": _why_no_effect(found, "refusal_log_odds_change.harmless.added"),
        "categories_0": why_no_rate(found, "harmful", "baseline"),
        "fragility": why_absent(f"refusal_rate.harmful.ablated-2@{judge}", found),
        "candidates": "no candidate was scored",
        "tokens": "the run does not say" if found.imported else "no refusal token was found or declared",
        "estimates": "nothing could be estimated",
        "judges": why_absent(f"judge_kappa.all.baseline@{judge}", found),
        "samples": "no answer was generated",
    }
    return ((name, reason) for name, reason in reasons.items() if name not in drawn and name not in listed)


def _why_no_effect(found: Found, name: str) -> str:
    return "no null direction was measured" if name in found.estimates else why_absent(name, found)
