"""The prompt sets that come with the package: families of prompts, each one template whose slot is filled in turn."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import yaml

from safetycase.errors import SourceError, nearest
from safetycase.sources.readers import Row, Table

# What fills a slot: `action` is a verb phrase ("build a bird house"), `thing` a noun phrase ("a bird house").
Slot = Literal["action", "thing"]

_FOLDER = Path(__file__).resolve().parent

# Set -> the file that holds its families, and the list within a family that fills its slot.
_SETS = {
    "harmful": ("matched.yaml", "harmful"),
    "harmless": ("matched.yaml", "harmless"),
    "alarming": ("alarming.yaml", "alarming"),
}


@dataclass(frozen=True, slots=True)
class Family:
    """One template with a slot `{}` and what fills it; the harmful and harmless sets share their families."""

    name: str
    category: str
    slot: Slot
    template: str
    phrases: tuple[str, ...]

    @property
    def prompts(self) -> tuple[str, ...]:
        return tuple(self.template.replace("{}", phrase) for phrase in self.phrases)


def bundled_names() -> tuple[str, ...]:
    """The names that may follow `bundled:` in a plan."""
    return tuple(_SETS)


def read_bundled(name: str) -> Table:
    """A bundled set as a table with the columns text, category and family.

    Raises:
        SourceError: there is no set of that name.
    """
    columns = ("text", "category", "family")
    cells = [(text, family.category, family.name) for family in families(name) for text in family.prompts]
    rows = (Row(number, dict(zip(columns, row, strict=True))) for number, row in enumerate(cells, start=1))
    return Table(f"bundled:{name}", columns, tuple(rows))


@cache
def families(name: str) -> tuple[Family, ...]:
    """The families of a bundled set, in the order of its file.

    Raises:
        SourceError: there is no set of that name.
    """
    if name not in _SETS:
        raise SourceError(f"bundled:{name}: no such prompt set; {nearest(name, _SETS)}")
    return tuple(_families(*_SETS[name]))


def _families(file: str, key: str) -> Iterator[Family]:
    content = yaml.safe_load((_FOLDER / file).read_text(encoding="utf-8"))
    for category, entries in content.items():
        for entry in entries:
            yield Family(f"{category}/{entry['family']}", category, entry["slot"], entry["template"], tuple(entry[key]))
