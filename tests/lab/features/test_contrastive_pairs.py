"""A feature that tells a contrast stands out among features in every family; one that tells families apart does so between them."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase.lab.dictionaries.dictionary import TopK
from safetycase.lab.features.contrastive_pairs import Group, groups_of_both, pairs, stand_out
from safetycase.lab.features.prompt_pooling import pooled
from safetycase.lab.features.random_dictionary import random_dictionary
from safetycase.lab.observing import Absent
from safetycase.sources.prompts import Prompt
from tests.lab.features import feature_case
from tests.lab.small import loaded

pytestmark = pytest.mark.lab

GROUPS = [Group(f"family-{i}", (4 * i, 4 * i + 1), (4 * i + 2, 4 * i + 3)) for i in range(4)]


def noise(features: int = 50, seed: int = 0) -> torch.Tensor:
    """Sixteen prompts of sparse features that tell nothing."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(16, features, generator=generator) * (torch.rand(16, features, generator=generator) < 0.5)


def test_feature_of_the_contrast_stands_out_within_families() -> None:
    """It lifts the contrastive score of every family and leaves the independent one."""
    plain, planted = noise(), noise()
    for group in GROUPS:
        planted[list(group.present), 7] = 5.0
        planted[list(group.absent), 7] = 0.0

    before, after = stand_out(plain, GROUPS), stand_out(planted, GROUPS)

    assert all(new[0] > old[0] + 2 for old, new in zip(before, after, strict=True))
    assert all(abs(new[1] - old[1]) < 1 for old, new in zip(before, after, strict=True))


def test_feature_of_a_family_stands_out_between_families() -> None:
    """It lifts the independent score of its family and leaves the contrastive ones."""
    plain, planted = noise(), noise()
    planted[[*GROUPS[2].present, *GROUPS[2].absent], 7] = 5.0

    before, after = stand_out(plain, GROUPS), stand_out(planted, GROUPS)

    assert after[2][1] > before[2][1] + 2
    assert all(abs(new[0] - old[0]) < 1 for old, new in zip(before, after, strict=True))


def test_score_is_the_largest_z_score_over_live_features() -> None:
    """By hand: differences 4, 1, 1 between classes and 1, 1/2, 1/2 between families; a feature that never fires is not counted."""
    activations = torch.tensor([[4.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0]])
    groups = [Group("a", (0,), (1,)), Group("b", (2,), (3,))]

    (first, second) = stand_out(activations, groups)

    assert first[0] == pytest.approx((4 - 2) / 2**0.5)
    assert second[0] == 0.0
    assert first[1] == second[1] == pytest.approx((1 - 2 / 3) / (1 / 18) ** 0.5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.floats(0.01, 100))
def test_score_does_not_depend_on_scale_or_dead_features(seed: int, scale: float) -> None:
    """It says how far one feature stands out among the others, in any unit and any width."""
    plain = noise(seed=seed)
    wider = torch.cat([scale * plain, torch.zeros(16, 30)], dim=-1)

    for before, after in zip(stand_out(plain, GROUPS), stand_out(wider, GROUPS), strict=True):
        assert before == pytest.approx(after, rel=1e-4)


def test_no_feature_at_all_scores_zero() -> None:
    """Nothing fires: nothing stands out, and nothing is divided by zero."""
    assert stand_out(torch.zeros(16, 5), GROUPS) == [(0.0, 0.0)] * 4


def prompt(index: int, family: str, category: str) -> Prompt:
    return Prompt(f"item-{index}", "text", category, family, "test")


def test_groups_are_families_of_both_classes_else_categories() -> None:
    """A family of one class is no pair; categories stand in where families do not pair."""
    present = torch.tensor([True, True, True, False, False, False])
    shared = [prompt(i, family, "c") for i, family in enumerate(["b", "a", "x", "a", "b", "y"])]
    apart = [prompt(i, f"f{i}", category) for i, category in enumerate(["k", "l", "k", "l", "k", "m"])]

    assert groups_of_both(shared, present) == [Group("a", (1,), (3,)), Group("b", (0,), (4,))]
    assert groups_of_both(apart, present) == [Group("k", (0, 2), (4,)), Group("l", (1,), (3,))]


def test_random_dictionary_fires_as_often_as_the_other() -> None:
    """Equal width and equal L0 on the same prompts."""
    model = loaded()
    case = feature_case.study(model, feature_case.random_dictionary(model, features=60, activation=TopK(6)))
    contrast = feature_case.contrast(model)
    prompts = contrast.discovery()[0]
    own = pooled(case, contrast, prompts)

    other = random_dictionary(60, case.dictionary.reads, own.inputs.mean(0), float(own.active.mean()), seed=1, signed=False)

    found = pooled(replace(case, dictionary=other), contrast, prompts)
    assert other.n_features == 60
    assert float(found.active.mean()) == pytest.approx(float(own.active.mean()), abs=0.5)
    assert torch.allclose(other.directions().norm(dim=-1), torch.ones(60))


def test_rows_hold_both_methods_on_every_family() -> None:
    """The same rows for the same seed, whether resumed or not."""
    case = feature_case.study()
    contrast = feature_case.contrast(case.model)

    _, tables, _ = feature_case.run(pairs(case, contrast))

    rows = tables["pairs"]
    assert [(row["method"], row["family"]) for row in rows] == [
        (method, f"family-{i}") for method in ("dictionary", "random") for i in range(4)
    ]
    assert all(row["contrastive"] > 0 and row["independent"] > 0 for row in rows)
    assert feature_case.run(pairs(case, contrast))[1] == tables


def test_contrast_without_pairs_says_so() -> None:
    """Families and categories of one class each."""
    model = loaded()
    contrast = feature_case.contrast(model, shared_families=False)
    apart = {
        key: tuple(replace(each, category=f"{key[0]}-{each.category}") for each in prompts) for key, prompts in contrast.prompts.items()
    }

    _, tables, said = feature_case.run(pairs(feature_case.study(model), replace(contrast, prompts=apart)))

    assert tables == {}
    assert isinstance(said[0], Absent)
    assert "0 families or categories hold prompts of both classes" in said[0].reason
