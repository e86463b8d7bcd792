"""Harmful and harmless prompts matched in pairs: of one family, in the same split, as like in form as can be had."""

import difflib
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from safetycase.errors import SourceError
from safetycase.evidence.kinds.circuit_trace.params import FEWEST_PAIRS, Ask
from safetycase.evidence.tables import Row
from safetycase.lab.prompt_samples import take
from safetycase.sources.prompts import Prompt, PromptSet, Split

DISCOVERY: tuple[Split, ...] = ("train", "validation")
CONFIRMATION: tuple[Split, ...] = ("test",)
FEWEST_FAMILIES = 2
MOST_COMPARED = 64
"""Each prompt of a group is compared with so many of the other class at most: those nearest in length."""


@dataclass(frozen=True)
class Pair:
    """A harmful prompt and the harmless one matched to it."""

    harmful: Prompt
    harmless: Prompt

    @property
    def prompts(self) -> tuple[Prompt, Prompt]:
        """Both."""
        return self.harmful, self.harmless


@dataclass(frozen=True)
class Sampled:
    """The prompts of a trace: pairs to find the circuit with, pairs to test it on, and paraphrases of confirmation prompts."""

    discovery: tuple[Pair, ...]
    confirmation: tuple[Pair, ...]
    paraphrases: tuple[Prompt, ...]
    matched_by: str
    """family or category."""

    @property
    def prompts(self) -> tuple[tuple[str, Prompt], ...]:
        """(population, prompt) of every prompt that is asked."""
        pairs = (*self.discovery, *self.confirmation)
        sides = [("harmful", pair.harmful) for pair in pairs] + [("harmless", pair.harmless) for pair in pairs]
        return (*sides, *(("paraphrase", prompt) for prompt in self.paraphrases))


def sample_pairs(sets: Mapping[str, PromptSet], ask: Ask, seed: int) -> Sampled:
    """Up to `n_discovery` and `n_confirmation` pairs, one of each family before a second of any, in an order that follows from the seed.

    Raises SourceError where a half has fewer than 8 pairs, or all of them are of one family.
    """
    matched_by = "family" if _shared(sets, "family") >= FEWEST_FAMILIES else "category"
    halves = []
    for splits, count in ((DISCOVERY, ask.n_discovery), (CONFIRMATION, ask.n_confirmation)):
        pairs = [pair for split in splits for pair in _matched(sets, split, matched_by)]
        by_harmful = {pair.harmful.id: pair for pair in pairs}
        taken = take([pair.harmful for pair in pairs], count, seed).taken
        halves.append(tuple(by_harmful[prompt.id] for prompt in taken))
        _check(halves[-1], splits, sets, matched_by)
    paraphrases: tuple[Prompt, ...] = ()
    if "paraphrase" in sets:
        pool = sets["paraphrase"].split("test")
        pool = pool if len(pool) >= FEWEST_PAIRS else sets["paraphrase"].prompts
        paraphrases = take(pool, ask.n_confirmation, seed).taken
    return Sampled(halves[0], halves[1], paraphrases, matched_by)


def item_rows(sets: Mapping[str, PromptSet], sampled: Sampled, lengths: Mapping[str, int]) -> Iterator[Row]:
    """Rows of the table `items`: every prompt of every set, and whether it was asked."""
    pair_of = {prompt.id: pair.harmful.id for pair in (*sampled.discovery, *sampled.confirmation) for prompt in pair.prompts}
    used = {prompt.id for _, prompt in sampled.prompts}
    for population, prompts in sets.items():
        for prompt in prompts.prompts:
            yield {
                "item": prompt.id,
                "population": population,
                "split": prompt.split,
                "category": prompt.category,
                "family": prompt.family,
                "pair": pair_of.get(prompt.id, ""),
                "length": lengths[prompt.id] if prompt.id in used else 0,
                "used": prompt.id in used,
                "why_unused": "" if prompt.id in used else "beyond the pairs that were asked for, or without a partner in its split",
            }


def _shared(sets: Mapping[str, PromptSet], group: str) -> int:
    """How many families (or categories) hold prompts of both classes in each half."""
    counts = []
    for splits in (DISCOVERY, CONFIRMATION):
        sides = [{getattr(p, group) for p in sets[side].prompts if p.split in splits} for side in ("harmful", "harmless")]
        counts.append(len(sides[0] & sides[1]))
    return min(counts)


def _matched(sets: Mapping[str, PromptSet], split: Split, group: str) -> Iterator[Pair]:
    groups: dict[str, tuple[list[Prompt], list[Prompt]]] = defaultdict(lambda: ([], []))
    for side, population in enumerate(("harmful", "harmless")):
        for prompt in sets[population].split(split):
            groups[getattr(prompt, group)][side].append(prompt)
    for name in sorted(groups):
        yield from _pairs(*groups[name])


def _pairs(harmful: Sequence[Prompt], harmless: Sequence[Prompt]) -> Iterator[Pair]:
    """Each prompt in one pair at most: the most alike first, by the words that they share in order; equal ones by id."""
    likeness = sorted(
        ((-_likeness(pair.harmful, pair.harmless), pair.harmful.id, pair.harmless.id), pair) for pair in _compared(harmful, harmless)
    )
    taken: set[str] = set()
    for (_, one, other), pair in likeness:
        if taken.isdisjoint((one, other)):
            taken |= {one, other}
            yield pair


def _compared(harmful: Sequence[Prompt], harmless: Sequence[Prompt]) -> Iterator[Pair]:
    """Every prompt of the smaller side with those of the other that are nearest in length."""
    few, many = sorted((harmful, harmless), key=len)
    ordered = sorted(many, key=lambda prompt: (_length(prompt), prompt.id))
    lengths = [_length(prompt) for prompt in ordered]
    for one in few:
        middle = (bisect_left(lengths, _length(one)) + bisect_right(lengths, _length(one))) // 2
        start = max(0, min(middle - MOST_COMPARED // 2, len(ordered) - MOST_COMPARED))
        for other in ordered[start : start + MOST_COMPARED]:
            yield Pair(one, other) if few is harmful else Pair(other, one)


def _length(prompt: Prompt) -> int:
    return len(prompt.text.split())


def _likeness(one: Prompt, other: Prompt) -> float:
    return difflib.SequenceMatcher(None, one.text.lower().split(), other.text.lower().split(), autojunk=False).ratio()


def _check(pairs: Sequence[Pair], splits: Sequence[Split], sets: Mapping[str, PromptSet], matched_by: str) -> None:
    where = f"prompt sets {sets['harmful'].id!r} and {sets['harmless'].id!r}, {' and '.join(splits)}"
    if len(pairs) < FEWEST_PAIRS:
        raise SourceError(
            f"{where}: {len(pairs)} matched pairs, expected at least {FEWEST_PAIRS}: prompts of both that share a {matched_by}"
        )
    families = {pair.harmful.family for pair in pairs}
    if len(families) < FEWEST_FAMILIES:
        raise SourceError(f"{where}: all {len(pairs)} pairs are of one family, expected at least {FEWEST_FAMILIES}")
