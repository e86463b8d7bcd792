"""Text with activations on its tokens: whole, few stretches, nothing that acts, numbers for those who hear it."""

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetycase.dossier import tokens
from safetycase.dossier.visible import visible
from tests.dossier.test_hostile import STRINGS, TOKENS

HOSTILE = (*STRINGS, *TOKENS)
texts = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=12))
windows = st.lists(st.tuples(texts, st.floats(0, 10)), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("activation", "step"),
    [
        pytest.param(0.0, 0, id="silent"),
        pytest.param(-1.0, 0, id="below zero"),
        pytest.param(0.1, 1, id="first quarter"),
        pytest.param(2.6, 2, id="second quarter"),
        pytest.param(9.9, 4, id="last quarter"),
        pytest.param(10.0, 4, id="the largest"),
        pytest.param(20.0, 4, id="beyond the largest of the corpus"),
    ],
)
def test_strength_steps_by_quarters(activation: float, step: int) -> None:
    """Colour says in which quarter of the feature's largest activation a token lies, and nothing finer."""
    assert tokens.strength(activation, 10.0) == step


@given(windows)
def test_runs_hold_every_token_once_and_no_two_of_one_strength_touch(window: list[tuple[str, float]]) -> None:
    """The stretches together are the tokens in order; neighbours differ, so that there are as few spans as can be."""
    names, activations = [each for each, _ in window], [value for _, value in window]
    made = tokens.runs(names, activations, 10.0)

    said = "".join(run.text for run in made).replace(tokens.SPACE, " ")
    assert said == "".join(map(tokens.in_text, names)).replace(tokens.SPACE, " ")
    assert all(before.strength != after.strength for before, after in itertools.pairwise(made))


@given(windows)
def test_coloured_stretches_have_something_to_see(window: list[tuple[str, float]]) -> None:
    """A colour never lies on nothing: a space that fires is drawn."""
    names, activations = [each for each, _ in window], [value for _, value in window]

    assert all(run.text.strip() for run in tokens.runs(names, activations, 10.0) if run.strength)


def test_runs_that_touch_are_one() -> None:
    """Tokens of one strength share a span."""
    made = tokens.runs([" a", " b", " c", " d"], [9.0, 9.5, 0.0, 0.0], 10.0)

    assert [(run.text, run.strength) for run in made] == [(" a b", 4), (" c d", 0)]


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        pytest.param("\n", "¶", id="line end"),
        pytest.param("\r\n", "¶", id="line end of Windows"),
        pytest.param("¶", "‹U+00B6›", id="a real pilcrow is not a line end"),
        pytest.param("·", "‹U+00B7›", id="a real dot is not a space"),
        pytest.param("    ", "····", id="several spaces"),
        pytest.param("▁the", " the", id="mark of a tokenizer"),
        pytest.param("<0xE2>", "‹0xE2›", id="byte that makes no character"),
        pytest.param("\ufffd", "‹U+FFFD›", id="broken bytes"),
        pytest.param("\t", "‹U+0009›", id="tab"),
        pytest.param("\u0301e", "‹U+0301›e", id="a mark that would land on the token before"),
    ],
)
def test_what_cannot_be_seen_gets_a_sign(token: str, shown: str) -> None:
    """Line ends, spaces, bytes and marks are told from each other and from text."""
    assert tokens.in_text(token) == shown


@pytest.mark.parametrize(("token", "shown"), [(" the", "·the"), ("the ", "the·"), (" ", "·"), ("", "‹nothing›"), ("a b", "a b")])
def test_spaces_at_the_ends_of_a_token_are_drawn_where_it_stands_alone(token: str, shown: str) -> None:
    """Two tokens that differ by a space look different."""
    assert tokens.alone(token) == shown


@pytest.mark.parametrize("token", HOSTILE)
def test_hostile_tokens_stay_visible_and_harmless(token: str) -> None:
    """Whatever a vocabulary holds, each token shows something, and nothing that reorders, hides or stacks."""
    run = "".join(run.text for run in tokens.runs([token], [5.0], 10.0))
    for shown in (visible(tokens.alone(token)), visible(run or tokens.alone(token))):
        bare = shown.strip("\u2068\u2069")
        assert bare.strip()
        assert not any(unicodedata.category(each) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for each in bare)
        assert not unicodedata.combining(bare[0])


def test_marks_do_not_stack_across_tokens() -> None:
    """A hundred tokens of one combining mark each are a hundred names, not a tower over the lines around them."""
    made = tokens.runs(["e", *["\u0301"] * 100], [0.0, *[5.0, 0.0] * 50], 10.0)

    assert "".join(visible(run.text) for run in made).count("‹U+0301›") == 100


def test_numbers_are_heard() -> None:
    """After every stretch on which it fires, its largest activation is read out; silence is not."""
    said = tokens.heard([" how", " to", " bomb", "s", " it"], [0.0, 0.0, 8.9, 2.0, 0.0])

    assert said == "how to bombs (8.90) it"
