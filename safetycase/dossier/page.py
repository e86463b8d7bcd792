"""What a template may show: frozen, ready to print, without anything left to compute."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from markupsafe import Markup

Style = Literal["", "number", "mono", "mute"]
Profile = Literal["public", "restricted"]
_NO_DRAWING = Markup("")


@dataclass(frozen=True)
class SampleText:
    """A raw sample with its text; shown in the restricted profile alone."""

    arm: str
    population: str
    item: str
    label: str
    prompt: str
    answer: str


@dataclass(frozen=True)
class Cell:
    """A field of a table; `note` stands small below it, so does the name `code`; `href` leads elsewhere on the page."""

    text: str
    style: Style = ""
    note: str = ""
    code: str = ""
    href: str = ""


@dataclass(frozen=True)
class Table:
    """Columns and rows; the first cell of a row is its heading."""

    title: str
    columns: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    number: int = 0
    widths: tuple[int, ...] = ()
    """Of the columns, in per cent and steps of five; empty to follow the content."""
    dense: bool = False
    """Long: small type and little air."""
    wide: bool = False
    """Needs more room than a phone has: it scrolls inside its own region there."""


@dataclass(frozen=True)
class Figure:
    """A drawing with its caption; what it shows in words is inside the drawing."""

    title: str
    drawing: Markup
    caption: str
    number: int = 0


@dataclass(frozen=True)
class KeyNumber:
    """One of the numbers that matter, or the reason why it is not there."""

    text: str
    value: str = ""
    interval: str = ""
    drawing: Markup = _NO_DRAWING
    absent: str = ""


@dataclass(frozen=True)
class Fact:
    """A term and what is said of it."""

    term: str
    text: str
    style: Style = ""


@dataclass(frozen=True)
class Exhibit:
    """What the pages show of one step's findings; every kind fills it in `exhibits/`."""

    sentence: str
    """Leads the summary: what was measured, without adjectives."""
    more: str = ""
    """Follows it in smaller type."""
    scope: str = ""
    """For the head of its section: on what, with which access, what changed from what to what, at what cost."""
    key_numbers: tuple[KeyNumber, ...] = ()
    not_shown: tuple[str, ...] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    """Figure or table that this kind has but these findings cannot fill, and why."""
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Measurement:
    """A criterion of a claim beside what was measured."""

    threshold: str
    measured: str
    reason: str
    evidence: str
    """Short id of the evidence; empty where the step has none."""
    href: str


@dataclass(frozen=True)
class VerdictRow:
    """A claim, its verdict by shape and word, and what it rests on."""

    id: str
    text: str
    verdict: str
    shape: str
    standing: tuple[str, ...]
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True)
class VerdictGroup:
    """Claims that bear alike on the model and fared alike."""

    title: str
    against: bool
    rows: tuple[VerdictRow, ...]


@dataclass(frozen=True)
class StepSection:
    """One step of the plan as the document shows it."""

    number: int
    anchor: str
    id: str
    kind: str
    title: str
    question: str
    template: str
    outcome: str
    reasons: tuple[str, ...]
    exhibit: Exhibit
    limitations: tuple[str, ...]
    params: tuple[Fact, ...]
    imported: str
    """Where it was made when not here; empty otherwise."""
    first_of_kind: bool
    """The method of a kind is told once."""


@dataclass(frozen=True)
class WarningText:
    """A standing warning."""

    id: str
    text: str


@dataclass(frozen=True)
class Cover:
    """Who says what of which weights."""

    title: str
    lead: str
    flags: tuple[str, ...]
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Summary:
    """The page that a busy reader reads."""

    sentences: tuple[tuple[str, str], ...]
    """Per step: the sentence that leads, and the rest."""
    tally: str
    key_numbers: tuple[KeyNumber, ...]
    verdicts: tuple[VerdictGroup, ...]
    verdict_note: str
    not_shown: tuple[str, ...]


@dataclass(frozen=True)
class Dossier:
    """A whole document: all that its templates may show."""

    type: str
    type_title: str
    version: str
    made: str
    profile: Profile
    head: str
    head_digest: str
    foot: str
    mark: str
    """Stands at the head of every page: demonstration model, restricted; empty where neither holds."""
    cover: Cover
    summary: Summary
    steps: tuple[StepSection, ...]
    instrument_check: str
    models: Table
    prompt_sets: Table
    warnings: tuple[WarningText, ...]
    attempts: Table
    attempts_note: str
    index: tuple[tuple[str, tuple[Fact, ...]], ...]
    """Heading and digests, per step and for the plan."""
    method: tuple[str, ...]
    judging: tuple[str, ...]
    """How claims were judged in this case, and what the words of their standing mean."""
    glossary: tuple[tuple[str, str], ...]
    tool: str
