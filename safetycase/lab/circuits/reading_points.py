"""The places where a decoder's components read the residual stream: which module reads, and through which norm, confirmed by running it."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from safetycase.errors import ModelError
from safetycase.lab.hooks import record_calls, record_inputs
from safetycase.lab.model import LoadedModel
from safetycase.lab.sites import Block

PROBE_TOKENS = 5
PARTS = ("q_proj", "k_proj", "v_proj")


@dataclass(frozen=True)
class ReadingPoint:
    """One module that reads the stream, through at most one norm."""

    kind: Literal["attention", "mlp", "logits"]
    layer: int
    """Of the logits, the number of layers."""
    module: nn.Module
    """Whose input is replaced; of the logits, the final norm itself."""
    norm: nn.Module | None
    """What stands between stream and module; None where the module reads the stream itself."""

    def normed(self, stream: Float[Tensor, "*rows pos d_model"]) -> Float[Tensor, "*rows pos d_model"]:
        """What the module is given where this stands in the stream. The norm's hooks are not called."""
        if self.norm is None:
            return stream
        read: Tensor = self.norm.forward(stream)
        return read


@dataclass(frozen=True)
class LayerPoints:
    """One layer's two readers and two writers."""

    attention: ReadingPoint
    mlp: ReadingPoint
    sequential: bool
    """The MLP reads the stream after this layer's attention has written to it."""
    attention_writer: nn.Module
    mlp_writer: nn.Module
    projection: nn.Module | None
    """Attention's output projection, where attention itself writes to the stream; None where a norm stands behind it (Gemma 2 and 3,
    OLMo 2), since its heads then have no linear share of what is written."""
    parts: tuple[nn.Linear, nn.Linear, nn.Linear] | None
    """The matrices of queries, keys and values, where they are three and each reads what attention is given."""


@torch.inference_mode()
def reading_points(model: LoadedModel) -> tuple[tuple[LayerPoints, ...], ReadingPoint]:
    """Those of every layer, and that of the logits, from one short forward pass.

    Raises ModelError, "architecture not understood: ...", where attention or MLP does not read the stream through at most one norm.
    """
    inputs: dict[nn.Module, Tensor] = {}

    def keep(module: nn.Module, x: Tensor) -> Tensor:
        inputs[module] = x
        return x.new_empty(0)

    with ExitStack() as stack:
        calls = stack.enter_context(record_calls(model.module))
        for block in model.sites.blocks:
            for module in {block.module, block.attention, block.mlp, *_norms(block), *_named_parts(block.attention)}:
                stack.enter_context(record_inputs([module], keep=partial(keep, module)))
        embedding: Any = model.module.get_input_embeddings()
        ids = torch.arange(1, PROBE_TOKENS + 1, device=model.device)[None] % embedding.num_embeddings
        model.module(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
    outputs = {module: tensors[0] for module, tensors in calls.items()}
    order = list(calls)
    layers = tuple(_layer(index, block, inputs, outputs, order) for index, block in enumerate(model.sites.blocks))
    return layers, ReadingPoint("logits", len(layers), model.sites.final_norm, None)


def _layer(
    layer: int, block: Block, inputs: Mapping[nn.Module, Tensor], outputs: Mapping[nn.Module, Tensor], order: Sequence[nn.Module]
) -> LayerPoints:
    by_call = sorted(block.writers, key=order.index)
    attention_writer = block.attention if block.attention in block.writers else by_call[0]
    mlp_writer = next(writer for writer in block.writers if writer is not attention_writer)
    stream = inputs[block.module]
    middle = stream + outputs[attention_writer]
    norms = [norm for norm in _norms(block) if norm in outputs]

    def through(module: nn.Module, sources: Sequence[Tensor]) -> tuple[nn.Module | None, int] | None:
        """By which norm (None: directly) the module reads one of the sources, and which of them."""
        for place, source in enumerate(sources):
            if _close(inputs[module], source):
                return None, place
            for norm in norms:
                if torch.equal(outputs[norm], inputs[module]) and _close(inputs[norm], source):
                    return norm, place
        return None

    of_attention, of_mlp = through(block.attention, [stream]), through(block.mlp, [middle, stream])
    if of_attention is None or of_mlp is None:
        who = "attention" if of_attention is None else "the MLP"
        raise ModelError(f"architecture not understood: block {layer}: {who} does not read the residual stream through at most one norm")
    return LayerPoints(
        attention=ReadingPoint("attention", layer, block.attention, of_attention[0]),
        mlp=ReadingPoint("mlp", layer, block.mlp, of_mlp[0]),
        sequential=of_mlp[1] == 0,
        attention_writer=attention_writer,
        mlp_writer=mlp_writer,
        projection=_projection(block.attention, outputs) if attention_writer is block.attention else None,
        parts=_parts(block.attention, inputs),
    )


def _projection(attention: nn.Module, outputs: Mapping[nn.Module, Tensor]) -> nn.Module | None:
    """The matrix inside attention whose output is attention's own."""
    own = outputs[attention]
    for child in attention.modules():
        matrix = any(parameter.ndim == 2 for parameter in child.parameters(recurse=False))
        if (
            child is not attention
            and matrix
            and child in outputs
            and outputs[child].shape == own.shape
            and torch.equal(outputs[child], own)
        ):
            return child
    return None


def _parts(attention: nn.Module, inputs: Mapping[nn.Module, Tensor]) -> tuple[nn.Linear, nn.Linear, nn.Linear] | None:
    found = [part for part in _named_parts(attention) if part in inputs and torch.equal(inputs[part], inputs[attention])]
    return (found[0], found[1], found[2]) if len(found) == len(PARTS) else None


def _named_parts(attention: nn.Module) -> list[nn.Linear]:
    """By the names that most architectures of transformers share; that they mean what they say shows when the split pass is confirmed."""
    children = dict(attention.named_children())
    return [child for name in PARTS if type(child := children.get(name)) is nn.Linear]


def _norms(block: Block) -> list[nn.Module]:
    """Children of a block without a matrix."""
    return [child for child in block.module.children() if list(child.parameters()) and all(p.ndim < 2 for p in child.parameters())]


def _close(x: Tensor, reference: Tensor) -> bool:
    """Equal but for the rounding of one sum."""
    allowed = 4 * torch.finfo(reference.dtype).eps * reference.abs().amax()
    return x.shape == reference.shape and bool((x - reference).abs().amax() <= allowed)
