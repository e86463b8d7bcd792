"""Where the prompts of a contrast can differ: behind the tokens that they all begin with."""

import torch

from safetycase.lab.features.study import AskedContrast, counted_positions
from safetycase.lab.model import LoadedModel


def shared_positions(model: LoadedModel, contrast: AskedContrast) -> int:
    """How many leading counted positions all prompts of a contrast share; each prompt keeps one beyond them at least.

    A causal model stands there in the same state for every prompt, so that an activation says nothing of the contrast. A
    feature that fires most on the template's first tokens would tie on all prompts, but for rounding: and rounding differs
    with the batch, hence with length, hence perhaps with the class.
    """
    prompts = list(contrast.tokens.values())
    shortest = min(len(prompt) for prompt in prompts)
    leading = torch.stack([prompt[:shortest] for prompt in prompts])
    same = (leading == leading[0]).all(dim=0)
    shared = min(int(same.long().cumprod(dim=0).sum()), shortest - 1)
    return len(counted_positions(model, leading[0, :shared]))
