"""Absorption that was planted is found, input by input; a dictionary that knows the truth shows none."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase.lab.dictionaries.absorption import Reference, absorbed

pytestmark = pytest.mark.lab

D = 16
PARENT, CHILD, OTHER = 0, 1, 2


def truth(n: int = 60, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Activations of three true features (a child only where its parent is), and orthonormal directions; the parent is always there."""
    generator = torch.Generator().manual_seed(seed)
    parent = 1 + torch.rand(n, generator=generator)
    child = (torch.rand(n, generator=generator) < 0.4) * (1 + torch.rand(n, generator=generator))
    other = (torch.rand(n, generator=generator) < 0.5) * torch.rand(n, generator=generator)
    directions, _ = torch.linalg.qr(torch.randn(D, 3, generator=generator))
    return torch.stack([parent, child, other], dim=-1), directions.mT.contiguous()


def absorbing(activations: torch.Tensor, directions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A dictionary whose parent is silent where the child fires, and whose child's direction holds the parent's."""
    coded = activations.clone()
    coded[:, PARENT] = activations[:, PARENT] * (activations[:, CHILD] == 0)
    decoder = directions.clone()
    decoder[CHILD] = directions[CHILD] + directions[PARENT]
    return coded, decoder


def test_oracle_shows_no_absorption() -> None:
    """The parent fires wherever its direction is: nothing is full, nothing partial."""
    activations, directions = truth()

    found = absorbed(activations, activations @ directions, directions, directions[PARENT], [PARENT])

    assert found.main_fires.all()
    assert not found.full.any()
    assert found.fraction.abs().max() == 0


def test_planted_absorption_is_found_where_the_child_is() -> None:
    """The child's direction carries the parent's where the parent is silent: full there, and the fraction is 1."""
    activations, directions = truth()
    coded, decoder = absorbing(activations, directions)

    found = absorbed(coded, activations @ directions, decoder, directions[PARENT], [PARENT])

    child = activations[:, CHILD] > 0
    assert torch.equal(found.full, child)
    assert torch.equal(found.main_fires, ~child)
    assert torch.equal(found.fraction, child.double())


def test_partial_absorption_is_the_absorbers_part() -> None:
    """Where the parent still fires at half strength and the child carries the other half: not full, a fraction of one half."""
    _, directions = truth()
    coded = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    decoder = directions.clone()
    decoder[CHILD] = directions[CHILD] + directions[PARENT]

    found = absorbed(coded, coded @ decoder, decoder, directions[PARENT], [PARENT])

    assert not found.full.any()
    assert found.fraction.tolist() == pytest.approx([0.5, 0.0], abs=1e-6)


@pytest.mark.parametrize(
    ("strength", "tilt", "expected"),
    [
        pytest.param(1.0, 1.0, True, id="carries all of it"),
        pytest.param(0.39, 1.0, False, id="carries less than 0.4"),
        pytest.param(100.0, 0.02, False, id="nearly across the direction, however strong"),
    ],
)
def test_absorber_must_carry_the_direction(strength: float, tilt: float, expected: bool) -> None:
    """Share and cosine are both needed."""
    _, directions = truth()
    decoder = directions.clone()
    decoder[CHILD] = tilt * directions[PARENT] + (1 - tilt**2) ** 0.5 * directions[CHILD]
    coded = torch.tensor([[0.0, strength, 0.0]])
    site = directions[PARENT][None] * (1.0 if tilt == 1.0 else strength * tilt)

    found = absorbed(coded, site, decoder, directions[PARENT], [PARENT])

    assert found.full.tolist() == [expected]


def test_prompt_without_the_property_shows_nothing() -> None:
    """Where the probe does not read it, or the projection is negative, a silent main feature is right."""
    activations, directions = truth(4)
    coded, decoder = absorbing(activations, directions)
    coded[:, PARENT], coded[:, CHILD] = 0.0, 1.0
    site = activations @ directions

    unread = absorbed(coded, site, decoder, directions[PARENT], [PARENT], read=torch.tensor([True, False, True, False]))
    behind = absorbed(coded, -site, decoder, directions[PARENT], [PARENT])

    assert unread.full.tolist() == [True, False, True, False]
    assert (unread.fraction > 0).tolist() == [True, False, True, False]
    assert not behind.full.any()
    assert behind.fraction.max() == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(-20, 20))
def test_what_all_prompts_share_bears_on_nothing(seed: int, offset: float) -> None:
    """Counted from a reference, an offset along the probe that stands in every prompt changes no answer."""
    activations, directions = truth(20, seed)
    coded, decoder = absorbing(activations, directions)
    site = (activations @ directions).double()
    shift = offset * directions[PARENT].double()

    plain = absorbed(coded, site, decoder, directions[PARENT], [PARENT])
    shifted = absorbed(coded, site + shift, decoder, directions[PARENT], [PARENT], reference=Reference(torch.zeros(3), shift))

    assert torch.equal(plain.full, shifted.full)
    assert torch.allclose(plain.fraction, shifted.fraction, atol=1e-6)
