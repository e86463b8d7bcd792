"""One sheet of a goal structure: support hangs below its goal like the lines of an outline, contexts and doubts stand to its right."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

from safetycase.case.goals import NodeType
from safetycase.dossier.figures.goal_cards import RADIUS, SLANT, Card, Form, card, is_round
from safetycase.dossier.figures.goal_tree import Beside, Tree

WIDTH, TALLEST = 600.0, 800.0
"""Of a sheet, in CSS pixels: the text block of an A4 page."""
_EDGE, _INDENT, _DEEPEST = 3.0, 27.0, 5
_MAIN, _SIDE = 336.0, 386.0
"""Right edge of the outline, left edge of the side column."""
_NESTED, _HOOK = 32.0, 20.0
_GAP, _SIDE_GAP = 13.0, 9.0
_LANES = (376.0, 369.0, 362.0, 355.0, 348.0, 342.0)
"""Where lines between the columns run, outer ones first: later nodes take inner lanes, so that no two lines cross."""
_FARTHEST = 170.0
"""How far below its node the side column may begin, while it still holds the elements of the node above."""

Kind = Literal["supported by", "in context of", "challenges"]
Point = tuple[float, float]


@dataclass(frozen=True)
class Placed:
    """A card at its place."""

    card: Card
    x: float
    y: float

    @property
    def bottom(self) -> float:
        """Its lower edge, with what is marked below it."""
        return self.y + self.card.height


@dataclass(frozen=True)
class Wire:
    """A relation as a line whose head is at its last point."""

    kind: Kind
    points: tuple[Point, ...]
    head: bool = True
    """False where it joins a line that has one."""


@dataclass(frozen=True)
class Content:
    """What a sheet shows: a root, which of its children, which elements beside it, and where subtrees are cut."""

    root: str
    children: tuple[str, ...]
    beside: tuple[Beside, ...]
    cut: Collection[str] = ()


@dataclass
class Sheet:
    """A sheet being laid out from top to bottom."""

    tree: Tree
    content: Content
    cards: dict[tuple[str, Form, float], Card]
    """Measured before, for any sheet of this argument."""
    placed: list[Placed] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    spans: dict[str, float] = field(default_factory=dict)
    """Height that each subtree takes, with what stands beside it."""
    _joined: dict[tuple[str, Kind], float] = field(default_factory=dict)
    """Down to where the common line of a node's relations is drawn."""
    _main: float = _EDGE
    _side: float = _EDGE
    _lanes: int = 0
    """Lanes in use by nodes above whose elements still fill the side column."""

    @property
    def height(self) -> float:
        """Down to the lowest mark."""
        return max((each.bottom for each in self.placed), default=0.0) + _EDGE

    def lay(self) -> "Sheet":
        """Place everything; returns itself."""
        self._node(self.content.root, 0, None)
        return self

    def _node(self, key: str, depth: int, parent: Placed | None) -> None:
        x = _EDGE + depth * _INDENT
        root = parent is None
        form = self._form(key, parent)
        whole = form == "full"
        beside = (self.content.beside if root else self.tree.beside(key)) if whole else ()
        children = (self.content.children if root else self.tree.children(key)) if whole else ()
        top = self._main
        start = self._start(beside)
        here = Placed(self._card(key, form, _MAIN - x), x, start)
        self.placed.append(here)
        if parent is not None:
            self._support(parent, here)
        self._main = here.bottom + _GAP
        if beside:
            self._column(here, beside)
        for child in children:
            self._node(child, depth + 1, here)
        self.spans[key] = max(self._main, self._side) - top

    def _form(self, key: str, parent: Placed | None) -> Form:
        if parent is None:
            return "full"
        if self.tree.owner(key) != parent.card.node.id:
            return "reference"
        return "stub" if key in self.content.cut else "full"

    def _start(self, beside: Sequence[Beside]) -> float:
        """Where a node begins: at once without anything beside it, else where the side column and the lanes leave room."""
        if not beside or self._side <= self._main:
            if beside:
                self._lanes = 0
            return self._main
        needed = len({each.challenges for each in beside if not each.under})
        if self._lanes + needed <= len(_LANES) and self._side - self._main <= _FARTHEST:
            return self._main
        self._lanes = 0
        return self._side

    def _column(self, node: Placed, beside: Sequence[Beside]) -> None:
        """The side column of a node, and the lines to it: contexts on the outer lane, challenges on the inner one."""
        y = max(self._side, node.y)
        lanes = {}
        for challenges in (False, True):
            if any(each.challenges == challenges and not each.under for each in beside):
                lanes[challenges] = _LANES[self._lanes]
                self._lanes += 1
        above: Placed | None = None
        for each in beside:
            indent = _NESTED if each.under else 0.0
            form: Form = "full" if self.tree.owner(each.id) in (node.card.node.id, each.under) else "reference"
            form = "reference" if each.id in self._drawn_full() else form
            item = Placed(self._card(each.id, form, WIDTH - _EDGE - _SIDE - indent), _SIDE + indent, y)
            self.placed.append(item)
            if each.under and above is not None:
                self._nested(item, above)
            elif each.challenges:
                self._challenge(item, node, lanes[True])
            else:
                self._context(node, item, lanes[False])
            above = above if each.under else item
            y = item.bottom + _SIDE_GAP
        self._side = y + _GAP - _SIDE_GAP

    def _drawn_full(self) -> set[str]:
        return {each.card.node.id for each in self.placed if each.card.form == "full"}

    def _card(self, key: str, form: Form, most: float) -> Card:
        if (key, form, most) not in self.cards:
            note = {"full": "", "stub": f"continued in the figure of {key}", "reference": f"{key}: {self._where(key)}"}[form]
            self.cards[key, form, most] = card(self.tree.nodes[key], form, most, note)
        return self.cards[key, form, most]

    def _where(self, key: str) -> str:
        owner = self.tree.owner(key)
        return f"drawn with {owner}" if owner else "drawn as a top goal"

    def _support(self, parent: Placed, child: Placed) -> None:
        trunk, entry = parent.x + 13.0, _entry(child)
        below = parent.y + (2 * RADIUS if is_round(parent.card.node) else parent.card.shape_height)
        begin = self._join(parent, "supported by", entry[1], below)
        self.wires.append(Wire("supported by", ((trunk, begin), (trunk, entry[1]), entry)))

    def _context(self, node: Placed, item: Placed, lane: float) -> None:
        leave, entry = _exit(node, upper=True), _entry(item)
        if item.y == node.y and abs(entry[1] - leave[1]) < 6 and item.card.node.type is NodeType.CONTEXT:
            entry = (entry[0], leave[1])
        begin = self._join(node, "in context of", entry[1], leave[1])
        first = (leave,) if begin == leave[1] else ()
        self.wires.append(Wire("in context of", (*first, (lane, begin), (lane, entry[1]), entry)))

    def _challenge(self, item: Placed, node: Placed, lane: float) -> None:
        arrive, leave = _exit(node, upper=False), _entry(item)
        end = self._join(node, "challenges", leave[1], arrive[1])
        last = (arrive,) if end == arrive[1] else ()
        self.wires.append(Wire("challenges", (leave, (lane, leave[1]), (lane, end), *last), head=bool(last)))

    def _join(self, node: Placed, kind: Kind, to: float, start: float) -> float:
        """Where the next relation of a kind leaves the common line, which is drawn once."""
        begin = self._joined.get((node.card.node.id, kind), start)
        self._joined[node.card.node.id, kind] = to
        return begin

    def _nested(self, item: Placed, above: Placed) -> None:
        """A defeater below the context or assumption that it challenges."""
        x, (left, y) = _SIDE + _HOOK, _entry(item)
        self.wires.append(Wire("challenges", ((left, y), (x, y), (x, _lower_edge(above, x)))))


