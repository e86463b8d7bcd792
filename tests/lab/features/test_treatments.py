"""Edits in the units of a plan."""

import pytest
import torch

from safetycase.lab.features.edits import FeatureEdit
from safetycase.lab.features.treatments import Treatment, Treatments

pytestmark = pytest.mark.lab

TREATMENTS = Treatments(doses=(0.5, 1.0), clamps=(2.0, 5.0), maximum=torch.tensor([0.0, 3.0]), residual_norm=8.0)


def test_edits_are_in_units_of_the_norm_and_of_the_maximum() -> None:
    """Steering and clamping on absent prompts, ablation on present ones."""
    assert TREATMENTS.ablation(1) == Treatment("present", FeatureEdit("ablate", 1), 0.0)
    assert TREATMENTS.steering(1) == [Treatment("absent", FeatureEdit("steer", 1, dose * 8.0), dose) for dose in (0.5, 1.0)]
    assert TREATMENTS.clamping(1) == [Treatment("absent", FeatureEdit("clamp", 1, clamp * 3.0), clamp) for clamp in (2.0, 5.0)]


def test_a_feature_that_never_fired_is_not_clamped() -> None:
    """A multiple of 0 would be an ablation under another name."""
    assert TREATMENTS.clamping(0) == []
    assert len(TREATMENTS.steering(0)) == 2
