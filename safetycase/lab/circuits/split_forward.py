"""A forward pass in which every component reads its own version of the residual stream: what edge attribution and edge patching run on."""

import inspect
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from safetycase.errors import ModelError
from safetycase.evidence.circuits.edges import EdgeGraph, decoder_graph
from safetycase.lab.circuits.reading_points import LayerPoints, ReadingPoint, reading_points
from safetycase.lab.circuits.split_attention import PARTS, split_attention
from safetycase.lab.hooks import Edit, edit_inputs, edit_outputs
from safetycase.lab.model import LoadedModel

Read = Callable[["Moment"], Float[Tensor, "row reader pos d_model"]]
"""What each reader of one point reads, given what stands there and what was written before."""

PROBE = (1, 2, 3, 4, 5, 6)
TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-3}
HALF_PRECISION_TOLERANCE = 0.25
"""Largest change of a logit, beside the largest of all: norms of transformers compute in float32 whatever the dtype."""


@dataclass(frozen=True)
class Moment:
    """One reading point of a pass that is under way."""

    readers: slice
    """Places in the graph's `readers` of those that read here."""
    stream: Float[Tensor, "row pos d_model"]
    """The model's own residual stream."""
    written: Sequence[Float[Tensor, "row pos d_model"]]
    """What the graph's writers put out that may be read here, in their order."""

    @property
    def count(self) -> int:
        """How many readers there are."""
        return int(self.readers.stop - self.readers.start)


@dataclass(frozen=True)
class Pass:
    """What one split pass left behind."""

    logits: Float[Tensor, "row vocab"]
    """Of the last position."""
    written: tuple[Float[Tensor, "row pos d_model"], ...]
    """By writer of the graph."""


@dataclass(frozen=True)
class SplitForward:
    """A model whose components can be given inputs one by one; made by `split_forward`."""

    model: LoadedModel
    graph: EdgeGraph
    n_heads: int | None
    """None where attention is one component."""
    heads_absent: str
    """Why attention is one component; empty where it is not."""
    direct: bool
    """Each head's queries, keys and values are computed by its own rows of their matrices."""
    layers: tuple[LayerPoints, ...]
    logits: ReadingPoint

    def run(self, ids: Int[Tensor, "row pos"], read: Read, embedded: Float[Tensor, "row pos d_model"] | None = None) -> Pass:
        """One pass over rows of equal length, without padding; `embedded` stands in for what the embeddings put out.

        What is read has as many copies of a row as there are readers. Where queries, keys and values have matrices of their own (`direct`),
        each head's part of them is applied to its own copy, which costs as much as a plain pass; elsewhere attention's projections run on
        all copies and cost `PARTS` x heads times as much.
        """
        written: dict[int, Tensor] = {}
        with ExitStack() as stack:
            if self.n_heads is not None:
                stack.enter_context(split_attention(self.model, copied=not self.direct))
            first = self.model.sites.blocks[0].module
            if embedded is not None:
                stack.enter_context(edit_inputs({first: lambda _: embedded}))
            stack.enter_context(edit_inputs({first: partial(_keep, written, 0)}))
            for layer in self.layers:
                self._hook_layer(stack, layer, written, read)
            visible, last = len(self.graph.writers), len(self.graph.readers) - 1
            _hook_point(stack, self.logits, written, visible, slice(last, last + 1), read)
            logits = self._last_logits(ids)
        return Pass(logits, tuple(written[writer] for writer in range(visible)))

    def _hook_layer(self, stack: ExitStack, layer: LayerPoints, written: dict[int, Tensor], read: Read) -> None:
        """Hooks that give the layer's readers what `read` says and keep what its writers put out."""
        heads, parts = (1, 1) if self.n_heads is None else (self.n_heads, PARTS)
        writer, reader = 1 + layer.mlp.layer * (heads + 1), layer.mlp.layer * (parts * heads + 1)
        readers = slice(reader, reader + parts * heads)
        if self.n_heads is None:
            stack.enter_context(edit_outputs({layer.attention_writer: partial(_keep, written, writer)}))
        else:
            projection: Any = layer.projection

            def apart(z: Float[Tensor, "copies pos width"]) -> Float[Tensor, "row pos width"]:
                side_by_side = z if self.direct else z[:: parts * heads].contiguous()  # all copies of a row hold the same
                written.update(enumerate(_shares(projection, side_by_side, heads), start=writer))
                return side_by_side

            stack.enter_context(edit_inputs({projection: apart}))
        stack.enter_context(edit_outputs({layer.mlp_writer: partial(_keep, written, writer + heads)}))
        direct = layer.parts if self.direct else None
        _hook_point(stack, layer.attention, written, writer, readers, read, direct)
        visible = writer + heads * layer.sequential
        _hook_point(stack, layer.mlp, written, visible, slice(readers.stop, readers.stop + 1), read)

    def _last_logits(self, ids: Int[Tensor, "row pos"]) -> Float[Tensor, "row vocab"]:
        shorter = "logits_to_keep" in inspect.signature(self.model.module.forward).parameters
        options: dict[str, Any] = {"logits_to_keep": 1} if shorter else {}
        logits: Tensor = self.model.module(input_ids=ids, use_cache=False, **options).logits
        return logits[:, -1]


