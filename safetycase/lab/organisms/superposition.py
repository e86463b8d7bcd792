"""The organism `superposition`: known sparse features in fewer dimensions, some of them children of others, and how well they are found.

It is no language model but a source of activations whose truth is known in full, so that a trainer and the measures of a dictionary
can be held to it (Elhage et al. 2022 for the setting, Chanin et al. 2024 for the hierarchy).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from safetycase.lab.dictionaries.absorption import Absorption, absorption, main_latents
from safetycase.lab.dictionaries.dictionary import Dictionary
from safetycase.lab.dictionaries.training import Batches
from safetycase.lab.null_directions import generator

RECOVERED = 0.9
# Steps and size by which random directions are pushed apart.
_REPULSIONS, _REPULSION = 200, 0.05


@dataclass(frozen=True)
class Superposition:
    """Features fire independently with one probability, but for children, which fire only where their parent does.

    The first `pairs` features are parents; the `pairs` after them their children, in that order.
    """

    n_features: int = 64
    d: int = 32
    probability: float = 0.05
    pairs: int = 8
    child_probability: float = 0.4
    """Of a child, given its parent."""
    seed: int = 0

    @cached_property
    def directions(self) -> Float[Tensor, "feature d"]:
        """Unit vectors, random and then pushed apart, as features that a model has learnt to tell apart are."""
        source = generator(self.seed, "superposition", 0)
        rows = torch.randn(self.n_features, self.d, generator=source)
        for _ in range(_REPULSIONS):
            rows = rows / rows.norm(dim=-1, keepdim=True)
            cosines = (rows @ rows.mT).fill_diagonal_(0)
            rows = rows - _REPULSION * cosines.pow(3) @ rows
        unit: Tensor = rows / rows.norm(dim=-1, keepdim=True)
        return unit

    def strengths(self, count: int, draw: int) -> Float[Tensor, "token feature"]:
        """How strongly each feature is there: 0, or uniform between 0.75 and 1.25; `draw` numbers independent samples."""
        source = generator(self.seed, "strengths", draw)
        fires = torch.rand(count, self.n_features, generator=source) < self.probability
        children = slice(self.pairs, 2 * self.pairs)
        drawn = torch.rand(count, self.pairs, generator=source) < self.child_probability
        fires[:, children] = drawn & fires[:, : self.pairs]
        return fires * (0.75 + 0.5 * torch.rand(count, self.n_features, generator=source))

    def activations(self, strengths: Float[Tensor, "token feature"]) -> Float[Tensor, "token d"]:
        """The sum of the directions, each as strong as its feature."""
        return strengths @ self.directions

    def batches(self, batch_size: int) -> Batches:
        """Fresh activations without end."""

        def batches(start: int) -> Iterator[tuple[Tensor, Tensor]]:
            number = start
            while True:
                # Draw 0 is what is measured on.
                x = self.activations(self.strengths(batch_size, number + 1))
                yield x, x
                number += 1

        return batches


@dataclass(frozen=True, slots=True)
class Recovery:
    """What of the truth a dictionary holds."""

    max_cosine: float
    """Mean over true features of the largest cosine with a decoder row."""
    max_cosine_back: float
    """Mean over decoder rows of the largest cosine with a true feature."""
    matched: float
    """Mean cosine when every true feature gets a row of its own, as well as can be."""
    recovered: float
    """Share of true features whose own row has a cosine of at least 0.9."""
    absorption: float
    """Mean over parents of the absorption rate; NaN without pairs."""
    absorbed_fraction: float


def recovery(truth: Superposition, dictionary: Dictionary, *, count: int = 8192) -> Recovery:
    """A dictionary against the truth, on activations that no training saw."""
    strengths = truth.strengths(count, 0)
    found = dictionary.encode(truth.activations(strengths))
    return recovery_of(truth, strengths, found, dictionary.directions())


def recovery_of(
    truth: Superposition,
    strengths: Float[Tensor, "token feature"],
    activations: Float[Tensor, "token latent"],
    decoder: Float[Tensor, "latent d"],
) -> Recovery:
    """The same for any activations and decoder: those of a control, or the truth's own (a perfect oracle)."""
    rows = decoder / decoder.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(decoder.dtype).tiny)
    cosines = truth.directions @ rows.mT
    own = cosines[linear_sum_assignment(cosines.numpy(), maximize=True)]
    absorbed = [_absorption(truth, parent, strengths, activations, decoder) for parent in range(truth.pairs)]
    return Recovery(
        max_cosine=float(cosines.amax(dim=1).mean()),
        max_cosine_back=float(cosines.amax(dim=0).mean()),
        matched=float(own.mean()),
        recovered=float((own >= RECOVERED).double().mean()),
        absorption=_mean([each.rate for each in absorbed]),
        absorbed_fraction=_mean([each.fraction for each in absorbed]),
    )


def permuted_decoder(decoder: Float[Tensor, "latent d"], seed: int) -> Float[Tensor, "latent d"]:
    """A control: every row with its own entries in another order, so that norms and entries stay and directions go."""
    source = generator(seed, "permuted decoder", 0)
    return torch.stack([row[torch.randperm(len(row), generator=source)] for row in decoder])


def random_decoder(n_latents: int, d: int, seed: int) -> Float[Tensor, "latent d"]:
    """A control: directions drawn from a sphere."""
    rows = torch.randn(n_latents, d, generator=generator(seed, "random decoder", 0))
    unit: Tensor = rows / rows.norm(dim=-1, keepdim=True)
    return unit


def _absorption(truth: Superposition, parent: int, strengths: Tensor, activations: Tensor, decoder: Tensor) -> Absorption:
    """Of one parent, whose one latent is the one that tells it best; no splitting is planted."""
    labels = strengths[:, parent] > 0
    main = main_latents(activations, labels, most=1)
    return absorption(activations[labels], truth.activations(strengths[labels]), truth.directions[parent], decoder, main)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
