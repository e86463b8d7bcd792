"""Facts that no analysis can know, as people state them: typed, owned, dated; and what a model's own files say until somebody does."""

import datetime
import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from safetycase.case.requirements.packs import Slot
from safetycase.errors import SourceError, nearest
from safetycase.evidence.record import Record
from safetycase.sources.located_yaml import LocatedYaml, load_yaml, parse

FILE = "attestations.yaml"
_LARGEST = 1e300
"""Beyond it no fact of a model is a number."""
Value = JsonValue | datetime.date


class Attested(Record):
    """One fact, who states it, when, and where that can be looked up."""

    value: Value | None = None
    """Of the type that its slot asks for."""
    not_applicable: str = ""
    """Why the fact does not apply; instead of a value."""
    owner: str | None = None
    date: datetime.date | None = None
    source: str | None = None
    expires: datetime.date | None = None

    @property
    def is_given(self) -> bool:
        """Whether anything is stated; a file fresh from `init` states nothing."""
        return self.value is not None or bool(self.not_applicable.strip())


class AttestationFile(Record):
    """`attestations.yaml`."""

    schema_version: int = 1
    facts: dict[str, Attested] = {}


class Attestations(Record):
    """What is attested in a case."""

    sha256: str = ""
    """Of the file; empty where there is none."""
    facts: dict[str, Attested] = {}

    def given(self, fact: str, as_of: datetime.date) -> Attested | None:
        """What is stated of a fact and has not expired."""
        stated = self.facts.get(fact)
        if stated is None or not stated.is_given or (stated.expires is not None and stated.expires < as_of):
            return None
        return stated


def load_attestations(path: Path, facts: Mapping[str, Slot], as_of: datetime.date) -> Attestations:
    """What a file attests; `facts` are those that may be.

    Raises SourceError in one line for an unknown fact, a value of the wrong type, or one that nobody owns.
    """
    located = load_yaml(path, SourceError)
    found = parse(AttestationFile, located, SourceError)
    for fact, stated in found.facts.items():
        if fact not in facts:
            raise SourceError(f"{located.where(('facts', fact))}: facts.{fact}: unknown fact; {nearest(fact, facts)}")
        if stated.is_given:
            _check(facts[fact], stated, located, as_of)
    return Attestations(sha256=hashlib.sha256(path.read_bytes()).hexdigest(), facts=found.facts)


def written(slot: Slot, value: Value) -> str:
    """A value as it stands on a page."""
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value))
        case datetime.date():
            return value.isoformat()
        case int() | float():
            return f"{value:g} {slot.unit}".rstrip() if abs(value) >= 1e6 or isinstance(value, float) else f"{value} {slot.unit}".rstrip()
        case _:
            return str(value)


def _check(slot: Slot, stated: Attested, located: LocatedYaml, as_of: datetime.date) -> None:
    at = ("facts", slot.id)
    if stated.value is not None:
        wanted = _wrong(slot, stated.value)
        if wanted:
            where = located.where((*at, "value"))
            raise SourceError(f"{where}: facts.{slot.id}.value: found {str(stated.value)[:60]!r}; expected {wanted}")
        if stated.not_applicable:
            raise SourceError(f"{located.where(at)}: facts.{slot.id}: found a value and not_applicable; expected one of them")
    for name, given in (("owner", (stated.owner or "").strip()), ("date", stated.date)):
        if not given:
            raise SourceError(f"{located.where(at)}: facts.{slot.id}.{name}: missing; expected who states this, and when")
    if stated.date is not None and stated.date > as_of:
        raise SourceError(f"{located.where((*at, 'date'))}: facts.{slot.id}.date: found {stated.date}; expected a day that has come")


def _wrong(slot: Slot, value: Value) -> str:
    """What was expected of a value instead; empty where it is of the slot's type."""
    match slot.type:
        case "text":
            if not isinstance(value, str) or not value.strip():
                return "a text"
            return f"a text of at least {slot.least_length} characters" if len(" ".join(value.split())) < slot.least_length else ""
        case "date":
            return "" if _is_date(value) else "a date such as 2026-01-31"
        case "number":
            is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST
            unit = f" in {slot.unit}" if slot.unit else ""
            return "" if is_number else f"a number{unit}, such as 1.2e+25 (with the point and the sign; YAML reads 1e25 as text)"
        case "url":
            return "" if isinstance(value, str) and value.startswith(("https://", "http://")) else "an address that begins with https://"
        case "choice":
            return "" if value in slot.options else f"one of {', '.join(slot.options)}"
        case "yes-no":
            return "" if isinstance(value, bool) else "yes or no"
        case "list":
            return "" if isinstance(value, list) and value and all(isinstance(each, str) for each in value) else "a list such as [one, two]"


def _is_date(value: Value) -> bool:
    if isinstance(value, datetime.date):
        return True
    try:
        return isinstance(value, str) and bool(datetime.date.fromisoformat(value))
    except ValueError:
        return False
