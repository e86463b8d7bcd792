"""The metadata at the head of a model card: the card split byte for byte, and its front matter read as untrusted YAML."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from safetycase.errors import SourceError

LARGEST = 4_000_000
"""Bytes; cards are written by hand, and the longest of the hub are a tenth of this."""
SHOWN = ("license", "base_model", "language", "datasets", "pipeline_tag")
"""What a card says that an attestation can be prefilled with."""

_LINE_END = r"(?:\r\n|\r|\n)"
# As the hub finds it, but for an empty block and for a byte order mark, which its server reads and its library does not.
_BLOCK = re.compile(rf"(\ufeff?\s*---{_LINE_END})((?:.*?{_LINE_END})??)(---[ \t]*(?:{_LINE_END}|\Z))", re.DOTALL)
_OPENED = re.compile(rf"\ufeff?\s*---(?:{_LINE_END}|\Z)")
_LONGEST_SHOWN = 200


@dataclass(frozen=True)
class Card:
    """The text of a card in four parts, which joined are the file."""

    name: str
    """What error lines call it."""
    opening: str
    """Up to and with the line `---`; no more than a byte order mark where there is no front matter."""
    meta: str
    """YAML, with the end of its last line."""
    closing: str
    body: str

    @property
    def data(self) -> bytes:
        """The file."""
        return "".join((self.opening, self.meta, self.closing, self.body)).encode()

    @property
    def newline(self) -> str:
        """The first line end of the file, which new lines follow."""
        found = re.search(_LINE_END, f"{self.opening}{self.body}")
        return found[0] if found else "\n"

    @property
    def body_line(self) -> int:
        """Line of the file on which the body begins."""
        return 1 + _line_ends(f"{self.opening}{self.meta}{self.closing}")

    def where(self, mark: yaml.Mark | None) -> str:
        """`file:line` of a mark in the metadata."""
        return f"{self.name}:{1 + _line_ends(self.opening) + mark.line}" if mark else self.name

    def with_meta(self, meta: str) -> "Card":
        """The same card with other metadata; a front matter is made where there was none."""
        if self.closing or not meta:
            return replace(self, meta=meta)
        line = f"---{self.newline}"
        return replace(self, opening=f"{self.opening}{line}", meta=meta, closing=line)


@dataclass(frozen=True)
class FrontMatter:
    """Metadata as data and as the nodes that know their places."""

    root: yaml.MappingNode | None
    """None where the front matter is empty or absent."""
    data: dict[Any, Any]
    dashes: tuple[int, ...]
    """Places of the dashes of all block lists, in characters from the start of the metadata."""

    def entry(self, key: str) -> tuple[yaml.Node, yaml.Node] | None:
        """Nodes of a key of the top level and of its value."""
        pairs = self.root.value if self.root else []
        return next(((name, value) for name, value in pairs if (name.tag, name.value) == ("tag:yaml.org,2002:str", key)), None)


def split(text: bytes, name: str = "README.md") -> Card:
    """A card in its parts; raises SourceError where it is no UTF-8 text, too long, or opens a front matter that never ends."""
    if len(text) > LARGEST:
        raise SourceError(f"{name}: larger than {LARGEST // 1_000_000} MB; expected a model card written by hand")
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as wrong:
        raise SourceError(f"{name}: not UTF-8 text (byte {wrong.start})") from wrong
    found = _BLOCK.match(decoded)
    if found:
        return Card(name, found[1], found[2], found[3], decoded[found.end() :])
    opened = _OPENED.match(decoded)
    if opened:
        line = 1 + _line_ends(opened[0].rstrip("\r\n"))
        raise SourceError(f"{name}:{line}: the front matter is opened by --- and never closed; expected a second line ---")
    mark = "\ufeff" if decoded.startswith("\ufeff") else ""
    return Card(name, mark, "", "", decoded.removeprefix(mark))


def read(card: Card) -> FrontMatter:
    """The front matter of a card, by `yaml.SafeLoader`.

    Raises SourceError in one line where it is not YAML, not a mapping, names a key twice, or holds anchors, which could make a short
    text unfold without bound.
    """
    try:
        return _parsed(card)
    except yaml.MarkedYAMLError as problem:
        said = _one_line(problem.problem or problem.context or "")
        raise SourceError(f"{card.where(problem.problem_mark or problem.context_mark)}: the front matter is not YAML: {said}") from problem
    except yaml.reader.ReaderError as problem:
        line = 1 + _line_ends(card.opening) + _line_ends(card.meta[: problem.position])
        raise SourceError(f"{card.name}:{line}: the front matter is not YAML: {problem.reason}") from problem
    except RecursionError as problem:
        raise SourceError(f"{card.name}: the front matter is nested too deeply") from problem
    # PyYAML lets the errors of its converters through: `2024-13-01`, `!!int ""`, `!!bool perhaps`, digits beyond Python's limit.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as problem:
        raise SourceError(f"{card.name}: the front matter holds a value that cannot be read: {_one_line(str(problem))}") from problem


def card_metadata(folder: Path) -> dict[str, str]:
    """License, base model, language, data sets and task as the card of a model folder names them; nothing where it cannot be read.

    What stands there is whatever somebody wrote: unverified, and untrusted text of at most 200 characters each.
    """
    path = folder / "README.md"
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            return {}
        found = read(split(path.read_bytes()))
    except (SourceError, OSError, ValueError):
        return {}
    entries = ((key, found.entry(key)) for key in SHOWN)
    said = {key: _said(entry[1]) for key, entry in entries if entry is not None}
    return {key: text for key, text in said.items() if text}


def _parsed(card: Card) -> FrontMatter:
    loader = _Loader(card.meta)
    root = loader.get_single_node()
    if root is None:
        return FrontMatter(None, {}, ())
    if not isinstance(root, yaml.MappingNode):
        raise SourceError(f"{card.where(root.start_mark)}: the front matter is {_kind(root)}; expected `key: value` lines")
    for key, first in _repeated(root):
        raise SourceError(f"{card.where(key.start_mark)}: {key.value} stands twice; first in line {card.where(first).rsplit(':')[-1]}")
    data = loader.construct_document(root)
    return FrontMatter(root, data, tuple(loader.dashes))


class _Loader(yaml.SafeLoader):
    """Refuses anchors and remembers where the dashes of lists stand."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.dashes: list[int] = []

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = super().peek_event()  # type: ignore[no-untyped-call]  # PyYAML's stubs leave it untyped
        if getattr(event, "anchor", None):
            raise yaml.composer.ComposerError(None, None, "anchors and aliases are not read; write the value out", event.start_mark)
        return super().compose_node(parent, index)

    def fetch_block_entry(self) -> None:
        self.dashes.append(self.get_mark().index)
        super().fetch_block_entry()


