"""Directions found one after another, each with its predecessors ablated: how many must go before refusal does."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.lab.activations import activations_at
from safetycase.lab.forward import Forward, Tokens

# A mean difference this small beside the first is rounding.
VANISHING = 1e-4


def successive_directions(
    forward: Forward,
    harmful: Sequence[Tokens],
    harmless: Sequence[Tokens],
    first: Float[Tensor, "d_model"],
    position: int,
    layer: int,
    largest: int,
) -> Float[Tensor, "k d_model"]:
    """Orthonormal directions, the first along `first`; each next is the mean difference with all before it ablated.

    Read at one position and layer, in float64. Fewer than `largest` where the next mean difference vanishes.
    """
    norm = first.norm()
    basis: Tensor = (first.double() / norm).unsqueeze(0)
    while len(basis) < largest:
        means = [
            activations_at(forward, prompts, position, layer, basis.float()).double().mean(dim=0)
            for prompts in (harmful, harmless)
        ]
        difference = means[0] - means[1]
        difference = difference - (difference @ basis.mT) @ basis
        if difference.norm() <= VANISHING * norm:
            break
        basis = torch.cat([basis, (difference / difference.norm()).unsqueeze(0)])
    return basis
