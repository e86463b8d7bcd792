"""The shapes of goal structuring notation, drawn with the marks that all figures share."""

from collections.abc import Sequence

from safetycase.dossier.figures.svg import INK, PAPER, Drawing

Point = tuple[float, float]
_HEAD, _HALF = 7.0, 3.4
"""Length and half width of an arrow head."""
DASH = "4 3"


class Diagram(Drawing):
    """A drawing with outlined shapes and arrows."""

    def polygon(self, points: Sequence[Point], *, stroke: str = INK, fill: str = PAPER, line: float = 1.2, dash: str = "") -> None:
        """A closed shape."""
        corners = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        self._add(f'<polygon points="{corners}" fill="{fill}" {_edge(stroke, line, dash)}/>')

    def rectangle(self, x: float, y: float, width: float, height: float, *, stroke: str, corner: float = 0.0, dash: str = "") -> None:
        """An outlined box, with round corners for contexts."""
        corners = f' rx="{_n(corner)}"' if corner else ""
        place = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"{corners}'
        self._add(f'<rect {place} fill="{PAPER}" {_edge(stroke, 1.2, dash)}/>')

    def ellipse(self, x: float, y: float, width: float, height: float, *, stroke: str, dash: str = "") -> None:
        """An ellipse in its bounding box."""
        place = f'cx="{_n(x + width / 2)}" cy="{_n(y + height / 2)}" rx="{_n(width / 2)}" ry="{_n(height / 2)}"'
        self._add(f'<ellipse {place} fill="{PAPER}" {_edge(stroke, 1.2, dash)}/>')

    def arrow(self, points: Sequence[Point], *, stroke: str, hollow: bool = False, dash: str = "", head: bool = True) -> None:
        """A line through points whose last stretch ends in a head: solid for support, hollow for context."""
        (x0, y0), (x1, y1) = points[-2:]
        length = max(abs(x1 - x0), abs(y1 - y0)) or 1.0
        dx, dy = (x1 - x0) / length, (y1 - y0) / length
        neck = (x1 - dx * _HEAD, y1 - dy * _HEAD)
        steps = " ".join(f"{_n(x)},{_n(y)}" for x, y in (*points[:-1], neck if head else (x1, y1)))
        self._add(f'<polyline points="{steps}" fill="none" {_edge(stroke, 1.2, dash)}/>')
        if not head:
            return
        wings = [(neck[0] - dy * _HALF, neck[1] + dx * _HALF), (x1, y1), (neck[0] + dy * _HALF, neck[1] - dx * _HALF)]
        self.polygon(wings, stroke=stroke, fill=PAPER if hollow else stroke, line=1.0)


def _edge(stroke: str, line: float, dash: str) -> str:
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'stroke="{stroke}" stroke-width="{_n(line)}"{dashes}'


def _n(number: float) -> str:
    return f"{number + 0.0:.2f}".rstrip("0").rstrip(".")
