"""A slow, obvious Llama in float64 whose every component sums up its own inputs: what edge patching is held to."""

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from safetycase.lab.model import LoadedModel

Written = dict[str, Tensor]
"""By writer, [pos, d_model]."""


def patched_logits(model: LoadedModel, clean: Tensor, corrupted: Tensor, inside: Collection[tuple[str, str]]) -> Tensor:
    """Logits of the last position when the edges in `inside` carry this run, and all others the corrupted prompt's."""
    before, _ = _run(model.module, corrupted, lambda reader, written: dict(written))

    def read(reader: str, written: Written) -> Written:
        return {writer: now if (writer, reader) in inside else before[writer] for writer, now in written.items()}

    return _run(model.module, clean, read)[1]


def _run(module: Any, ids: Tensor, read: Callable[[str, Written], Written]) -> tuple[Written, Tensor]:
    core, config = module.model, module.config
    written: Written = {"embed": core.embed_tokens(ids)}
    bias = torch.zeros(config.hidden_size, dtype=torch.float64)
    rotation = core.rotary_emb(written["embed"][None], torch.arange(len(ids))[None])

    def stream(reader: str) -> Tensor:
        total: Tensor = torch.stack([*read(reader, written).values(), bias.expand_as(written["embed"])]).sum(dim=0)
        return total

    for number, layer in enumerate(core.layers):
        heads = {}
        for head in range(config.num_attention_heads):
            parts = {part: _normed(layer.input_layernorm, stream(f"head.{number}.{head}.{part}")) for part in "qkv"}
            heads[f"head.{number}.{head}"] = _head(layer.self_attn, config, head, parts, rotation)
        written |= heads
        if layer.self_attn.o_proj.bias is not None:
            bias = bias + layer.self_attn.o_proj.bias
        written[f"mlp.{number}"] = layer.mlp(_normed(layer.post_attention_layernorm, stream(f"mlp.{number}")))
    return written, module.lm_head(_normed(core.norm, stream("logits")))[-1]


def _head(attention: Any, config: Any, head: int, parts: dict[str, Tensor], rotation: Any) -> Tensor:
    """What one head adds to the stream, without the bias of the output projection."""
    width = attention.head_dim
    group = head // (config.num_attention_heads // config.num_key_value_heads)

    def of(matrix: Any, x: Tensor, which: int) -> Tensor:
        rows = slice(which * width, (which + 1) * width)
        read: Tensor = x @ matrix.weight[rows].T + (0 if matrix.bias is None else matrix.bias[rows])
        return read

    q, k = of(attention.q_proj, parts["q"], head), of(attention.k_proj, parts["k"], group)
    v = of(attention.v_proj, parts["v"], group)
    rotate: Any = apply_rotary_pos_emb
    q, k = (each[0, 0] for each in rotate(q[None, None], k[None, None], *rotation))
    scores = (q @ k.T / width**0.5).masked_fill(torch.ones(len(q), len(q)).triu(1).bool(), -torch.inf)
    columns = slice(head * width, (head + 1) * width)
    out: Tensor = scores.softmax(dim=-1) @ v @ attention.o_proj.weight[:, columns].T
    return out


def _normed(norm: Any, x: Tensor) -> Tensor:
    scaled: Tensor = x * torch.rsqrt(x.pow(2).mean(dim=-1, keepdim=True) + norm.variance_epsilon) * norm.weight
    return scaled
