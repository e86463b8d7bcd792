"""Probes find a planted difference, tell nothing where there is none, and never see the prompts that they are judged on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase.evidence.kinds.feature_documentation.params import Ask, population
from safetycase.lab.features.probes import SHUFFLES, Fitting, most_different, permuted, probes
from safetycase.lab.features.prompt_pooling import Pooled
from safetycase.lab.observing import Absent
from tests.lab.features import feature_case
from tests.lab.small import loaded

pytestmark = pytest.mark.lab


def area(rows: list[dict[str, object]], probe: str) -> float:
    """AUROC of a probe on its confirmation prompts, by all pairs."""
    scores = {
        side: np.array([row["score"] for row in rows if row["probe"] == probe and str(row["population"]).endswith(side)], dtype=float)
        for side in ("present", "absent")
    }
    difference = scores["present"][:, None] - scores["absent"][None]
    return float((difference > 0).mean() + (difference == 0).mean() / 2)


def planted(n: int, telling: tuple[int, ...], seed: int = 0, features: int = 40) -> tuple[Pooled, torch.Tensor]:
    """Sparse features of which some fire on present prompts alone; the site is a random map of them. Half is discovery."""
    generator = torch.Generator().manual_seed(seed)
    present = torch.arange(2 * n) % 2 == 0
    activations = torch.rand(2 * n, features, generator=generator) * (torch.rand(2 * n, features, generator=generator) < 0.3)
    for feature in telling:
        activations[:, feature] = present * (1 + torch.rand(2 * n, generator=generator))
    site = activations @ torch.randn(features, 64, generator=generator)
    return Pooled(activations, activations, site, site, torch.ones(2 * n)), present


def test_sparse_probes_find_the_planted_feature() -> None:
    """One feature is enough where one was planted; features by lot and shuffled labels are not."""
    points, present = planted(80, telling=(7,))

    found = dict(Fitting(points, present[:80], [str(i) for i in range(80)], seed=0).scores((1, 2)))

    tested = present[80:]
    right = {name: float(((score > 0) == tested).double().mean()) for name, score in found.items()}
    assert right["k-1"] == 1.0
    assert right["dense"] > 0.9
    assert right["random-k-1"] < 0.75
    shuffled = [right[f"shuffled-{number}"] for number in range(1, SHUFFLES + 1)]
    assert 0.45 < np.mean(shuffled) < 0.55
    assert right["dense"] > max(shuffled)


def test_most_different_features_come_first() -> None:
    """By the difference of means in either direction."""
    points, present = planted(50, telling=(7, 3))
    reversed_ = points.activations.clone()
    reversed_[:, 11] = 5 * (~present).float()

    assert set(most_different(points.activations, present, 2).tolist()) == {3, 7}
    assert most_different(reversed_, present, 1).tolist() == [11]


@pytest.mark.parametrize("families", ["shared", "apart", "alone"])
def test_shuffled_labels_agree_with_the_truth_at_chance(families: str) -> None:
    """Over all permutations; families of both classes keep their counts, those of one class stay whole."""
    present = torch.arange(48) < 24
    names = {
        "shared": [f"{i % 4}" for i in range(48)],
        "apart": [f"{bool(present[i])}-{i % 6}" for i in range(48)],
        "alone": [f"{i}" for i in range(48)],
    }[families]

    draws = [permuted(present, names, 3, number) for number in range(SHUFFLES)]

    assert np.mean([float((draw == present).double().mean()) for draw in draws]) == pytest.approx(0.5, abs=0.04)
    assert len({tuple(draw.tolist()) for draw in draws}) > SHUFFLES * 0.8
    for found in draws:
        assert int(found.sum()) == 24
        for name in set(names):
            of_family = [i for i, each in enumerate(names) if each == name]
            if families == "shared":
                assert int(found[of_family].sum()) == int(present[of_family].sum())
            else:
                assert len(set(found[of_family].tolist())) == 1


def test_no_permutation_is_passed_over() -> None:
    """With two families of one class each there are two: the truth and its reverse, about as often."""
    present = torch.arange(20) < 10

    draws = [permuted(present, ["a"] * 10 + ["b"] * 10, 0, number) for number in range(SHUFFLES)]

    same = sum(torch.equal(draw, present) for draw in draws)
    assert all(torch.equal(draw, present) or torch.equal(draw, ~present) for draw in draws)
    assert 0.3 < same / SHUFFLES < 0.7


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=2, max_size=20), st.integers(0, 99))
def test_shuffled_labels_keep_both_classes(drawn: list[tuple[bool, int]], seed: int) -> None:
    """Whatever the families: a probe can be fitted, and the draw is a function of the seed."""
    present = torch.tensor([label for label, _ in drawn])
    if present.all() or not present.any():
        return
    families = [str(family) for _, family in drawn]

    found = permuted(present, families, seed, 1)

    assert 0 < int(found.sum()) < len(found)
    assert torch.equal(found, permuted(present, families, seed, 1))


def test_rows_hold_every_probe_on_every_confirmation_prompt() -> None:
    """On a model whose prompts are marked by a word per class, the dense probe tells them apart and shuffled labels do not."""
    model = loaded()
    case = feature_case.study(model, feature_case.random_dictionary(model, features=200), ask=Ask(probe_sizes=(1, 3)))
    contrast = feature_case.contrast(model, sizes={"train": 24, "validation": 8, "test": 20})

    _, tables, _ = feature_case.run(probes(case, contrast))

    rows = tables["probes"]
    confirmation = {prompt.id for side in contrast.confirmation() for prompt in side}
    shuffled = [f"shuffled-{number}" for number in range(1, SHUFFLES + 1)]
    names = ("k-1", "k-3", "random-k-1", "random-k-3", "dense", *shuffled)
    assert {row["probe"] for row in rows} == set(names)
    for name in names:
        assert sorted(row["item"] for row in rows if row["probe"] == name) == sorted(confirmation)
    assert {row["population"] for row in rows} == {population("refusal", "present"), population("refusal", "absent")}
    assert area(rows, "dense") > 0.95
    assert area(rows, "k-3") > area(rows, "random-k-1")
    assert 0.4 < np.mean([area(rows, name) for name in shuffled]) < 0.6
    assert area(rows, "dense") > np.quantile([area(rows, name) for name in shuffled], 0.95)


def test_fit_does_not_see_confirmation_prompts() -> None:
    """Other confirmation points leave the scores of the rest as they are."""
    points, present = planted(30, telling=(7,))
    families = [str(i) for i in range(30)]
    changed = points.activations.clone()
    changed[-1] = 100.0
    other = replace(points, activations=changed, inputs=changed @ torch.ones(40, 64))

    before = dict(Fitting(points, present[:30], families, seed=0).scores((2,)))
    after = dict(Fitting(other, present[:30], families, seed=0).scores((2,)))

    assert all(torch.equal(before[name][:-1], after[name][:-1]) for name in ("k-2", "random-k-2"))
    assert not torch.equal(before["k-2"][-1:], after["k-2"][-1:])


def test_contrast_without_prompts_says_why_it_has_no_probes() -> None:
    """Absent, with the numbers."""
    model = loaded()
    contrast = feature_case.contrast(model, sizes={"train": 4, "test": 1})

    _, tables, said = feature_case.run(probes(feature_case.study(model), contrast))

    assert tables == {}
    assert said == [Absent("probes", "contrast refusal: found 1 confirmation prompts of a class, expected at least 2")]
