"""Tiny models in the roles of explainer and scorer: a random one, and one whose answer to a text is known."""

from dataclasses import replace
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from safetycase.lab.chat import chat_format
from safetycase.lab.model import LoadedModel
from safetycase.lab.sites import find_sites
from tests.lab.small import loaded
from tests.lab.tiny import byte_tokenizer

CHAT = "{% for m in messages %}<|user|>{{ m['content'] }}{% endfor %}<|assistant|>"
VOCAB = 300
WIDTH = 32
ONE, MARK, SEEN = 0, 1, 2
"""Coordinates of the stream of `mark_reader`: always 1, 1 on the mark, how much of the text was the mark."""


def random_writer(seed: int = 0) -> LoadedModel:
    """A random model that reads and writes bytes."""
    torch.manual_seed(seed)
    return _loaded(LlamaForCausalLM(_config()))


def mark_reader(mark: str) -> LoadedModel:
    """A model that answers Yes where a byte stands anywhere in what it is told, else No.

    Attention looks at everything alike and adds up how often the byte was there; the head weighs that against a constant.
    """
    module: Any = LlamaForCausalLM(_config())
    tokenizer = byte_tokenizer(chat_template=CHAT)
    token = {word: tokenizer.encode(word, add_special_tokens=False)[0] for word in ("Yes", "No", mark)}
    layer = module.model.layers[0]
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.fill_(1.0 if "norm" in name else 0.0)
        module.model.embed_tokens.weight[:, ONE] = 1
        module.model.embed_tokens.weight[token[mark], MARK] = 1
        layer.self_attn.v_proj.weight[0, MARK] = 1
        layer.self_attn.o_proj.weight[SEEN, 0] = 1
        module.lm_head.weight[token["Yes"], SEEN] = 1e5
        module.lm_head.weight[token["No"], ONE] = 1
    return _loaded(module)


def _config() -> LlamaConfig:
    return LlamaConfig(
        vocab_size=VOCAB, hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=1, num_attention_heads=1,
        max_position_embeddings=16384, bos_token_id=0, eos_token_id=1, tie_word_embeddings=False,
    )  # fmt: skip


def _loaded(module: Any) -> LoadedModel:
    tokenizer = byte_tokenizer(chat_template=CHAT)
    module = module.float().eval().requires_grad_(False)
    return replace(loaded(), module=module, tokenizer=tokenizer, sites=_sites(module), chat=chat_format(tokenizer), source="tiny-instruct")


def _sites(module: Any) -> Any:
    """Of a random model of the same shape: one whose weights are nearly all zero cannot be told apart by running it."""
    torch.manual_seed(1)
    shaped: Any = LlamaForCausalLM(_config())
    stand_in = find_sites(shaped.float().eval())
    return replace(
        stand_in,
        blocks=tuple(replace(block, module=layer) for block, layer in zip(stand_in.blocks, module.model.layers, strict=True)),
    )
