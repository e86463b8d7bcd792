"""Absorption: where the features that stand for a concept stay silent and a more specific one carries it instead."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

# SAEBench's conventions (Karvonen et al. 2025, after Chanin et al. 2024).
LEAST_COSINE = 0.025
LEAST_SHARE = 0.4
LEAST_PARTIAL_COSINE = 0.1
MOST_ABSORBERS = 3
MOST_MAIN = 10
F1_JUMP = 0.03
"""By so much a further feature has to raise the F1 of a prediction to be a main one."""


@dataclass(frozen=True)
class Reference:
    """Where a property is absent on average: what features write there, and what stands at the site."""

    written: Float[Tensor, "feature"]
    outputs: Float[Tensor, "d_out"]


@dataclass(frozen=True)
class Absorbed:
    """By prompt."""

    main_fires: Bool[Tensor, "prompt"]
    full: Bool[Tensor, "prompt"]
    fraction: Float64[Tensor, "prompt"]


def absorbed(
    written: Float[Tensor, "prompt feature"],
    outputs: Float[Tensor, "prompt d_out"],
    directions: Float[Tensor, "feature d_out"],
    probe: Float[Tensor, "d_out"],
    main: Sequence[int],
    *,
    read: Bool[Tensor, "prompt"] | None = None,
    reference: Reference | None = None,
) -> Absorbed:
    """Absorption as SAEBench defines it, on prompts that have the property.

    full: all main features are silent, and the other feature that adds most along the probe has a cosine of at least 0.025 with it and
    adds at least 0.4 of the prompt's projection on it. fraction: of what main features and the (at most three) others of cosine at
    least 0.1 that add most carry together, the others' part; 0 where these add less than 0.4 of the projection or the main features all
    of it, 1 where the main features add nothing. Both are nothing where the projection is not positive or the probe does not read
    the property (`read`; all by default).

    With a `reference`, projections and contributions are counted from it: what all prompts have in common, on which a probe has a bias
    but a projection has none, is then no feature's merit. Without, they are counted from 0, as in SAEBench.
    """
    unit = probe.double() / probe.double().norm()
    along = (directions @ unit.to(directions)).double()
    cosines = along / directions.norm(dim=-1).double().clamp_min(torch.finfo(torch.float64).tiny)
    fires = (written[:, list(main)] > 0).any(dim=-1)
    added = written.double() * along
    projection = outputs.double() @ unit
    if reference is not None:
        added = added - reference.written.double() * along
        projection = projection - reference.outputs.double() @ unit
    counted = projection > 0 if read is None else (projection > 0) & read
    own = added[:, list(main)].sum(dim=-1)
    others = added.clone()
    others[:, list(main)] = -torch.inf
    strongest, which = others.max(dim=-1)
    full = counted & ~fires & (cosines[which] >= LEAST_COSINE) & (strongest >= LEAST_SHARE * projection)
    return Absorbed(fires, full, _fraction(own, others.masked_fill(cosines < LEAST_PARTIAL_COSINE, 0), projection) * counted)


@dataclass(frozen=True, slots=True)
class Absorption:
    """How much of a concept's presence its own latents miss, over inputs that have the concept and that the probe recognises."""

    rate: float
    """Share of inputs that are absorbed in full."""
    fraction: float
    """Mean over inputs of the part that absorbers carry."""
    inputs: int
    main: tuple[int, ...]


def absorption(
    activations: Float[Tensor, "input feature"],
    inputs: Float[Tensor, "input d"],
    probe: Float[Tensor, "d"],
    decoder: Float[Tensor, "feature d"],
    main: Sequence[int],
) -> Absorption:
    """Absorption of one concept on inputs that have it (`absorbed`).

    `probe` points along the concept; `main` are its latents (`main_latents`). Inputs whose projection on the probe is not positive
    are left out: there the concept is not where the probe looks. NaN without others.
    """
    kept = inputs.double() @ probe.double() > 0
    if not kept.any():
        return Absorption(float("nan"), float("nan"), 0, tuple(main))
    found = absorbed(activations[kept], inputs[kept], decoder, probe, main)
    return Absorption(float(found.full.double().mean()), float(found.fraction.mean()), int(kept.sum()), tuple(main))


def main_latents(
    activations: Float[Tensor, "input feature"], labels: Bool[Tensor, "input"], *, most: int = MOST_MAIN, jump: float = F1_JUMP
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


def _f1(predicted: Bool[Tensor, "input feature"], labels: Bool[Tensor, "input"]) -> Float[Tensor, "feature"]:
    hits = (predicted & labels.unsqueeze(1)).sum(0).double()
    return 2 * hits / (predicted.sum(0) + labels.sum()).clamp_min(1)


def _fraction(
    own: Float64[Tensor, "prompt"], others: Float64[Tensor, "prompt feature"], projection: Float64[Tensor, "prompt"]
) -> Float64[Tensor, "prompt"]:
    """Of what main features and absorbers carry, the absorbers' part; absorbers are counted up to what the main features leave."""
    absorbers = others.clamp_min(0).topk(min(MOST_ABSORBERS, others.shape[1]), dim=-1).values.sum(dim=-1)
    left = torch.minimum(absorbers, projection - own)
    share = torch.where(own <= 0, torch.ones_like(own), left / (left + own))
    counts = (absorbers >= LEAST_SHARE * projection) & (own < projection) & (absorbers > 0)
    return torch.where(counts, share, torch.zeros_like(share)).clamp(0, 1)
