"""The empty file of attestations for types of documents: every fact that only people can know, with what to say and who asks."""

import textwrap
from collections.abc import Iterator, Sequence

from safetycase.case.requirements.loading import load_packs
from safetycase.case.requirements.packs import Requirement, Slot
from safetycase.dossier.doctypes import dossier_type
from safetycase.dossier.requirements import matches
from safetycase.errors import RenderError, nearest
from safetycase.resources import Templates

_HEAD = """\
# Facts that no analysis can know, for: {types}.
# For each fact that you can answer for, give value, owner (who states it), date, and source (where it can be looked up).
# A fact that does not apply: not_applicable: the reason, instead of a value. What stays empty is printed as MISSING.
schema_version: 1
facts:
"""


def empty_attestations(types: Sequence[str], templates: Templates) -> str:
    """The file as text. Raises RenderError for an unknown type, or for types that ask for no fact."""
    asked = _asked(types, templates)
    if not asked:
        raise RenderError(f"{', '.join(types)}: asks for no fact that people have to attest; expected a type that answers requirements")
    return _HEAD.format(types=", ".join(types)) + "".join(_entry(slot, by) for slot, by in asked.values())


def _asked(types: Sequence[str], templates: Templates) -> dict[str, tuple[Slot, list[str]]]:
    known = load_packs(templates).requirements
    found: dict[str, tuple[Slot, list[str]]] = {}
    for name in types:
        for pattern in (each for section in dossier_type(name, templates).sections for each in section.requirements):
            for requirement in _matching(pattern, known):
                for slot in requirement.slots:
                    if slot.fill == "attestation":
                        found.setdefault(slot.id, (slot, []))[1].append(requirement.provision)
    return found


def _matching(pattern: str, known: dict[str, Requirement]) -> list[Requirement]:
    chosen = [each for key, each in known.items() if matches(pattern, key)]
    if not chosen:
        raise RenderError(f"unknown requirement id {pattern!r}; {nearest(pattern, known)}")
    return chosen


def _entry(slot: Slot, asked_by: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in _lines(slot, asked_by))


def _lines(slot: Slot, asked_by: Sequence[str]) -> Iterator[str]:
    kind = {"choice": f"one of {', '.join(slot.options)}", "list": "a list: [one, two]", "yes-no": "yes or no"}.get(slot.type, slot.type)
    unit = f", in {slot.unit}" if slot.unit else ""
    least = f", at least {slot.least_length} characters" if slot.least_length else ""
    optional = "" if slot.required else ", optional"
    yield ""
    for text in (slot.about, f"Asked by {'; '.join(dict.fromkeys(asked_by))}. ({kind}{unit}{least}{optional})"):
        for line in textwrap.wrap(text, 130, break_long_words=False, break_on_hyphens=False):
            yield f"  # {line}"
    yield f"  {slot.id}:"
    for name in ("value", "owner", "date", "source"):
        yield f"    {name}:"
