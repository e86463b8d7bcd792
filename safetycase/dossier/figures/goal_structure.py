"""A goal structure as pictures: the shapes of GSN v3, one sheet per page, every word legible on paper."""

from collections import Counter
from dataclasses import dataclass

from markupsafe import Markup

from safetycase.case.goals import Argument, NodeType
from safetycase.dossier import argued
from safetycase.dossier.figures.goal_cards import RADIUS, SIZE, SLANT, SMALL, Line, is_round
from safetycase.dossier.figures.goal_sheet import WIDTH, Placed, Sheet, Wire
from safetycase.dossier.figures.goal_sheets import sheets
from safetycase.dossier.figures.shapes import DASH, Diagram
from safetycase.dossier.figures.svg import BLUE, INK, MUTE, RUST
from safetycase.dossier.figures.wrapping import width

_ROUND = 11.0
"""Corner radius of a context."""


@dataclass(frozen=True)
class Picture:
    """A drawing with its title; `alt` says in words what it shows."""

    title: str
    drawing: Markup
    alt: str


def figures(argument: Argument) -> tuple[Picture, ...]:
    """The whole argument; a part that fits no page has a picture of its own, in which its root is drawn again."""
    drawn = sheets(argument)
    pages = Counter(sheet.content.root for sheet in drawn)
    seen: Counter[str] = Counter()
    pictures = []
    for sheet in drawn:
        root = sheet.content.root
        seen[root] += 1
        part = f", {seen[root]} of {pages[root]}" if pages[root] > 1 else ""
        title = f"{argument.title}: {root} and what it rests on{part}"
        alt = _said(sheet, title)
        pictures.append(Picture(title, _drawn(sheet, alt), alt))
    return tuple(pictures)


def _said(sheet: Sheet, title: str) -> str:
    """What a picture shows, for those who hear it: its elements by type and every relation that leaves its sheet's elements."""
    shown = {each.card.node.id: each.card for each in sheet.placed}
    counts = Counter(argued.named(each.node) for each in shown.values())
    elements = ", ".join(f"{n} {name}{'' if n == 1 else 's' if name != 'strategy' else ''}" for name, n in counts.items())
    relations = []
    for key, each in shown.items():
        if each.form != "full":
            continue
        for verb, targets in (
            ("rests on", each.node.supported_by),
            ("stands in the context of", each.node.in_context_of),
            ("challenges", each.node.challenges),
        ):
            here = [target for target in targets if target in shown]
            if here:
                relations.append(f"{key} {verb} {', '.join(here)}")
        if each.node.undeveloped:
            relations.append(f"{key} is undeveloped")
        if each.node.defeated:
            relations.append(f"{key} is defeated")
    return f"{title}. Goal structure with {elements.replace('strategys', 'strategies')}. {'; '.join(relations)}."


def _drawn(sheet: Sheet, alt: str) -> Markup:
    diagram = Diagram(WIDTH, sheet.height)
    for wire in sheet.wires:
        _wire(diagram, wire)
    for placed in sheet.placed:
        _shape(diagram, placed)
        for line in placed.card.lines:
            _line(diagram, placed, line)
    return diagram.finish(alt)


def _wire(diagram: Diagram, wire: Wire) -> None:
    match wire.kind:
        case "supported by":
            diagram.arrow(wire.points, stroke=INK)
        case "in context of":
            diagram.arrow(wire.points, stroke=MUTE, hollow=True)
        case "challenges":
            diagram.arrow(wire.points, stroke=RUST, dash=DASH, head=wire.head)


def _shape(diagram: Diagram, placed: Placed) -> None:
    card, x, y = placed.card, placed.x, placed.y
    across, down = card.width, card.shape_height
    if card.form == "reference":
        diagram.rectangle(x, y, across, down, stroke=MUTE, dash="1 3")
        return
    match card.node.type:
        case NodeType.GOAL:
            diagram.rectangle(x, y, across, down, stroke=RUST if card.node.defeated else INK)
        case NodeType.STRATEGY:
            diagram.polygon([(x + SLANT, y), (x + across, y), (x + across - SLANT, y + down), (x, y + down)])
        case NodeType.SOLUTION:
            diagram.ellipse(x, y, 2 * RADIUS, 2 * RADIUS, stroke=BLUE)
        case NodeType.CONTEXT:
            diagram.rectangle(x, y, across, down, stroke=MUTE, corner=_ROUND)
        case NodeType.ASSUMPTION | NodeType.JUSTIFICATION:
            diagram.ellipse(x, y, across, down, stroke=MUTE)
            letter = "A" if card.node.type is NodeType.ASSUMPTION else "J"
            diagram.text(x + across - 4, y + down - 1, letter, anchor="end", bold=True, size=SIZE, fill=MUTE)
        case NodeType.DEFEATER:
            if is_round(card.node):
                diagram.ellipse(x, y, 2 * RADIUS, 2 * RADIUS, stroke=RUST, dash=DASH)
            else:
                diagram.rectangle(x, y, across, down, stroke=RUST, dash=DASH)
    if card.height > card.shape_height:
        _undeveloped(diagram, x + across / 2, y + down)


def _undeveloped(diagram: Diagram, x: float, y: float) -> None:
    """The diamond of GSN below an element, and the word beside it."""
    diagram.polygon([(x, y), (x + 6, y + 7), (x, y + 14), (x - 6, y + 7)])
    diagram.text(x + 11, y + 11, "undeveloped", fill=MUTE, size=SMALL)


def _line(diagram: Diagram, placed: Placed, line: Line) -> None:
    x, y = placed.x + line.x, placed.y + line.y
    anchor = "middle" if line.middle else "start"
    against = placed.card.node.type is NodeType.DEFEATER or placed.card.node.defeated
    if line.style == "head":
        name, _, tags = line.text.partition("  ")
        inside = is_round(placed.card.node) and line.middle
        size = SMALL if inside else SIZE
        diagram.text(x, y, name, anchor=anchor, bold=True, size=size, fill=RUST if against else INK)
        if tags:
            diagram.text(x + width(name, size, bold=True) + 6, y, tags, size=SMALL, fill=RUST if against else MUTE)
        return
    fill = {"text": INK, "value": RUST if against else BLUE, "mute": MUTE}[line.style]
    diagram.text(x, y, line.text, anchor=anchor, size=SIZE, fill=fill)
