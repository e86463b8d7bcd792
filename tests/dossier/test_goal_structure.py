"""Goal structures on paper: nothing overlaps, nothing leaves the page, no word is lost, whatever the argument."""

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fontTools.ttLib import TTFont
from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase import resources
from safetycase.case.argument import build_argument, load_pattern
from safetycase.case.goals import Account, Argument, Assured, Confidence, EvidenceRef, Measured, Node, NodeType, Reply, Scope, SignOff
from safetycase.case.wording import forbidden
from safetycase.dossier.figures.goal_cards import LEADING, SIZE, SMALL, is_round
from safetycase.dossier.figures.goal_sheet import TALLEST, WIDTH, Placed, Sheet
from safetycase.dossier.figures.goal_sheets import sheets
from safetycase.dossier.figures.goal_structure import figures
from safetycase.dossier.figures.wrapping import poured, width, wrapped
from safetycase.dossier.visible import is_bundled, visible
from tests.dossier.cases import HOSTILE, STORIES
from tests.dossier.synthetic import digest, estimate

PATTERNS = ("change-between-versions", "refusal-under-weight-access", "transparency-to-downstream", "what-features-show")
SVG = "{http://www.w3.org/2000/svg}"
FONTS = Path(__file__).parents[2] / "safetycase/dossier/fonts"
TEXTS = st.one_of(
    st.sampled_from(["Short", "A sentence of moderate length about a model", HOSTILE, "w" * 300, "many words " * 12, "W" * 90]),
    st.text(max_size=120),
)


def structure(*nodes: Node) -> Argument:
    """An argument of these elements, with nothing else to say."""
    return Argument(
        pattern="mine",
        pattern_sha256=digest("pattern"),
        title="Title",
        about="About",
        scope=Scope(),
        nodes=nodes,
        account=Account(planned=0, answered=0, attempts=0, abandoned=0),
        invalidated_by=(),
        expires_after_months=None,
        expires=None,
        sign_off=SignOff(author="", independence="none", date=None),
    )


@st.composite
def structures(draw: st.DrawFn) -> Argument:
    """Random arguments: trees of goals and strategies with shared children, solutions, contexts, and doubts about any of them."""
    size = draw(st.integers(1, 24))
    parents = [draw(st.integers(max(0, i - 6), i - 1)) for i in range(1, size)]
    ids = [f"{'G' if i == 0 else draw(st.sampled_from(['G', 'S', 'Sn']))}{i + 1}" for i in range(size)]
    inner = [i for i in range(size) if not ids[i].startswith("Sn")]
    below: dict[int, list[str]] = {i: [] for i in inner}
    for child, parent in enumerate(parents, start=1):
        below[max(i for i in inner if i <= parent)].append(ids[child])
    for _ in range(draw(st.integers(0, 2))):
        sharing = draw(st.sampled_from(inner))
        later = [key for i, key in enumerate(ids) if i > sharing and key not in below[sharing]]
        below[sharing] += later[:1]
    contexts = {f"{draw(st.sampled_from('CAJ'))}{n}": draw(st.sampled_from(inner)) for n in range(1, draw(st.integers(1, 7)))}
    nodes = [_element(draw, key, below.get(i), [c for c, at in contexts.items() if at == i]) for i, key in enumerate(ids)]
    nodes += [Node(id=key, text=draw(TEXTS)) for key in contexts]
    targets = [*ids, *contexts]
    for n in range(1, draw(st.integers(1, 8))):
        letters = draw(st.sampled_from(["CG", "CSn"]))
        hit = tuple(draw(st.lists(st.sampled_from(targets), min_size=1, max_size=2, unique=True)))
        evidence = (_reference(draw),) if letters == "CSn" else ()
        reply = Reply(status="open", owner=draw(TEXTS), reason=draw(TEXTS))
        nodes.append(Node(id=f"{letters}{n}", text=draw(TEXTS), challenges=hit, reply=reply, evidence=evidence))
    return structure(*nodes)


def _element(draw: st.DrawFn, key: str, below: list[str] | None, beside: list[str]) -> Node:
    if below is None:
        return Node(id=key, text=draw(TEXTS), evidence=(_reference(draw),))
    assured = Assured(word=draw(st.sampled_from(Confidence)), rationale="because") if key.startswith("G") else None
    return Node(
        id=key,
        text=draw(TEXTS),
        supported_by=tuple(below),
        in_context_of=tuple(beside),
        undeveloped=not below,
        defeated=draw(st.booleans()),
        confidence=assured,
    )


def _reference(draw: st.DrawFn) -> EvidenceRef:
    measured = tuple(
        Measured(name="refusal_rate.harmful.ablated@arditi-12", estimate=estimate(0.11, 0.1)) for _ in range(draw(st.integers(0, 4)))
    )
    return EvidenceRef(step="refusal", kind="refusal_direction", findings_sha256=digest("f"), enters="support", measured=measured)


