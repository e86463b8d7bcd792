"""Batches fit their bounds, keep the order, and shrink when memory runs out."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from safetycase.errors import ModelError
from safetycase.lab.batches import Batches, batches_for
from tests.lab.small import loaded

pytestmark = pytest.mark.lab


def batches(positions: int = 64, memory: int = 10_000) -> Batches:
    return Batches(memory, positions, bytes_per_position=10, bytes_per_logits=100, bytes_per_cached=1)


@given(st.lists(st.integers(1, 100), min_size=1, max_size=60))
def test_every_row_is_run_once_and_handed_back_in_order(lengths: list[int]) -> None:
    """Rows of like length share a batch, no batch exceeds its bounds, and results come in the order of the rows."""
    made = batches()
    seen: list[int] = []

    def work(indices: list[int]) -> Tensor:
        seen.extend(indices)
        assert len(indices) == 1 or len(indices) * max(lengths[i] for i in indices) <= 64
        return torch.tensor([float(lengths[i]) for i in indices])

    found = made.run([made.load(length) for length in lengths], work)

    assert found.tolist() == [float(length) for length in lengths]
    assert sorted(seen) == list(range(len(lengths)))


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(torch.OutOfMemoryError("CUDA out of memory"), id="on a GPU"),
        pytest.param(RuntimeError("DefaultCPUAllocator: can't allocate memory"), id="on a CPU"),
    ],
)
def test_running_out_of_memory_halves_the_batch(error: RuntimeError) -> None:
    """The batch that failed is tried again in halves, nothing is lost, and what happened is remembered."""
    made = batches(positions=1000, memory=10**9)
    sizes = []

    def work(indices: list[int]) -> Tensor:
        if len(indices) > 5:
            raise error
        sizes.append(len(indices))
        return torch.tensor(indices)

    found = made.run([made.load(10)] * 16, work)

    assert found.tolist() == list(range(16))
    assert len(made.back_offs) == 2
    assert max(sizes) <= 5
    assert made.memory == made.back_offs[-1]


def test_a_single_row_that_does_not_fit_is_an_error() -> None:
    """There is nothing left to halve: one line says so."""
    made = batches()

    def work(indices: list[int]) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(ModelError, match="out of memory on a single prompt"):
        made.run([made.load(10)] * 3, work)


def test_other_errors_are_not_swallowed() -> None:
    """Only memory makes a batch smaller."""
    made = batches()

    def work(indices: list[int]) -> Tensor:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        made.run([made.load(10)], work)


def test_a_small_model_gets_batches_of_many_rows() -> None:
    """On a CPU a batch holds about as many positions as its caches like."""
    made = batches_for(loaded())

    assert made.positions // made.load(20).positions >= 64
    assert made.memory // made.load(20).memory >= 64
