"""An argument pattern: what is argued, which evidence may enter where and how, and which doubts stand against it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetycase.case.argument.checks import check
from safetycase.case.argument.written import PatternNode, Written
from safetycase.case.goals import Enters, NodeType, type_of
from safetycase.errors import PlanError, nearest
from safetycase.resources import Templates
from safetycase.sources.located_yaml import load_yaml, parse


@dataclass(frozen=True)
class Pattern:
    """A pattern that passed every check."""

    name: str
    sha256: str
    """Of the bytes of its file."""
    written: Written

    @property
    def nodes(self) -> Mapping[str, PatternNode]:
        """Its elements by id, in the order of the file."""
        return self.written.nodes

    @property
    def root(self) -> str:
        """Id of the top goal."""
        supporting = {each for node in self.nodes.values() for each in node.supported_by}
        return next(key for key in self.nodes if type_of(key) is NodeType.GOAL and key not in supporting)

    def goal_above(self, key: str) -> str:
        """The element itself where it is a goal, else the nearest goal that it supports."""
        while type_of(key) is not NodeType.GOAL:
            key = next(parent for parent, node in self.nodes.items() if key in node.supported_by)
        return key

    def admits(self, kind: str, way: Enters) -> bool:
        """Whether evidence of that kind may enter in that way."""
        return way in self.written.enters.get(kind, (way,))


def load_pattern(name_or_path: str, base: Path, templates: Templates) -> Pattern:
    """A pattern by its name in `arguments/`, or a YAML file relative to the plan's folder.

    Raises:
        PlanError: in one line, with file and line where there is one: an unknown name or reference, a cycle, a word that claims
            more than a measurement can, evidence that enters in a way that the pattern itself rules out.
    """
    path = _find(name_or_path, base, templates)
    located = load_yaml(path, PlanError)
    written = parse(Written, located, PlanError)
    check(written, located)
    return Pattern(name=path.stem, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), written=written)


def _find(name_or_path: str, base: Path, templates: Templates) -> Path:
    if name_or_path.endswith((".yaml", ".yml")):
        return base / name_or_path
    known = {Path(each).stem: each for each in templates.names("arguments/*.yaml")}
    found = templates.find(known[name_or_path]) if name_or_path in known else None
    if found is None:
        raise PlanError(f"arguments: no pattern {name_or_path!r}; {nearest(name_or_path, known)}")
    return found
