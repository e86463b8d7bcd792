"""Blinded samples of answers for a person to label, and the labels read back: pure functions over tables and text.

A row of the sheet shows a prompt and an answer; its id is a hash that says neither the arm nor the population. Ids follow from the
seed of the observation, so no key file exists that could be lost or looked at.
"""

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from safetycase.errors import SourceError, nearest
from safetycase.evidence.tables import Row, Tables

LABELS = ("refuse", "comply", "incoherent")
COLUMNS = ("sample_id", "prompt", "answer", "label")

NULL_ARM = "random-"
"""Beginning of the arms of null directions, which nobody is asked to label."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """One answer to label, and the place that the person does not see."""

    sample_id: str
    arm: str
    population: str
    item: str
    prompt: str
    answer: str


def draw(tables: Tables, per_arm: int) -> tuple[Sampled, ...]:
    """`per_arm` answers of every arm, populations in equal shares, shuffled; all of an arm that has fewer.

    The same observation gives the same draw, and a larger draw holds every smaller one. Raises SourceError where the observation
    holds no texts.
    """
    assert per_arm >= 1, per_arm
    strata: dict[str, dict[str, list[Sampled]]] = defaultdict(lambda: defaultdict(list))
    for sampled in _answers(tables):
        strata[sampled.arm][sampled.population].append(sampled)
    drawn = [each for arm in sorted(strata) for each in _in_turns(strata[arm], per_arm)]
    return tuple(sorted(drawn, key=lambda sampled: sampled.sample_id))


def write_sheet(samples: Sequence[Sampled]) -> str:
    """The CSV for the person: UTF-8, `sample_id,prompt,answer,label`, the last column empty.

    A text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for each in samples:
        writer.writerow((each.sample_id, guarded(each.prompt), guarded(each.answer), ""))
    return sheet.getvalue()


def read_sheet(text: str, name: str, tables: Tables, annotator: str) -> list[Row]:
    """The rows of `human_labels` that a labelled sheet amounts to; rows without a label are left out.

    `name` is what the user calls the file. Raises SourceError with file and line: another header, an unknown id or label, an id that
    occurs twice, an answer that is not the one drawn (a column was sorted by itself), or no label at all.
    """
    if not annotator.strip():
        raise SourceError(f"{name}: expected the name or initials of the person who labelled")
    answers = {each.sample_id: each for each in _answers(tables)}
    rows: dict[str, Row] = {}
    for line, cells in _cells(text, name):
        sample_id, label = cells["sample_id"].strip(), cells["label"].strip().lower()
        sampled = answers.get(sample_id)
        if sampled is None:
            raise SourceError(f"{name}: line {line}: no answer has the id {sample_id!r}{_near_id(sample_id, answers)}")
        if sample_id in rows:
            raise SourceError(f"{name}: line {line}: the id {sample_id!r} occurs twice")
        if _plain(unguarded(cells["answer"])) != _plain(sampled.answer):
            raise SourceError(f"{name}: line {line}: the answer beside {sample_id!r} is not the one that was drawn; was a column sorted?")
        if label and label not in LABELS:
            raise SourceError(f"{name}: line {line}: unknown label {cells['label']!r}; {nearest(label, LABELS)}")
        rows[sample_id] = {
            "arm": sampled.arm, "population": sampled.population, "item": sampled.item,
            "annotator": annotator.strip(), "label": label,
        }  # fmt: skip
    labelled = [row for row in rows.values() if row["label"]]
    if not labelled:
        raise SourceError(f"{name}: no row has a label, expected {', '.join(LABELS)} in the column 'label'")
    return sorted(labelled, key=lambda row: (row["arm"], row["population"], row["item"]))


def guarded(text: str) -> str:
    """Text that no spreadsheet takes for a formula: an apostrophe before `=`, `+`, `-`, `@`, a tab, a line break or an apostrophe."""
    return f"'{text}" if text.startswith(_DANGEROUS) else text


def unguarded(cell: str) -> str:
    """What `guarded` was given."""
    return cell.removeprefix("'")


_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝", "＋", "－", "＠")


def _answers(tables: Tables) -> Iterator[Sampled]:
    """Every answer that may be drawn, with its id."""
    for table in ("completions", "prompts"):
        if not tables.has(table):
            raise SourceError(f"no answers to label: {tables.why_absent(table)}")
    prompts = dict(zip(tables.table("prompts")["item"].tolist(), tables.table("prompts")["text"].tolist(), strict=True))
    for row in tables.table("completions").rows():
        arm, population, item = row["arm"], row["population"], row["item"]
        if not arm.startswith(NULL_ARM):
            key = f"{tables.question}\n{tables.seed}\n{arm}\n{population}\n{item}"
            # A letter in front, or a spreadsheet would take some ids for numbers.
            sample_id = "s" + hashlib.sha256(key.encode()).hexdigest()[:16]
            yield Sampled(sample_id, arm, population, item, prompts[item], row["text"])


def _in_turns(strata: Mapping[str, list[Sampled]], n: int) -> Iterator[Sampled]:
    """Populations take turns until `n` are drawn; within one the order of the ids, which are hashes, is random."""
    queues = [sorted(strata[population], key=lambda each: each.sample_id) for population in sorted(strata)]
    for turn in range(max(map(len, queues))):
        for queue in queues:
            if turn < len(queue) and n > 0:
                n -= 1
                yield queue[turn]


def _cells(text: str, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Line and cells of every row; spreadsheets may have added a byte-order mark or put semicolons for commas."""
    text = text.removeprefix("\ufeff")
    delimiter = ";" if text.lstrip('"').startswith(("sample_id;", 'sample_id";')) else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = tuple(next(reader, ()))
        if header != COLUMNS:
            raise SourceError(f"{name}: line 1: found the columns {', '.join(header) or 'none'}, expected {', '.join(COLUMNS)}")
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) != len(COLUMNS):
                raise SourceError(f"{name}: line {reader.line_num}: found {len(cells)} cells, expected {len(COLUMNS)}")
            yield reader.line_num, dict(zip(COLUMNS, cells, strict=True))
    except csv.Error as error:
        raise SourceError(f"{name}: line {reader.line_num}: no CSV: {error}") from error


def _near_id(sample_id: str, known: Mapping[str, Sampled]) -> str:
    near = nearest(sample_id, known)
    return f"; {near}" if near.startswith("did you mean") else "; was the sheet drawn from another observation?"


def _plain(text: str) -> str:
    """Text as far as spreadsheets keep it: they change line ends and white space, and cut what is longest."""
    return " ".join(text.split())[:_KEPT]


_KEPT = 10_000
"""Characters that are compared; a cell of the common spreadsheets holds 32,767."""
