"""A Llama with features taken away by hand: one prompt, one layer, one position and one feature at a time, in double precision."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from safetycase.lab.dictionaries.dictionary import Dictionary, DictionarySet, JumpRelu, Relu, TopK
from safetycase.lab.model import LoadedModel
from safetycase.lab.tracing.circuit_edits import ZEROED, CircuitEdit


@dataclass(frozen=True)
class ByHand:
    """What a pass under an edit comes to."""

    logits: Tensor
    """[vocab], at the last position."""
    read: list[Tensor]
    """By layer, [pos, d]: what its transcoder reads."""


def by_hand(model: LoadedModel, transcoders: DictionarySet, tokens: Tensor, roles: Sequence[str], edit: CircuitEdit) -> ByHand:
    """Layer by layer: each transcoder's features are computed from what it reads in this very pass, and taken from what MLPs write."""
    module: Any = copy.deepcopy(model.module).double()
    body, n = module.model, len(tokens)
    h = body.embed_tokens(tokens[None])
    rotary = body.rotary_emb(h, torch.arange(n)[None])
    mask = torch.full((1, 1, n, n), -torch.inf, dtype=torch.float64).triu(1)
    gone: list[list[tuple[int, Tensor]]] = [[] for _ in body.layers]
    read = []
    for layer, block in enumerate(body.layers):
        dictionary = transcoders.at(layer)
        mid = h + block.self_attn(block.input_layernorm(h), position_embeddings=rotary, attention_mask=mask)[0]
        mlp_in = block.post_attention_layernorm(mid)
        norm = block.post_attention_layernorm
        unscaled = mid * torch.rsqrt(mid.pow(2).mean(dim=-1, keepdim=True) + norm.variance_epsilon)
        read.append({"mlp_in": mlp_in, "resid_mid": mid, "mlp_in_normalized": unscaled}[dictionary.reads.name][0])
        for position, role in enumerate(roles):
            for feature, a in enumerate(_activations(dictionary, read[-1][position])):
                inside = (layer, feature, role) in edit.circuit
                if a and role != ZEROED and (inside if edit.kind == "ablated" else not inside):
                    for site, row in zip(dictionary.writes, dictionary.W_dec[feature].double(), strict=True):
                        gone[site.layer].append((position, a * row))
        out = block.mlp(mlp_in).clone()
        for position, vector in gone[layer]:
            out[0, position] -= vector
        h = mid + out
    return ByHand(module.lm_head(body.norm(h))[0, -1], read)


def _activations(dictionary: Dictionary, x: Tensor) -> list[float]:
    pre: list[float] = (dictionary.W_enc.double() @ x + dictionary.b_enc.double()).tolist()
    match dictionary.activation:
        case Relu():
            return [max(value, 0.0) for value in pre]
        case JumpRelu(threshold):
            return [value if value > least else 0.0 for value, least in zip(pre, threshold.tolist(), strict=True)]
        case TopK(k):
            least = sorted(pre)[-k]
            return [value if value >= least else 0.0 for value in pre]
        case other:
            raise AssertionError(other)
