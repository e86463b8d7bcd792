"""Untrusted text made visible."""

import io
import unicodedata
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from hypothesis import given
from hypothesis import strategies as st

from safetycase import dossier
from safetycase.dossier.visible import BUNDLED, visible

FONTS = sorted((Path(dossier.__path__[0]) / "fonts").glob("*.woff2"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("a\u202eb", "a‹U+202E›b", id="bidi override"),
        pytest.param("a\x00\x1b[31m", "a‹U+0000›‹U+001B›[31m", id="control characters"),
        pytest.param("a\u200bb\u00adc", "a‹U+200B›b‹U+00AD›c", id="invisible characters"),
        pytest.param("a\ud800", "a‹U+D800›", id="lone surrogate"),
        pytest.param("one\r\ntwo\tthree", "one\ntwo three", id="line ends and tabs"),
        pytest.param("e\u0301\u0301\u0301\u0301", "e\u0301\u0301‹U+0301›‹U+0301›", id="stacked marks"),
        pytest.param("שלום", "\u2068שלום\u2069", id="right-to-left words are isolated"),
        pytest.param(" \n\u2003", "‹U+0020›‹U+000A›‹U+2003›", id="nothing but spaces"),
        pytest.param("", "", id="nothing at all"),
        pytest.param("\u3164x\ufe0f\u2800", "‹U+3164›x‹U+FE0F›‹U+2800›", id="letters and marks that draw nothing"),
        pytest.param("κ ≤ 0.6 → ▁the", "κ ≤ 0.6 → ▁the", id="what the fonts draw"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    """What acts on its surroundings is shown as its code point; what has a shape stays."""
    assert shown == visible(text)


def test_bundled_only() -> None:
    """A PDF names each character that no bundled font draws."""
    assert visible("漢 😀 ש", bundled_only=True) == "‹U+6F22› ‹U+1F600› ‹U+05E9›"


@given(st.text())
def test_nothing_hidden_is_left(text: str) -> None:
    """Whatever comes in, no control or unassigned character comes out; made visible twice is made visible once."""
    shown = visible(text, bundled_only=True)

    assert all(unicodedata.category(each) not in ("Cc", "Cs", "Co", "Cn") for each in shown if each != "\n")
    assert shown == visible(shown, bundled_only=True)
    shown.encode()


def test_fonts_draw_what_is_declared() -> None:
    """The declared code points are those of the bundled fonts together, no more and no fewer."""
    drawn: set[int] = set()
    for path in FONTS:
        drawn |= set(TTFont(io.BytesIO(path.read_bytes())).getBestCmap())

    assert {point for first, last in BUNDLED for point in range(first, last + 1)} == drawn


@pytest.mark.parametrize("family", ["serif", "sans", "mono"])
def test_every_style_of_a_family_draws_the_same(family: str) -> None:
    """Bold or italic text falls back no more than upright text does."""
    maps = [set(TTFont(io.BytesIO(path.read_bytes())).getBestCmap()) for path in FONTS if family in path.name]

    assert maps
    assert all(each == maps[0] for each in maps)


def test_signs_of_the_pages_are_drawn() -> None:
    """Verdict shapes, Greek letters, minus signs and arrows are in the bundled fonts."""
    assert visible("●▲○κ−→≤≥ …–\u202f", bundled_only=True) == "●▲○κ−→≤≥ …–\u202f"
