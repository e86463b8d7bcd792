"""The types of document: one folder each under `templates/dossiers/`, described by its `dossier.yaml`."""

from functools import cache
from pathlib import Path

import yaml
from pydantic import ValidationError

from safetycase import resources
from safetycase.errors import RenderError, nearest
from safetycase.evidence.record import Record


class Term(Record):
    """An entry of the glossary."""

    term: str
    text: str


class DossierType(Record):
    """What a compliance person writes once for every document of a type."""

    title: str
    lead: str
    """Below the title, where the case has no summary of its own."""
    foot: str
    """The restraint at the foot of every page."""
    document: str
    """The template that holds the whole document, beside this file."""
    style: str
    not_shown: tuple[str, ...]
    """What no document of this type shows, after what the kinds of evidence say of themselves."""
    instrument_check: str
    """What is said of an instrument whose error on known answers has not been measured."""
    method: tuple[str, ...]
    glossary: tuple[Term, ...]


def dossier_types() -> tuple[str, ...]:
    """The types of this installation."""
    return tuple(sorted(path.parent.name for path in _folder().glob("*/dossier.yaml")))


@cache
def dossier_type(name: str) -> DossierType:
    """Raises RenderError, with the nearest name or the line, for a type that is unknown or cannot be read."""
    if name not in dossier_types():
        raise RenderError(f"unknown dossier type {name!r}; {nearest(name, dossier_types())}")
    path = _folder() / name / "dossier.yaml"
    try:
        return DossierType.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise RenderError(f"{short(path)}{line}: not valid YAML: {error.problem}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise RenderError(
            f"{short(path)}: {'.'.join(map(str, first['loc'])) or 'top level'}: {first['msg']}"
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RenderError(f"{short(path)}: cannot be read: {error}") from error


def short(path: Path) -> str:
    """A template's path from the folder of templates on, for error lines."""
    root = resources.directory("templates")
    return f"templates/{path.relative_to(root)}" if path.is_relative_to(root) else path.name


def _folder() -> Path:
    return resources.directory("templates") / "dossiers"
