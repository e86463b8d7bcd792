"""The blocks of a model once attention patterns and norm scales are frozen: two writers to a stream, read through affine maps."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from safetycase.errors import ModelError
from safetycase.lab.attribution.frozen_attention import AttentionCall
from safetycase.lab.attribution.frozen_norm import FrozenNorm, frozen_norm, identity_norm
from safetycase.lab.attribution.linear_attention import LinearAttention, linear_attention
from safetycase.lab.attribution.recording import Recording, leaves
from safetycase.lab.attribution.rounding import same
from safetycase.lab.sites import Block

SNAP = 1e-2
"""A coefficient this near to 1 is 1, as in `lab.sites`."""


@dataclass(frozen=True)
class LinearLayer:
    """pre -> mid = pre + attention(pre) -> post = mid + coefficient * behind_mlp(MLP's output)."""

    attention: LinearAttention
    sequential: bool
    """The MLP reads mid; else pre (parallel blocks)."""
    before_mlp: FrozenNorm
    """Between the stream and the MLP; the identity where there is none."""
    behind_mlp: FrozenNorm
    """Between the MLP and the stream; the identity where there is none."""
    attention_coefficient: float
    mlp_coefficient: float
    pre: Float[Tensor, "pos d_model"]
    mid: Float[Tensor, "pos d_model"]
    post: Float[Tensor, "pos d_model"]
    norms: dict[nn.Module, FrozenNorm]
    """Every norm between the stream and attention or MLP, as it is frozen."""
    attention_writes: Float[Tensor, "pos d_model"]
    """After the norm behind attention, before any coefficient."""
    mlp_reads: Float[Tensor, "pos d_model"]
    mlp_raw: Float[Tensor, "pos d_model"]
    """The MLP's own output."""
    mlp_writes: Float[Tensor, "pos d_model"]
    """After the norm behind it, before any coefficient."""

    @property
    def mlp_source(self) -> Float[Tensor, "pos d_model"]:
        """The stream where the MLP reads it."""
        return self.mid if self.sequential else self.pre


def modules_to_record(block: Block) -> list[nn.Module]:
    """What must be recorded of a block to linearise it."""
    return [block.module, block.attention, block.mlp, *block.writers, *norms_of(block), *leaves(block.attention)]


def linear_layer(
    index: int, block: Block, call: AttentionCall | None, recording: Recording, post: Float[Tensor, "pos d_model"]
) -> LinearLayer:
    """One block, confirmed: the affine maps must give what was recorded, within rounding.

    `post` is what the next block, or the final norm, read. Raises ModelError, naming what could not be linearised.
    """
    where = f"block {index}"
    if call is None:
        raise ModelError(f"{where}: {type(block.attention).__name__} does not take its attention from the registry of transformers")
    pre = recording.inputs[block.module]
    attention_writer, mlp_writer = _writers(block, recording)
    written = recording.outputs[attention_writer], recording.outputs[mlp_writer]
    to_attention, to_mlp = _coefficients(where, post - pre, *written)
    norms: dict[nn.Module, FrozenNorm] = {}
    before_attention = _norm_before(where, block, block.attention, recording, [pre], norms)
    mid = pre + to_attention * written[0]
    before_mlp, source = _read_by_mlp(where, block, recording, pre, mid, norms)
    behind_attention = _norm_behind(where, attention_writer, block.attention, recording, norms)
    behind_mlp = _norm_behind(where, mlp_writer, block.mlp, recording, norms)
    attention = linear_attention(block.attention, call, recording, before_attention, behind_attention, to_attention, where)
    return LinearLayer(
        attention=attention,
        sequential=source is mid,
        before_mlp=before_mlp,
        behind_mlp=behind_mlp,
        attention_coefficient=to_attention,
        mlp_coefficient=to_mlp,
        pre=pre,
        mid=mid,
        post=post,
        norms=norms,
        attention_writes=written[0],
        mlp_reads=recording.inputs[block.mlp],
        mlp_raw=recording.outputs[block.mlp],
        mlp_writes=written[1],
    )


def norms_of(block: Block) -> list[nn.Module]:
    """Children of a block without a matrix: its norms."""
    inside = {*block.attention.modules(), *block.mlp.modules()}
    return [
        child
        for child in block.module.children()
        if child not in inside and not list(child.children()) and all(p.ndim < 2 for p in child.parameters())
    ]


def _writers(block: Block, recording: Recording) -> tuple[nn.Module, nn.Module]:
    """Attention's and the MLP's: themselves, or the norm that reads what they put out."""

    def of(module: nn.Module) -> nn.Module | None:
        if module in block.writers:
            return module
        put_out = recording.outputs[module]
        return next((w for w in block.writers if w in recording.inputs and torch.equal(recording.inputs[w], put_out)), None)

    attention, mlp = of(block.attention), of(block.mlp)
    if attention is None or mlp is None or attention is mlp:
        names = ", ".join(type(writer).__name__ for writer in block.writers)
        raise ModelError(f"what {names} write to the stream is not attention's and the MLP's output behind at most one norm each")
    return attention, mlp


def _coefficients(where: str, change: Tensor, attention: Tensor, mlp: Tensor) -> tuple[float, float]:
    """By what each writer's output is multiplied on its way into the stream: 1, but for residual multipliers."""
    terms = torch.stack([attention.flatten(), mlp.flatten()], dim=1).double()
    fitted = torch.linalg.lstsq((terms.mT @ terms).cpu(), (terms.mT @ change.flatten().double()[:, None]).cpu(), driver="gelsd").solution
    first, second = (1.0 if abs(value - 1) < SNAP else value for value in fitted.flatten().tolist())
    if not same(first * attention + second * mlp, change):
        raise ModelError(f"{where}: attention and MLP do not add up to what the block adds to the stream")
    return first, second


def _norm_before(
    where: str,
    block: Block,
    module: nn.Module,
    recording: Recording,
    sources: Sequence[Tensor],
    norms: dict[nn.Module, FrozenNorm],
) -> FrozenNorm:
    """The norm whose output a module reads, which itself must read one of the sources; it is added to `norms`."""
    read = recording.inputs[module]
    if any(torch.equal(read, source) for source in sources):
        return identity_norm(read)
    for norm in norms_of(block):
        makes_it = norm in recording.outputs and torch.equal(recording.outputs[norm], read)
        if makes_it and any(same(recording.inputs[norm], source) for source in sources):
            norms[norm] = frozen_norm(norm, recording.inputs[norm], read, where)
            return norms[norm]
    raise ModelError(f"{where}: {type(module).__name__} does not read the residual stream behind at most one norm")


def _norm_behind(where: str, writer: nn.Module, module: nn.Module, recording: Recording, norms: dict[nn.Module, FrozenNorm]) -> FrozenNorm:
    """The writer itself where it is a norm that reads what the module puts out; it is added to `norms`."""
    if writer is module:
        return identity_norm(recording.outputs[module])
    norms[writer] = frozen_norm(writer, recording.inputs[writer], recording.outputs[writer], where)
    return norms[writer]


def _read_by_mlp(
    where: str, block: Block, recording: Recording, pre: Tensor, mid: Tensor, norms: dict[nn.Module, FrozenNorm]
) -> tuple[FrozenNorm, Tensor]:
    """The norm before the MLP and the stream that it reads: mid, or pre where blocks run in parallel."""
    norm = _norm_before(where, block, block.mlp, recording, [mid, pre], norms)
    read = recording.inputs[block.mlp]
    source = mid if same(norm(mid), read) else pre
    if not same(norm(source), read):
        raise ModelError(f"{where}: {type(block.mlp).__name__} reads neither the stream before attention nor behind it")
    return norm, source
