"""Attention in which every head reads an input of its own for queries, keys and values, through the attention interface of transformers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from safetycase.lab.model import LoadedModel

COPIED, DIRECT = "safetycase_split_copies", "safetycase_split_heads"
PARTS = 3
"""Queries, keys and values."""


@contextmanager
def split_attention(model: LoadedModel, *, copied: bool) -> Iterator[None]:
    """While open, attention is `attend`, or with `copied` `attend_copies`; masks are those of attention step by step."""
    AttentionInterface.register(COPIED, attend_copies)
    AttentionInterface.register(DIRECT, attend)
    for name in (COPIED, DIRECT):
        AttentionMaskInterface.register(name, eager_mask)
    config: Any = model.module.config
    before = config._attn_implementation
    config._attn_implementation = COPIED if copied else DIRECT
    try:
        yield
    finally:
        config._attn_implementation = before


def attend_copies(
    module: Any,
    query: Float[Tensor, "copies heads pos width"],
    key: Float[Tensor, "copies groups pos width"],
    value: Float[Tensor, "copies groups pos width"],
    attention_mask: Float[Tensor, "#row 1 pos pos"] | None,
    **options: Any,
) -> tuple[Float[Tensor, "copies pos heads width"], None]:
    """`attend` where every row comes in `PARTS` x heads copies, which all receive what the heads of the row put out.

    Copy `part * heads + head` holds what the queries (part 0), keys (1) or values (2) of one query head are computed from; keys and
    values that several query heads share (grouped-query attention) are computed anew for each of them.
    """
    n_heads, heads = query.shape[1], torch.arange(query.shape[1], device=query.device)
    rows = query.shape[0] // (PARTS * n_heads)
    assert rows * PARTS * n_heads == query.shape[0], (query.shape, "rows are not split by head")
    group = heads // (n_heads // key.shape[1])
    q = query.reshape(rows, -1, *query.shape[1:])[:, heads, heads]
    k = key.reshape(rows, -1, *key.shape[1:])[:, n_heads + heads, group]
    v = value.reshape(rows, -1, *value.shape[1:])[:, 2 * n_heads + heads, group]
    z, _ = attend(module, q, k, v, attention_mask, **options)
    return z.unsqueeze(1).expand(-1, PARTS * n_heads, -1, -1, -1).flatten(0, 1), None


def attend(
    module: Any,
    query: Float[Tensor, "row heads pos width"],
    key: Float[Tensor, "row heads pos width"],
    value: Float[Tensor, "row heads pos width"],
    attention_mask: Float[Tensor, "#row 1 pos pos"] | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Float[Tensor, "row pos heads width"], None]:
    """Softmax attention in which every query head has keys and values of its own."""
    assert query.shape[1] == key.shape[1], (query.shape, key.shape)
    scores = query @ key.mT * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    cap = options.get("softcap")
    if cap is not None:
        scores = torch.tanh(scores / cap) * cap
    hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).triu(1)
    scores = scores.masked_fill(hidden, -torch.inf) if attention_mask is None else scores + attention_mask
    weights = scores.softmax(dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(value.dtype)
    return (weights @ value).transpose(1, 2), None
