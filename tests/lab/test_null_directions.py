"""Null directions carry nothing of the contrast that they are compared with, and do not depend on how they are asked for."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from safetycase.lab.null_directions import (
    covariance_directions,
    generator,
    resampled_counts,
    shuffled_labels,
    unrelated_contrasts,
)
from safetycase.sources.prompts import Prompt

pytestmark = pytest.mark.lab


def test_draws_follow_the_covariance_within_classes() -> None:
    """Over many draws the covariance is that of the activations, whatever separates the class means."""
    randomness = torch.Generator().manual_seed(0)
    spread = torch.tensor([3.0, 1.0, 0.1])
    groups = [torch.randn(200, 3, generator=randomness) * spread + offset for offset in (0.0, torch.tensor([0.0, 0.0, 50.0]))]

    drawn = covariance_directions(groups, 2.0, 0, range(4000))

    assert torch.allclose(drawn.norm(dim=1), torch.full((4000,), 2.0, dtype=torch.float64))
    share = (drawn / 2).square().mean(dim=0)
    assert share[0] > 0.7
    assert share[2] < 0.01


def test_a_draw_depends_on_its_number_alone() -> None:
    """Asked for alone or among others, after a resume or not, direction 7 is the same."""
    groups = [torch.randn(20, 8, generator=torch.Generator().manual_seed(i)) for i in range(2)]

    together = covariance_directions(groups, 1.0, 3, range(10))
    alone = covariance_directions(groups, 1.0, 3, [7])

    assert torch.equal(together[7], alone[0])
    assert not torch.equal(together[6], alone[0])


def test_activations_that_do_not_vary_give_draws_from_a_sphere() -> None:
    """No direction is preferred, and none is zero."""
    drawn = covariance_directions([torch.ones(5, 4), torch.zeros(5, 4)], 3.0, 0, range(3))

    assert torch.allclose(drawn.norm(dim=1), torch.full((3,), 3.0, dtype=torch.float64))


@given(st.integers(2, 60), st.integers(2, 60), st.integers(0, 1000))
def test_shuffled_classes_hold_the_same_share_of_harmful_prompts(n_harmful: int, n_harmless: int, index: int) -> None:
    """Class sizes stay, each prompt lands in one class, and the real contrast is balanced to within one prompt."""
    harmful, harmless = shuffled_labels(n_harmful, n_harmless, 0, index)

    assert int(harmful.sum()) == n_harmful
    assert torch.equal(harmful, ~harmless)
    assert abs(int(harmful[:n_harmful].sum()) - n_harmful * n_harmful / (n_harmful + n_harmless)) < 1


def test_no_two_shuffles_are_alike() -> None:
    """The index decides the shuffle."""
    made = {tuple(shuffled_labels(20, 20, 0, index)[0].tolist()) for index in range(50)}

    assert len(made) == 50


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=40), st.integers(0, 100))
def test_a_resample_draws_whole_families(families: list[str], index: int) -> None:
    """Prompts of one family count equally often, and as many families are drawn as there are."""
    counts = resampled_counts(families, 0, "test", index)

    by_family = {name: {counts[i].item() for i, own in enumerate(families) if own == name} for name in families}
    assert all(len(times) == 1 for times in by_family.values())
    assert sum(next(iter(times)) for times in by_family.values()) == len(by_family)


def prompt(text: str, category: str) -> Prompt:
    return Prompt(text, text, category, text, "train")


def test_contrasts_are_form_length_and_topics_in_that_order() -> None:
    """Every contrast has prompts on both sides; the largest topic comes first."""
    prompts = [prompt(f"{'why' * i} {i}{'?' if i % 2 else ''}", "big" if i < 6 else "small") for i in range(10)]

    sides = unrelated_contrasts(prompts, torch.arange(10), 4)

    assert list(sides) == ["contrast-form", "contrast-length", "contrast-topic-big", "contrast-topic-small"]
    assert sides["contrast-form"].tolist() == [i % 2 == 1 for i in range(10)]
    assert int(sides["contrast-length"].sum()) == 5


def test_contrasts_with_one_sided_prompts_are_left_out() -> None:
    """Where no prompt is a question, topics stand in for form."""
    prompts = [prompt(f"do {i}", "one" if i < 3 else "two") for i in range(6)]

    sides = unrelated_contrasts(prompts, torch.full((6,), 4), 3)

    assert list(sides) == ["contrast-topic-one", "contrast-topic-two"]


def test_purposes_do_not_share_randomness() -> None:
    """The same seed and index give unrelated numbers for different purposes."""
    draws = [torch.rand(3, generator=generator(0, purpose, 0)) for purpose in ("random", "shuffle")]

    assert not torch.equal(draws[0], draws[1])