def _repeated(node: yaml.Node | None) -> Iterator[tuple[yaml.ScalarNode, yaml.Mark]]:
    """Keys that a mapping names again, and where it did first."""
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _repeated(child)
    elif isinstance(node, yaml.MappingNode):
        seen: dict[tuple[str, str], yaml.Mark] = {}
        for key, child in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    yield key, seen[key.tag, key.value]
                seen[key.tag, key.value] = key.start_mark
            yield from _repeated(child)


def _said(node: yaml.Node) -> str:
    """A value as it is written (`no` is Norwegian here, not false); lists of plain values by commas, anything deeper as nothing."""
    if isinstance(node, yaml.ScalarNode):
        written = "" if node.tag == "tag:yaml.org,2002:null" else " ".join(node.value.split())
    elif isinstance(node, yaml.SequenceNode) and all(isinstance(each, yaml.ScalarNode) for each in node.value):
        written = ", ".join(filter(None, map(_said, node.value)))
    else:
        written = ""
    return written if len(written) <= _LONGEST_SHOWN else f"{written[: _LONGEST_SHOWN - 1]}…"


def _kind(node: yaml.Node) -> str:
    return "a list" if isinstance(node, yaml.SequenceNode) else "plain text"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]


def _line_ends(text: str) -> int:
    return len(re.findall(_LINE_END, text))
