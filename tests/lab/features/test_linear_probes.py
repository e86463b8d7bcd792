"""A probe is the minimum of its loss, the same whatever the scale, the order or the number of dimensions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from safetycase.lab.features.linear_probes import RIDGE, f1, fit_probe

pytestmark = pytest.mark.lab


def data(rows: int, d: int, seed: int, shift: float = 0.7) -> tuple[torch.Tensor, torch.Tensor]:
    """Two Gaussian classes of unequal size."""
    generator = torch.Generator().manual_seed(seed)
    present = torch.arange(rows) % 3 == 0
    x = torch.randn(rows, d, generator=generator) * torch.rand(d, generator=generator).add(0.1) + 5
    return x + shift * present[:, None], present


@pytest.mark.parametrize(("rows", "d"), [(60, 3), (20, 50), (9, 1)])
def test_probe_is_the_minimum_of_the_regularised_loss(rows: int, d: int) -> None:
    """Against a general optimiser on all d dimensions, also with more dimensions than examples."""
    x, present = data(rows, d, seed=1)
    standard = ((x.double() - x.double().mean(0)) / x.double().std(0, correction=0)).numpy()
    sign = np.where(present.numpy(), 1.0, -1.0)
    weight = np.where(present.numpy(), rows / 2 / int(present.sum()), rows / 2 / int((~present).sum()))

    def loss(theta: np.ndarray) -> float:
        return float((weight * np.logaddexp(0, -sign * (standard @ theta[:-1] + theta[-1]))).sum() + RIDGE / 2 * (theta[:-1] ** 2).sum())

    expected = minimize(loss, np.zeros(d + 1), method="BFGS", options={"gtol": 1e-8}).x

    found = fit_probe(x, present).score(x)

    assert np.allclose(found.numpy(), standard @ expected[:-1] + expected[-1], atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(4, 30), st.integers(1, 12), st.integers(0, 10_000), st.floats(-3, 3))
def test_probe_does_not_depend_on_scale_offset_or_order(rows: int, d: int, seed: int, log_scale: float) -> None:
    """Inputs are standardised on the fitting data; constant columns tell nothing."""
    x, present = data(rows, d, seed)
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    changed = torch.cat([x.double() * 10**log_scale - 3, torch.full((rows, 1), 7.0)], dim=-1)

    before = fit_probe(x.double(), present).score(x)
    after = fit_probe(changed[order], present[order]).score(changed)

    assert torch.allclose(before, after, atol=1e-6)


def test_separable_classes_stay_finite() -> None:
    """The ridge keeps weights bounded where the classes can be told apart at any margin."""
    x = torch.cat([torch.ones(6, 2), -torch.ones(6, 2)])
    present = torch.arange(12) < 6

    probe = fit_probe(x, present)

    assert torch.isfinite(probe.weight).all()
    assert ((probe.score(x) > 0) == present).all()
    assert probe.direction.norm() == pytest.approx(1)


def test_classes_without_a_difference_give_no_direction() -> None:
    """Identical points: weight zero, score zero, and no division by zero."""
    probe = fit_probe(torch.ones(6, 3), torch.arange(6) < 3)

    assert probe.direction.tolist() == [0, 0, 0]
    assert probe.score(torch.ones(1, 3)).abs().max() < 1e-9


def test_f1_counts_present_as_the_class_to_be_found() -> None:
    """Two of three found, one false alarm: precision 2/3, recall 2/3."""
    score = torch.tensor([1.0, 2.0, -1.0, 0.5, -3.0])

    assert f1(score, torch.tensor([True, True, True, False, False])) == pytest.approx(2 / 3)
    assert f1(-torch.ones(3), torch.tensor([True, False, False])) == 0.0


def test_without_a_column_every_score_is_zero() -> None:
    """No feature fires: there is nothing to tell the classes apart by, and no warning either."""
    present = torch.tensor([True, False, True])

    probe = fit_probe(torch.zeros(3, 0), present)

    assert probe.score(torch.zeros(3, 0)).tolist() == [0.0, 0.0, 0.0]
    assert probe.direction.shape == (0,)
