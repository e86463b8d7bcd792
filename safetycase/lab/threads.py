"""How many threads torch gets: for small models on a CPU one, where handing work around costs more than it gains."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALL_MODEL = 20_000_000
"""Parameters below which one thread is faster than several."""


def threads_for(*models: tuple[str, int]) -> int:
    """The count for models, each by device class and number of parameters; as torch has it where any is large or not on a CPU."""
    small = all(device == "cpu" and parameters < SMALL_MODEL for device, parameters in models)
    return 1 if small else torch.get_num_threads()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """While open, torch computes with so many threads; results depend on the count in their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
