"""Activations to train a dictionary on: from a model as it reads text, a buffer at a time, or from tensors in memory."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.lab.batches import batches_for
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.dictionaries.training import Batch, Batches
from safetycase.lab.forward import left_padded
from safetycase.lab.hooks import skip
from safetycase.lab.model import LoadedModel, last_logits
from safetycase.lab.null_directions import generator
from safetycase.lab.site_access import record_sites

TokenRows = Callable[[int], Iterator[Sequence[int]]]
"""Token ids of one text after the other, from the n-th text on; every call gives the same ones."""


def model_batches(
    model: LoadedModel,
    rows: TokenRows,
    reads: Site,
    writes: Site,
    *,
    batch_size: int,
    buffer_tokens: int = 2**17,
    first_position: int = 0,
    seed: int = 0,
) -> Batches:
    """Shuffled batches of what stands at two sites of a model, one buffer of at least `buffer_tokens` positions at a time.

    Texts fill a buffer, which is shuffled and handed out whole; what is left of it beside whole batches is dropped. Which text
    begins a buffer follows from lengths alone, so that a training resumes at its own buffer without the passes before it.
    `first_position` leaves out the positions before it (1: BOS, whose norm is far from all others' in many models).
    Raises ModelError where the model has no such site.
    """
    assert buffer_tokens >= batch_size, "a buffer holds at least one batch"

    def batches(start: int) -> Iterator[Batch]:
        done = 0
        for index, texts in enumerate(_buffers(rows, buffer_tokens, first_position)):
            n_batches = sum(max(0, len(text) - first_position) for text in texts) // batch_size
            if start < done + n_batches:
                x, y = recorded_activations(model, texts, reads, writes, first_position)
                order = torch.randperm(len(x), generator=generator(seed, "activations", index)).to(x.device)
                for number in range(max(start - done, 0), n_batches):
                    chosen = order[number * batch_size : (number + 1) * batch_size]
                    picked = x[chosen]
                    yield picked, picked if y is x else y[chosen]
            done += n_batches

    return batches


@torch.inference_mode()
def recorded_activations(
    model: LoadedModel, texts: Sequence[Sequence[int]], reads: Site, writes: Site, first_position: int = 0
) -> tuple[Float[Tensor, "token d_in"], Float[Tensor, "token d_out"]]:
    """What stands at both sites at every position of the texts, in their order, on the model's device; one tensor where the sites are one.

    Raises ModelError where the model has no such site.
    """
    batches = batches_for(model)
    prompts = [torch.tensor(text) for text in texts if len(text) > first_position]
    beyond = [block.module for block in model.sites.blocks[max(reads.layer, writes.layer) + 1 :]]
    kept: dict[int, tuple[Tensor, Tensor]] = {}

    def work(indices: list[int]) -> list[tuple[Tensor, Tensor]]:
        encoded = left_padded([prompts[index] for index in indices], model.device)
        with record_sites(model, sorted({reads, writes})) as recorded, skip(beyond):
            last_logits(model, encoded)
        lengths = [len(prompts[index]) - first_position for index in indices]
        return [(recorded[reads][row, -length:], recorded[writes][row, -length:]) for row, length in enumerate(lengths)]

    for indices, pairs in batches.each([batches.load(len(prompt)) for prompt in prompts], work):
        kept.update(zip(indices, pairs, strict=True))
    order = range(len(prompts))
    x = torch.cat([kept[index][0] for index in order])
    return (x, x) if reads == writes else (x, torch.cat([kept[index][1] for index in order]))


def tensor_batches(
    x: Float[Tensor, "token d_in"], y: Float[Tensor, "token d_out"] | None = None, *, batch_size: int, seed: int = 0
) -> Batches:
    """Shuffled batches of tensors in memory, round after round, each in an order of its own."""
    per_round = len(x) // batch_size
    assert per_round > 0, f"{len(x)} tokens make no batch of {batch_size}"

    def batches(start: int) -> Iterator[Batch]:
        number = start
        while True:
            order = torch.randperm(len(x), generator=generator(seed, "round", number // per_round)).to(x.device)
            for place in range(number % per_round, per_round):
                chosen = order[place * batch_size : (place + 1) * batch_size]
                picked = x[chosen]
                yield picked, picked if y is None else y[chosen]
                number += 1

    return batches


def repeated(rows: Sequence[Sequence[int]]) -> TokenRows:
    """A list of texts round after round, without end."""

    def from_text(start: int) -> Iterator[Sequence[int]]:
        yield from islice(rows, start % len(rows), None)
        while True:
            yield from rows

    return from_text


def _buffers(rows: TokenRows, buffer_tokens: int, first_position: int) -> Iterator[list[Sequence[int]]]:
    """Texts that fill one buffer each; the last is smaller."""
    texts: list[Sequence[int]] = []
    held = 0
    for row in rows(0):
        texts.append(row)
        held += max(0, len(row) - first_position)
        if held >= buffer_tokens:
            yield texts
            texts, held = [], 0
    if texts:
        yield texts
