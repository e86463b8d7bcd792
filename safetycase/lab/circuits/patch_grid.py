"""Exact activation patching over layers and positions: where in a prompt, and how deep, the difference between two runs is carried."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float64
from torch import Tensor

from safetycase.evidence.tables import Row
from safetycase.lab.activations import residual_streams
from safetycase.lab.batches import Batches
from safetycase.lab.circuits.metric import Metric, log_odds
from safetycase.lab.circuits.pairs import Pair
from safetycase.lab.forward import Forward, Tokens, left_padded
from safetycase.lab.hooks import edit_inputs, skip
from safetycase.lab.model import LoadedModel, last_logits

Direction = Literal["denoise", "noise"]
INSTRUCTION = "instruction"


@dataclass(frozen=True)
class Role:
    """Positions with one meaning in a pair of prompts, and which position of the donor stands in for each of them."""

    name: str
    """`before.0` from the start, `instruction` or `instruction.0`, `after.-1` from the end."""
    receiving: tuple[int, ...]
    donating: tuple[int, ...]


@dataclass(frozen=True)
class _Patch:
    """One patched run: into which prompt, from which, at what positions."""

    pair: int
    direction: Direction
    role: Role
    receiver: int
    donor: int
    """Places in the list of all prompts."""


def patch_grid(
    model: LoadedModel, pairs: Sequence[Pair], batches: Batches, *, by_position: bool = True, metric: Metric = log_odds
) -> Iterator[Row]:
    """The residual stream at the input of every block (`resid_pre.l`) patched from one run of each pair into the other, role by role.

    `denoise` puts the clean (harmful) run's state into the corrupted (harmless) run, `noise` the reverse. One row per pair, direction,
    layer and role: item, family, direction, layer, role, positions (how many were patched), equal_length, clean, corrupted, patched (the
    metric of the two plain runs and of the patched one). The instruction is patched as a whole in every pair; with `by_position` also
    token by token where the two have equally many. Where they differ in number, each token receives the state of the donor's token at
    the same relative place, so that nothing of the receiver's own instruction is left.
    """
    prompts = [tokens for pair in pairs for tokens in (pair.clean, pair.corrupted)]
    targets = [pair.target for pair in pairs for _ in range(2)]
    plain = _plain(model, prompts, targets, batches, metric)
    patches = [patch for place, pair in enumerate(pairs) for patch in _patches(place, pair, by_position)]
    for layer in range(model.sites.n_layers):
        values = _patched(model, prompts, targets, patches, layer, batches, metric).tolist()
        for patch, value in zip(patches, values, strict=True):
            pair = pairs[patch.pair]
            yield {
                "item": pair.item,
                "family": pair.family,
                "direction": patch.direction,
                "layer": layer,
                "role": patch.role.name,
                "positions": len(patch.role.receiving),
                "equal_length": pair.equal_length,
                "clean": float(plain[2 * patch.pair]),
                "corrupted": float(plain[2 * patch.pair + 1]),
                "patched": float(value),
            }


def roles(pair: Pair, *, receiver: Literal["clean", "corrupted"], by_position: bool = True) -> list[Role]:
    """The roles of a pair's positions, in the order of the prompt; positions count from the start of each prompt."""
    into, out = (pair.clean, pair.corrupted) if receiver == "clean" else (pair.corrupted, pair.clean)
    own, other = len(into) - pair.before - pair.after, len(out) - pair.before - pair.after
    assert min(own, other) > 0, f"pair {pair.item}: no instruction between the tokens of the template"
    found = [Role(f"before.{place}", (place,), (place,)) for place in range(pair.before)]
    whole = tuple(pair.before + place for place in range(own))
    stretched = tuple(pair.before + (2 * place + 1) * other // (2 * own) for place in range(own))
    found.append(Role(INSTRUCTION, whole, stretched))
    if by_position and own == other:
        found += [Role(f"{INSTRUCTION}.{place - pair.before}", (place,), (place,)) for place in whole]
    ends = range(-pair.after, 0)
    return found + [Role(f"after.{end}", (len(into) + end,), (len(out) + end,)) for end in ends]


def _patches(place: int, pair: Pair, by_position: bool) -> Iterator[_Patch]:
    for role in roles(pair, receiver="corrupted", by_position=by_position):
        yield _Patch(place, "denoise", role, 2 * place + 1, 2 * place)
    for role in roles(pair, receiver="clean", by_position=by_position):
        yield _Patch(place, "noise", role, 2 * place, 2 * place + 1)


@torch.inference_mode()
def _plain(
    model: LoadedModel, prompts: Sequence[Tokens], targets: Sequence[Sequence[int]], batches: Batches, metric: Metric
) -> Float64[Tensor, "prompt"]:
    def work(indices: list[int]) -> Tensor:
        logits = last_logits(model, left_padded([prompts[index] for index in indices], model.device))
        return _by_target(logits, [targets[index] for index in indices], metric)

    return batches.run([batches.load(len(prompt)) for prompt in prompts], work)


@torch.inference_mode()
def _patched(
    model: LoadedModel,
    prompts: Sequence[Tokens],
    targets: Sequence[Sequence[int]],
    patches: Sequence[_Patch],
    layer: int,
    batches: Batches,
    metric: Metric,
) -> Float64[Tensor, "patch"]:
    """The metric of every patched run, which resumes at the layer from the receiver's own stream."""
    stream = residual_streams(Forward(model, batches), prompts, layer)[layer]  # padded on the left to one width
    width = stream.shape[1]
    blocks = [block.module for block in model.sites.blocks]

    def work(indices: list[int]) -> Tensor:
        chosen = [patches[index] for index in indices]
        encoded = left_padded([prompts[patch.receiver] for patch in chosen], model.device)
        resumed = stream[[patch.receiver for patch in chosen]].clone()
        for row, patch in enumerate(chosen):
            receiving = [width - len(prompts[patch.receiver]) + place for place in patch.role.receiving]
            donating = [width - len(prompts[patch.donor]) + place for place in patch.role.donating]
            resumed[row, receiving] = stream[patch.donor, donating]
        resumed = resumed[:, width - encoded.input_ids.shape[1] :].to(model.device)
        with skip(blocks[:layer]), edit_inputs({blocks[layer]: lambda _: resumed}):
            logits = last_logits(model, encoded)
        return _by_target(logits, [targets[patch.receiver] for patch in chosen], metric)

    return batches.run([batches.load(len(prompts[patch.receiver])) for patch in patches], work)


def _by_target(logits: Tensor, targets: Sequence[Sequence[int]], metric: Metric) -> Float64[Tensor, "row"]:
    """The metric of rows that may look for different tokens; rows with the same ones together."""
    found = torch.empty(len(targets), dtype=torch.float64)
    for target in dict.fromkeys(map(tuple, targets)):
        rows = [row for row, own in enumerate(targets) if tuple(own) == target]
        found[rows] = metric(logits[rows], target).cpu()
    return found
