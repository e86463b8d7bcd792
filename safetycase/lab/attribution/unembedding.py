"""From the final norm to logits: the unembedding's rows, the scale that some architectures put behind it, and their soft cap."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from safetycase.errors import ModelError
from safetycase.lab.attribution.frozen_pass import FrozenPass
from safetycase.lab.attribution.rounding import same
from safetycase.lab.model import LoadedModel

SNAP = 1e-4
"""A scale this near to 1 is 1."""


def unembedding_rows(model: LoadedModel, tokens: Int[Tensor, "token"]) -> Float[Tensor, "token d_model"]:
    """Rows of the unembedding less their mean over the vocabulary: what tells a token from the others."""
    weight = _weight(model)
    return weight[tokens] - weight.mean(dim=0)


def logit_scale(pass_: FrozenPass) -> float:
    """By what the head's output is multiplied on its way to the logits (Cohere, Granite): 1 elsewhere. Soft caps apart."""
    head: Any = pass_.model.sites.unembedding
    raw, logits, cap = head(pass_.final[-1]).double(), pass_.logits.double(), _cap(pass_.model)
    # Under a cap that saturates no scale can be read off; no architecture has both.
    fitted = 1.0 if cap is not None else float((raw @ logits) / (raw @ raw).clamp_min(torch.finfo(torch.float64).tiny))
    scale = 1.0 if abs(fitted - 1) < SNAP else fitted
    expected = raw * scale if cap is None else cap * torch.tanh(raw / cap)
    if not same(expected.to(pass_.final), logits.to(pass_.final)):
        raise ModelError(f"{pass_.model.source}: its logits are not the vocabulary head's output, scaled or soft-capped")
    return scale


def logit_gradient(pass_: FrozenPass, gradient: Float[Tensor, "vocab"]) -> Float[Tensor, "d_model"]:
    """A gradient with respect to the logits as one with respect to what the final norm puts out."""
    cap = _cap(pass_.model)
    if cap is not None:
        gradient = gradient * (1 - (pass_.logits.double() / cap) ** 2)
    return (gradient.to(pass_.final) @ _weight(pass_.model)) * logit_scale(pass_)


def uncapped(model: LoadedModel, logits: Float[Tensor, "row vocab"]) -> Float[Tensor, "row vocab"]:
    """Logits as they stood before a final soft cap, in float64; those that reached the cap are taken to lie just below it."""
    cap, wide = _cap(model), logits.double()
    if cap is None:
        return wide
    highest = 1 - torch.finfo(logits.dtype).eps
    return cap * torch.atanh((wide / cap).clamp(-highest, highest))


def _cap(model: LoadedModel) -> float | None:
    config: Any = model.module.config.get_text_config()
    cap = getattr(config, "final_logit_softcapping", None)
    return None if cap is None else float(cap)


def _weight(model: LoadedModel) -> Float[Tensor, "vocab d_model"]:
    weight = model.sites.unembedding.weight
    assert isinstance(weight, Tensor)
    return weight
