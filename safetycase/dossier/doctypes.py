"""The types of document: one folder each under `templates/dossiers/`, described by its `dossier.yaml` as sections of named blocks."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from safetycase.errors import RenderError, nearest
from safetycase.evidence.record import Record
from safetycase.resources import Templates, bundled
from safetycase.sources.located_yaml import load_yaml, parse

BlockName = Literal[
    "applicability", "in-scope", "summary", "evidence", "cited", "crosswalk", "engagement", "instrument", "method", "models", "warnings",
    "attempts", "index", "verify", "glossary", "changes", "signature", "argument", "register", "form", "recipients", "limits", "reproduce",
    "packs", "packs-briefly", "reviews", "artefact", "scope", "still-to-test", "custody",
]  # fmt: skip
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Extra = Literal["markdown", "gsn2x"]
"""Files that a type of document brings besides HTML and PDF."""


_WITHOUT_EVIDENCE = {
    "applicability", "in-scope", "warnings", "packs", "packs-briefly", "changes", "signature", "glossary", "engagement", "form",
}  # fmt: skip


class Term(Record):
    """An entry of the glossary."""

    term: str
    text: str


class Texts(Record):
    """What every document says, whatever its type: `templates/texts.yaml`."""

    foot: str
    """The restraint at the foot of every page."""
    not_shown: tuple[str, ...]
    """What no document shows, after what the kinds of evidence say of themselves."""
    instrument_check: str
    """What is said of an instrument whose error on known answers has not been measured."""
    method: tuple[str, ...]
    glossary: tuple[Term, ...]


class SectionType(Record):
    """A section: a heading, a sentence, the requirements that it answers, and the blocks that it shows."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    title: str = ""
    about: str = ""
    numbered: bool = True
    page: bool = False
    """Begins on a new page."""
    requirements: tuple[str, ...] = ()
    """Ids, or the common beginning of several and `*`."""
    in_blocks: bool = False
    """A block of the section shows the requirements; they are counted and not listed twice."""
    blocks: tuple[BlockName, ...] = ()


class DossierType(Record):
    """What a compliance person writes once for every document of a type."""

    title: str
    lead: str
    """Below the title, where the case has no summary of its own."""
    audience: str
    """Who reads it, in words."""
    document: FileName = "document.html.j2"
    """The template that holds the whole document: in the folder of the type, or the one that all types share."""
    style: FileName = "style.css"
    short: bool = False
    """One page, without a table of contents."""
    reader: Literal["ai-office", "national-authority", "downstream-provider"] | None = None
    """Whose facts it shows unless the plan names an audience; everyone's without it."""
    extras: tuple[Extra, ...] = ()
    sections: tuple[SectionType, ...]

    @property
    def shows_evidence(self) -> bool:
        """Whether anything may stand in it that was measured: unless it is made of nothing but facts, warnings and digests."""
        return not {block for section in self.sections for block in section.blocks} <= _WITHOUT_EVIDENCE


def dossier_types(templates: Templates | None = None) -> tuple[str, ...]:
    """The types of this installation and its overlay."""
    names = (templates or bundled()).names("dossiers/*/dossier.yaml")
    return tuple(sorted(name.split("/")[1] for name in names))


def dossier_type(name: str, templates: Templates | None = None) -> DossierType:
    """Raises RenderError, with the nearest name or the line, for a type that is unknown or cannot be read."""
    return _dossier_type(name, templates or bundled())


def texts(templates: Templates | None = None) -> Texts:
    """What every document says. Raises RenderError with file and line."""
    return _texts(templates or bundled())


@cache
def _dossier_type(name: str, templates: Templates) -> DossierType:
    types = dossier_types(templates)
    if name not in types:
        raise RenderError(f"unknown dossier type {name!r}; {nearest(name, types)}")
    return parse(DossierType, load_yaml(_path(f"dossiers/{name}/dossier.yaml", templates), RenderError), RenderError)


@cache
def _texts(templates: Templates) -> Texts:
    return parse(Texts, load_yaml(_path("texts.yaml", templates), RenderError), RenderError)


def _path(name: str, templates: Templates) -> Path:
    path = templates.find(name)
    if path is None:
        raise RenderError(f"templates/{name}: no such file; the templates are incomplete")
    return path
