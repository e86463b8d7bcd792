"""Patching grids and faithfulness curves: signs without colour, numbers that can be read, every mark inside."""

import re
import xml.etree.ElementTree as ET

import pytest

from safetycase.dossier.figures.faithfulness import Random, Step, faithfulness
from safetycase.dossier.figures.patching import Patched, patching

SVG = "{http://www.w3.org/2000/svg}"


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def grid(layers: int, roles: int) -> ET.Element:
    cells = [Patched(layer, role, (layer - role) / layers, layer == role) for layer in range(layers) for role in range(roles)]
    names = [f"role of a long name {index}" for index in range(roles)]
    return ET.fromstring(str(patching(cells, names, layers, unit="share of the difference", alt="A grid.")))


@pytest.mark.parametrize(("layers", "roles"), [(4, 1), (8, 7), (26, 7), (48, 2), (6, 24), (80, 40)])
def test_a_grid_stays_on_its_page(layers: int, roles: int) -> None:
    """No wider than a page, no higher than a page, no type below nine pixels, no box beyond the edges."""
    root = grid(layers, roles)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])

    assert width <= 600.1
    assert height <= 945
    assert min(float(each.attrib["font-size"]) for each in root.iter(f"{SVG}text")) >= 9
    for each in root.iter(f"{SVG}rect"):
        assert 0 <= float(each.attrib["x"]) <= float(each.attrib["x"]) + float(each.attrib["width"]) <= width + 0.5
        assert 0 <= float(each.attrib["y"]) <= float(each.attrib["y"]) + float(each.attrib["height"]) <= height + 0.5


def test_the_sign_of_a_cell_needs_no_colour() -> None:
    """Wide cells wear it on the number; a narrow negative one has a bar."""
    words = [each.text or "" for each in grid(4, 3).iter(f"{SVG}text")]
    assert {"+0.75", "−0.50", "0.00"} <= set(words)

    narrow = grid(4, 24)
    assert len(list(narrow.iter(f"{SVG}line"))) == sum((layer - role) / 4 <= -0.1 * 5.75 for layer in range(4) for role in range(24))


def test_numbers_stand_out_from_their_cells() -> None:
    """Dark text on every colour of the scale, at a contrast of 4.5 or more."""
    root = grid(9, 9)
    dark = luminance("#1f2431")
    fills = {each.attrib["fill"] for each in root.iter(f"{SVG}rect") if each.attrib["fill"] != "none"}

    assert {each.get("fill") for each in root.iter(f"{SVG}text") if re.match(r"[+−]?\d\.\d\d$", each.text or "")} <= {"#1f2431", "#1f2430"}
    assert all((luminance(fill) + 0.05) / (dark + 0.05) >= 4.5 for fill in fills)


def test_the_scale_is_centred_at_zero() -> None:
    """Effects of one size are equally far from pale, whichever way they point, and zero is pale."""
    colours = [
        next(ET.fromstring(str(patching([Patched(0, 0, value), Patched(0, 1, 2.0)], ["a", "b"], 1, unit="", alt="x"))).iter(f"{SVG}rect"))
        for value in (-2.0, 0.0, 2.0)
    ]
    assert [each.attrib["fill"] for each in colours] == ["#e2804a", "#f6f7f9", "#5b97d1"]


@pytest.mark.parametrize("count", [1, 2, 11])
def test_a_curve_has_its_band_and_its_intervals(count: int) -> None:
    """One mark for each size, one whisker for each interval, a band around random circuits, and marks inside the drawing."""
    steps = [Step(2**index, index / 10, index / 10 - 0.1, index / 10 + 0.1, Random(-0.2, 0.0, 0.1)) for index in range(count)]
    root = ET.fromstring(str(faithfulness(steps, of=2048, things="edges", band="5 to 95 % of 100", alt="A curve.", chosen=1)))

    assert len(list(root.iter(f"{SVG}circle"))) == count - 1
    whiskers = [each for each in root.iter(f"{SVG}line") if each.get("stroke") == "#0b5394"]
    assert len(whiskers) == count
    band = [each for each in root.iter() if each.tag in (f"{SVG}polygon", f"{SVG}rect") and each.get("fill") == "#c9d3e2"]
    assert len(band) == 1
    assert all(0 <= float(each.get(key, 0)) <= float(root.attrib["width"]) for each in root.iter() for key in ("x", "x1", "x2", "cx"))
    assert all(0 <= float(each.get(key, 0)) <= float(root.attrib["height"]) for each in root.iter() for key in ("y", "y1", "y2", "cy"))
    assert "edges kept, of 2048" in [each.text for each in root.iter(f"{SVG}text")]
