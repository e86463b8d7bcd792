"""How many prompts go through a model at once: sized from memory, halved when it runs out, and remembered."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from safetycase.errors import ModelError
from safetycase.lab.model import LoadedModel

# Above these many token positions a larger batch is no faster: a CPU's caches overflow, a GPU is busy.
CPU_POSITIONS = 2048
GPU_POSITIONS = 32768
# Of the memory that is free when the model has been loaded; the rest is for the caches of the analysis.
GPU_MEMORY_SHARE = 0.5
CPU_MEMORY = 256 * 2**20
# A float32 copy of the logits, and float64 ones of two softmaxes, their logarithms and their product.
BYTES_PER_LOGIT = 4 + 5 * 8
# A batch ends before padding makes it this much larger than its tokens, once it is this large beside the largest allowed.
MOST_PADDED = 1.03
WORTH_A_PASS = 1 / 6
# A batch of answers is as wide as so many positions each would make it.
GENERATED_POSITIONS = 8

Result = TypeVar("Result")


class Load(NamedTuple):
    """What one row asks of a forward pass."""

    positions: int
    """Tokens that are computed at once."""
    memory: int
    """Bytes, at the peak."""


@dataclass
class Batches:
    """Divides rows among forward passes; `memory` shrinks whenever it runs out."""

    memory: int
    """Most bytes that one pass may take."""
    positions: int
    """Most token positions in one pass."""
    bytes_per_position: int
    bytes_per_logits: int
    """Of one position's logits over the whole vocabulary, with what is computed from them."""
    bytes_per_cached: int
    """Of one position's keys and values in all layers."""
    back_offs: list[int] = field(default_factory=list)
    """`memory` after every time that it ran out."""

    def load(self, length: int, *, logits: int = 1) -> Load:
        """A row of `length` tokens of which so many positions keep their logits."""
        return Load(length, length * self.bytes_per_position + logits * self.bytes_per_logits)

    def generation_load(self, length: int, max_new_tokens: int) -> Load:
        """A row that is continued token by token: most of its passes compute one position, so many rows fit."""
        cached = (length + max_new_tokens) * self.bytes_per_cached
        return Load(GENERATED_POSITIONS, self.load(length).memory + cached)

    def run(self, loads: Sequence[Load], work: Callable[[list[int]], Tensor]) -> Tensor:
        """`work(indices)` on batches of rows of like load; its results, one per row, in the order of `loads`.

        Raises ModelError where a single row does not fit into memory.
        """
        rows: Tensor | None = None
        for indices, result in self.each(loads, work):
            if rows is None:
                rows = result.new_empty(len(loads), *result.shape[1:])
            rows[torch.tensor(indices, device=rows.device)] = result
        assert rows is not None, "no rows to run"
        return rows

    def each(
        self, loads: Sequence[Load], work: Callable[[list[int]], Result]
    ) -> Iterator[tuple[list[int], Result]]:
        """Indices and result of every batch, smallest rows first."""
        order = sorted(range(len(loads)), key=loads.__getitem__)
        start = 0
        while start < len(order):
            indices = self._fitting(order, start, loads)
            try:
                result = work(indices)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                error.__traceback__ = None  # its frames would keep the tensors of the failed pass alive
                self._back_off(len(indices), max(loads[index].memory for index in indices))
                continue
            yield indices, result
            start += len(indices)

    def _fitting(self, order: Sequence[int], start: int, loads: Sequence[Load]) -> list[int]:
        """The next rows that fit together, each padded to the largest of them; at least one."""
        first = loads[order[start]]
        memory, real, stop = first.memory, first.positions, start + 1
        while stop < len(order):
            load, count = loads[order[stop]], stop - start + 1
            memory = max(memory, load.memory)
            padded, real = count * load.positions, real + load.positions
            if padded > self.positions or count * memory > self.memory:
                break
            if padded > MOST_PADDED * real and padded > self.positions * WORTH_A_PASS:
                break
            stop += 1
        return list(order[start:stop])

    def _back_off(self, rows: int, memory_per_row: int) -> None:
        if rows == 1:
            raise ModelError(f"out of memory on a single prompt of about {memory_per_row / 2**20:.0f} MiB, expected room")
        self.memory = rows * memory_per_row // 2
        self.back_offs.append(self.memory)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def batches_for(model: LoadedModel) -> Batches:
    """Batches for a model on its device, from the memory that is free and from what one position needs.

    A position of a forward pass holds about what one layer writes: as many numbers as its weight matrices have rows.
    """
    size = model.dtype.itemsize
    block = sum(parameter.numel() for parameter in model.sites.blocks[0].module.parameters())
    # A mixture of experts has many rows, but only a few experts write.
    width = min(block // model.sites.d_model, 64 * model.sites.d_model)
    cuda = model.device.type == "cuda"
    return Batches(
        memory=int(torch.cuda.mem_get_info(model.device)[0] * GPU_MEMORY_SHARE) if cuda else CPU_MEMORY,
        positions=GPU_POSITIONS if cuda else CPU_POSITIONS,
        bytes_per_position=width * max(size, 4),
        bytes_per_logits=vocabulary_size(model) * BYTES_PER_LOGIT,
        bytes_per_cached=2 * model.sites.n_layers * model.sites.d_model * size,
    )


def vocabulary_size(model: LoadedModel) -> int:
    """How many tokens the model knows, padding of the table included."""
    embedding: Any = model.module.get_input_embeddings()
    return int(embedding.weight.shape[0])


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether the device or the host ran out of memory."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
