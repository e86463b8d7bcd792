"""The behaviour whose circuit is sought: log-odds of a set of tokens at the last position, and how any other metric is written."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Float64
from torch import Tensor

Metric = Callable[[Float[Tensor, "row vocab"], Sequence[int]], Float64[Tensor, "row"]]
"""Maps the last position's logits and the pair's target tokens to one number per row; differentiable."""


def log_odds(logits: Float[Tensor, "row vocab"], target: Sequence[int]) -> Float64[Tensor, "row"]:
    """log P - log(1 - P) with P the probability of the target tokens, in nats and float64.

    As a difference of two log-sum-exps it neither saturates nor needs the epsilon of `scores.refusal_log_odds`, which it equals to that.
    """
    wide = logits.double() if logits.device.type != "mps" else logits.cpu().double()
    inside = torch.zeros(wide.shape[-1], dtype=torch.bool, device=wide.device)
    inside[torch.as_tensor(list(target), device=wide.device)] = True
    assert 0 < int(inside.sum()) < len(inside), f"{int(inside.sum())} target tokens of {len(inside)}: expected some, and not all"
    return wide[:, inside].logsumexp(dim=-1) - wide[:, ~inside].logsumexp(dim=-1)
