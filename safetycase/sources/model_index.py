"""Puts results into the `model-index` of a model card as text: what others wrote there keeps its bytes."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from safetycase.errors import SourceError
from safetycase.sources.front_matter import Card, FrontMatter, read

KEY = "model-index"
Owned = Callable[[Any], bool]
"""Whether a result of the index is one that may be replaced."""
Span = tuple[int, int]

_BREAKS = "\n\r\x85\u2028\u2029"
"""Where lines end for PyYAML."""
_BREAK = re.compile(rf"\r\n|[{_BREAKS}]")


def with_results(card: Card, name: str, results: Sequence[Mapping[str, Any]], owned: Owned) -> Card:
    """The card with these results as one entry of its index, in the place of all owned ones; none are simply taken out.

    The entry bears the name of the first foreign entry, else the one given: the hub's library joins all entries under one name.
    Raises SourceError where the index is written so that it cannot be edited without touching what others wrote.
    """
    before = read(card)
    _check_form(card, before)
    items = list(_items(card, before, owned))
    foreign_names = [item.data.get("name") for item in items if not item.is_owned and isinstance(item.data, dict)]
    entry = {"name": next((each for each in foreign_names if isinstance(each, str)), name), "results": list(results)}
    cuts = [cut for item in items for cut in item.cuts]
    place, text = _addition(card, before, items, entry)
    if not results:
        text = ""
        if items and all(item.is_owned for item in items):
            cuts += _key_line(card, before)
    after = card.with_meta(_spliced(card.meta, cuts, place, text))
    _check_untouched(card, before, after, results, owned)
    return after


class _Item:
    """An entry of the index: where it stands, and which parts of it are owned."""

    def __init__(self, card: Card, found: FrontMatter, node: yaml.Node, data: Any, span: Span, owned: Owned) -> None:
        listed = data.get("results") if isinstance(data, dict) else None
        mine = [owned(each) for each in listed] if isinstance(listed, list) else []
        self.node, self.data, self.span = node, data, span
        self.is_owned = bool(mine) and all(mine) and set(data) <= {"name", "results"}
        self.owned_nodes: list[yaml.Node] = []
        self.cuts: list[Span] = [span] if self.is_owned else []
        if any(mine) and not self.is_owned:
            value = next((value for key, value in node.value if key.value == "results"), None)
            if value is None or all(mine) or value.flow_style:
                raise SourceError(
                    f"{card.where(node.start_mark)}: {KEY} mixes results of safetycase with other content in a way that cannot be "
                    "edited; take them out by hand"
                )
            self.owned_nodes = [each for each, is_mine in zip(value.value, mine, strict=True) if is_mine]
            spans = _spans(card, found, value)
            self.cuts = [each for each, is_mine in zip(spans, mine, strict=True) if is_mine]


def _check_form(card: Card, found: FrontMatter) -> None:
    if found.root is not None and found.root.flow_style:
        raise SourceError(f"{card.where(found.root.start_mark)}: the front matter is written in braces; expected one `key: value` a line")
    entry = found.entry(KEY)
    if entry is None or _is_empty(entry[1]):
        return
    key, value = entry
    if not isinstance(value, yaml.SequenceNode):
        said = "a mapping" if isinstance(value, yaml.MappingNode) else repr(value.value[:40])
        raise SourceError(f"{card.where(key.start_mark)}: {KEY}: found {said}; expected a list of entries with name and results")
    if value.flow_style:
        raise SourceError(f"{card.where(value.start_mark)}: {KEY} is written in brackets; expected its entries as lines that begin with -")


def _is_empty(node: yaml.Node) -> bool:
    """A key with nothing after it; a written `null` is somebody's text."""
    return isinstance(node, yaml.ScalarNode) and node.start_mark.index == node.end_mark.index


def _items(card: Card, found: FrontMatter, owned: Owned) -> Iterator[_Item]:
    entry = found.entry(KEY)
    if entry is not None and isinstance(entry[1], yaml.SequenceNode):
        spans = _spans(card, found, entry[1])
        for node, data, span in zip(entry[1].value, found.data[KEY], spans, strict=True):
            yield _Item(card, found, node, data, span, owned)


def _spans(card: Card, found: FrontMatter, listed: yaml.SequenceNode) -> list[Span]:
    """Lines of each entry of a block list, from its dash to its last value; comments below that belong to nobody."""
    column, first, last = listed.start_mark.column, listed.start_mark.index, _end(listed)
    dashes = [at for at in found.dashes if first <= at <= last and at - _line_start(card.meta, at) == column]
    spans = [(_line_start(card.meta, at), _line_end(card.meta, _end(node))) for at, node in zip(dashes, listed.value, strict=False)]
    if len(dashes) != len(listed.value) or any(card.meta[start:at].strip() for (start, _), at in zip(spans, dashes, strict=True)):
        raise SourceError(f"{card.where(listed.start_mark)}: this list cannot be edited as text; expected one entry to a line of its own")
    return spans


