"""A norm with its scale frozen at one prompt: an affine map per position."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from safetycase.errors import ModelError
from safetycase.lab.attribution.rounding import same


@dataclass(frozen=True)
class FrozenNorm:
    """y = scale * (x - mean x, where `centred`) * gain + shift: RMSNorm and LayerNorm, and the identity."""

    gain: Float[Tensor, "d"]
    scale: Float[Tensor, "pos"]
    centred: bool
    shift: Float[Tensor, "d"] | None
    """None for none."""

    def __call__(self, x: Float[Tensor, "pos d"]) -> Float[Tensor, "pos d"]:
        """The frozen map itself."""
        y = self.linear(x)
        return y if self.shift is None else y + self.shift

    def linear(self, x: Float[Tensor, "pos d"]) -> Float[Tensor, "pos d"]:
        """Without the shift."""
        if self.centred:
            x = x - x.mean(dim=-1, keepdim=True)
        return x * self.gain * self.scale[:, None]

    def fold(self, rows: Float[Tensor, "row d"]) -> Float[Tensor, "row d"]:
        """Rows that read what the norm puts out, as rows that read its input; the position's scale is left to be multiplied by."""
        rows = rows * self.gain
        return rows - rows.mean(dim=-1, keepdim=True) if self.centred else rows

    def fold_written(self, rows: Float[Tensor, "row d"]) -> Float[Tensor, "row d"]:
        """Rows that are put into the norm, as what it puts out; the position's scale is left to be multiplied by."""
        if self.centred:
            rows = rows - rows.mean(dim=-1, keepdim=True)
        return rows * self.gain


def identity_norm(like: Float[Tensor, "pos d"]) -> FrozenNorm:
    """No norm at all."""
    return FrozenNorm(like.new_ones(like.shape[-1]), like.new_ones(len(like)), centred=False, shift=None)


def frozen_norm(module: nn.Module, x: Float[Tensor, "pos d"], y: Float[Tensor, "pos d"], where: str) -> FrozenNorm:
    """The norm that made y of x, asked what it makes of three vectors whose statistics are known, then held to x and y.

    Raises ModelError where the frozen map does not give y within rounding.
    """
    d = x.shape[-1]
    ones = torch.ones(d, dtype=x.dtype, device=x.device)
    signs = ones.clone()
    signs[1::2] = -1
    # With an odd width the alternating signs do not sum to zero: a zero takes the last one's place, and its gain is had by a shift.
    probes = torch.stack([torch.zeros_like(ones), ones, signs, signs.roll(1)])
    if d % 2:
        probes[2, -1] = 0
        probes[3] = probes[2].roll(1)
    zero, flat, even, odd = module(probes[None])[0]
    centred = same(flat, zero)
    gain = torch.where(probes[2] != 0, (even - zero) * probes[2], (odd - zero) * probes[3])
    frozen = fitted_norm(gain, centred, None if not bool(zero.any()) else zero, x, y)
    if not same(frozen(x), y):
        raise ModelError(f"{where}: {type(module).__name__} is no affine map once its scale is frozen, expected RMSNorm or LayerNorm")
    return frozen


def fitted_norm(
    gain: Float[Tensor, "d"], centred: bool, shift: Float[Tensor, "d"] | None, x: Float[Tensor, "pos d"], y: Float[Tensor, "pos d"]
) -> FrozenNorm:
    """The scale of each position by least squares, in float64."""
    unscaled = FrozenNorm(gain, x.new_ones(len(x)), centred, None).linear(x).double()
    target = (y if shift is None else y - shift).double()
    size = (unscaled * unscaled).sum(dim=-1)
    scale = (unscaled * target).sum(dim=-1) / size.clamp_min(torch.finfo(torch.float64).tiny)
    return FrozenNorm(gain, scale.to(x.dtype), centred, shift)
