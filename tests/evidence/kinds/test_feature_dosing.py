"""The dose of steering is the strongest within its bounds, and where none is, the reason says which bound."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetycase.evidence.kinds.feature_documentation.dosing import Trial, choose_dose

numbers = st.floats(-5, 5)
trials_of_any_kind = st.lists(
    st.builds(Trial, st.floats(0.1, 4), numbers, st.floats(0, 5), st.none() | st.floats(0, 1)),
    max_size=7,
)


@given(trials_of_any_kind, st.floats(0.1, 4), st.floats(0, 1))
def test_the_chosen_dose_is_within_bounds_and_none_within_bounds_raises_more(
    trials: list[Trial], max_kl: float, max_incoherent: float
) -> None:
    """Against the obvious definition, for any trials; none is chosen exactly where none is within bounds."""
    chosen = choose_dose(trials, max_kl=max_kl, max_incoherent=max_incoherent)

    within = [i for i, t in enumerate(trials) if t.kl <= max_kl and (t.incoherent is None or t.incoherent <= max_incoherent)]
    if not within:
        assert chosen.index is None
        assert chosen.reason
    else:
        assert chosen.index in within
        assert chosen.reason == ""
        assert all(trials[i].change < trials[chosen.index].change for i in within if i < chosen.index)
        assert all(trials[i].change <= trials[chosen.index].change for i in within)


@pytest.mark.parametrize(
    ("trials", "index"),
    [
        pytest.param([Trial(0.5, 1.0, 0.1), Trial(1.0, 3.0, 1.0)], 1, id="the larger rise"),
        pytest.param([Trial(0.5, 1.0, 0.1), Trial(1.0, 3.0, 2.5)], 0, id="the larger rise moves too much else"),
        pytest.param([Trial(0.5, 1.0, 0.1, 0.0), Trial(1.0, 3.0, 1.0, 0.5)], 0, id="the larger rise garbles answers"),
        pytest.param([Trial(0.5, 2.0, 0.1), Trial(1.0, 2.0, 0.1)], 0, id="equal rises: the smaller dose"),
        pytest.param([Trial(0.5, -2.0, 0.1), Trial(1.0, -1.0, 0.1)], 1, id="a fall is chosen too: the test decides, not the choice"),
        pytest.param([Trial(0.5, float("nan"), 0.1), Trial(1.0, -1.0, 0.1)], 1, id="a number that is none is passed over"),
    ],
)
def test_a_dose_is_chosen_by_its_rise(trials: list[Trial], index: int) -> None:
    """Among admitted doses the mean rise alone decides."""
    assert choose_dose(trials, max_kl=2.0, max_incoherent=0.2).index == index


@pytest.mark.parametrize(
    ("trials", "words"),
    [
        pytest.param([], "no dose was tried", id="nothing"),
        pytest.param([Trial(1.0, 3.0, 2.5), Trial(2.0, 3.0, 4.0)], r"more than 2 nats \(the least: 2\.5\)", id="off target"),
        pytest.param([Trial(1.0, 3.0, 0.5, 0.4), Trial(2.0, 3.0, 4.0, 0.0)], r"20% of answers.*the fewest: 40%", id="incoherent"),
        pytest.param([Trial(1.0, float("inf"), 0.5)], "no dose gave finite numbers", id="infinite"),
    ],
)
def test_without_a_dose_the_reason_names_the_bound(trials: list[Trial], words: str) -> None:
    """A reader learns what every dose broke."""
    chosen = choose_dose(trials, max_kl=2.0, max_incoherent=0.2)

    assert chosen.index is None
    assert re.search(words, chosen.reason)