def _entry(placed: Placed) -> Point:
    """Where a line meets the left edge of a shape."""
    node, height = placed.card.node, placed.card.shape_height
    if placed.card.form != "reference":
        if is_round(node):
            return placed.x, placed.y + RADIUS
        if node.type in (NodeType.ASSUMPTION, NodeType.JUSTIFICATION):
            return placed.x, placed.y + height / 2
    down = min(14.0, height / 2)
    slant = SLANT * (1 - down / height) if _slanted(placed) else 0.0
    return placed.x + slant, placed.y + down


def _exit(placed: Placed, *, upper: bool) -> Point:
    """Where a line leaves the right edge of a shape for the side column, or arrives there from it."""
    height = placed.card.shape_height
    down = min(14.0, 0.4 * height) if upper else height - min(10.0, 0.25 * height)
    return placed.x + placed.card.width - (SLANT * down / height if _slanted(placed) else 0.0), placed.y + down


def _lower_edge(placed: Placed, x: float) -> float:
    """The lower edge of a side element at x: an ellipse ends higher away from its middle."""
    height = placed.card.shape_height
    if placed.card.form == "reference" or placed.card.node.type not in (NodeType.ASSUMPTION, NodeType.JUSTIFICATION):
        return placed.y + height
    half = placed.card.width / 2
    return placed.y + height / 2 * (1 + math.sqrt(max(0.0, 1 - ((x - placed.x - half) / half) ** 2)))


def _slanted(placed: Placed) -> bool:
    return placed.card.node.type is NodeType.STRATEGY and placed.card.form != "reference"


def too_deep(tree: Tree, content: Content) -> frozenset[str]:
    """Elements so far down that the outline has no room for what hangs below them."""
    level = [content.root]
    for _ in range(_DEEPEST):
        level = list(dict.fromkeys(child for key in level for child in (content.children if key == content.root else tree.children(key))))
    return frozenset(key for key in level if tree.children(key) and key != content.root)
