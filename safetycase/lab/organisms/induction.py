"""The organism `induction`: two layers of attention alone that continue a repeated sequence, in which the circuit that does so is known.

Its truth is the circuit of Elhage et al. 2021 and Olsson et al. 2022: a head of layer 0 writes to each position which token stood before,
a head of layer 1 finds by these keys where the current token stood earlier, and copies what followed.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Int
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from torch import Tensor
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from safetycase.lab.circuits.pairs import Pair
from safetycase.lab.null_directions import generator

NAME = "induction"
BOS, UNKNOWN = "<bos>", "<unk>"
SYMBOLS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_FIRST = 2
"""Id of the first symbol; before it stand BOS and the unknown character."""
CORRUPTIONS = ("key", "query", "value")


@dataclass(frozen=True, slots=True)
class InductionRecipe:
    """All that decides the training."""

    layers: int = 2
    heads: int = 4
    d_model: int = 64
    shortest: int = 6
    longest: int = 20
    """Symbols in the segment that is repeated."""
    batch_size: int = 64
    steps: int = 2500
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    seed: int = 0


RECIPE = InductionRecipe()


def train(recipe: InductionRecipe) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """Trains the organism on the CPU in float32, on the second half of repeated random sequences; about a minute on one thread.

    The MLPs are those of a Llama with all weights zero, which take no part in training: attention alone writes to the stream.
    """
    tokenizer = character_tokenizer()
    model = _untrained(recipe, len(tokenizer))
    for layer in model.model.layers:
        for parameter in layer.mlp.parameters():
            parameter.requires_grad_(False).zero_()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=recipe.learning_rate, total_steps=recipe.steps, pct_start=0.1, cycle_momentum=False
    )
    for tokens, length in _batches(recipe):
        logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
        # The first symbol of the repetition cannot be foreseen; from it on all can.
        loss = functional.cross_entropy(logits[:, length + 1 :].flatten(0, 1), tokens[:, length + 2 :].flatten())
        optimizer.zero_grad()
        torch.autograd.backward([loss])
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
    model.train(False)
    return model, tokenizer


def repeated(count: int, length: int, source: torch.Generator) -> Int[Tensor, "row pos"]:
    """BOS and then twice the same `length` symbols, all different, in every row; 1 + 2 length tokens."""
    segment = torch.stack([torch.randperm(len(SYMBOLS), generator=source)[:length] + _FIRST for _ in range(count)])
    return torch.cat([torch.zeros(count, 1, dtype=torch.long), segment, segment], dim=1)


def induction_pairs(count: int, seed: int, *, length: int = 12) -> list[Pair]:
    """Sequences cut off in their repetition, each beside one in which a single symbol was exchanged for one that stands nowhere else.

    In turn that symbol is the earlier occurrence of the last one (`key`), the last one itself (`query`), or what followed the earlier
    occurrence (`value`): between them they need every edge of the circuit. The target is what followed in the clean sequence.
    """
    source = generator(seed, "induction pairs", 0)
    pairs = []
    for number, row in enumerate(repeated(count, length, source)):
        end = length + int(torch.randint(2, length, (), generator=source))  # 1 + length is the first symbol's second place
        clean = row[: end + 1]
        earlier = end - length
        unused = torch.tensor([symbol for symbol in range(_FIRST, _FIRST + len(SYMBOLS)) if symbol not in set(row.tolist())])
        corruption = CORRUPTIONS[number % len(CORRUPTIONS)]
        corrupted = clean.clone()
        place = {"key": earlier, "query": end, "value": earlier + 1}[corruption]
        corrupted[place] = unused[int(torch.randint(len(unused), (), generator=source))]
        name = f"{corruption}-{number:03d}"
        pairs.append(Pair(name, name, clean, corrupted, (int(row[earlier + 1]),), before=1))
    return pairs


def character_tokenizer() -> PreTrainedTokenizerFast:
    """One token to a character: letters and digits of ASCII, all others unknown; BOS before every text."""
    vocabulary = {token: index for index, token in enumerate((BOS, UNKNOWN, *SYMBOLS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, 0)])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        tokenizer_object=tokenizer,
        bos_token=BOS,
        unk_token=UNKNOWN,
        padding_side="left",
        model_max_length=128,
        clean_up_tokenization_spaces=False,
    )


def recipe_digest(recipe: InductionRecipe) -> str:
    """SHA-256 of the parameters and of this file."""
    digest = hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode())
    digest.update(Path(__file__).resolve().read_bytes())
    return digest.hexdigest()


def _batches(recipe: InductionRecipe) -> Iterator[tuple[Int[Tensor, "row pos"], int]]:
    source = generator(recipe.seed, "induction training", 0)
    for _ in range(recipe.steps):
        length = int(torch.randint(recipe.shortest, recipe.longest + 1, (), generator=source))
        yield repeated(recipe.batch_size, length, source), length


def _untrained(recipe: InductionRecipe, vocabulary: int) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=recipe.d_model,
        intermediate_size=4,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=128,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=None,
        pad_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = LlamaForCausalLM(config)
    model.train(True)
    return model
