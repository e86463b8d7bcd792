"""`safetycase diff`: what changed between two versions of a case, with intervals; a CI can gate on its exit code."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from safetycase.cli.options import json_option

if TYPE_CHECKING:
    from safetycase.case.changes import Changes, ClaimChange, EstimateChange, EstimatePresence, FactChange
    from safetycase.case.claims import Judgement

MOST_ALIKE = 8
"""Estimates or records that came or went alike, up to which each has its own line."""
version_path = click.Path(path_type=Path)


@click.command()
@click.argument("old", type=version_path)
@click.argument("new", type=version_path)
@json_option
def diff(old: Path, new: Path, as_json: bool) -> int:
    """What changed from OLD to NEW, each a sealed version, a case directory (its newest version) or a plan.

    Exits with 3 when a favourable claim lost support or an adverse one gained it.
    """
    from safetycase.case.changes import changes
    from safetycase.plan.versions import read_snapshot

    found = changes(read_snapshot(old), read_snapshot(new))
    if as_json:
        click.echo(json.dumps({"summary": found.summary, "worse": found.worse, **found.model_dump(mode="json")}, indent=1))
    else:
        for line in _lines(found):
            click.echo(_one_line(line))
    return 3 if found.worse else 0


def _lines(found: "Changes") -> Iterator[str]:
    """Claims, estimates, facts and attempts, each under its heading; what counts most stands first."""
    yield f"{found.old_version or 'draft'} -> {found.new_version or 'draft'}: {found.summary}"
    yield from _section("claims", map(_claim, found.claims))
    yield from _section(_of_comparisons(found), map(_estimate, found.estimates))
    yield from _section("estimates that appeared", _presences(found.appeared))
    yield from _section("estimates that vanished", _presences(found.vanished))
    yield from _section("facts", _facts(found.facts))
    attempts = (f"{each.started}  {each.kind}  seed {each.seed}  {each.ended}  {each.note}".rstrip() for each in found.attempts)
    yield from _section("attempts since", attempts)


def _section(heading: str, lines: Iterable[str]) -> Iterator[str]:
    listed = list(lines)
    if listed:
        yield heading
        yield from (f"  {line}" for line in listed)


def _of_comparisons(found: "Changes") -> str:
    if not found.comparisons:
        return "estimates"
    levels = sorted({each.difference.level for each in found.estimates if each.difference})
    return (
        f"estimates: {found.comparisons} compared, each interval at level {' or '.join(f'{level:.6g}' for level in levels)}, "
        f"so that all hold together with {found.family_level:g}; `no change seen` does not show that nothing changed"
    )


def _claim(change: "ClaimChange") -> str:
    judged = change.now or change.was
    assert judged is not None, change.id
    verdicts = f"{_verdict(change.was)} -> {_verdict(change.now)}"
    return f"{change.effect}  {change.id} ({judged.claim.bears}): {verdicts}; {', '.join(change.differs)}: {judged.claim.text}"


def _verdict(judgement: "Judgement | None") -> str:
    if judgement is None:
        return "not declared"
    return f"{judgement.verdict} ({', '.join(judgement.standing)})" if judgement.standing else str(judgement.verdict)


def _estimate(change: "EstimateChange") -> str:
    from safetycase.dossier.changes_shown import difference_text
    from safetycase.dossier.numbers import measured

    claims = f" (claims: {', '.join(change.claims)})" if change.claims else ""
    values = f"{measured(change.was, change.name)} -> {measured(change.now, change.name)}"
    found = change.difference
    why = f"{difference_text(change.name, found)}, {found.method.split(';')[0]}" if found else change.reason
    return f"{change.word}  {change.step}  {change.name}{claims}: {values}: {why}"


def _presences(listed: "Iterable[EstimatePresence]") -> Iterator[str]:
    """One line each, or one for all that a version lacks for the same reason."""
    by_reason: dict[tuple[str, str], list[EstimatePresence]] = {}
    for each in listed:
        by_reason.setdefault((each.step, each.reason), []).append(each)
    for (step, reason), alike in by_reason.items():
        if len(alike) > MOST_ALIKE:
            yield f"{step}  {len(alike)} estimates that the other version lacks: {reason} (--json names them)"
        else:
            yield from (f"{step}  {_named(each)}; the other version lacks it: {reason}" for each in alike)


def _named(presence: "EstimatePresence") -> str:
    from safetycase.dossier.numbers import measured

    return f"{presence.name}: {measured(presence.estimate, presence.name)}"


def _facts(listed: "Iterable[FactChange]") -> Iterator[str]:
    """One line each; whole records that came or went in numbers, such as the requirements of a pack, have one line together."""
    records: dict[tuple[str, str], list[str]] = {}
    for each in listed:
        where = ".".join(each.path)
        if isinstance(each.was, dict) or isinstance(each.now, dict):
            word = "added" if each.was is None else "removed" if each.now is None else "changed"
            records.setdefault((".".join(each.path[:-1]), word), []).append(where)
        else:
            yield f"{where}: {_shown(each.was)} -> {_shown(each.now)}"
    for (area, word), alike in records.items():
        yield from (
            [f"{area}: {len(alike)} {word} (--json names them)"] if len(alike) > MOST_ALIKE else [f"{each}: {word}" for each in alike]
        )


def _shown(value: object) -> str:
    if value is None:
        return "none"
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return f"{value[:12]}…" if re.fullmatch("[0-9a-f]{64}", value) else value


def _one_line(text: str) -> str:
    """What others wrote, without anything that acts on a terminal."""
    from safetycase.dossier.visible import visible

    return visible(" ".join(text.split("\n")))
