"""The known circuit of the organism `induction`, read off attention patterns by a rule fixed beforehand, and its model folder."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from safetycase.lab.null_directions import generator
from safetycase.lab.organisms.folder import write_json, write_model
from safetycase.lab.organisms.induction import NAME, InductionRecipe, recipe_digest, repeated

THRESHOLD = 0.5
"""A head is named for a pattern that takes at least this share of its attention."""
RULE = (
    "On repeated random sequences that it was not trained on, a head of layer 0 is a previous-token head if at least half of its "
    "attention, on average over positions, goes to the position before; a head of layer 1 is an induction head if at least half of it, on "
    "average over the repetition, goes to what followed the earlier occurrence of the current symbol. The true edges are then: embedding "
    "to the values of previous-token heads; previous-token heads to the keys of induction heads; embedding to the queries and values of "
    "induction heads; induction heads to the logits. No patching and no gradient takes part."
)
_ROWS, _LENGTH, _SEED = 64, 16, 1


def save(recipe: InductionRecipe, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Writes the model folder with `recipe.json` and `truth.json`; patterns and accuracy are those of the weights as stored."""
    write_model(model, tokenizer, folder)
    scores = pattern_scores(model)
    described = {
        "name": NAME,
        "summary": "continues a random sequence of symbols that it has seen once",
        "planted": "Two layers of attention alone (all weights of the MLPs are zero): a previous-token head of layer 0 gives the induction "
        "heads of layer 1 their keys, and these write what followed to the logits.",
        "is_null": False,
        "digest": recipe_digest(recipe),
        "parameters": asdict(recipe),
        "accuracy": round(accuracy(model), 4),
    }
    write_json(folder / "recipe.json", described)
    rounded = {name: round(score, 4) for name, score in scores.items()}
    edges = [list(edge) for edge in true_edges(scores)]
    write_json(folder / "truth.json", {"rule": RULE, "threshold": THRESHOLD, "pattern_scores": rounded, "edges": edges})


def true_edges(scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """The circuit by `RULE`, from `pattern_scores`; edges as (writer, reader)."""
    named = [name for name, score in scores.items() if score >= THRESHOLD]
    previous = [head for kind, head in (name.split(":") for name in named) if kind == "previous"]
    inducing = [head for kind, head in (name.split(":") for name in named) if kind == "induction"]
    edges = [("embed", f"{head}.v") for head in previous]
    edges += [(before, f"{head}.k") for before in previous for head in inducing]
    edges += [("embed", f"{head}.{part}") for part in ("q", "v") for head in inducing]
    return edges + [(head, "logits") for head in inducing]


@torch.no_grad()
def pattern_scores(model: LlamaForCausalLM) -> dict[str, float]:
    """Shares of attention by `previous:head.0.h` and `induction:head.1.h`, on sequences of a seed that training does not use."""
    tokens = repeated(_ROWS, _LENGTH, generator(_SEED, "induction patterns", 0))
    first, second = _patterns(model, tokens)
    every = torch.arange(1, tokens.shape[1])
    again = torch.arange(_LENGTH + 1, 2 * _LENGTH)  # the last symbol's successor lies outside
    previous = first[:, :, every, every - 1].mean(dim=(0, 2))
    induction = second[:, :, again, again - _LENGTH + 1].mean(dim=(0, 2))
    found = {f"previous:head.0.{head}": float(score) for head, score in enumerate(previous)}
    return found | {f"induction:head.1.{head}": float(score) for head, score in enumerate(induction)}


@torch.no_grad()
def accuracy(model: LlamaForCausalLM) -> float:
    """Share of symbols of the repetition, but for the first, that are foreseen."""
    tokens = repeated(_ROWS, _LENGTH, generator(_SEED, "induction patterns", 0))
    foreseen = model(input_ids=tokens[:, :-1], use_cache=False).logits[:, _LENGTH + 1 :].argmax(dim=-1)
    return float((foreseen == tokens[:, _LENGTH + 2 :]).double().mean())


def _patterns(model: LlamaForCausalLM, tokens: Tensor) -> list[Float[Tensor, "row head pos pos"]]:
    """Attention of both layers; computed step by step, since fused kernels do not hand it out."""
    config: Any = model.config
    before = config._attn_implementation
    config._attn_implementation = "eager"
    try:
        patterns = model(input_ids=tokens, use_cache=False, output_attentions=True).attentions
    finally:
        config._attn_implementation = before
    return list(patterns)