def _addition(card: Card, found: FrontMatter, items: Sequence[_Item], entry: Mapping[str, Any]) -> tuple[int, str]:
    """Where the new entry goes, and its lines: in the place of the old one, else last, else under a key of its own."""
    top = found.root.start_mark.column if found.root else 0
    present = found.entry(KEY)
    if present is None:
        return len(card.meta), _lines({KEY: [entry]}, top, card.newline)
    if _is_empty(present[1]):
        return _line_end(card.meta, present[1].end_mark.index), _lines([entry], top, card.newline)
    place = next((item.span[0] for item in items if item.is_owned), _line_end(card.meta, _end(present[1])))
    return place, _lines([entry], present[1].start_mark.column, card.newline)


def _key_line(card: Card, found: FrontMatter) -> list[Span]:
    """The line of the key, which an index without entries leaves behind; it stays where a comment stands on it."""
    entry = found.entry(KEY)
    assert entry is not None
    start = _line_start(card.meta, entry[0].start_mark.index)
    end = _line_end(card.meta, entry[0].end_mark.index)
    bare = re.fullmatch(rf"[ ]*[\"']?{KEY}[\"']?[ ]*:[ \t]*[\r\n]+", card.meta[start:end])
    return [(start, end)] if bare else []


def _spliced(text: str, cuts: Sequence[Span], place: int, addition: str) -> str:
    pieces, done = [], 0
    for start, end in sorted([*cuts, (place, place)]):
        pieces.append(text[done:start] if start >= done else "")
        if (start, end) == (place, place):
            pieces.append(addition)
        done = max(done, end)
    return "".join((*pieces, text[done:]))


def _check_untouched(card: Card, before: FrontMatter, after: Card, results: Sequence[Mapping[str, Any]], owned: Owned) -> None:
    """A textual edit is right only if what is read afterwards says so."""
    try:
        found = read(after)
        items = list(_items(after, found, owned))
    except SourceError as broken:
        raise SourceError(f"{card.name}: the front matter cannot be added to as text; simplify its last lines ({broken})") from broken
    written = [item.data["results"] for item in items if item.is_owned]
    was = list(_foreign(before, list(_items(card, before, owned))))
    if was != list(_foreign(found, items)) or written != ([list(results)] if results else []):
        raise SourceError(f"{card.name}: {KEY} cannot be edited without touching what others wrote; write it as plain block lists")


def _foreign(found: FrontMatter, items: Sequence[_Item]) -> Iterator[tuple[str, ...]]:
    """Every key and value that is not owned, in order, as tags and texts: equal to itself even where a value is not a number."""
    kept = [item for item in items if not item.is_owned]
    skipped = {id(node) for item in items for node in item.owned_nodes}
    entry = found.entry(KEY)
    for key, value in found.root.value if found.root else []:
        if entry is not None and key is entry[0]:
            for item in kept:
                yield from _shape(item.node, skipped)
        else:
            yield from (*_shape(key, skipped), *_shape(value, skipped))


def _shape(node: yaml.Node, skipped: set[int]) -> Iterator[tuple[str, ...]]:
    if id(node) in skipped:
        return
    if isinstance(node, yaml.ScalarNode):
        yield node.tag, node.value
        return
    yield ("begin", node.tag)
    for child in node.value:
        for each in child if isinstance(child, tuple) else (child,):
            yield from _shape(each, skipped)
    yield ("end",)


def _end(node: yaml.Node) -> int:
    """Behind the last value of a node; a block's own mark stands behind the comments that follow it."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return node.end_mark.index
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _line_start(text: str, at: int) -> int:
    return 1 + max(text.rfind(each, 0, at) for each in _BREAKS)


def _line_end(text: str, at: int) -> int:
    """The start of the next line; a place that is one already stays, as behind a block of text."""
    if at == _line_start(text, at):
        return at
    found = _BREAK.search(text, at)
    return found.end() if found else len(text)


class _Text(str):
    """A string that is written in quotes, so that no reader takes a digest for a number."""


class _Dumper(yaml.SafeDumper):
    """Writes nothing as an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(_Text, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"'))


def _lines(value: Any, column: int, newline: str) -> str:
    text = yaml.dump(_quoted(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf"))
    return "".join(f"{' ' * column}{line}{newline}" for line in text.split("\n")[:-1])


def _quoted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _quoted(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_quoted(each) for each in value]
    return _Text(value) if isinstance(value, str) else value
