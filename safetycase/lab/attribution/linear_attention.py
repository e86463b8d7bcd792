"""Attention with its pattern frozen, as the affine map of the stream that it then is, confirmed against what the model computed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from safetycase.errors import ModelError
from safetycase.lab.attribution.frozen_attention import AttentionCall
from safetycase.lab.attribution.frozen_norm import FrozenNorm
from safetycase.lab.attribution.recording import Recording, leaves
from safetycase.lab.attribution.rounding import same


@dataclass(frozen=True)
class LinearAttention:
    """stream -> what one attention adds to it; norms before and behind, and any multiplier, are folded in."""

    value: Float[Tensor, "value_head d_head d_model"]
    output: Float[Tensor, "head d_head d_model"]
    pattern: Float[Tensor, "value_head source group pos"]
    """Transposed, by value head: group * pos runs over all that reads a source. Scales of both norms are multiplied in."""
    bias: Float[Tensor, "pos d_model"] | None
    """What is added whatever the stream holds."""


def linear_attention(
    module: nn.Module,
    call: AttentionCall,
    recording: Recording,
    before: FrozenNorm,
    behind: FrozenNorm,
    coefficient: float,
    where: str,
) -> LinearAttention:
    """The map of one attention module, read off its own matrices; every step must give what was recorded.

    Raises ModelError, naming the step that is not affine.
    """
    x = recording.inputs[module]
    n_value, _, d_head = call.value.shape
    heads = call.pattern.shape[0]
    into, into_bias = _projection(module, recording, x, call.value.transpose(0, 1).reshape(len(x), -1), f"{where}: the values")
    mixed = torch.einsum("hpq,hqd->phd", call.pattern, call.value.repeat_interleave(heads // n_value, dim=0))
    if not same(mixed.flatten(1), call.output.flatten(1)):
        raise ModelError(f"{where}: heads are not values mixed by the attention pattern, expected plain softmax attention")
    out, out_bias = _projection(module, recording, call.output.flatten(1), recording.outputs[module], f"{where}: the output")
    scales = behind.scale[None, :, None] * call.pattern * before.scale[None, None, :]
    return LinearAttention(
        value=before.fold(into).view(n_value, d_head, -1),
        output=behind.fold_written(out.mT * coefficient).view(heads, d_head, -1),
        pattern=scales.view(n_value, heads // n_value, *scales.shape[1:]).permute(0, 3, 1, 2).contiguous(),
        bias=_bias(call.pattern, before, behind, coefficient, into, into_bias, out, out_bias, n_value),
    )


def _bias(
    pattern: Tensor,
    before: FrozenNorm,
    behind: FrozenNorm,
    coefficient: float,
    into: Tensor,
    into_bias: Tensor | None,
    out: Tensor,
    out_bias: Tensor | None,
    n_value: int,
) -> Float[Tensor, "pos d_model"] | None:
    """The affine map at a stream of zeros."""
    if before.shift is None and behind.shift is None and into_bias is None and out_bias is None:
        return None
    n_pos = pattern.shape[-1]
    value = into.new_zeros(len(into)) if before.shift is None else into @ before.shift
    if into_bias is not None:
        value = value + into_bias
    per_head = value.view(n_value, -1).repeat_interleave(len(pattern) // n_value, dim=0)
    heads = pattern.sum(dim=-1).mT[:, :, None] * per_head
    raw = heads.reshape(n_pos, -1) @ out.mT
    if out_bias is not None:
        raw = raw + out_bias
    return behind(raw) * coefficient


def _projection(
    module: nn.Module, recording: Recording, x: Float[Tensor, "pos d_in"], y: Float[Tensor, "pos d_out"], where: str
) -> tuple[Float[Tensor, "d_out d_in"], Float[Tensor, "d_out"] | None]:
    """The matrix (and bias) of the child that makes y of x, or of its rows that do where it makes more than y (fused projections)."""
    for child in leaves(module):
        if child not in recording.outputs or not _reads(recording.inputs[child], x):
            continue
        whole = recording.outputs[child]
        rows = _columns(whole, y)
        if rows is None:
            continue
        weight, bias = _matrix(child, whole.shape[-1], x.shape[-1], recording)
        if weight is None:
            continue
        weight, bias = (weight, bias) if rows.numel() == 0 else (weight[rows], None if bias is None else bias[rows])
        if same(x @ weight.mT + (0 if bias is None else bias), y):
            return weight, bias if bias is not None and bool(bias.any()) else None
    raise ModelError(f"{where} of {type(module).__name__}: no one matrix of it makes that of what it reads")


def _reads(found: Tensor, x: Tensor) -> bool:
    return found.shape == x.shape and torch.equal(found, x)


def _columns(whole: Float[Tensor, "pos wide"], y: Float[Tensor, "pos d_out"]) -> Int[Tensor, "d_out"] | None:
    """Which columns of a projection's output are those of y, bit by bit; empty where it is y itself, None where y is not in it."""
    if whole.shape == y.shape and torch.equal(whole, y):
        return torch.empty(0, dtype=torch.long, device=y.device)
    if whole.shape[-1] < y.shape[-1]:
        return None
    for row in range(len(y)):  # numbers that come twice in one row can be told apart in another
        order = whole[row].argsort(stable=True)
        found = order[torch.searchsorted(whole[row][order], y[row].contiguous()).clamp_max(len(order) - 1)]
        if not torch.equal(whole[row, found], y[row]):
            return None
        if torch.equal(whole[:, found], y):
            return found
    return None


def _matrix(child: nn.Module, d_out: int, d_in: int, recording: Recording) -> tuple[Tensor | None, Tensor | None]:
    """A child's weight as [d_out, d_in], and its bias, whichever way round it stores them."""
    stored, bias = child.weight, getattr(child, "bias", None)
    assert isinstance(stored, Tensor)
    shift = bias if isinstance(bias, Tensor) else None
    ways: Sequence[Tensor] = (stored, stored.mT)
    for weight in ways:
        if weight.shape == (d_out, d_in):
            found = recording.inputs[child] @ weight.mT + (0 if shift is None else shift)
            if same(found, recording.outputs[child]):
                return weight, shift
    return None, None
