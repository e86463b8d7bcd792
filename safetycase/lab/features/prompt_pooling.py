"""Prompts as points: what stands at a dictionary's sites, and its features' activations, averaged over the tokens of each prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.lab.features.study import AskedContrast, FeatureStudy
from safetycase.lab.features.telling_positions import shared_positions
from safetycase.sources.prompts import Prompt


@dataclass(frozen=True)
class Pooled:
    """Means over the positions of each prompt behind what all prompts of its contrast begin with; in float32 on the CPU."""

    activations: Float[Tensor, "prompt feature"]
    written: Float[Tensor, "prompt feature"]
    """Activations times `write_scale`: what is multiplied by the directions. The same tensor where the scale is 1."""
    inputs: Float[Tensor, "prompt d_in"]
    outputs: Float[Tensor, "prompt d_out"]
    active: Float[Tensor, "prompt"]
    """Features per token that are not zero."""


def pooled(study: FeatureStudy, contrast: AskedContrast, prompts: Sequence[Prompt]) -> Pooled:
    """The prompts as points.

    The positions that all prompts of the contrast share hold the same states in every prompt; a mean over them too would tell prompts
    apart by their length.
    """
    dictionary = study.dictionary
    shared = shared_positions(study.model, contrast)
    scaled = dictionary.normalisation != "none"

    def means(inputs: Float[Tensor, "pos d_in"], outputs: Float[Tensor, "pos d_out"]) -> Float[Tensor, "all"]:
        x, y = inputs[shared:], outputs[shared:]
        activations = dictionary.encode(x)
        parts = [activations.mean(0), x.mean(0), y.mean(0), (activations != 0).sum(-1).float().mean()[None]]
        return torch.cat([*parts, (activations * dictionary.write_scale(x)).mean(0)] if scaled else parts)

    together = study.on_prompts(contrast.tokens_of(prompts), means).cpu()
    widths = [dictionary.n_features, dictionary.d_in, dictionary.d_out, 1, *([dictionary.n_features] if scaled else [])]
    activations, x, y, active, *written = torch.split(together, widths, dim=-1)
    return Pooled(activations, written[0] if scaled else activations, x, y, active.squeeze(-1))
