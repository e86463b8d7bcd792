"""A rule that was planted is found from contexts alone; where there is none, none is made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetycase.lab.features.label_rules import FLOOR, MOST_TOKENS, Example, Rule, agreement, best_rule, rule_of

LENGTH = 16
SPECIAL = 99


def windows(count: int, seed: int = 0) -> list[tuple[int, ...]]:
    """Windows of varying words, without the planted ones (90 and above)."""
    state = seed * 7919 + 1
    made = []
    for _ in range(count):
        window = []
        for _ in range(LENGTH):
            state = (state * 1103515245 + 12345) % 2**31
            window.append(state // 65536 % 40)
        made.append(tuple(window))
    return made


def placed(window: tuple[int, ...], position: int, *tokens: int) -> tuple[int, ...]:
    """The window with tokens put in at a position."""
    return (*window[:position], *tokens, *window[position + len(tokens) :])


def fires_at(window: tuple[int, ...], *positions: int) -> Example:
    """An example in which the feature fires at these positions, most at the last of them."""
    return Example(window, tuple(float(positions.index(i) + 1) if i in positions else 0.0 for i in range(len(window))))


def test_tokens_that_make_it_fire_are_found() -> None:
    """Three tokens, at any place; a common token that stands beside them now and then is not taken for one."""
    examples = [fires_at(placed(window, 2 + i % 9, 90 + i % 3), 2 + i % 9) for i, window in enumerate(windows(30))]
    examples += [fires_at(window) for window in windows(3, seed=1)]

    rule = best_rule(examples)

    assert rule.form == "token"
    assert set(rule.tokens) == {90, 91, 92}
    assert agreement(rule, examples) == 1.0


def test_token_before_is_found_where_what_follows_varies() -> None:
    """The tokens at the peak are all different: only what precedes them is alike."""
    examples = [fires_at(placed(window, 2 + i % 9, 90, 50 + i), 3 + i % 9) for i, window in enumerate(windows(20))]

    assert best_rule(examples) == Rule("previous-token", (90,))


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        pytest.param(0, Rule("position", (), (0,)), id="first token of a window"),
        pytest.param(-1, Rule("position", (), (-1,)), id="last token of a window"),
    ],
)
def test_place_in_the_window_is_found(position: int, expected: Rule) -> None:
    """Windows differ in length, so that the start and the end are told apart."""
    examples = []
    for i, window in enumerate(windows(24)):
        short = window[: LENGTH - i % 5]
        examples.append(fires_at(placed(short, position % len(short), 50 + i), position % len(short)))

    assert best_rule(examples) == expected


@pytest.mark.parametrize("offset", [-1, 3])
def test_place_beside_a_special_token_is_found(offset: int) -> None:
    """The end of a request is the token before the template's next one, whatever it is."""
    examples = []
    for i, window in enumerate(windows(24)):
        start = 4 + i % 7
        marked = placed(window, start, SPECIAL)
        examples.append(fires_at(placed(marked, start + offset, 50 + i), start + offset))

    assert best_rule(examples, special=[SPECIAL]) == Rule("position", (SPECIAL,), (offset,))
    assert best_rule(examples).form == "none"


def test_no_rule_is_made_of_chance() -> None:
    """A feature that fires at tokens and places without pattern has the form none."""
    examples = [fires_at(placed(window, (i * 7) % LENGTH, 50 + i), (i * 7) % LENGTH) for i, window in enumerate(windows(32))]

    assert best_rule(examples) == Rule("none")


def test_token_that_stands_at_peaks_by_chance_is_no_rule() -> None:
    """Many words, few windows: some word precedes several peaks by luck, and does not in windows that it was not found in."""
    found = 0
    for seed in range(40):
        examples = [fires_at(window, (i * 7 + seed) % LENGTH) for i, window in enumerate(windows(12, seed=seed))]
        found += best_rule(examples).form != "none"

    assert found <= 3


def test_feature_that_fires_everywhere_has_no_token_rule() -> None:
    """Any token would be right; a list of them says less than "everywhere"."""
    examples = [fires_at(window, *range(LENGTH)) for window in windows(20)]

    assert best_rule(examples) == Rule("none")


def test_token_that_stands_everywhere_but_fires_rarely_is_no_rule() -> None:
    """Precision is counted at positions: that each window holds the token is not enough."""
    examples = [
        fires_at(placed(placed(placed(window, 1, 90, 90, 90, 90), 8, 90, 90, 90), 12, 90, 90), 1 + i % 4)
        for i, window in enumerate(windows(30))
    ]

    assert agreement(Rule("token", (90,)), examples) < FLOOR


def test_rule_that_points_into_silent_windows_too_is_worth_less() -> None:
    """Three silent windows stand for all the silence of the corpus: a token that fires in all others but stands in these tells half."""
    firing = [fires_at(placed(window, 5, 90), 5) for window in windows(30)]
    silent = [fires_at(placed(window, 5, 90)) for window in windows(3, seed=1)]

    assert agreement(Rule("token", (90,)), firing) == 1.0
    assert agreement(Rule("token", (90,)), firing + silent) == pytest.approx(2 / 3)


def test_never_firing_has_no_rule() -> None:
    """There is nothing to be ruled."""
    assert best_rule([fires_at(window) for window in windows(4)]) == Rule("none")
    assert best_rule([]) == Rule("none")


@given(st.lists(st.lists(st.tuples(st.integers(0, 6), st.sampled_from([0.0, 0.0, 1.5, -0.5])), min_size=1, max_size=9), max_size=12))
def test_best_rule_is_short_reproducible_and_survives_storage(drawn: list[list[tuple[int, float]]]) -> None:
    """Whatever the contexts: at most eight tokens, which agree with some peaks, or form none; and JSON keeps it."""
    examples = [Example(tuple(token for token, _ in window), tuple(value for _, value in window)) for window in drawn]

    rule = best_rule(examples, special=[0])

    assert len(rule.tokens) <= MOST_TOKENS
    assert rule_of(rule.as_json()) == rule
    assert best_rule(examples, special=[0]) == rule
    assert rule.form == "none" or agreement(rule, examples) > 0
    assert all(rule.predicts(e.tokens) == any(rule.at(e.tokens, i) for i in range(len(e.tokens))) for e in examples)
