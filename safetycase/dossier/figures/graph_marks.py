"""The marks of an attribution graph: nodes told apart by shape, edges whose sign is seen without colour."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from safetycase.dossier.figures.graph_layout import LEADING, PAD, TEXT, Chip, Group
from safetycase.dossier.figures.graph_picture import NodeKind
from safetycase.dossier.figures.graph_routes import Point
from safetycase.dossier.figures.shapes import Diagram
from safetycase.dossier.figures.svg import BLUE, GRID, INK, MUTE, PAPER, RUST, WASH
from safetycase.dossier.figures.wrapping import width as text_width

_HEAD, _BAR = 5.0, 3.4
"""Length of an arrow head; half the length of the bar that ends a negative edge."""
DASHES = "4 2.5"
NAME = 9.0
"""Type size of the names of supernodes."""


@dataclass
class GraphDrawing(Diagram):
    """A drawing whose nodes and edges are elements of their own, which a script can find by their numbers."""

    labels: list[str] = field(default_factory=list)
    """Texts of others that it shows, as they are shown."""

    def open(self, name: Literal["node", "edge"], number: int) -> None:
        """Begin the element of a node or an edge."""
        self._add(f'<g class="graph-{name}" data-{name}="{number}">')

    def open_group(self, members: Sequence[int]) -> None:
        """Begin the box or the name of a supernode, which a script hides with the last of its members."""
        self._add(f'<g class="graph-group" data-members="{" ".join(map(str, members))}">')

    def close(self) -> None:
        """End it."""
        self._add("</g>")

    def chip(self, chip: Chip, most: float) -> None:
        """A node with its label, and a bar as long as its influence beside the largest one."""
        self.shape(chip.node.kind, chip.x, chip.y, chip.width, chip.height)
        self.labels += chip.lines
        room = chip.height - 2 * PAD - 1 - len(chip.lines) * LEADING
        for index, line in enumerate(chip.lines):
            y = chip.y + PAD + room / 2 + LEADING * (index + 1) - 2.5
            if index:
                # Lines are words of one label to those who hear it.
                self._add("\n")
            self.text(chip.middle, y, line, anchor="middle", size=TEXT)
        if chip.node.kind != "target" and most > 0:
            self.bar(chip.x + 8, chip.y + chip.height - 4, chip.width - 16, abs(chip.node.influence) / most)

    def bar(self, x: float, y: float, width: float, share: float) -> None:
        """A share as part of a thin line."""
        self.box(x, y, width, 2, fill=WASH)
        self.box(x, y, width * share, 2, fill=MUTE)

    def shape(self, kind: NodeKind, x: float, y: float, width: float, height: float) -> None:
        """Features are round, errors pointed, tokens square and grey, targets square with a double line."""
        match kind:
            case "feature":
                self.rectangle(x, y, width, height, stroke=INK, corner=min(7.0, height / 2))
            case "error":
                tip, middle = 5.0, y + height / 2
                corners = [(x + tip, y), (x + width - tip, y), (x + width, middle)]
                corners += [(x + width - tip, y + height), (x + tip, y + height), (x, middle)]
                self.polygon(corners, stroke=MUTE, dash="2 2")
            case "token":
                self.rectangle(x, y, width, height, stroke=MUTE)
            case "target":
                self.rectangle(x, y, width, height, stroke=INK)
                self.box(x + 2, y + 2, width - 4, height - 4, stroke=INK, line=0.7)

    def edge(self, points: Sequence[Point], *, positive: bool, width: float) -> None:
        """Solid with an arrow head where it adds, dashed with a bar where it takes away."""
        (x, y), colour = points[-1], BLUE if positive else RUST
        head = _HEAD + width * 0.8
        end = y + (head if positive else 2.0)
        steps = " ".join(_steps([*points[:-1], (x, end)]))
        dashes = "" if positive else f' stroke-dasharray="{DASHES}"'
        self._add(f'<path d="{steps}" fill="none" stroke="{colour}" stroke-width="{_n(width)}"{dashes}/>')
        if positive:
            half = 1.6 + width * 0.75
            wings = f"{_n(x - half)},{_n(y + head)} {_n(x)},{_n(y)} {_n(x + half)},{_n(y + head)}"
            self._add(f'<polygon points="{wings}" fill="{colour}"/>')
        else:
            self.line(x - _BAR - width / 2, y + 1.6, x + _BAR + width / 2, y + 1.6, stroke=colour, width=1.8)

    def group(self, group: Group) -> None:
        """The box of a supernode."""
        self._add(
            f'<rect x="{_n(group.x)}" y="{_n(group.y)}" width="{_n(group.width)}" height="{_n(group.height)}" '
            f'rx="3" fill="none" stroke="{MUTE}" stroke-width="0.9"/>'
        )

    def name(self, group: Group, text: str) -> None:
        """The name of a supernode, on a ground that keeps edges off it."""
        self.labels.append(text)
        middle = group.x + group.width / 2
        across = min(group.width - 3, text_width(text, NAME, bold=True) + 4)
        self.box(middle - across / 2, group.y + 1, across, 10.5, fill=PAPER)
        self.text(middle, group.y + 9, text, anchor="middle", size=NAME, bold=True)

    def column(self, start: float, end: float, y: float) -> None:
        """The line below a column."""
        self.line(start, y, end, y, stroke=GRID, width=2)


def _steps(points: Sequence[Point]) -> list[str]:
    """A path that leaves and enters vertically; straight where x stays."""
    (x0, y0), *rest = points
    steps = [f"M{_n(x0)} {_n(y0)}"]
    for x, y in rest:
        if abs(x - x0) < 0.01:
            steps.append(f"V{_n(y)}")
        else:
            middle = _n((y0 + y) / 2)
            steps.append(f"C{_n(x0)} {middle} {_n(x)} {middle} {_n(x)} {_n(y)}")
        x0, y0 = x, y
    return steps


def _n(number: float) -> str:
    return f"{round(number, 1) + 0.0:.1f}".removesuffix(".0")
