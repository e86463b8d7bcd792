"""The share of what MLPs write that transcoders give back: against its definition, and where it cannot be had."""

from dataclasses import replace

import pytest
import torch

from safetycase.lab.attribution.reconstructed import reconstructed
from tests.lab.attribution.cases import KINDS, Kind, passed

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_it_is_the_variance_that_errors_leave(kind: Kind) -> None:
    """Layer by layer and over all, around the mean of the prompt, without positions that have no nodes."""
    pass_ = passed("llama", kind)
    kept = [place for place in range(pass_.n_positions) if place not in pass_.zeroed]
    assert 0 < len(kept) < pass_.n_positions
    left = [float((error[kept] ** 2).sum()) for error in pass_.errors]
    around = [float(where.found[kept].var(dim=0, correction=0).sum()) * len(kept) for where in pass_.writings]

    found = reconstructed(pass_)

    assert found.total == pytest.approx(1 - sum(left) / sum(around))
    assert found.by_layer == pytest.approx([1 - one / whole for one, whole in zip(left, around, strict=True)])


def test_without_errors_it_is_everything_and_with_large_ones_less_than_nothing() -> None:
    """1 and below 0: what transcoders of another model give back."""
    pass_ = passed("llama", KINDS[0])

    assert reconstructed(replace(pass_, errors=torch.zeros_like(pass_.errors))).total == 1
    worse = reconstructed(replace(pass_, errors=10 * torch.stack([where.found for where in pass_.writings]))).total
    assert worse is not None
    assert worse < -10


def test_of_one_position_there_is_no_variance() -> None:
    """Nothing varies, so nothing can be given back."""
    pass_ = passed("llama", KINDS[0])

    found = reconstructed(replace(pass_, zeroed=tuple(range(pass_.n_positions - 1))))

    assert found.total is None
    assert set(found.by_layer) == {None}
