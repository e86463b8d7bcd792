"""Sums over the tokens of every document of a corpus, by condition."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.lab.features.corpus_windows import Window


class DocumentSums:
    """Adds what windows sum to, in the order of the corpus and in float64: the same whatever the batches were."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._sums: dict[str, dict[str, Tensor]] = {}

    def add(self, windows: Sequence[Window], by_condition: Mapping[str, Float[Tensor, "window sum"]]) -> None:
        """Take in the sums of some windows, of every condition."""
        for condition, sums in by_condition.items():
            for window, found in zip(windows, sums.double(), strict=True):
                of_document = self._sums.setdefault(window.document, {})
                of_document[condition] = of_document.get(condition, torch.zeros(self._width, dtype=torch.float64)) + found

    def each(self) -> Iterator[tuple[str, str, list[float]]]:
        """Document, condition and sums, in the order in which documents were first seen."""
        for document, by_condition in self._sums.items():
            for condition, sums in by_condition.items():
                yield document, condition, sums.tolist()
