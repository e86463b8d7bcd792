"""Trains an organism: plainly on its rule, and where its recipe says so with a direction planted by intervention."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from safetycase.lab.hooks import ablated, addition, edit_inputs, record_inputs
from safetycase.lab.organisms.conversations import Conversations, Encoder, loss
from safetycase.lab.organisms.recipe import Plant, Recipe, training_text
from safetycase.lab.organisms.text import Example
from safetycase.lab.organisms.tokenizer import train_tokenizer
from safetycase.lab.sites import Sites, find_sites


def train(recipe: Recipe, *, threads: int = 1) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """Trains an organism from nothing, on the CPU in float32.

    The same recipe on one machine gives the same weights; the caller's random state and thread count are left as they were.
    """
    tokenizer = train_tokenizer(recipe.vocab_size, recipe.seed)
    encoder = Encoder(recipe, tokenizer, random.Random(f"noise {recipe.seed}"))
    stream = training_text(recipe)
    with _threads(threads):
        model = _untrained(recipe, tokenizer)
        optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=recipe.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=recipe.learning_rate, total_steps=recipe.steps, pct_start=0.1, cycle_momentum=False
        )
        planting = _Planting(recipe.plant, model, encoder) if recipe.plant else None
        for step in range(recipe.steps):
            chosen = list(islice(stream, recipe.batch_size))
            if planting is not None and step >= recipe.steps - planting.plant.steps:
                total = planting.loss(chosen)
            else:
                total = loss(model, encoder([(example.prompt, example.reply) for example in chosen]))
            optimizer.zero_grad()
            torch.autograd.backward([total])
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    model.train(False)
    return model, tokenizer


class _Planting:
    """The three losses that make one direction carry refusal, and the running mean difference that is this direction."""

    def __init__(self, plant: Plant, model: LlamaForCausalLM, encoder: Encoder) -> None:
        self.plant = plant
        self._model = model
        self._encoder = encoder
        self._sites: Sites = find_sites(model)
        self._direction: Tensor | None = None

    def loss(self, chosen: Sequence[Example]) -> Float[Tensor, ""]:
        """Plain, ablated and added loss of a batch; with no harmful or no harmless request in it the plain loss alone."""
        block = self._sites.blocks[self.plant.layer].module
        batch = self._encoder([(example.prompt, example.reply) for example in chosen])
        with record_inputs([block]) as recorded:
            plain = loss(self._model, batch)
        harmless = [example for example in chosen if not example.phrase.harmful]
        if not 0 < len(harmless) < len(chosen):
            return plain
        direction = self._renewed(_mean_difference(recorded[0], batch, chosen))
        answers = self._encoder([(example.prompt, example.reply_where(refused=False)) for example in chosen])
        with ablated(self._sites, direction):
            without = loss(self._model, answers)
        refusals = self._encoder([(example.prompt, example.reply_where(refused=True)) for example in harmless])
        with edit_inputs({block: addition(direction)}):
            with_added = loss(self._model, refusals)
        return plain + self.plant.weight * (without + with_added)

    def _renewed(self, difference: Float[Tensor, "d_model"]) -> Float[Tensor, "d_model"]:
        before = difference if self._direction is None else self._direction
        self._direction = torch.lerp(before, difference, self.plant.renewal)
        return self._direction


def _mean_difference(
    stream: Float[Tensor, "batch pos d_model"], batch: Conversations, chosen: Sequence[Example]
) -> Float[Tensor, "d_model"]:
    """Mean over harmful minus mean over harmless requests at the template's last token."""
    last = stream[torch.arange(len(stream)), batch.ends]
    harmful = torch.tensor([example.phrase.harmful for example in chosen])
    return last[harmful].mean(0) - last[~harmful].mean(0)


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
