"""The few SVG marks that figures are made of, in the colours and fonts of the page.

Presentation attributes carry the colours of paper; the style sheet of the page replaces them by attribute in dark mode.
The text stays text, in the bundled fonts: it can be searched and read aloud, and a drawing needs neither a plotting
library nor a clock.
"""

from dataclasses import dataclass, field

from markupsafe import Markup, escape

from safetycase.dossier.visible import visible

INK, MUTE, GRID, PAPER = "#1f2430", "#5f6776", "#d9dce3", "#ffffff"
BLUE, RUST, WASH = "#0b5394", "#c2410c", "#c9d3e2"
ON_LIGHT, ON_DARK = "#1f2431", "#fffffe"
"""Text on a coloured cell: near twins of ink and paper that dark mode leaves alone, as the cell keeps its colour."""
_FAMILIES = "Dossier Sans, Dossier Mono"
SIZE = 11.0
"""Type size of figures in CSS pixels."""
_ADVANCE = 0.48
"""Mean advance of the sans face in running text, in units of its size."""


@dataclass
class Drawing:
    """An SVG picture of a given size in CSS pixels."""

    width: float
    height: float
    _marks: list[Markup] = field(default_factory=list)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        fill: str = INK,
        anchor: str = "start",
        bold: bool = False,
        size: float = SIZE,
        turned: bool = False,
    ) -> None:
        """Text whose base line lies at y; `turned` reads upwards."""
        place = f'x="{_n(x)}" y="{_n(y)}" fill="{fill}" text-anchor="{anchor}" font-size="{_n(size)}"'
        weight = ' font-weight="600"' if bold else ""
        turn = f' transform="rotate(-90 {_n(x)} {_n(y)})"' if turned else ""
        said = escape(visible(text, bundled_only=True))
        self._marks.append(Markup(f"<text {place}{weight}{turn}>") + said + Markup("</text>"))

    def line(
        self, x1: float, y1: float, x2: float, y2: float, *, stroke: str = GRID, width: float = 1.0, dash: str = ""
    ) -> None:
        """A straight line."""
        ends = f'x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"'
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self._add(f'<line {ends} stroke="{stroke}" stroke-width="{_n(width)}"{dashes}/>')

    def path(self, points: list[tuple[float, float]], *, stroke: str, width: float = 1.5) -> None:
        """An open line through points."""
        steps = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        self._add(f'<polyline points="{steps}" fill="none" stroke="{stroke}" stroke-width="{_n(width)}"/>')

    def area(self, points: list[tuple[float, float]], *, fill: str) -> None:
        """A filled shape without an edge."""
        corners = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        self._add(f'<polygon points="{corners}" fill="{fill}"/>')

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        fill: str = "none",
        stroke: str = "none",
        line: float = 1.0,
    ) -> None:
        """A rectangle."""
        edge = "" if stroke == "none" else f' stroke="{stroke}" stroke-width="{_n(line)}"'
        self._add(f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" fill="{fill}"{edge}/>')

    def dot(self, x: float, y: float, *, fill: str, radius: float = 3.2, hollow: bool = False) -> None:
        """A round mark, with an edge in the colour of the page."""
        paint = (
            f'fill="{PAPER}" stroke="{fill}" stroke-width="1.4"'
            if hollow
            else f'fill="{fill}" stroke="{PAPER}" stroke-width="0.8"'
        )
        self._add(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" {paint}/>')

    def square(self, x: float, y: float, *, fill: str, side: float = 6.0) -> None:
        """A square mark, told from a round one without colour."""
        place = f'x="{_n(x - side / 2)}" y="{_n(y - side / 2)}" width="{_n(side)}" height="{_n(side)}"'
        self._add(f'<rect {place} fill="{fill}" stroke="{PAPER}" stroke-width="0.8"/>')

    def finish(self, alt: str) -> Markup:
        """The SVG element; `alt` says what it shows, for those who hear the page and for tagged PDF."""
        said = escape(visible(alt, bundled_only=True))
        width, height = _n(self.width), _n(self.height)
        size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        name = Markup('" role="img" aria-label="') + said + Markup('"><title>') + said + Markup("</title>")
        head = Markup(f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{_FAMILIES}')
        return head + name + Markup("").join(self._marks) + Markup("</svg>")

    def _add(self, mark: str) -> None:
        self._marks.append(Markup(mark))


def text_width(text: str, *, size: float = SIZE, bold: bool = False) -> float:
    """About how wide a text is."""
    return len(text) * size * (0.54 if bold else _ADVANCE)


def clipped(text: str, width: float, *, size: float = SIZE) -> str:
    """The text, or as much of it as fits, with an ellipsis."""
    most = max(2, int(width / (size * _ADVANCE)))
    shown = visible(text, bundled_only=True)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def _n(number: float) -> str:
    """To a hundredth of a pixel, without a negative zero."""
    return f"{round(number, 2) + 0.0:.2f}".rstrip("0").rstrip(".")
