"""Null features are active, untested and alike the tested ones where the edits are judged."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase.lab.features.null_features import matched_features
from safetycase.lab.features.relevance import Peaks

pytestmark = pytest.mark.lab

activations = st.lists(st.lists(st.sampled_from([0.0, 0.0, 0.1, 1.0, 3.0]), min_size=9, max_size=9), min_size=2, max_size=5)


def peaks(present: object, absent: object) -> Peaks:
    """Of as many features as there are columns."""
    return Peaks(torch.tensor(present), torch.tensor(absent), torch.zeros(2))


@given(activations, activations, st.integers(0, 12), st.sets(st.integers(0, 8), min_size=1, max_size=3))
@settings(max_examples=60)
def test_nulls_are_active_untested_and_as_many_as_can_be_had(
    present: list[list[float]], absent: list[list[float]], wanted: int, tested: set[int]
) -> None:
    """None twice, whatever fires where."""
    seen = peaks(present, absent)
    candidates = {feature for feature in range(9) if seen.fires[feature]} - tested

    found = matched_features(torch.ones(9), seen, sorted(tested), wanted)

    assert len(found.features) == len(set(found.features)) == min(wanted, len(candidates))
    assert set(found.features) <= candidates
    assert found.note


def test_the_nearest_in_strength_and_share_come_first() -> None:
    """A feature of half the activation and twice the norm is as near as one alike; one that fires twice as often is farther."""
    seen = peaks(
        [
            # 0 tested, 1 alike, 2 half at twice the norm, 3 a little stronger, 4 rarer, 5 silent here
            [4.0, 4.0, 2.0, 5.0, 0.0, 0.0],
            [4.0, 4.0, 2.0, 5.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 8.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        ],
        [[0.0, 0.0, 0.0, 0.0, 0.0, 4.0]] * 4,
    )
    norms = torch.tensor([1.0, 1.0, 2.0, 1.0, 1.0, 1.0])

    found = matched_features(norms, seen, [0], 5)

    assert set(found.features[:2]) == {1, 2}
    assert found.features[-1] == 5
    assert "all 5 untested features" in found.note
    assert found.note.endswith("4 of them fire on present prompts")


def test_tested_features_take_turns() -> None:
    """The weak and the strong one each get their own kind first."""
    strengths = [1.0, 100.0, 1.1, 1.2, 90.0, 80.0]
    seen = peaks([strengths, strengths], [[0.0] * 6] * 2)

    found = matched_features(torch.ones(6), seen, [0, 1], 2)

    assert found.features == (2, 4)
    assert found.note.startswith("2 of 4 untested features")


def test_too_few_are_said_to_be_too_few() -> None:
    """How many were asked for, or that there are none at all."""
    some = peaks([[1.0, 1.0, 0.0]] * 2, [[0.0] * 3] * 2)

    assert "all 1 untested features that fire on discovery prompts (5 were asked for)" in matched_features(torch.ones(3), some, [0], 5).note
    assert matched_features(torch.ones(3), some, [0, 1], 5).note == "no other feature fires on a discovery prompt"
    assert matched_features(torch.ones(3), some, [0], 0).note == "no null feature was asked for"