def from_pattern(pattern: str, story: str) -> Argument:
    told = STORIES[story]()
    return build_argument(load_pattern(pattern, Path(), resources.bundled()), told.case, told.findings)


def overlaps(sheet: Sheet) -> Iterator[tuple[str, str]]:
    for one, two in itertools.combinations(sheet.placed, 2):
        apart = one.x + one.card.width <= two.x or two.x + two.card.width <= one.x or one.bottom <= two.y or two.bottom <= one.y
        if not apart:
            yield one.card.node.id, two.card.node.id


def outside(sheet: Sheet) -> Iterator[str]:
    """Cards beyond the page, and lines of text beyond their cards."""
    for each in sheet.placed:
        if each.x < 0 or each.y < 0 or each.x + each.card.width > WIDTH or each.bottom > sheet.height:
            yield each.card.node.id
        for line in each.card.lines:
            half = width(line.text, SIZE) / 2
            left, right = (line.x - half, line.x + half) if line.middle else (line.x, line.x + 2 * half)
            if left < -0.01 or right > each.card.width + 0.01 or line.y - LEADING + 3 < -0.01 or line.y + 3 > each.card.shape_height + 0.01:
                yield f"{each.card.node.id}: {line.text}"


def colliding(placed: Placed) -> Iterator[str]:
    """Lines of one card on top of each other."""
    rows = [line.y for line in placed.card.lines if not (is_round(placed.card.node) and line.middle)]
    yield from (placed.card.node.id for one, two in itertools.pairwise(rows) if two - one < LEADING - 0.01)


def spoken(text: str) -> str:
    return "".join(visible(text, bundled_only=True).split())


@settings(max_examples=60, deadline=None)
@given(structures())
def test_nothing_overlaps_and_nothing_leaves_the_page(argument: Argument) -> None:
    """For any tree, any text and any doubts: sheets of at most a page, on which boxes and lines keep apart."""
    for sheet in sheets(argument):
        assert sheet.height <= TALLEST
        assert list(overlaps(sheet)) == []
        assert list(outside(sheet)) == []
        assert [each for placed in sheet.placed for each in colliding(placed)] == []
        for wire in sheet.wires:
            assert all(0 <= x <= WIDTH and 0 <= y <= sheet.height for x, y in wire.points)


@settings(max_examples=60, deadline=None)
@given(structures())
def test_every_element_is_drawn_with_all_its_words(argument: Argument) -> None:
    """In full at least once; only a text longer than any page of it refers to the list of elements."""
    full = {each.card.node.id: each.card for sheet in sheets(argument) for each in sheet.placed if each.card.form == "full"}

    assert full.keys() == {node.id for node in argument.nodes}
    for node in argument.nodes:
        shown = "".join(line.text for line in full[node.id].lines)
        assert spoken(node.text) in spoken(shown) or "in full in the list" in shown
        assert node.id in shown


@settings(max_examples=40, deadline=None)
@given(structures())
def test_every_relation_is_drawn(argument: Argument) -> None:
    """As many arrows of each kind as relations, counted over all sheets, besides those that lead to a repeated element."""
    drawn = [wire.kind for sheet in sheets(argument) for wire in sheet.wires]

    for kind in ("supported by", "in context of", "challenges"):
        assert drawn.count(kind) >= sum(each.kind == kind for each in argument.relations())


@settings(max_examples=20, deadline=None)
@given(structures())
def test_pictures_are_well_formed_and_inert(argument: Argument) -> None:
    """Hostile text is text: no element but those of a drawing, no attribute that acts, the alternative text as accessible name."""
    for picture in figures(argument):
        root = ET.fromstring(str(picture.drawing))

        assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {"svg", "title", "text", "rect", "polygon", "polyline", "ellipse"}
        assert not [name for each in root.iter() for name in each.attrib if name.startswith("on") or name in ("style", "href")]
        assert root.get("role") == "img"
        assert root.findtext(f"{SVG}title") == root.get("aria-label")
        assert all(float(each.get("font-size", SIZE)) >= SMALL for each in root.iter())


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("story", STORIES)
def test_every_pattern_is_drawn_for_every_case(story: str, pattern: str) -> None:
    """From nothing run to sixty claims; the same bytes each time."""
    argument = from_pattern(pattern, story)
    pictures = figures(argument)

    assert pictures == figures(argument)
    assert all(list(overlaps(sheet)) == [] and list(outside(sheet)) == [] and sheet.height <= TALLEST for sheet in sheets(argument))
    if story != "hostile":
        assert forbidden(repr(pictures)) == ()


