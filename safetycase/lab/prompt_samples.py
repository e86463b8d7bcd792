"""Which prompts of a set are asked: so many of each split, in an order that no other prompt can change."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from safetycase.errors import SourceError
from safetycase.evidence.kinds.refusal_direction.params import Ask
from safetycase.evidence.tables import Row
from safetycase.sources.prompts import Prompt, PromptSet, Split

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
Key = tuple[str, str]
"""Population and split."""

# Neither a mean difference nor an interval can be had from fewer.
FEWEST = 2


@dataclass(frozen=True)
class Sample:
    """The prompts of one population and split: those that are asked, and those that are left over."""

    taken: tuple[Prompt, ...]
    left: tuple[Prompt, ...]


def sample_prompts(sets: Mapping[str, PromptSet], ask: Ask, seed: int) -> dict[Key, Sample]:
    """Up to n_train, n_validation and n_test prompts of each population.

    Nothing is trained or selected on the alarming prompts, so all splits of their set stand for the test split where
    that alone has fewer than n_test.

    Raises SourceError where a split holds fewer than two prompts.
    """
    wanted: Mapping[Split, int] = {"train": ask.n_train, "validation": ask.n_validation, "test": ask.n_test}
    samples: dict[Key, Sample] = {}
    for population, prompts in sets.items():
        if population == "alarming":
            test = prompts.split("test")
            pools: dict[Split, Sequence[Prompt]] = {"test": test if len(test) >= ask.n_test else prompts.prompts}
        else:
            pools = {split: prompts.split(split) for split in SPLITS}
        for split, pool in pools.items():
            if len(pool) < FEWEST:
                raise SourceError(
                    f"prompt set {prompts.id!r} ({prompts.source}): split {split} holds {len(pool)} prompts, "
                    f"expected at least {FEWEST}"
                )
            samples[population, split] = take(pool, wanted[split], seed)
    return samples


def take(prompts: Sequence[Prompt], count: int, seed: int) -> Sample:
    """The first so many in the order of a hash of (item id, seed), one of each family before a second of any."""
    ranked: list[tuple[int, str, Prompt]] = []
    seen: dict[str, int] = {}
    for place, prompt in sorted(((_place(prompt, seed), prompt) for prompt in prompts), key=lambda pair: pair[0]):
        seen[prompt.family] = seen.get(prompt.family, 0) + 1
        ranked.append((seen[prompt.family], place, prompt))
    ordered = [prompt for _, _, prompt in sorted(ranked, key=lambda entry: entry[:2])]
    return Sample(tuple(ordered[:count]), tuple(ordered[count:]))


def item_rows(samples: Mapping[Key, Sample], filtered: Mapping[str, str]) -> Iterator[Row]:
    """Rows of the table `items`; `filtered` gives the reason for each item that was taken and then left out."""
    for (population, split), sample in samples.items():
        beyond = f"beyond the first {len(sample.taken)} of its split"
        reasons = [(prompt, filtered.get(prompt.id, "")) for prompt in sample.taken]
        reasons += [(prompt, beyond) for prompt in sample.left]
        for prompt, why_unused in reasons:
            yield {
                "item": prompt.id,
                "population": population,
                "split": split,
                "category": prompt.category,
                "family": prompt.family,
                "used": not why_unused,
                "why_unused": why_unused,
            }


def _place(prompt: Prompt, seed: int) -> str:
    return hashlib.sha256(f"{prompt.id}\n{seed}".encode()).hexdigest()
