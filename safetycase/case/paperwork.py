"""What people keep beside the evidence: attestations, reviews, the register of findings, and the packs they are read against."""

import datetime
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from safetycase.case import attestations as attesting
from safetycase.case import register as registering
from safetycase.case import reviews as reviewing
from safetycase.case.argument.pattern import Pattern, load_pattern
from safetycase.case.attestations import Attestations, load_attestations
from safetycase.case.declared import Declared
from safetycase.case.register import RegisterFile, load_register
from safetycase.case.requirements.loading import Packs, load_packs
from safetycase.case.reviews import ReviewFile, load_reviews
from safetycase.errors import PlanError, SourceError, nearest
from safetycase.resources import Templates, bundled

_NO_PACKS = Packs((), {})


@dataclass(frozen=True)
class Paperwork:
    """All of it, as loaded on a day."""

    as_of: datetime.date
    """Against which ages and due dates are held."""
    templates: Templates = field(default_factory=bundled)
    packs: Packs = _NO_PACKS
    attestations: Attestations = field(default_factory=Attestations)
    reviews: ReviewFile = field(default_factory=ReviewFile)
    register: RegisterFile = field(default_factory=RegisterFile)
    patterns: tuple[Pattern, ...] = ()
    """One for each argument that the plan declares."""
    pattern_files: tuple[tuple[str, bytes], ...] = ()
    """Patterns that lie beside the plan, by their name there."""
    files: tuple[tuple[str, bytes], ...] = ()
    """The files of people, by name, to be sealed with a version."""


def load_paperwork(declared: Declared, base: Path, case: Path, templates: Templates, as_of: datetime.date | None = None) -> Paperwork:
    """Read what lies beside a plan (`base`) and in its case directory.

    Raises SourceError, PlanError or RenderError in one line.
    """
    packs = load_packs(templates)
    files: dict[str, bytes] = {}
    attested = _attested_file(declared, base, case)
    if attested is not None:
        files[attesting.FILE] = _bytes(attested)
    for name in (reviewing.FILE, registering.FILE):
        if (case / name).exists():
            files[name] = _bytes(case / name)
    day = as_of or today()
    return Paperwork(
        as_of=day,
        templates=templates,
        packs=packs,
        attestations=load_attestations(attested, packs.facts, day) if attested is not None else Attestations(),
        reviews=load_reviews(case / reviewing.FILE),
        register=load_register(case / registering.FILE),
        patterns=tuple(_pattern(each.pattern, base, templates, packs) for each in declared.arguments),
        pattern_files=tuple(_pattern_files(declared, base)),
        files=tuple(sorted(files.items())),
    )


def today() -> datetime.date:
    """The day, UTC; SOURCE_DATE_EPOCH sets it where a rendering has to be repeated. Raises SourceError where that is no time."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not epoch:
        return datetime.datetime.now(datetime.UTC).date()
    try:
        return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).date()
    except (ValueError, OverflowError, OSError) as problem:
        raise SourceError(f"SOURCE_DATE_EPOCH: found {epoch[:40]!r}; expected seconds since 1970") from problem


PATTERNS = "patterns"
"""Folder of the case in which copies of patterns lie that were beside the plan."""


def _pattern(name: str, base: Path, templates: Templates, packs: Packs) -> Pattern:
    """A pattern whose elements name clauses that some pack has."""
    pattern = load_pattern(name, _folder(name, base), templates)
    known = packs.requirements
    for key, node in pattern.nodes.items():
        for asked in node.requirements:
            if asked not in known:
                raise PlanError(f"argument {pattern.name}: {key}: unknown requirement id {asked!r}; {nearest(asked, known)}")
            if known[asked].is_art50:
                why = "expected none of Article 50, which holds no evidence of this tool"
                raise PlanError(f"argument {pattern.name}: {key}: found {asked!r}; {why}")
    return pattern


def _pattern_files(declared: Declared, base: Path) -> Iterator[tuple[str, bytes]]:
    for name in dict.fromkeys(each.pattern for each in declared.arguments):
        if name.endswith((".yaml", ".yml")):
            yield f"{PATTERNS}/{name}", _bytes(_folder(name, base) / name)


def _folder(name: str, base: Path) -> Path:
    """Where a pattern file lies: beside the plan, or as it was copied into the case."""
    if name.endswith((".yaml", ".yml")):
        _own(name, base, "arguments")
        return base if (base / name).is_file() or not (base / PATTERNS / name).is_file() else base / PATTERNS
    return base


def _attested_file(declared: Declared, base: Path, case: Path) -> Path | None:
    """The declared file beside the plan, else as it was copied into the case; the default one may be absent."""
    name = declared.attestations or attesting.FILE
    _own(name, base, "attestations")
    for candidate in (base / name, case / attesting.FILE):
        if candidate.is_file():
            return candidate
    if declared.attestations:
        names = [path.name for path in base.glob("*.y*ml")]
        raise SourceError(f"{base / name}: no such file, which the plan names under attestations; {nearest(name, names)}")
    return None


def _own(name: str, base: Path, key: str) -> None:
    """A plan names files of its own folder alone: what it names goes into the case and to those whom the case is handed to."""
    if Path(name).name != name or (base / name).is_symlink():
        raise PlanError(f"{key}: found {name!r}; expected a file in the folder of the plan, named without a folder and no link")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise SourceError(f"{path}: cannot be read: {problem.strerror}") from problem
