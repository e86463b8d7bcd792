"""Pairs of prompts that differ as little as possible, and the role that each of their tokens has in the chat template."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from safetycase.errors import ModelError
from safetycase.lab.forward import Tokens, tokenised
from safetycase.lab.model import LoadedModel
from safetycase.sources.prompts import Prompt


@dataclass(frozen=True)
class Pair:
    """A prompt that shows the behaviour and one that is alike but does not, as token ids, and what to look for after them."""

    item: str
    """Of the clean prompt."""
    family: str
    clean: Tokens
    """The run whose behaviour is explained: the harmful prompt."""
    corrupted: Tokens
    """The minimally different run that activations are taken from: the harmless prompt."""
    target: tuple[int, ...]
    """Token ids whose log-odds at the last position are the metric."""
    before: int = 0
    """Leading tokens that the template brings, alike in both."""
    after: int = 0
    """Closing tokens that the template brings, alike in both."""

    @property
    def equal_length(self) -> bool:
        """Whether both prompts have as many tokens: edges can be patched position by position."""
        return len(self.clean) == len(self.corrupted)


def matched_pairs(
    model: LoadedModel, harmful: Sequence[Prompt], harmless: Sequence[Prompt], target: Sequence[int], *, equal_length: bool
) -> list[Pair]:
    """One pair to each harmful prompt that has a match left: a harmless prompt of its family, none used twice.

    The match is the nearest in length, and among these the one with most tokens in common. With `equal_length` only prompts of as many
    tokens match, since edges are patched position by position. The template's own tokens are counted off at both ends.

    Raises ModelError where a prompt has no token of its own.
    """
    if not harmful or not harmless:
        return []
    tokens = tokenised(model, [prompt.text for prompt in (*harmful, *harmless)])
    before, after = len(model.chat.prefix_ids), len(model.chat.suffix_ids)
    if min(len(row) for row in tokens) <= before + after:
        raise ModelError("a prompt has no token of its own between those of the template, expected an instruction")
    left: dict[str, list[Tokens]] = defaultdict(list)
    for prompt, row in zip(harmless, tokens[len(harmful) :], strict=True):
        left[prompt.family].append(row)
    found = []
    for prompt, row in zip(harmful, tokens[: len(harmful)], strict=True):
        candidates = left[prompt.family]
        if equal_length:
            candidates = [candidate for candidate in candidates if len(candidate) == len(row)]
        if candidates:
            match = min(candidates, key=partial(_unlike, row))
            left[prompt.family] = [candidate for candidate in left[prompt.family] if candidate is not match]
            found.append(Pair(prompt.id, prompt.family, row, match, tuple(target), before, after))
    return found


def _unlike(row: Tokens, other: Tokens) -> tuple[int, int]:
    """How many tokens more or fewer there are, and how many differ where both are aligned at their ends."""
    shared = min(len(row), len(other))
    return abs(len(row) - len(other)), int((row[-shared:] != other[-shared:]).sum())
