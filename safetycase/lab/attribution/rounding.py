"""When two tensors are the same but for rounding."""

import torch
from torch import Tensor

EXPONENT = 0.6
"""Of the machine epsilon: sums of thousands of products in another order stay below it, a wrong bias or scale does not."""
LEAST_ROW = 1e-3
"""A row whose largest number is a smaller share of the largest of all is held to this share: it may be what cancellation left."""
EPSILON = torch.finfo(torch.float32).eps
"""Norms and softmax compute in float32 even in a float64 model."""


def same(found: Tensor, expected: Tensor) -> bool:
    """Whether they differ, row by row, by at most epsilon^0.6 of the row's largest number: 7e-5."""
    if found.shape != expected.shape:
        return False
    if not expected.numel():
        return True
    size = torch.maximum(expected.abs(), found.abs()).amax(dim=-1, keepdim=True)
    allowed = EPSILON**EXPONENT * size.clamp_min(LEAST_ROW * float(size.amax()))
    return bool(((found - expected).abs() <= allowed).all())
