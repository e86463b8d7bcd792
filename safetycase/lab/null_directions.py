"""Directions that should do nothing: drawn from the covariance, from shuffled labels, from unrelated contrasts."""

import hashlib
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from safetycase.sources.prompts import Prompt

# A contrast of fewer prompts than this on one side is no mean.
SMALLEST_SIDE = 2


def generator(seed: int, purpose: str, index: int) -> torch.Generator:
    """A source of randomness of its own for each (seed, purpose, index), on the CPU, whatever was drawn before."""
    digest = hashlib.sha256(f"{seed}\n{purpose}\n{index}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)


def covariance_directions(
    groups: Sequence[Float[Tensor, "prompt d_model"]], norm: float, seed: int, indices: Sequence[int]
) -> Float[Tensor, "direction d_model"]:
    """Draws from N(0, C), scaled to one norm; C is the covariance of the activations within their groups.

    The mean of each group is taken out first: else the contrast under test would itself be a principal component of
    its own null. A draw is a random mixture of the centred activations, which needs no d_model x d_model matrix.
    Where the activations do not vary at all, the draw is from a sphere.
    """
    centred = torch.cat([group.double() - group.double().mean(dim=0) for group in groups])
    drawn = []
    for index in indices:
        randomness = generator(seed, "random", index)
        mixture = torch.randn(len(centred), generator=randomness, dtype=torch.float64) @ centred
        if mixture.norm() == 0:
            mixture = torch.randn(centred.shape[1], generator=randomness, dtype=torch.float64)
        drawn.append(mixture)
    return scaled(torch.stack(drawn), norm)


def shuffled_labels(
    n_harmful: int, n_harmless: int, seed: int, index: int
) -> tuple[Bool[Tensor, "prompt"], Bool[Tensor, "prompt"]]:
    """Which of the pooled prompts, harmful then harmless, stand for harmful and which for harmless after a shuffle.

    The shuffle is balanced: each new class takes the same share of harmful prompts, as nearly as numbers allow. A free
    shuffle leaves a remnant of the real contrast in every difference, and ablation, which is blind to length, would
    undo refusal by that remnant: the null would contain what it is to be compared with.
    """
    randomness = generator(seed, "shuffle", index)
    n = n_harmful + n_harmless
    # Of the class that stands for harmful, this many are harmful; the odd one out goes to either side by lot.
    exact = n_harmful * n_harmful / n
    kept = int(exact) + int(torch.rand((), generator=randomness) < exact - int(exact))
    chosen = torch.zeros(n, dtype=torch.bool)
    chosen[torch.randperm(n_harmful, generator=randomness)[:kept]] = True
    chosen[n_harmful + torch.randperm(n_harmless, generator=randomness)[: n_harmful - kept]] = True
    return chosen, ~chosen


def resampled_counts(families: Sequence[str], seed: int, purpose: str, index: int) -> Float[Tensor, "prompt"]:
    """How often each prompt counts when whole families are drawn with replacement (cluster bootstrap)."""
    names = sorted(set(families))
    drawn = torch.randint(len(names), (len(names),), generator=generator(seed, purpose, index))
    times = torch.bincount(drawn, minlength=len(names)).double()
    place = {name: position for position, name in enumerate(names)}
    return times[torch.tensor([place[family] for family in families])]


def unrelated_contrasts(
    prompts: Sequence[Prompt], lengths: Int[Tensor, "prompt"], wanted: int
) -> dict[str, Bool[Tensor, "prompt"]]:
    """Contrasts among harmless prompts, which side of each a prompt is on: form, length, then one topic after another.

    Form is whether it asks a question, length whether it has more tokens than the median, a topic is one category
    against the rest, the largest first. Contrasts with fewer than two prompts on a side are left out.
    """
    found = {
        "contrast-form": torch.tensor([prompt.text.rstrip().endswith("?") for prompt in prompts]),
        "contrast-length": lengths > lengths.median(),
    }
    sizes: dict[str, int] = {}
    for prompt in prompts:
        sizes[prompt.category] = sizes.get(prompt.category, 0) + 1
    for category in sorted(sizes, key=lambda name: (-sizes[name], name)):
        name = f"contrast-topic-{category}"
        found[name] = torch.tensor([prompt.category == category for prompt in prompts])
    usable = [name for name, side in found.items() if SMALLEST_SIDE <= int(side.sum()) <= len(prompts) - SMALLEST_SIDE]
    return {name: found[name] for name in usable[:wanted]}


def scaled(directions: Float[Tensor, "direction d_model"], norm: float) -> Float[Tensor, "direction d_model"]:
    """The same directions at one norm; those of zero length stay so."""
    lengths = directions.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(directions.dtype).tiny)
    same: Tensor = directions * (norm / lengths)
    return same
