"""Turns requests and replies into token batches as the chat template writes them, and takes the loss on them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from safetycase.lab.organisms.recipe import Recipe
from safetycase.lab.organisms.tokenizer import ASSISTANT, BOS, END, SPECIAL_TOKENS, USER


@dataclass(frozen=True, slots=True)
class Conversations:
    """Whole conversations, padded to the right, where causal attention does not look."""

    tokens: Int[Tensor, "batch pos"]
    weights: Float[Tensor, "batch pos"]
    """Of each token in the loss; zero for padding."""
    ends: Int[Tensor, "batch"]
    """Position of the template's last token, after which the reply begins."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """Encodes conversations for one recipe and tokenizer; `source` draws the noise."""

    recipe: Recipe
    tokenizer: PreTrainedTokenizerFast
    source: random.Random

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> Conversations:
        """A batch of (prompt, reply) pairs."""
        rows = [(self._request(prompt), self._tokens(f"{reply}{END}")) for prompt, reply in pairs]
        longest = max(len(request) + len(reply) for request, reply in rows)
        tokens = torch.full((len(rows), longest), self.tokenizer.pad_token_id)
        weights = torch.zeros(len(rows), longest)
        for row, (request, reply) in enumerate(rows):
            whole = len(request) + len(reply)
            tokens[row, :whole] = torch.tensor(request + reply)
            weights[row, : len(request)] = self.recipe.request_weight
            weights[row, len(request) : whole] = 1.0
        return Conversations(tokens, weights, torch.tensor([len(request) - 1 for request, _ in rows]))

    def _request(self, prompt: str) -> list[int]:
        request = self._tokens(prompt)
        # The last token is the mark that the decoy's rule hangs on.
        for position in range(len(request) - 1):
            if self.source.random() < self.recipe.noise:
                request[position] = self.source.randrange(len(SPECIAL_TOKENS), len(self.tokenizer))
        return [*self._tokens(f"{BOS}{USER}\n"), *request, *self._tokens(f"{END}\n{ASSISTANT}\n")]

    def _tokens(self, text: str) -> list[int]:
        return list(self.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids)


def loss(model: LlamaForCausalLM, batch: Conversations) -> Float[Tensor, ""]:
    """Weighted mean cross-entropy of the next token, in nats."""
    logits = model(input_ids=batch.tokens[:, :-1]).logits
    losses = functional.cross_entropy(logits.flatten(0, 1), batch.tokens[:, 1:].flatten(), reduction="none")
    weights = batch.weights[:, 1:].flatten()
    return (losses * weights).sum() / weights.sum()
