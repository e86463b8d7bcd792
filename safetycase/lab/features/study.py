"""What every part of the documentation of features shares: model, dictionary, corpus, and the prompts of each contrast."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from safetycase.evidence.kinds.feature_documentation.params import ABSENT, PRESENT, Ask, Contrast, population
from safetycase.evidence.tables import Tables
from safetycase.lab.batches import Batches
from safetycase.lab.dictionaries.dictionary import Dictionary
from safetycase.lab.forward import Tokens, left_padded
from safetycase.lab.model import LoadedModel, last_logits
from safetycase.lab.observing import Event
from safetycase.lab.shards import Shards
from safetycase.lab.site_access import record_sites
from safetycase.sources.corpora import Corpus
from safetycase.sources.prompts import Prompt, Split

Value = TypeVar("Value")
Stage = Generator[Event, None, Value]
"""Yields events and returns what the next stages need."""

DISCOVERY: tuple[Split, ...] = ("train", "validation")
CONFIRMATION: tuple[Split, ...] = ("test",)
Reduce = Callable[[Float[Tensor, "pos d_in"], Float[Tensor, "pos d_out"]], Float[Tensor, "..."]]
"""What is kept of a prompt, given what stands at the dictionary's input and output site on every position but a beginning-of-text."""


@dataclass(frozen=True)
class AskedContrast:
    """A contrast with its prompts and the tokens whose log-odds it is about."""

    name: str
    declared: Contrast
    prompts: Mapping[tuple[str, Split], tuple[Prompt, ...]]
    """(population, split) to the prompts that are asked; variants have the split test alone."""
    tokens: Mapping[str, Tokens]
    """Item to token ids in the model's format."""
    target: tuple[int, ...] = ()
    """Tokens of the log-odds; empty where none were found."""
    target_from: str = ""
    """declared, discovered, the id of an upstream step, or none."""
    stopped: str = ""
    """Why nothing can be asked of log-odds; empty where it can."""

    def of(self, side: str, *splits: Split) -> tuple[Prompt, ...]:
        """The prompts of a class (`present`, `absent`) or of a variant, in some splits."""
        return tuple(prompt for split in splits for prompt in self.prompts.get((population(self.name, side), split), ()))

    def tokens_of(self, prompts: Sequence[Prompt]) -> list[Tokens]:
        """Their token ids."""
        return [self.tokens[prompt.id] for prompt in prompts]

    def discovery(self) -> tuple[tuple[Prompt, ...], tuple[Prompt, ...]]:
        """Present and absent prompts that features are found on."""
        return self.of(PRESENT, *DISCOVERY), self.of(ABSENT, *DISCOVERY)

    def confirmation(self) -> tuple[tuple[Prompt, ...], tuple[Prompt, ...]]:
        """Present and absent prompts that what was found is tested on."""
        return self.of(PRESENT, *CONFIRMATION), self.of(ABSENT, *CONFIRMATION)


@dataclass(frozen=True)
class FeatureStudy:
    """One dictionary on one model."""

    model: LoadedModel
    dictionary: Dictionary
    """In float32, on the model's device.

    A feature fires where its activation is above 0, and its peak and maximum are of these activations alone. Activations of some
    dictionaries can be negative (signed or unrectified TopK, thresholds below 0): these are part of what is reconstructed, counted in
    L0 and taken away by an ablation, but nothing else here is about them.
    """
    corpus: Corpus
    batches: Batches
    shards: Shards
    ask: Ask
    seed: int
    contrasts: Mapping[str, AskedContrast]
    upstream: Mapping[str, Tables]
    others: Mapping[str, LoadedModel]
    """Models in the roles explainer and scorer, where the plan names them."""

    @torch.inference_mode()
    def on_prompts(self, prompts: Sequence[Tokens], reduce: Reduce) -> Float[Tensor, "prompt ..."]:
        """What `reduce` keeps of every prompt, in float32; `reduce` sees real positions only, without a beginning-of-text token."""
        reads, writes = self.dictionary.reads, self.dictionary.writes[0]

        def work(indices: list[int]) -> Tensor:
            rows = [prompts[index] for index in indices]
            encoded = left_padded(rows, self.model.device)
            with record_sites(self.model, [reads, writes]) as at:
                last_logits(self.model, encoded)
                inputs, outputs = at[reads].float(), at[writes].float()
            kept = []
            for row, tokens in enumerate(rows):
                counted = counted_positions(self.model, tokens)
                kept.append(reduce(inputs[row, -len(tokens) :][counted], outputs[row, -len(tokens) :][counted]))
            return torch.stack(kept)

        return self.batches.run([self.batches.load(len(prompt)) for prompt in prompts], work)


def counted_positions(model: LoadedModel, tokens: Tokens) -> Int[Tensor, "counted"]:
    """Positions that features are read at: all but those that hold the beginning-of-text token, on which activations are out of scale."""
    start = model.tokenizer.bos_token_id
    counted = torch.arange(len(tokens)) if start is None else (tokens != start).nonzero().squeeze(-1)
    return counted.to(model.device)
