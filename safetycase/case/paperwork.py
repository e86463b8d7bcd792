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
        files[attesting.FILE] = attested.read_bytes()
    for name in (reviewing.FILE, registering.FILE):
        if (case / name).exists():
            files[name] = _bytes(case / name)
    return Paperwork(
        as_of=as_of or today(),
        templates=templates,
        packs=packs,
        attestations=load_attestations(attested, packs.facts) if attested is not None else Attestations(),
        reviews=load_reviews(case / reviewing.FILE),
        register=load_register(case / registering.FILE),
        patterns=tuple(_pattern(each.pattern, base, templates, packs) for each in declared.arguments),
        pattern_files=tuple(_pattern_files(declared, base)),
        files=tuple(sorted(files.items())),
    )


def today() -> datetime.date:
    """The day, UTC; SOURCE_DATE_EPOCH sets it where a rendering has to be repeated."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch.isdigit():
        return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).date()
    return datetime.datetime.now(datetime.UTC).date()


def _pattern(name: str, base: Path, templates: Templates, packs: Packs) -> Pattern:
    """A pattern whose elements name clauses that some pack has."""
    if name.endswith((".yaml", ".yml")) and (Path(name).is_absolute() or ".." in Path(name).parts):
        raise PlanError(f"arguments: found the pattern {name!r}; expected a file in the folder of the plan")
    pattern = load_pattern(name, base, templates)
    known = packs.requirements
    for key, node in pattern.nodes.items():
        for asked in node.requirements:
            if asked not in known:
                raise PlanError(f"argument {pattern.name}: {key}: unknown requirement id {asked!r}; {nearest(asked, known)}")
    return pattern


def _pattern_files(declared: Declared, base: Path) -> Iterator[tuple[str, bytes]]:
    for each in declared.arguments:
        if each.pattern.endswith((".yaml", ".yml")):
            yield each.pattern, _bytes(base / each.pattern)


def _attested_file(declared: Declared, base: Path, case: Path) -> Path | None:
    """The declared file, beside the plan or as it was copied into the case; the default one may be absent."""
    name = declared.attestations or attesting.FILE
    candidate = case / attesting.FILE if base.resolve() == case.resolve() else base / name
    if candidate.is_file():
        return candidate
    if declared.attestations:
        names = [path.name for path in base.glob("*.y*ml")]
        raise SourceError(f"{base / name}: no such file, which the plan names under attestations; {nearest(name, names)}")
    return None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise SourceError(f"{path}: cannot be read: {problem.strerror}") from problem
