"""The explicit adjoint: cotangents run down the linearised layers, and on the way are contracted with what every node writes."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from safetycase.lab.attribution.columns import Columns
from safetycase.lab.attribution.frozen_pass import FrozenPass
from safetycase.lab.attribution.linear_attention import LinearAttention
from safetycase.lab.attribution.sources import LayerSources
from safetycase.lab.attribution.transcoders import Stage


@dataclass(frozen=True)
class Chunk:
    """Functionals of the stream that enter at one stage of one layer, ascending by position."""

    layer: int
    stage: Stage
    positions: Int[Tensor, "target"]
    cotangents: Float[Tensor, "target d_model"]


@dataclass(frozen=True)
class Rows:
    """The edges into a chunk's targets, and what no node accounts for."""

    values: Float[Tensor, "target column"]
    decoder_bias: Float[Tensor, "target"]
    zeroed: Float[Tensor, "target"]
    model_bias: Float[Tensor, "target"]


@torch.no_grad()
def adjoint_rows(pass_: FrozenPass, sources: tuple[LayerSources, ...], chunk: Chunk, columns: Columns) -> Rows:
    """Rows of the graph: what each source writes, times what each target makes of it (Ameisen et al. 2025, "Attribution graphs").

    No position behind the chunk's last one is visited. Sums of what no node accounts for are in float64.
    """
    descent = _Descent(pass_, sources, columns, len(chunk.positions))
    layer = chunk.layer
    match chunk.stage:
        case "post":
            entering = _placed(chunk, columns.n_positions)
            stream = descent.through_layer(layer, entering, entering)
        case "mlp":
            entering = _placed(chunk, columns.n_positions)
            stream = descent.through_layer(layer, torch.zeros_like(entering), entering)
        case "mid":
            stream = _add_placed(descent.entering_attention(chunk), chunk)
        case "attention":
            stream = descent.entering_attention(chunk)
        case "pre":
            stream = _placed(chunk, columns.n_positions)
    for below in reversed(range(layer)):
        stream = descent.through_layer(below, stream, stream)
    return descent.arrived(stream)


def _placed(chunk: Chunk, n_positions: int) -> Float[Tensor, "pos target d_model"]:
    return _add_placed(chunk.cotangents.new_zeros(n_positions, *chunk.cotangents.shape), chunk)


def _add_placed(stream: Float[Tensor, "pos target d_model"], chunk: Chunk) -> Float[Tensor, "pos target d_model"]:
    """Each target's cotangent added at its own position, in place."""
    stream[chunk.positions, torch.arange(stream.shape[1], device=stream.device)] += chunk.cotangents
    return stream


