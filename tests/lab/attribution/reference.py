"""Attribution by plain autograd, one target at a time, through the model as transformers runs it: slow, and easy to see right."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

from safetycase.lab.dictionaries.dictionary import DictionarySet
from safetycase.lab.model import LoadedModel

NAME = "detached_for_tests"


def _attention(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any) -> tuple[Tensor, Tensor]:
    eager = sys.modules[type(module).__module__].eager_attention_forward
    _, pattern = eager(module, query, key, value, mask, **options)
    repeated = value.repeat_interleave(pattern.shape[1] // value.shape[1], dim=1)
    return (pattern.detach() @ repeated).transpose(1, 2).contiguous(), pattern


_interface: Any = AttentionInterface
_interface.register(NAME, _attention)
_mask: Any = AttentionMaskInterface
_mask.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["eager"])


@dataclass
class Reference:
    """One pass with everything that is frozen detached."""

    embedded: Tensor
    """[1, pos, d]: what enters the first block."""
    added: list[Tensor]
    """Zeros added to what each MLP writes: their gradient is what a vector written there does."""
    read: list[Tensor]
    """What each transcoder reads."""
    written: list[Tensor]
    skipped: list[Tensor]
    final: Tensor
    activations: list[Tensor]

    def effects(self, value: Tensor) -> tuple[list[Tensor], Tensor]:
        """Gradients of a functional with respect to what each MLP writes, and to the embeddings."""
        leaves = [*self.added, self.embedded]
        found = torch.autograd.grad(value, leaves, retain_graph=True, allow_unused=True)
        whole = [torch.zeros_like(leaf) if each is None else each for each, leaf in zip(found, leaves, strict=True)]
        return whole[:-1], whole[-1]


def reference_pass(model: LoadedModel, transcoders: DictionarySet, tokens: Tensor, zeroed: list[int]) -> Reference:
    """Runs the model once and keeps its graph."""
    found = Reference(torch.empty(0), [], [], [], [], torch.empty(0), [])
    with _hooks(model, transcoders, found):
        model.module(input_ids=tokens[None], attention_mask=torch.ones_like(tokens[None]), use_cache=False)
    for dictionary, x in zip(transcoders.dictionaries, found.read, strict=True):
        activations = dictionary.encode(x.detach())
        activations[zeroed] = 0
        found.activations.append(activations)
    return found


@contextmanager
def _hooks(model: LoadedModel, transcoders: DictionarySet, found: Reference) -> Iterator[None]:
    kind = transcoders.dictionaries[0]
    handles = []
    before = model.module.config._attn_implementation
    model.module.set_attn_implementation(NAME)
    norms = [m for m in model.module.modules() if "Norm" in type(m).__name__]
    reads: dict[int, Tensor] = {}

    def start(module: nn.Module, args: Any, kwargs: Any) -> Any:
        x = (args[0] if args else kwargs["hidden_states"]).detach().requires_grad_()
        found.embedded = x
        return ((x, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": x})

    def norm(module: Any, args: Any, output: Any) -> Any:
        x = args[0]
        bias: Any = getattr(module, "bias", None)
        if isinstance(module, nn.LayerNorm):
            centred = x - x.mean(-1, keepdim=True)
            return centred * ((output - bias) / centred).detach() + bias
        return x * (output / x).detach()

    def mlp_in(layer: int) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            reads[layer] = (args[0] if args else kwargs["hidden_states"])[0]

        return hook

    def before_norm(layer: int) -> Any:
        def hook(module: Any, args: Any) -> None:
            x = args[0][0]
            if kind.reads.name == "resid_mid":
                reads[layer] = x
            else:
                eps = getattr(module, "variance_epsilon", getattr(module, "eps", None))
                centred = x - x.mean(-1, keepdim=True) if isinstance(module, nn.LayerNorm) else x
                reads[layer] = centred * (centred.pow(2).mean(-1, keepdim=True) + eps).rsqrt().detach()

        return hook

    def write(layer: int) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> Any:
            y = output[0] if isinstance(output, tuple) else output
            x = reads[layer]
            skip = transcoders.dictionaries[layer].skip(x)
            added = torch.zeros_like(y[0] if y.ndim == 3 else y).requires_grad_()
            found.read.append(x)
            found.written.append(y.detach().reshape(added.shape))
            found.skipped.append(torch.as_tensor(skip).detach())
            found.added.append(added)
            new = (y.detach().reshape(added.shape) - torch.as_tensor(skip).detach() + skip + added).reshape(y.shape)
            return (new, *output[1:]) if isinstance(output, tuple) else new

        return hook

    def end(module: nn.Module, args: Any, output: Tensor) -> None:
        found.final = output[0]

    blocks = model.sites.blocks
    handles.append(blocks[0].module.register_forward_pre_hook(start, with_kwargs=True))
    handles += [m.register_forward_hook(norm) for m in norms]
    for layer, block in enumerate(blocks):
        if kind.reads.name == "mlp_in" or "Olmo2" in type(block.module).__name__:  # whose MLP reads the stream itself
            handles.append(block.mlp.register_forward_pre_hook(mlp_in(layer), with_kwargs=True))
        else:
            handles.append(_mlp_norm(block).register_forward_pre_hook(before_norm(layer)))
        writer = block.mlp if kind.writes[0].name == "mlp_raw_out" else _writer(block)
        handles.append(writer.register_forward_hook(write(layer)))
    handles.append(model.sites.final_norm.register_forward_hook(end))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        model.module.set_attn_implementation(before)


def _mlp_norm(block: Any) -> Any:
    names = ("pre_feedforward_layernorm", "ln_2", "post_attention_layernorm")
    return next(getattr(block.module, name) for name in names if hasattr(block.module, name))


def _writer(block: Any) -> Any:
    return block.mlp if block.mlp in block.writers else block.module.post_feedforward_layernorm
