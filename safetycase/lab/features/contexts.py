"""Windows in which documented features fire most, in each decile, or not at all, and those that labels are scored on."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from safetycase.evidence.kinds.feature_documentation.params import Ask
from safetycase.lab.features.context_reservoirs import NOTHING, Kept, Reservoir, peak_keys, priority, rounded
from safetycase.lab.features.corpus_windows import Window, half

DECILES = 10
SAMPLED_PER_SHOWN = 4
"""Firing windows that deciles are cut from, for every one that is shown."""


@dataclass(frozen=True)
class Context:
    """A window of a bin of one feature."""

    bin: str
    rank: int
    window: int
    activations: NDArray[np.float32]
    """On the window's tokens, from its first; empty where the feature is silent."""


class Contexts:
    """The windows kept for every documented feature.

    Documents are split by hash: what labels are made from (top, deciles, zero) and what they are scored on (held-out) never
    come from the same document. All but the top are uniform samples of the windows that they stand for.
    """

    def __init__(self, ask: Ask, seed: int, features: int) -> None:
        self._ask, self._seed = ask, seed
        sampled = ask.top_contexts + DECILES * ask.per_decile * SAMPLED_PER_SHOWN
        self._top = Reservoir(features, ask.top_contexts, ask.context)
        self._firing = Reservoir(features, sampled, ask.context)
        self._zero = Reservoir(features, ask.zero_contexts)
        self._held_out = Reservoir(features, ask.held_out, ask.context)
        self._held_out_zero = Reservoir(features, ask.held_out)
        self._held_out_neighbour = Reservoir(features, ask.held_out)

    def add(
        self,
        windows: Sequence[Window],
        activations: Float[Tensor, "window feature width"],
        fires: Bool[Tensor, "window feature"],
        neighbour_fires: Bool[Tensor, "window feature"],
    ) -> None:
        """Take in windows with the activations of the documented features on their tokens."""
        numbers = torch.tensor([window.number for window in windows])
        scored = torch.tensor([half(window.document, self._seed, "labels") for window in windows])[:, None]
        random = torch.tensor([priority(self._seed, window.number) for window in windows])
        at_random = random.expand(fires.shape[1], -1)
        peaks = peak_keys(activations.amax(dim=-1).mT, numbers)

        def offer(reservoir: Reservoir, where: Bool[Tensor, "window feature"], keys: Int[Tensor, "feature window"]) -> None:
            reservoir.offer(keys.masked_fill(~where.mT, NOTHING), numbers, activations)

        offer(self._top, fires & ~scored, peaks)
        offer(self._firing, fires & ~scored, at_random)
        offer(self._zero, ~fires & ~scored, at_random)
        offer(self._held_out, fires & scored, at_random)
        offer(self._held_out_zero, ~fires & scored, at_random)
        offer(self._held_out_neighbour, ~fires & scored & neighbour_fires, at_random)

    def of(self, feature: int) -> Iterator[Context]:
        """All contexts of a documented feature, by its place among them."""
        top = self._top.ordered(feature)
        yield from _ranked("top", top)
        shown = {window for window, _ in top}
        for number, chosen in deciles(self._firing.ordered(feature), self._ask.per_decile, shown).items():
            yield from _ranked(f"decile-{number}", chosen)
        yield from _ranked("zero", self._zero.ordered(feature))
        yield from _ranked("held-out", self._held_out.ordered(feature))
        yield from _ranked("held-out-zero", self._held_out_zero.ordered(feature))
        yield from _ranked("held-out-neighbour", self._held_out_neighbour.ordered(feature))


def deciles(sample: Sequence[Kept], per_decile: int, shown: Collection[int] = ()) -> Mapping[int, list[Kept]]:
    """From a uniform sample in random order the first few of each tenth by peak, 1 the weakest; strongest first within a tenth.

    Tenths are those of the whole sample; windows that are `shown` already are then passed over, so that a tenth may have none left.
    """
    peaks = rounded(torch.tensor([float(activations.max()) for _, activations in sample])).tolist()
    ascending = sorted(range(len(sample)), key=lambda index: (peaks[index], -sample[index][0]))
    tenth = {index: rank * DECILES // len(sample) + 1 for rank, index in enumerate(ascending)}
    left = [index for index, (window, _) in enumerate(sample) if window not in shown]
    found = {}
    for number in sorted({tenth[index] for index in left}):
        chosen = [index for index in left if tenth[index] == number][:per_decile]
        found[number] = [sample[index] for index in sorted(chosen, key=lambda index: (-peaks[index], sample[index][0]))]
    return found


def _ranked(name: str, kept: Sequence[Kept]) -> Iterator[Context]:
    for rank, (window, activations) in enumerate(kept, start=1):
        yield Context(name, rank, window, activations)
