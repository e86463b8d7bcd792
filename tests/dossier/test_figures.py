"""Figures as SVG: well-formed, in the page's fonts, and bounded."""

import itertools
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetycase.dossier.figures.axis import round_step, spanning, spread
from safetycase.dossier.page import Dossier
from tests.dossier.cases import STORIES

SVG = "{http://www.w3.org/2000/svg}"


def drawings(dossier: Dossier) -> Iterator[str]:
    for step in dossier.steps:
        yield from (str(figure.drawing) for figure in step.exhibit.figures.values())
    yield from (str(number.drawing) for number in dossier.summary.key_numbers if number.drawing)


@pytest.mark.parametrize("name", STORIES)
def test_drawings_are_well_formed_and_say_what_they_show(name: str) -> None:
    """Each parses as XML, has a title that is also its accessible name, and no style attribute."""
    for drawing in drawings(STORIES[name]().dossier()):
        root = ET.fromstring(drawing)
        title = root.find(f"{SVG}title")

        assert root.tag == f"{SVG}svg"
        assert title is not None
        assert title.text == root.get("aria-label")
        assert root.get("role") == "img"
        assert not any("style" in each.attrib for each in root.iter())


@pytest.mark.parametrize("name", ["plausible", "large", "one_category", "hostile"])
def test_marks_stay_inside_the_drawing(name: str) -> None:
    """No mark is drawn beyond the edges; text starts or ends inside."""
    for drawing in drawings(STORIES[name]().dossier()):
        root = ET.fromstring(drawing)
        width, height = float(root.attrib["width"]), float(root.attrib["height"])

        for each in root.iter():
            for key in ("x", "x1", "x2", "cx"):
                assert -0.5 <= float(each.get(key, 0)) <= width + 0.5, (key, ET.tostring(each))
            for key in ("y", "y1", "y2", "cy"):
                assert -0.5 <= float(each.get(key, 0)) <= height + 0.5, (key, ET.tostring(each))


def test_same_findings_same_drawings() -> None:
    """Figures hold no clock and no chance."""
    assert list(drawings(STORIES["plausible"]().dossier())) == list(drawings(STORIES["plausible"]().dossier()))


def test_heatmap_frames_the_selected_candidate() -> None:
    """One cell per candidate, one frame; eighty layers by ten positions still fit the page."""
    dossier = STORIES["large"]().dossier()
    drawing = str(dossier.steps[0].exhibit.figures["scores"].drawing)

    assert len(re.findall(r'stroke="#c2410c" stroke-width="2.2"', drawing)) == 1
    assert float(ET.fromstring(drawing).attrib["width"]) <= 600


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_axis_holds_its_values(values: list[float]) -> None:
    """Every value lies on the axis, which is never of zero length, and its ticks lie within it."""
    axis = spanning(tuple(values), 10.0, 110.0)

    assert all(10 - 1e-6 <= axis(value) <= 110 + 1e-6 for value in values)
    assert all(axis.low - 1e-6 * abs(axis.low) <= tick <= axis.high + 1e-6 * abs(axis.high) for tick, _ in axis.ticks())


@given(st.floats(1e-6, 1e6))
def test_steps_are_round(rough: float) -> None:
    """Ticks stand at 1, 2 or 5 times a power of ten."""
    step = round_step(rough)
    digit = step / 10 ** math.floor(math.log10(step) + 1e-9)

    assert step >= rough * (1 - 1e-6)
    assert min(abs(digit - each) for each in (1, 2, 5, 10)) < 1e-6


@given(st.lists(st.floats(0, 200), min_size=1, max_size=6))
def test_labels_do_not_overlap(places: list[float]) -> None:
    """Labels are moved apart and keep their order."""
    moved = spread(places, 14.0)
    order = sorted(range(len(places)), key=places.__getitem__)

    assert all(moved[after] - moved[before] >= 14 - 1e-6 for before, after in itertools.pairwise(order))
