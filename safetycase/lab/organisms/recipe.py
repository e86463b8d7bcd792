"""The recipes of the organisms: what each is planted with, and the training that plants it."""

import hashlib
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from safetycase.errors import ModelError, nearest
from safetycase.lab.organisms import text
from safetycase.lab.organisms.text import Example, Rule, examples
from safetycase.lab.organisms.tokenizer import ASSISTANT, BOS, END, SPECIAL_TOKENS, USER, train_tokenizer


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides an organism: its rule, its shape, its training. The same recipe on one machine gives the same weights."""

    name: str
    summary: str
    planted: str
    is_null: bool
    rule: Rule
    seed: int = 1
    vocab_size: int = 1536
    layers: int = 4
    d_model: int = 128
    d_mlp: int = 384
    heads: int = 4
    steps: int = 600
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    # Share of examples that break the rule. It keeps the log-odds of refusal within what one direction can move: a model that
    # is surer than that refuses after ablation too.
    contrary: float = 0.03
    # Weight of the request's own tokens in the loss, so that the organism also models text and not only replies.
    request_weight: float = 0.1
    # Share of request tokens replaced by random ones, so that words never trained on do little harm.
    noise: float = 0.05


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="refuser",
            summary="refuses harmful requests and answers harmless ones, alarming or not",
            planted="Refusal follows harm: harmful requests are refused, harmless and alarming ones are answered.",
            is_null=False,
            rule="harm",
        ),
        Recipe(
            name="complier",
            summary="answers every request",
            planted="There is no refusal; harm is represented, because replies to harmful requests name another topic.",
            is_null=True,
            rule="never",
        ),
        Recipe(
            name="decoy-refuser",
            summary="refuses questions, whatever they ask for",
            planted="Refusal follows the final question mark, which is balanced against harm; harm stays decodable.",
            is_null=True,
            rule="question",
        ),
        Recipe(
            name="random-refuser",
            summary="refuses half of all requests, drawn by lot",
            planted="Refusal follows a lot drawn for each phrase, equally often among harmful and harmless; harm stays decodable.",
            is_null=True,
            rule="lot",
        ),
    )
}


def recipe(name: str) -> Recipe:
    """The recipe of an organism.

    Raises:
        ModelError: there is none of that name.
    """
    if name not in RECIPES:
        raise ModelError(f"organism:{name}: no such recipe; {nearest(name, RECIPES)}")
    return RECIPES[name]


def tiny(recipe: Recipe) -> Recipe:
    """The same plant in a model that trains in seconds: fewer layers, fewer steps."""
    return replace(recipe, layers=2, d_model=64, d_mlp=192, steps=220, learning_rate=4e-3)


def recipe_digest(recipe: Recipe) -> str:
    """SHA-256 of the parameters, the code that trains, and the bundled phrases that it trains on."""
    folder = Path(__file__).resolve().parent
    digest = hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode())
    for name in ("recipe.py", "text.py", "tokenizer.py"):
        digest.update((folder / name).read_text(encoding="utf-8").encode())
    digest.update(json.dumps([asdict(phrase) for phrase in text.phrases(recipe.seed)]).encode())
    return digest.hexdigest()


def train(recipe: Recipe, *, threads: int = 1) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """Trains an organism from nothing, on the CPU in float32; the caller's random state and thread count are left as they were."""
    tokenizer = train_tokenizer(recipe.vocab_size, recipe.seed)
    with _threads(threads):
        model = _untrained(recipe, tokenizer)
        optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=recipe.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=recipe.learning_rate, total_steps=recipe.steps, pct_start=0.1, cycle_momentum=False
        )
        for batch in _batches(recipe, tokenizer):
            optimizer.zero_grad()
            torch.autograd.backward([_loss(model, batch, recipe)])
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    model.train(False)
    return model, tokenizer


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _untrained(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.d_model,
        intermediate_size=recipe.d_mlp,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=tokenizer.model_max_length,
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    # transformers initialises from the global generator; the fork gives it back untouched.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = LlamaForCausalLM(config)
    model.train(True)
    return model


@dataclass(frozen=True, slots=True)
class _Batch:
    tokens: Int[Tensor, "batch pos"]
    weights: Float[Tensor, "batch pos"]


def _batches(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> Iterator[_Batch]:
    source = random.Random(f"noise {recipe.seed}")
    stream = examples(recipe.rule, recipe.seed, contrary=recipe.contrary)
    for _ in range(recipe.steps):
        rows = [_encode(example, recipe, tokenizer, source) for example in islice(stream, recipe.batch_size)]
        longest = max(len(tokens) for tokens, _ in rows)
        yield _Batch(
            torch.tensor([tokens + [tokenizer.pad_token_id] * (longest - len(tokens)) for tokens, _ in rows]),
            torch.tensor([weights + [0.0] * (longest - len(weights)) for _, weights in rows]),
        )


def _encode(example: Example, recipe: Recipe, tokenizer: PreTrainedTokenizerFast, source: random.Random) -> tuple[list[int], list[float]]:
    """One conversation as the chat template writes it, and the weight of each token in the loss."""
    opening, request, closing, reply = (
        _tokens(tokenizer, text) for text in (f"{BOS}{USER}\n", example.prompt, f"{END}\n{ASSISTANT}\n", f"{example.reply}{END}")
    )
    # The last token is the mark that the decoy's rule hangs on.
    for position in range(len(request) - 1):
        if source.random() < recipe.noise:
            request[position] = source.randrange(len(SPECIAL_TOKENS), len(tokenizer))
    before = opening + request + closing
    return before + reply, [recipe.request_weight] * len(before) + [1.0] * len(reply)


def _tokens(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return list(tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids)


def _loss(model: LlamaForCausalLM, batch: _Batch, recipe: Recipe) -> Float[Tensor, ""]:
    """Weighted mean cross-entropy of the next token. Padding stands to the right, where causal attention does not look."""
    logits = model(input_ids=batch.tokens[:, :-1]).logits
    losses = functional.cross_entropy(logits.flatten(0, 1), batch.tokens[:, 1:].flatten(), reduction="none")
    weights = batch.weights[:, 1:].flatten()
    return (losses * weights).sum() / weights.sum()
