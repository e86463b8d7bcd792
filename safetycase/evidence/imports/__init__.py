"""Observations made elsewhere: one file per outside format, found by name; each reads raw files and says what they lack."""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

from safetycase.errors import SourceError, nearest
from safetycase.evidence.record import Digest
from safetycase.evidence.tables import Row


@dataclass(frozen=True)
class ImportedTables:
    """What a run of another tool amounts to as an observation of one kind."""

    kind: str
    ask: Mapping[str, Any]
    """Of the kind's `Ask`, complete with defaults: what the run asked, as far as its files tell."""
    tables: Mapping[str, Sequence[Row]]
    absent: Mapping[str, str]
    """Optional tables that the run does not hold, with the reason."""
    files: Mapping[str, Digest]
    """Path inside the run, with forward slashes, to the SHA-256 of every file that was read."""
    populations: Mapping[str, tuple[str, ...]]
    """Population to the data sets that its prompts come from."""
    categories: Mapping[str, tuple[str, ...]]
    """Population to the categories of its prompts."""
    summary: str
    """One line: what was found."""
    notes: tuple[str, ...] = ()
    """What was left out or looks odd, one sentence each."""


class Format(Protocol):
    """The name that every file in `evidence/imports/` defines."""

    def read(self, path: Path) -> ImportedTables:
        """The run at a path; raises SourceError with one line."""


@cache
def formats() -> tuple[str, ...]:
    """The formats that can be imported: files of this folder, with hyphens."""
    return tuple(sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)))


def read_import(name: str, path: Path) -> ImportedTables:
    """The run at `path` in the format of that name; raises SourceError with one line."""
    if name not in formats():
        raise SourceError(f"unknown import format {name!r}; {nearest(name, formats())}")
    return cast(Format, importlib.import_module(f"{__name__}.{name.replace('-', '_')}")).read(path)
