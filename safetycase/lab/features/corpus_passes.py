"""Forward passes over windows of a corpus: what stands at chosen sites, at the positions that count."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from safetycase.lab.batches import Batches
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.features.corpus_windows import Window
from safetycase.lab.forward import left_padded
from safetycase.lab.hooks import skip
from safetycase.lab.model import LoadedModel, last_logits
from safetycase.lab.site_access import record_sites

Result = TypeVar("Result")

WINDOWS_AT_ONCE = 512
"""Windows that are divided among forward passes together: like lengths meet, and a shard of rows stays small."""

# Numbers in one matrix of tokens by features: on a CPU what the caches hold, on a GPU what leaves room for the model.
CPU_NUMBERS = 2**20
GPU_NUMBERS = 2**27
# Fewer tokens than this at once, and reading the encoder takes longer than multiplying with it.
FEWEST_TOKENS = 128


@dataclass(frozen=True)
class Passed:
    """What one forward pass left: its counted tokens, in the order of rows and positions."""

    indices: tuple[int, ...]
    """By row, which of the windows it is."""
    row: Int[Tensor, "token"]
    """On the CPU."""
    position: Int[Tensor, "token"]
    """In its window, on the CPU."""
    at: Mapping[Site, Float[Tensor, "token width"]]
    """In float32, on the model's device."""


def chunks(windows: Iterable[Window]) -> Iterator[list[Window]]:
    """Windows in groups of a fixed size: what is divided among passes, whatever the size of a pass."""
    stream = iter(windows)
    while group := list(islice(stream, WINDOWS_AT_ONCE)):
        yield group


def passes(
    model: LoadedModel, batches: Batches, windows: Sequence[Window], sites: Sequence[Site], reduce: Callable[[Passed], Result]
) -> Iterator[Result]:
    """`reduce` of every pass over these windows, in an order that depends on the batches; blocks above the sites do not run.

    `reduce` is called again where memory runs out, so it must change nothing. Raises ModelError where a site does not exist or
    a single window does not fit into memory.
    """
    above = [block.module for block in model.sites.blocks[max(site.layer for site in sites) + 1 :]]

    def work(indices: list[int]) -> Result:
        chosen = [windows[index] for index in indices]
        with torch.inference_mode():
            with record_sites(model, sites) as recorded, skip(above):
                last_logits(model, left_padded([window.tokens for window in chosen], model.device))
            counted = counted_mask(chosen)
            row, column = counted.nonzero(as_tuple=True)
            length = torch.tensor([len(window.tokens) for window in chosen])
            position = column - (counted.shape[1] - length[row])
            mask = counted.to(model.device)
            return reduce(Passed(tuple(indices), row, position, {site: recorded[site][mask].float() for site in recorded}))

    for _, result in batches.each([batches.load(len(window.tokens)) for window in windows], work):
        yield result


def counted_mask(windows: Sequence[Window]) -> Bool[Tensor, "row pos"]:
    """Which positions of a batch count, padded on the left as the tokens are."""
    width = max(len(window.tokens) for window in windows)
    mask = torch.zeros(len(windows), width, dtype=torch.bool)
    for row, window in enumerate(windows):
        mask[row, width - len(window.tokens) :] = window.counted
    return mask


def slices(tokens: int, features: int, device: torch.device) -> Iterator[slice]:
    """Tokens in groups so small that a matrix of tokens by features stays within bounds."""
    most = max(FEWEST_TOKENS, (GPU_NUMBERS if device.type == "cuda" else CPU_NUMBERS) // max(1, features))
    yield from (slice(start, min(start + most, tokens)) for start in range(0, tokens, most))


def wide(x: Tensor) -> Tensor:
    """In float64, on the CPU where the device has none (Apple's GPUs)."""
    return x.cpu().double() if x.device.type == "mps" else x.double()