def test_a_cut_subtree_is_a_stub_and_the_root_of_its_own_picture() -> None:
    """The stub says where it goes on, and a picture of that name follows."""
    long = "words that take room " * 40
    parts = [Node(id=f"G{n}", text=long, supported_by=(f"Sn{n}",), in_context_of=(f"C{n}",)) for n in (2, 3)]
    rest = [Node(id=f"{letters}{n}", text=long) for n in (2, 3) for letters in ("Sn", "C")]
    argument = structure(Node(id="G1", text="Top", supported_by=("G2", "G3")), *parts, *rest)

    drawn = sheets(argument)
    stubs = [each.card for sheet in drawn for each in sheet.placed if each.card.form == "stub"]

    assert stubs
    assert all(f"continued in the figure of {each.node.id}" in " ".join(line.text for line in each.lines) for each in stubs)
    assert {each.node.id for each in stubs} <= {sheet.content.root for sheet in drawn[1:]}


def test_a_shared_child_is_drawn_once_and_referred_to() -> None:
    """The second goal that rests on it says where it is drawn."""
    shared = Node(id="G4", text="Shared", undeveloped=True)
    goals = [Node(id=f"G{n}", text="Part", supported_by=("G4",)) for n in (2, 3)]
    (sheet,) = sheets(structure(Node(id="G1", text="Top", supported_by=("G2", "G3")), *goals, shared))

    forms = [each.card.form for each in sheet.placed if each.card.node.id == "G4"]

    assert forms == ["full", "reference"]
    assert "drawn with G2" in str(figures(structure(Node(id="G1", text="Top", supported_by=("G2", "G3")), *goals, shared))[0].drawing)


def test_status_is_said_in_words() -> None:
    """Undeveloped, defeated, open and the confidence can be read without colour or shape."""
    text = "".join(str(picture.drawing) for picture in figures(from_pattern(PATTERNS[1], "plausible")))

    assert all(
        word in text for word in (">undeveloped<", "defeated, confidence none", ">open<", "confidence low", "11\u202f% [6,\u00a016]")
    )


def test_lines_between_columns_do_not_share_a_lane() -> None:
    """Contexts of one node and doubts about another run apart where both are under way."""
    for sheet in sheets(from_pattern(PATTERNS[1], "plausible")):
        runs = [(wire.points[1][0], *sorted((wire.points[1][1], wire.points[2][1]))) for wire in sheet.wires if len(wire.points) == 4]
        for (x, top, bottom), (other, top2, bottom2) in itertools.combinations(runs, 2):
            assert x != other or bottom <= top2 + 0.01 or bottom2 <= top + 0.01


@cache
def face(weight: str) -> tuple[dict[int, str], Any, int]:
    font = TTFont(FONTS / f"dossier-sans-{weight}.woff2")
    return font.getBestCmap(), font["hmtx"], font["head"].unitsPerEm


@pytest.mark.parametrize(("weight", "bold"), [("regular", False), ("semibold", True)])
def test_no_character_is_wider_than_it_is_taken_to_be(weight: str, bold: bool) -> None:
    """Measured in the bundled faces, for every character that they draw."""
    names, advances, units = face(weight)

    wider = [
        chr(code)
        for code, name in names.items()
        if is_bundled(chr(code)) and advances[name][0] / units > width(chr(code), 1, bold=bold) + 0.011
    ]

    assert wider == []


@given(st.text(max_size=200), st.floats(30, 300))
def test_wrapping_loses_nothing_and_keeps_the_width(text: str, most: float) -> None:
    """Lines joined are the text without its spaces, and no line is wider than it may be."""
    lines = wrapped(text, most, SIZE)

    assert spoken("".join(lines)) == spoken(text)
    assert all(width(line, SIZE) <= most for line in lines)


@given(st.text(max_size=120), st.lists(st.floats(0, 200), max_size=12))
def test_pouring_keeps_every_width_or_says_that_it_cannot(text: str, widths: list[float]) -> None:
    """Lines follow a shape; a text that does not fit is not shortened."""
    lines = poured(text, widths, SIZE)

    if lines is not None:
        assert spoken("".join(lines)) == spoken(text)
        assert all(width(line, SIZE) <= most for line, most in zip(lines, widths, strict=True))


def test_an_oval_holds_its_text() -> None:
    """Every corner of every line lies inside the ellipse."""
    argument = from_pattern(PATTERNS[1], "plausible")
    ovals = [e for s in sheets(argument) for e in s.placed if e.card.node.type in (NodeType.ASSUMPTION, NodeType.JUSTIFICATION)]

    assert ovals
    for each in ovals:
        a, b = each.card.width / 2, each.card.shape_height / 2
        for line in each.card.lines:
            for y in (line.y - LEADING + 3, line.y + 3):
                assert (width(line.text, SIZE) / 2 / a) ** 2 + ((y - b) / b) ** 2 <= 1.0
