"""Absorption of a contrast's main features is asked on every present confirmation prompt, or there is a reason why not."""

import pytest
import torch

from safetycase.evidence.kinds.feature_documentation.params import Ask
from safetycase.lab.dictionaries.dictionary import Dictionary, Relu
from safetycase.lab.features.absorption import absorption, main_features
from safetycase.lab.features.prompt_pooling import pooled
from safetycase.lab.features.study import AskedContrast, FeatureStudy
from safetycase.lab.observing import Absent
from tests.lab.features import feature_case
from tests.lab.small import loaded

pytestmark = pytest.mark.lab


def test_main_features_end_where_the_probe_gains_nothing() -> None:
    """Two features that share the class between them are both main; a third that tells nothing is not."""
    generator = torch.Generator().manual_seed(0)
    present = torch.arange(80) < 40
    activations = torch.rand(80, 6, generator=generator) * (torch.rand(80, 6, generator=generator) < 0.2)
    activations[:, 4] = (torch.arange(80) < 20).float()
    activations[:, 1] = ((torch.arange(80) >= 20) & present).float()

    assert main_features(activations, present, [4, 1, 0, 2, 3]) == [4, 1]
    assert main_features(activations, present, [4]) == [4]


def concept_dictionary(case_seed: int = 0) -> tuple[FeatureStudy, AskedContrast]:
    """A dictionary whose feature 0 reads the contrast's direction; made from the discovery prompts of a marked contrast."""
    model = loaded()
    contrast = feature_case.contrast(model, sizes={"train": 24, "validation": 8, "test": 20})
    case = feature_case.study(model, feature_case.random_dictionary(model, features=30, seed=case_seed), ask=Ask())
    present, absent = contrast.discovery()
    points = pooled(case, contrast, (*present, *absent)).outputs
    direction = points[: len(present)].mean(0) - points[len(present) :].mean(0)
    unit = direction / direction.norm()
    dictionary = Dictionary(
        W_enc=torch.cat([20 * unit[None], case.dictionary.W_enc[1:]]),
        b_enc=torch.cat([-20 * (points.mean(0) @ unit)[None], case.dictionary.b_enc[1:]]),
        W_dec=torch.cat([unit[None, None] / 20, case.dictionary.W_dec[1:]]),
        b_dec=case.dictionary.b_dec,
        activation=Relu(),
        reads=case.dictionary.reads,
        writes=case.dictionary.writes,
    )
    return feature_case.with_dictionary(case, dictionary), contrast


def test_rows_hold_every_present_confirmation_prompt() -> None:
    """A dictionary that holds the contrast's own direction fires on the prompts that have it: none is absorbed in full."""
    case, contrast = concept_dictionary()

    _, tables, _ = feature_case.run(absorption(case, contrast, [0, 5, 3]))

    rows = tables["absorption"]
    assert sorted(row["item"] for row in rows) == sorted(prompt.id for prompt in contrast.confirmation()[0])
    assert sum(row["main_fires"] for row in rows) >= 18
    assert not any(row["full"] for row in rows if row["main_fires"])
    assert all(0 <= row["fraction"] <= 1 for row in rows)


def test_direction_that_tells_nothing_cannot_be_absorbed() -> None:
    """Prompts of one kind in both classes: no rows, and the reason holds what the probe reached."""
    model = loaded()
    contrast = feature_case.contrast(model, marks={}, sizes={"train": 16, "test": 30})

    _, tables, said = feature_case.run(absorption(feature_case.study(model), contrast, [0, 1]))

    (absent,) = said
    assert isinstance(absent, Absent)
    assert "balanced accuracy" in absent.reason
    assert tables == {}


def test_contrast_whose_features_never_fire_says_so() -> None:
    """There is no main feature."""
    model = loaded()

    _, tables, said = feature_case.run(absorption(feature_case.study(model), feature_case.contrast(model), []))

    assert tables == {}
    assert said == [Absent("absorption", "contrast refusal: no feature fires on its discovery prompts")]
