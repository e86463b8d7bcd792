"""Writes an organism as a model folder that every supported version of transformers loads, with its recipe beside it."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from safetycase.lab.organisms.behaviour import refusal_rates
from safetycase.lab.organisms.recipe import Recipe, recipe_digest

_DTYPE = torch.bfloat16

# The keys of a Llama configuration that all versions of transformers spell the same; `rope_theta` is written beside them.
_CONFIG_KEYS = (
    "architectures",
    "attention_bias",
    "attention_dropout",
    "bos_token_id",
    "eos_token_id",
    "head_dim",
    "hidden_act",
    "hidden_size",
    "initializer_range",
    "intermediate_size",
    "max_position_embeddings",
    "mlp_bias",
    "model_type",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "pad_token_id",
    "rms_norm_eps",
    "tie_word_embeddings",
    "vocab_size",
)


def save(recipe: Recipe, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Writes weights, configuration, tokenizer and recipe.

    The rates in the recipe are those of the weights as stored: rounded to bfloat16, run in float32.
    """
    write_model(model, tokenizer, folder)
    write_json(folder / "recipe.json", _recipe(recipe, model, tokenizer))


def write_model(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Writes weights, configuration and tokenizer; the model is left with the weights as they are stored, rounded to bfloat16."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = {name: tensor.to(_DTYPE).contiguous() for name, tensor in model.state_dict().items()}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    model.load_state_dict({name: tensor.float() for name, tensor in stored.items()})

    write_json(folder / "config.json", _config(model))
    tokens = {name: getattr(model.config, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    generation = {f"{name}_token_id": token for name, token in tokens.items() if token is not None} | {"do_sample": False}
    write_json(folder / "generation_config.json", generation)

    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", _tokenizer_config(tokenizer))
    if tokenizer.chat_template is not None:
        (folder / "chat_template.jinja").write_text(str(tokenizer.chat_template), encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """An object, in the order given, for people to read."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _config(model: LlamaForCausalLM) -> dict[str, Any]:
    values = model.config.to_dict()
    rope = {"rope_theta": 10000.0}
    return {**{key: values[key] for key in _CONFIG_KEYS}, **rope, "architectures": ["LlamaForCausalLM"], "dtype": "bfloat16"}


def _tokenizer_config(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **_marks(tokenizer),
        "padding_side": tokenizer.padding_side,
        "model_max_length": tokenizer.model_max_length,
        # Without this, transformers 4 also makes token types, which a Llama refuses.
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
    }


def _marks(tokenizer: PreTrainedTokenizerFast) -> dict[str, str]:
    """The tokenizer's special tokens by what they are for."""
    named = {f"{name}_token": getattr(tokenizer, f"{name}_token") for name in ("bos", "eos", "pad", "unk")}
    return {name: str(token) for name, token in named.items() if token is not None}


def _recipe(recipe: Recipe, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "summary": recipe.summary,
        "planted": recipe.planted,
        "is_null": recipe.is_null,
        "digest": recipe_digest(recipe),
        "parameters": asdict(recipe),
        "refusal_rates": {name: asdict(rate) for name, rate in refusal_rates(model, tokenizer).items()},
    }
