"""Absorption: where the latents that stand for a concept stay silent and a more specific latent carries it instead."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

# SAEBench's conventions (Karvonen et al. 2025, after Chanin et al. 2024).
LEAST_COSINE = 0.025
LEAST_SHARE = 0.4
F1_JUMP = 0.03
MOST_LATENTS = 10
MOST_ABSORBERS = 3
LEAST_ABSORBER_COSINE = 0.1


@dataclass(frozen=True, slots=True)
class Absorption:
    """How much of a concept's presence its own latents miss, over inputs that have the concept and that the probe recognises."""

    rate: float
    """Share of inputs that are fully absorbed: all main latents silent, one other latent carries the probe's direction."""
    fraction: float
    """Mean over inputs of absorbed / (absorbed + main), what each adds along the probe's direction."""
    inputs: int
    main: tuple[int, ...]


def absorption(
    activations: Float[Tensor, "input feature"],
    inputs: Float[Tensor, "input d"],
    probe: Float[Tensor, "d"],
    decoder: Float[Tensor, "feature d"],
    main: Sequence[int],
) -> Absorption:
    """Absorption of one concept on inputs that have it, by SAEBench's definition on activations.

    `probe` points along the concept; `main` are its latents (`main_latents`). Inputs whose projection on the probe is not positive
    are left out: there the concept is not where the probe looks. An input is fully absorbed where every main latent is silent, the
    latent that adds most along the probe has a cosine of at least 0.025 with it and adds at least 0.4 of the input's projection.
    The fraction counts at most three absorbers, of cosine at least 0.1 and a joint share of at least 0.4. NaN without such inputs.
    """
    unit = probe / probe.norm()
    projection = inputs @ unit
    kept = projection > 0
    activations, projection = activations[kept], projection[kept]
    if not len(projection):
        return Absorption(float("nan"), float("nan"), 0, tuple(main))
    along = decoder @ unit
    cosines = along / decoder.norm(dim=-1).clamp_min(torch.finfo(decoder.dtype).tiny)
    added = activations * along
    own = added[:, list(main)].clamp_min(0).sum(-1)
    others = added.clone()
    others[:, list(main)] = -torch.inf
    strongest, which = others.max(dim=-1)
    silent = (activations[:, list(main)] <= 0).all(dim=-1)
    full = silent & (cosines[which] >= LEAST_COSINE) & (strongest >= LEAST_SHARE * projection)
    absorbed = _absorbed(others, cosines, projection)
    share = absorbed / (absorbed + own).clamp_min(torch.finfo(own.dtype).tiny)
    return Absorption(float(full.double().mean()), float(share.clamp(0, 1).double().mean()), len(projection), tuple(main))


def main_latents(
    activations: Float[Tensor, "input feature"], labels: Bool[Tensor, "input"], *, most: int = MOST_LATENTS, jump: float = F1_JUMP
) -> tuple[int, ...]:
    """The latents that stand for a concept: the best one, and each next one that still lifts F1 by `jump` (feature splitting).

    A set predicts the concept where any of its latents fires. The best is the one of highest F1 alone; at each step the one that
    lifts F1 most joins.
    """
    firing = activations > 0
    chosen: list[int] = []
    predicted = torch.zeros_like(labels)
    best = 0.0
    while len(chosen) < most:
        scores = _f1(predicted.unsqueeze(1) | firing, labels)
        index = int(scores.argmax())
        if float(scores[index]) < best + jump:
            break
        chosen.append(index)
        predicted = predicted | firing[:, index]
        best = float(scores[index])
    return tuple(chosen)


def _absorbed(
    others: Float[Tensor, "input feature"], cosines: Float[Tensor, "feature"], projection: Float[Tensor, "input"]
) -> Float[Tensor, "input"]:
    """What up to three latents other than the main ones add along the probe; 0 where that is no substantial share."""
    able = torch.where(cosines >= LEAST_ABSORBER_COSINE, others, 0.0).clamp_min(0)
    total = able.topk(min(MOST_ABSORBERS, able.shape[1]), dim=-1).values.sum(-1)
    return torch.where(total >= LEAST_SHARE * projection, total, 0.0)


def _f1(predicted: Bool[Tensor, "input feature"], labels: Bool[Tensor, "input"]) -> Float[Tensor, "feature"]:
    hits = (predicted & labels.unsqueeze(1)).sum(0).double()
    return 2 * hits / (predicted.sum(0) + labels.sum()).clamp_min(1)
