"""YAML that knows its lines: a file read into data, and data checked against a record, with errors that say where and what was meant."""

import itertools
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from safetycase.errors import SafetycaseError, nearest

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The same grammar, several times faster where PyYAML was built with libyaml."""
Place = tuple[str | int, ...]
"""Keys and indices from the top of a document down to one of its values."""

_LARGEST = 1_000_000
_DEEPEST = 60
"""Deeper files would exhaust the stack of the composer, which is no error that can be caught."""
_OPENS = (yaml.BlockSequenceStartToken, yaml.BlockMappingStartToken, yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken)
_CLOSES = (yaml.BlockEndToken, yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class LocatedYaml:
    """The data of a file and the line on which each of its values stands."""

    path: Path
    data: Any
    lines: Mapping[Place, int]

    def where(self, place: Place) -> str:
        """`file:line`, of the place or of the nearest one above it that the file has."""
        for end in range(len(place), -1, -1):
            if place[:end] in self.lines:
                return f"{self.path}:{self.lines[place[:end]]}"
        return str(self.path)


def load_yaml(path: Path, error: type[SafetycaseError]) -> LocatedYaml:
    """Read one YAML document; duplicate keys, aliases, tags and files beyond 1 MB or nested beyond reason are refused.

    Raises the given error in one line with file and line.
    """
    text = _read(path, error)
    loader = _LOADER(text)
    try:
        depth = 0
        for token in yaml.scan(text, Loader=_LOADER):
            depth += isinstance(token, _OPENS) - isinstance(token, _CLOSES)
            if depth > _DEEPEST:
                raise error(f"{path}:{token.start_mark.line + 1}: nested more than {_DEEPEST} deep; expected a file written by hand")
            if isinstance(token, yaml.AliasToken | yaml.AnchorToken):
                raise error(f"{path}:{token.start_mark.line + 1}: anchors and aliases are not read; write the value out")
        node = loader.get_single_node()
        if node is None:
            raise error(f"{path}: the file is empty")
        lines = dict(_lines(node, (), path, error))
        data = loader.construct_document(node)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise error(f"{where}: not YAML: {problem.problem or problem.context}") from problem
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise error(f"{path}: not YAML: {' '.join(str(problem).split())}") from problem
    finally:
        loader.dispose()
    return LocatedYaml(path, data, lines)


def parse(model: type[Model], located: LocatedYaml, error: type[SafetycaseError], *, at: Place = (), data: Any = None) -> Model:
    """The data (or the part of it given, which stands at a place) as a record.

    Raises the given error: file, line, key, what was found, what was expected, the nearest valid name.
    """
    try:
        return model.model_validate(located.data if data is None else data)
    except ValidationError as invalid:
        raise error(_first_problem(model, located, at, invalid)) from invalid


def _read(path: Path, error: type[SafetycaseError]) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise error(f"{path}: larger than {_LARGEST // 1_000_000} MB; expected a file written by hand")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as missing:
        names = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        raise error(f"{path}: no such file; {nearest(path.name, names)}") from missing
    except UnicodeDecodeError as wrong:
        raise error(f"{path}: not UTF-8 text (byte {wrong.start})") from wrong
    except OSError as problem:
        raise error(f"{path}: cannot be read: {problem.strerror}") from problem


def _lines(node: yaml.Node, place: Place, path: Path, error: type[SafetycaseError]) -> Iterator[tuple[Place, int]]:
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield from _lines(child, (*place, index), path, error)
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, child in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise error(f"{path}:{line}: found a key that is not plain text")
            if key.value in seen:
                raise error(f"{path}:{line}: {'.'.join(map(str, (*place, key.value)))} stands twice; first in line {seen[key.value]}")
            seen[key.value] = line
            inner = dict(_lines(child, (*place, key.value), path, error))
            yield from {**inner, (*place, key.value): line}.items()


def _first_problem(model: type[BaseModel], located: LocatedYaml, at: Place, invalid: ValidationError) -> str:
    """The most telling problem as one line: a misspelt key before the missing one that it causes."""
    problems = sorted(invalid.errors(), key=lambda each: each["type"] != "extra_forbidden")
    problem = problems[0]
    # Behind a part such as `json-or-python[…]` stand the members of a union that pydantic tried, not places of the file.
    place: Place = tuple(itertools.takewhile(lambda part: "[" not in str(part), problem["loc"]))
    full = at + place
    named = ".".join(str(part) for part in full) or "document"
    if problem["type"] == "extra_forbidden":
        return f"{located.where(full)}: {named}: unknown key; {nearest(str(place[-1]), _fields(model, place[:-1]))}"
    if problem["type"] == "missing":
        return f"{located.where(full[:-1])}: {named}: missing; expected {_expected(model, place)}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{located.where(full)}: {named}: found {_short(problem['input'])}; {message[0].lower() + message[1:]}"


def _fields(model: type[BaseModel], place: Place) -> tuple[str, ...]:
    annotation = _annotation(model, place)
    return tuple(annotation.model_fields) if isinstance(annotation, type) and issubclass(annotation, BaseModel) else ()


def _expected(model: type[BaseModel], place: Place) -> str:
    annotation = _annotation(model, place)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"a block with {', '.join(annotation.model_fields)}"
    return getattr(annotation, "__name__", "") or str(annotation).replace("typing.", "")


def _annotation(model: Any, place: Place) -> Any:
    """The type that a record declares at a place; None where the place leads out of it."""
    current: Any = model
    for part in place:
        current = _record_or_container(current)
        if isinstance(current, type) and issubclass(current, BaseModel):
            field = current.model_fields.get(str(part))
            current = field.annotation if field else None
        elif typing.get_origin(current) in (dict, Mapping, tuple, list):
            arguments = typing.get_args(current)
            current = arguments[1] if typing.get_origin(current) in (dict, Mapping) else arguments[0]
    return _record_or_container(current)


def _record_or_container(annotation: Any) -> Any:
    """Unwrap Annotated and the record among a union's members."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _record_or_container(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [_record_or_container(each) for each in typing.get_args(annotation) if each is not type(None)]
        records = [each for each in members if isinstance(each, type) and issubclass(each, BaseModel)]
        return (records or members)[0]
    return annotation


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
