"""Prompt sets: what they hold, how each prompt is named, and which of train, validation and test it belongs to."""

import hashlib
import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from safetycase.errors import SourceError, nearest
from safetycase.sources.bundled import bundled_names, read_bundled
from safetycase.sources.readers import Row, Table, read_table

Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = get_args(Split)

DEFAULT_FRACTIONS: Mapping[Split, float] = MappingProxyType({"train": 0.4, "validation": 0.2, "test": 0.4})

# The category of prompts of a source that has none.
NO_CATEGORY = "all"

_SPLIT_SPELLINGS: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}

_TEXT_COLUMNS = ("prompt", "instruction", "text", "question", "goal", "behavior")

_BUNDLED = "bundled:"
_HUB = "hub:"

__all__ = [
    "DEFAULT_FRACTIONS",
    "NO_CATEGORY",
    "SPLITS",
    "Columns",
    "HubReader",
    "Prompt",
    "PromptSet",
    "Split",
    "assign_split",
    "bundled_names",
    "item_id",
    "load_prompt_set",
    "normalise",
]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt: `text` as the model sees it, `category` the stratum, `family` the template it was written from."""

    id: str
    text: str
    category: str
    family: str
    split: Split


@dataclass(frozen=True, slots=True)
class PromptSet:
    """The prompts of one source, ordered by id so that their order in the file bears on nothing.

    `digest` is the SHA-256 of the content: text, category, and family and split where the source declares them. It is the
    same for the same rows in CSV, JSON, JSONL or Parquet, in any order. `repeated` counts rows left out because
    they repeat another row in every respect.
    """

    id: str
    source: str
    digest: str
    prompts: tuple[Prompt, ...]
    repeated: int = 0

    def split(self, name: Split) -> tuple[Prompt, ...]:
        """The prompts of one split."""
        return tuple(prompt for prompt in self.prompts if prompt.split == name)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a source hold what; `None` for the text means to look for a usual name."""

    text: str | None = None
    category: str | None = None
    family: str | None = None
    split: str | None = None


HubReader = Callable[[str], Table]


def load_prompt_set(
    set_id: str,
    source: str,
    *,
    base: Path,
    columns: Columns,
    seed: int,
    fractions: Mapping[Split, float] = DEFAULT_FRACTIONS,
    hub: HubReader | None = None,
) -> PromptSet:
    """The prompt set that a plan names.

    `source` is `bundled:<name>`, a file (relative to `base`, see `readers.read_table`) or `hub:<org>/<name>…`, which needs
    the reader of the lab as `hub`. Splits come from the split column where one is named, else from a hash of
    family and seed.

    Raises:
        SourceError: the source cannot be read, a column is missing, a prompt is empty, or a prompt occurs twice with
            different category, family or split.
    """
    _check_fractions(set_id, fractions)
    table, columns = _read(source, base, columns, hub)
    columns = _resolve(table, columns)
    entries, repeated = _without_repetition(table.origin, [_entry(table.origin, row, columns) for row in table.rows])
    prompts = [_prompt(set_id, entry, seed, fractions) for entry in entries]
    return PromptSet(
        id=set_id,
        source=source,
        digest=_digest(entries),
        prompts=tuple(sorted(prompts, key=lambda prompt: prompt.id)),
        repeated=repeated,
    )


def item_id(set_id: str, text: str) -> str:
    """The name of a prompt everywhere: SHA-256 of its set and its normalised text."""
    return hashlib.sha256(f"{set_id}\n{normalise(text)}".encode()).hexdigest()


def normalise(text: str) -> str:
    """Text as far as identity goes: Unicode NFC, runs of white space as one space, none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def assign_split(family: str, seed: int, fractions: Mapping[Split, float] = DEFAULT_FRACTIONS) -> Split:
    """The split of a family, by a hash: adding a prompt moves no other, and a family shared by two sets falls on one side."""
    digest = hashlib.sha256(f"{seed}\n{family}".encode()).digest()
    place = int.from_bytes(digest[:8]) / 2**64
    reached = 0.0
    for split in SPLITS:
        reached += fractions.get(split, 0.0)
        if place < reached:
            return split
    return next(split for split in reversed(SPLITS) if fractions.get(split, 0.0) > 0)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A row as declared: what the source does not say is None."""

    row: int
    text: str
    category: str
    family: str | None
    split: Split | None

    @property
    def content(self) -> tuple[str, str, str | None, str | None]:
        return (self.text, self.category, self.family, self.split)


