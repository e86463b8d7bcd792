"""What every stage of a circuit trace shares: the model, its transcoders, the pairs of prompts, and what graphs are traced from."""

import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.evidence.kinds.circuit_trace.params import Ask
from safetycase.evidence.tables import Tables
from safetycase.lab.attribution.zeroed_positions import zeroed_positions
from safetycase.lab.batches import Batches
from safetycase.lab.dictionaries.dictionary import DictionarySet
from safetycase.lab.forward import Tokens, left_padded
from safetycase.lab.model import LoadedModel, last_logits
from safetycase.lab.observing import Event
from safetycase.lab.prompt_roles import roles
from safetycase.lab.shards import Shards
from safetycase.lab.tracing.circuit_edits import UNEDITED, ZEROED, CircuitEdit, circuits_edited
from safetycase.lab.tracing.functional import Functional
from safetycase.lab.tracing.prompt_pairs import Sampled

Value = TypeVar("Value")
Stage = Generator[Event, None, Value]
"""Yields events and returns what the next stages need."""
Reduce = Callable[[Float[Tensor, "row vocab"]], Float[Tensor, "row ..."]]


@dataclass(frozen=True)
class AskedTokens:
    """First tokens of refusals and of other answers, where they come from, or why there are none."""

    refusal: tuple[int, ...]
    compliance: tuple[int, ...]
    source: str
    """declared, discovered, the id of an upstream step, or none."""
    stopped: str = ""


@dataclass(frozen=True)
class TraceStudy:
    """One model with the transcoders of its layers."""

    model: LoadedModel
    transcoders: DictionarySet
    """In float32, on the model's device."""
    batches: Batches
    shards: Shards
    ask: Ask
    seed: int
    sampled: Sampled
    tokens: Mapping[str, Tokens]
    """Item to token ids in the model's format."""
    asked: AskedTokens
    functional: Functional
    """What graphs are traced from."""
    upstream: Mapping[str, Tables]

    def roles_of(self, item: str) -> tuple[str, ...]:
        """Of every token of a prompt; `zeroed` where features are no nodes."""
        return self._roles[item]

    @cached_property
    def _roles(self) -> dict[str, tuple[str, ...]]:
        found = {}
        for item, tokens in self.tokens.items():
            plain = list(roles(self.model.chat, len(tokens)))
            for position in zeroed_positions(self.model, tokens):
                plain[position] = ZEROED
            found[item] = tuple(plain)
        return found

    def seed_of(self, item: str) -> int:
        """Of what is drawn by lot on one prompt: other prompts neither move it nor share it."""
        return int.from_bytes(hashlib.sha256(f"{self.seed}\n{item}".encode()).digest()[:8])

    @torch.inference_mode()
    def under(self, rows: Sequence[tuple[str, CircuitEdit]]) -> Float[Tensor, "row 2"]:
        """Refusal log-odds and value of the target's functional for each (item, edit)."""

        def work(indices: list[int]) -> Tensor:
            items, edits = [rows[index][0] for index in indices], [rows[index][1] for index in indices]
            encoded = left_padded([self.tokens[item] for item in items], self.model.device)
            with ExitStack() as stack:
                read = stack.enter_context(self.functional.reading(self.model))
                stack.enter_context(circuits_edited(self.model, self.transcoders, [self.roles_of(item) for item in items], edits))
                logits = last_logits(self.model, encoded)
            log_odds = self.functional.log_odds(logits)
            return torch.stack([log_odds, read(logits).to(log_odds)], dim=-1).cpu()

        return self.batches.run([self.batches.load(len(self.tokens[item])) for item, _ in rows], work)

    def unedited(self, items: Sequence[str]) -> Float[Tensor, "item 2"]:
        """The same of the unedited model."""
        return self.under([(item, UNEDITED) for item in items])
