"""Nearest directions are exact, whatever the chunk, and a feature is never its own neighbour."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase.lab.features.neighbours import SHOWN, nearest_directions, neighbours
from tests.lab.features import feature_case
from tests.lab.small import loaded

pytestmark = pytest.mark.lab


def test_neighbours_are_those_of_the_whole_cosine_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against brute force over all pairs, with chunks that do not divide the dictionary."""
    monkeypatch.setattr("safetycase.lab.features.neighbours.CHUNK", 7)
    case = feature_case.study()

    nearest, tables, _ = feature_case.run(neighbours(case, [4, 9]))

    unit = torch.nn.functional.normalize(case.dictionary.directions(), dim=-1)
    for feature in (4, 9):
        cosines = unit @ unit[feature]
        cosines[feature] = -2
        order = cosines.argsort(descending=True).tolist()[:SHOWN]
        rows = [row for row in tables["neighbours"] if row["feature"] == feature]
        assert [row["other"] for row in rows] == order
        assert [row["value"] for row in rows] == pytest.approx(cosines[order].tolist(), abs=1e-6)
        assert {row["relation"] for row in rows} == {"decoder"}
        assert nearest[feature] == order[0]


def test_resumed_neighbours_come_from_the_stored_rows() -> None:
    """What the next stage is told does not depend on whether the rows were computed now."""
    case = feature_case.study()
    stored = feature_case.shards_of(neighbours(case, [4, 9]))
    direct, _, _ = feature_case.run(neighbours(case, [4, 9]))

    resumed, _, _ = feature_case.run(neighbours(feature_case.study(case.model, stored=stored), [4, 9]))

    assert resumed == direct


def test_direction_of_zeros_is_nobodys_neighbour() -> None:
    """It has no angle; a dictionary that holds one otherwise has fewer neighbours, not invented ones."""
    model = loaded()
    dictionary = feature_case.random_dictionary(model, features=4)
    dictionary.W_dec[1] = 0

    nearest, tables, _ = feature_case.run(neighbours(feature_case.study(model, dictionary), [0, 1]))

    assert {row["other"] for row in tables["neighbours"]} == {2, 3}
    assert set(nearest) == {0}


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 10_000))
def test_cosines_are_bounded_sorted_and_of_others(features: int, count: int, seed: int) -> None:
    """Scaling a direction changes no angle."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(features, 3, generator=generator)
    chosen = [features - 1]

    values, others = nearest_directions(directions, chosen, count)
    scaled, same = nearest_directions(directions * torch.rand(features, 1, generator=generator).add(0.1), chosen, count)

    finite = values[values.isfinite()]
    assert len(finite) == min(count, features - 1)
    assert bool((finite[:-1] >= finite[1:]).all())
    assert bool((finite.abs() <= 1).all())
    assert features - 1 not in others[values.isfinite()].tolist()
    assert torch.allclose(scaled[values.isfinite()], finite, atol=1e-5)
    assert same.shape == others.shape