def _check_fractions(set_id: str, fractions: Mapping[Split, float]) -> None:
    for name in fractions:
        if name not in SPLITS:
            raise SourceError(f"prompt set {set_id!r}: unknown split {name!r}; {nearest(name, SPLITS)}")
    total = sum(fractions.values())
    if not (min(fractions.values(), default=0.0) >= 0 and abs(total - 1) <= 1e-9):
        raise SourceError(f"prompt set {set_id!r}: split fractions sum to {total:g}, expected parts ≥ 0 that sum to 1")


def _read(source: str, base: Path, columns: Columns, hub: HubReader | None) -> tuple[Table, Columns]:
    if source.startswith(_BUNDLED):
        usual = Columns(
            text=columns.text or "text",
            category=columns.category or "category",
            family=columns.family or "family",
            split=columns.split,
        )
        return read_bundled(source.removeprefix(_BUNDLED)), usual
    if source.startswith(_HUB):
        if hub is None:
            raise SourceError(f"{source}: a data set on the hub is read by the lab; install safetycase[lab] and use `run`")
        return hub(source), columns
    return read_table(base / source), columns


def _resolve(table: Table, columns: Columns) -> Columns:
    """The same columns with the text column found; every named column exists."""
    for name in (columns.text, columns.category, columns.family, columns.split):
        if name is not None and name not in table.columns:
            raise SourceError(f"{table.origin}: no column {name!r}; {nearest(name, table.columns)}")
    if columns.text is not None:
        return columns
    by_lower_case = {name.lower(): name for name in reversed(table.columns)}
    text = next((by_lower_case[usual] for usual in _TEXT_COLUMNS if usual in by_lower_case), None)
    if text is None:
        raise SourceError(
            f"{table.origin}: found columns {', '.join(table.columns)}, none of them named {', '.join(_TEXT_COLUMNS)}; "
            "name the text column in the plan"
        )
    return Columns(text, columns.category, columns.family, columns.split)


def _entry(origin: str, row: Row, columns: Columns) -> _Entry:
    assert columns.text is not None, columns
    text = row.cells.get(columns.text)
    if not isinstance(text, str):
        found = "nothing" if text is None else type(text).__name__
        raise SourceError(f"{origin}: row {row.number}: found {found} in column {columns.text!r}, expected text")
    if not normalise(text):
        raise SourceError(f"{origin}: row {row.number}: the text in column {columns.text!r} is empty")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise SourceError(f"{origin}: row {row.number}: the text in column {columns.text!r} holds half of a surrogate pair")
    return _Entry(
        row=row.number,
        text=text,
        category=_label(row, columns.category) or NO_CATEGORY,
        family=_label(row, columns.family),
        split=_declared_split(origin, row, columns.split),
    )


def _label(row: Row, column: str | None) -> str | None:
    value = row.cells.get(column) if column is not None else None
    return None if value is None else normalise(str(value)) or None


def _declared_split(origin: str, row: Row, column: str | None) -> Split | None:
    if column is None:
        return None
    value = _label(row, column) or ""
    split = _SPLIT_SPELLINGS.get(value.lower())
    if split is None:
        raise SourceError(f"{origin}: row {row.number}: unknown split {value!r}; {nearest(value, _SPLIT_SPELLINGS)}")
    return split


def _without_repetition(origin: str, entries: list[_Entry]) -> tuple[list[_Entry], int]:
    """The entries without rows that repeat another in every respect, and how many those were."""
    first_by_text: dict[str, _Entry] = {}
    for entry in entries:
        first = first_by_text.setdefault(normalise(entry.text), entry)
        if first.content != entry.content:
            raise SourceError(
                f"{origin}: rows {first.row} and {entry.row} hold the same prompt with different "
                f"{_difference(first, entry)}, expected each prompt once"
            )
    return list(first_by_text.values()), len(entries) - len(first_by_text)


def _difference(first: _Entry, second: _Entry) -> str:
    fields = {
        "splits": (first.split, second.split),
        "families": (first.family, second.family),
        "categories": (first.category, second.category),
        "white space": (first.text, second.text),
    }
    return next(name for name, (one, other) in fields.items() if one != other)


def _prompt(set_id: str, entry: _Entry, seed: int, fractions: Mapping[Split, float]) -> Prompt:
    identity = item_id(set_id, entry.text)
    family = entry.family or identity
    return Prompt(
        id=identity,
        text=entry.text,
        category=entry.category,
        family=family,
        split=entry.split or assign_split(family, seed, fractions),
    )


def _digest(entries: list[_Entry]) -> str:
    rows = sorted(json.dumps(entry.content, ensure_ascii=True) for entry in entries)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