def split_forward(model: LoadedModel) -> SplitForward:
    """The split pass of a model, by heads where these can be told apart, confirmed to give the plain pass's logits.

    Raises ModelError where a component does not read the stream through at most one norm, and where the logits differ.
    """
    layers, logits = reading_points(model)
    count, why = _heads(model, layers)
    sequential = all(layer.sequential for layer in layers)
    if count is not None:
        graph = decoder_graph(len(layers), count, sequential=sequential)
        three = all(layer.parts is not None for layer in layers)
        for direct in (True, False) if three else (False,):
            by_head = SplitForward(model, graph, count, "", direct, layers, logits)
            if _confirmed(by_head):
                return by_head
        why = "its attention is not computed through the attention interface of transformers"
    whole = SplitForward(model, decoder_graph(len(layers), None, sequential=sequential), None, why, False, layers, logits)
    if not _confirmed(whole):
        raise ModelError(f"{model.source}: architecture not understood: with every component read apart the logits are not the model's own")
    return whole


def as_it_stands(moment: Moment) -> Float[Tensor, "row reader pos d_model"]:
    """Every reader reads the model's own stream: the plain pass."""
    return moment.stream.unsqueeze(1).expand(-1, moment.count, -1, -1)


def _hook_point(
    stack: ExitStack,
    point: ReadingPoint,
    written: dict[int, Tensor],
    visible: int,
    readers: slice,
    read: Read,
    direct: tuple[nn.Linear, nn.Linear, nn.Linear] | None = None,
) -> None:
    """Hooks that give each reader at a point its own input; `visible` writers come before it.

    With `direct` the module itself is given its own input, and the outputs of these three matrices are replaced.
    """
    kept: dict[int, Tensor] = {}
    if point.norm is not None:
        stack.enter_context(edit_inputs({point.norm: partial(_keep, kept, 0)}))

    def split(given: Tensor) -> Tensor:
        stream = given if point.norm is None else kept[0]
        inputs = read(Moment(readers, stream, [written[writer] for writer in range(visible)]))
        kept[1] = point.normed(inputs.flatten(0, 1))
        return given if direct else kept[1]

    stack.enter_context(edit_inputs({point.module: split}))
    if direct is not None:
        edits: dict[nn.Module, Edit] = {
            matrix: partial(_of_own_inputs, kept, part, matrix, direct[0].out_features) for part, matrix in enumerate(direct)
        }
        stack.enter_context(edit_outputs(edits))


def _of_own_inputs(
    kept: dict[int, Tensor], part: int, matrix: nn.Linear, side_by_side: int, plain: Float[Tensor, "row pos rows"]
) -> Float[Tensor, "row pos heads_x_width"]:
    """Each query head's own rows of a matrix applied to its own input; rows that heads share (grouped queries) once for each of them.

    `side_by_side` is the width of all query heads together.
    """
    copies = kept[1]
    row, (pos, d_model) = len(plain), copies.shape[1:]
    heads = len(copies) // (PARTS * row)
    width = side_by_side // heads
    shared = heads * width // matrix.out_features
    weight = matrix.weight.reshape(-1, width, d_model).repeat_interleave(shared, dim=0)  # [head, width, d_model]
    own = copies.reshape(row, PARTS, heads, pos, d_model)[:, part].transpose(0, 1).reshape(heads, row * pos, d_model)
    out = (own @ weight.mT).reshape(heads, row, pos, width)
    if matrix.bias is not None:
        out = out + matrix.bias.reshape(-1, 1, 1, width).repeat_interleave(shared, dim=0)
    return out.permute(1, 2, 0, 3).reshape(row, pos, heads * width)


def _shares(projection: Any, z: Float[Tensor, "row pos width"], heads: int) -> list[Float[Tensor, "row pos d_model"]]:
    """What each head adds to the stream: the projection of its own slice, without the bias, which no head owns."""
    row, pos, width = z.shape
    if type(projection) is nn.Linear:
        slices = z.reshape(row * pos, heads, -1).transpose(0, 1)  # [head, row x pos, width]
        columns = projection.weight.reshape(-1, heads, width // heads).permute(1, 2, 0)
        return list((slices @ columns).reshape(heads, row, pos, -1))
    own = torch.eye(heads, dtype=z.dtype, device=z.device)[:, None, None, :, None]
    slices = (z.reshape(row, pos, heads, -1) * own).reshape(heads, row, pos, width)
    alone = torch.cat([slices, torch.zeros_like(z)[None]])
    *shares, bias = projection.forward(alone.flatten(0, 1)).reshape(heads + 1, row, pos, -1)
    return [share - bias for share in shares]


def _keep(kept: dict[int, Tensor], place: int, x: Tensor) -> Tensor:
    """Leaves x as it is; unlike what `record_inputs` keeps, it stays part of the graph of gradients."""
    kept[place] = x
    return x


def _heads(model: LoadedModel, layers: Sequence[LayerPoints]) -> tuple[int | None, str]:
    """How many query heads there are; None and the reason where attention has to be one component."""
    if any(layer.attention_writer is not layer.attention.module for layer in layers):
        return None, "a norm stands between attention and the residual stream, so that heads have no linear share of what is written"
    if any(layer.projection is None for layer in layers):
        return None, "its attention has no output projection"
    config: Any = model.module.config.get_text_config()
    count = getattr(config, "num_attention_heads", None)
    return (count, "") if isinstance(count, int) else (None, "its configuration does not say how many heads there are")


@torch.inference_mode()
def _confirmed(split: SplitForward) -> bool:
    """Whether the split pass gives the logits of the plain one, and its writers sum to what the logits are read from."""
    module: Any = split.model.module
    ids = torch.tensor([PROBE, PROBE[::-1]], device=split.model.device) % module.get_input_embeddings().num_embeddings
    expected = split._last_logits(ids)
    try:
        found = split.run(ids, as_it_stands).logits
    except Exception:  # the attention of a foreign architecture may take its own way: then its heads are not told apart
        return False
    allowed = TOLERANCE.get(split.model.dtype, HALF_PRECISION_TOLERANCE) * expected.abs().amax()
    return bool((found - expected).abs().amax() <= allowed)
