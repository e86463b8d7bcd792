"""What changed since the version before, as a block of a document."""

import json
import re
from collections.abc import Mapping

from safetycase.case.changes import Changes, ClaimChange, Difference, EstimateChange, Word
from safetycase.case.claims import Judgement
from safetycase.dossier import exhibits, numbers
from safetycase.dossier.numbers import Scale
from safetycase.dossier.page import Block, Cell, Table
from safetycase.dossier.requirements import STATES
from safetycase.evidence.record import Estimate

_DETAILS = frozenset(("requirements", "arguments", "reviews", "findings_register"))
"""Areas of a case whose facts are not for every reader, or too many: a document tells their number."""
_MOST = 40
"""Rows of a table; the rest is counted, and `safetycase diff` lists it."""


def changes_block(found: Changes, kinds: Mapping[str, str]) -> Block:
    """Claims first, then estimates that moved, then every other fact; `kinds` is step to kind."""
    since = f"Since version {found.old_version}: {found.summary}." if found.old_version else f"{found.summary}."
    details = sum(each.area in _DETAILS for each in found.facts)
    areas = "coverage, arguments, reviews and findings"
    more = f" {details} of these facts are details of {areas}, which `safetycase diff` lists." if details else ""
    tables = [table for table in (_claims(found), _estimates(found, kinds), _coverage(found), _facts(found)) if table.rows]
    return Block(paragraphs=(since + more,), tables=tuple(tables))


def _claims(found: Changes) -> Table:
    columns = (Cell("Effect"), Cell("Claim"), Cell("Was"), Cell("Is"), Cell("What differs"))
    rows = tuple(_claim(each) for each in found.claims)
    return Table("Claims that changed", columns, rows, widths=(10, 40, 15, 15, 20))


def _claim(each: ClaimChange) -> tuple[Cell, ...]:
    judged = each.now or each.was
    assert judged is not None, each.id
    return (
        Cell(each.effect.value),
        Cell(judged.claim.text, note=f"{each.id} ({judged.claim.bears})"),
        _verdict(each.was),
        _verdict(each.now),
        Cell(", ".join(each.differs)),
    )


def _verdict(judgement: Judgement | None) -> Cell:
    return Cell(judgement.verdict.value, note=", ".join(judgement.standing)) if judgement else Cell("not declared", "mute")


def _estimates(found: Changes, kinds: Mapping[str, str]) -> Table:
    columns = (Cell("Estimate"), Cell("Was", "number"), Cell("Is", "number"), Cell("Difference", "number"), Cell("Word"))
    shown = [each for each in found.estimates if each.word is not Word.NONE_SEEN or each.claims][:_MOST]
    rows = tuple(_estimate(each, kinds) for each in shown)
    quiet = len(found.estimates) - len(shown)
    caption = (
        f"{found.comparisons} differences were estimated; their intervals hold together at {numbers.percent(found.family_level)}. "
        "An interval that holds 0 shows no difference, and does not show that there is none."
    )
    left = f" {quiet} more estimates, of which no claim makes use, are not listed." if quiet else ""
    return Table("Estimates measured anew", columns, rows, caption + left, widths=(35, 15, 15, 20, 15), wide=True, dense=True)


def _estimate(each: EstimateChange, kinds: Mapping[str, str]) -> tuple[Cell, ...]:
    measured = each.difference
    difference = Cell(difference_text(each.name, measured), "number", note=measured.method) if measured else Cell("–", note=each.reason)
    was, now = (Cell(str(numbers.measured(version, each.name)), "number", note=f"n {version.n}") for version in (each.was, each.now))
    called = Cell(exhibits.words(kinds.get(each.step, ""), each.name), note=f"step {each.step}", code=each.name)
    return (called, was, now, difference, Cell(each.word.value))


def difference_text(name: str, found: Difference) -> str:
    """Shares in points, everything else in its unit."""
    as_estimate = Estimate(
        value=found.value, low=found.low, high=found.high, level=found.level, n=found.n or 1, clusters=1,
        method=found.method, unit=found.unit,
    )  # fmt: skip
    is_share = numbers.scale_of(found.unit, name) is Scale.PERCENT
    return str(numbers.measured(as_estimate, "share_change" if is_share else name))


def _coverage(found: Changes) -> Table:
    """States alone: what an instrument addresses to others stands nowhere in a document that is not for them."""
    columns = (Cell("Requirement"), Cell("Was"), Cell("Is"))
    moved = [each for each in found.facts if each.area == "requirements" and len(each.path) == 3 and each.path[2] == "state"]
    rows = tuple((Cell(each.path[1]), _state(each.was), _state(each.now)) for each in moved[:_MOST])
    left = f"{len(moved) - _MOST} more are listed by `safetycase diff`." if len(moved) > _MOST else ""
    return Table("Requirements whose coverage changed", columns, rows, left, widths=(30, 35, 35), dense=True)


def _state(value: object) -> Cell:
    return Cell(" ".join(STATES[value])) if isinstance(value, str) and value in STATES else Cell("–")


def _facts(found: Changes) -> Table:
    columns = (Cell("Fact"), Cell("Was"), Cell("Is"))
    told = [each for each in found.facts if each.area not in _DETAILS]
    shown = told[:_MOST]
    rows = tuple((Cell(".".join(each.path)), Cell(_value(each.was)), Cell(_value(each.now))) for each in shown)
    left = f"{len(told) - len(shown)} more are listed by `safetycase diff`." if len(told) > len(shown) else ""
    return Table("Other facts that changed", columns, rows, left, widths=(30, 35, 35), dense=True)


def _value(value: object) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if re.fullmatch("[0-9a-f]{64}", text):
        return f"sha256 {text[:12]}…"
    return text if len(text) <= 160 else f"{text[:159]}…"