class _Descent:
    """Accumulates the rows of one chunk."""

    def __init__(self, pass_: FrozenPass, sources: tuple[LayerSources, ...], columns: Columns, count: int) -> None:
        self.pass_, self.sources, self.columns = pass_, sources, columns
        like = pass_.final
        self.values = like.new_zeros(count, len(columns))
        self.sums = torch.zeros(3, count, dtype=torch.float64, device=like.device)
        """Decoder bias, zeroed, model bias."""
        n = columns.n_positions
        self.is_zeroed = torch.zeros(n, dtype=torch.bool, device=like.device)
        self.is_zeroed[[position for position in pass_.zeroed if position < n]] = True

    def through_layer(self, layer: int, stream: Tensor, written: Tensor) -> Float[Tensor, "pos target d_model"]:
        """From behind a layer to before it; `written` is the cotangent of what its MLP adds, mostly the stream's own."""
        self._contract(layer, written)
        source = self.sources[layer]
        if source.skip is None:
            return self.through_attention(layer, stream, stream)
        skipped = (written * source.skip_scale[: len(written), None, None]) @ source.skip
        if self.pass_.readings[layer].stage == "mid":
            middle = stream + skipped
            return self.through_attention(layer, middle, middle)
        return self.through_attention(layer, stream, stream) + skipped

    def through_attention(self, layer: int, stream: Tensor, written: Tensor) -> Float[Tensor, "pos target d_model"]:
        """stream + attention's transpose of `written`."""
        attention = self.pass_.layers[layer].attention
        if attention.bias is not None:
            self.sums[2] += torch.einsum("pcd,pd->c", written, attention.bias[: len(written)])
        return _transposed(attention, stream, written)

    def entering_attention(self, chunk: Chunk) -> Float[Tensor, "pos target d_model"]:
        """Attention's transpose of cotangents that stand at one position each: most of the work of a dense one is saved."""
        attention = self.pass_.layers[chunk.layer].attention
        if attention.bias is not None:
            self.sums[2] += (chunk.cotangents * attention.bias[chunk.positions]).sum(dim=-1)
        return _transposed_at(attention, chunk, self.columns.n_positions)

    def arrived(self, stream: Tensor) -> Rows:
        """At the embeddings."""
        tokens = self.pass_.layers[0].pre[: len(stream)]
        self.values[:, self.columns.tokens] = torch.bmm(stream, tokens[:, :, None])[:, :, 0].mT
        return Rows(self.values, self.sums[0], self.sums[1], self.sums[2])

    def _contract(self, layer: int, written: Tensor) -> None:
        """With all that the MLP of a layer adds to the stream."""
        source, n = self.sources[layer], len(written)
        for fires, rows in source.features:
            starts = self.pass_.features.starts[fires]
            first = self.columns.features[fires]
            for position in range(n):
                low, high = starts[position] - starts[0], starts[position + 1] - starts[0]
                if high > low:
                    self.values[:, first + low : first + high].addmm_(written[position], rows[low:high].mT)
        others = torch.bmm(written, source.others[:n])
        self.values[:, self.columns.errors[layer]] = others[:, :, 0].mT
        rest = others[:, :, 1].double()
        self.sums[0] += rest[~self.is_zeroed].sum(dim=0)
        self.sums[1] += rest[self.is_zeroed].sum(dim=0)
        if others.shape[-1] > 2:
            self.sums[2] += others[:, :, 2].double().sum(dim=0)


def _transposed(attention: LinearAttention, stream: Tensor, written: Tensor) -> Float[Tensor, "pos target d_model"]:
    """Cotangents go to the heads, from each position to all that it attends to, and back to the stream."""
    n, count, d_model = written.shape
    heads, d_head, _ = attention.output.shape
    n_value = len(attention.value)
    flat = written.view(n * count, d_model)
    out = torch.matmul(flat, attention.output.mT)  # [head, pos * target, d_head]
    pattern = attention.pattern[:, :n, :, :n].reshape(n_value, n, -1)
    values = torch.bmm(pattern, out.view(n_value, heads // n_value * n, count * d_head))  # [value_head, source, target * d_head]
    merged = values.view(n_value, n, count, d_head).permute(1, 2, 0, 3).reshape(n * count, n_value * d_head)
    return torch.addmm(stream.view(n * count, d_model), merged, attention.value.view(-1, d_model)).view(n, count, d_model)


def _transposed_at(attention: LinearAttention, chunk: Chunk, n: int) -> Float[Tensor, "pos target d_model"]:
    """The same where every target has its cotangent at one position only."""
    count, d_model = chunk.cotangents.shape
    heads, d_head, _ = attention.output.shape
    n_value = len(attention.value)
    out = (chunk.cotangents @ attention.output.view(-1, d_model).mT).view(count, n_value, heads // n_value, d_head)
    pattern = attention.pattern[:, :n, :, chunk.positions].permute(3, 0, 1, 2)  # [target, value_head, source, group]
    values = torch.matmul(pattern, out)  # [target, value_head, source, d_head]
    merged = values.permute(2, 0, 1, 3).reshape(n * count, n_value * d_head)
    return (merged @ attention.value.view(-1, d_model)).view(n, count, d_model)
