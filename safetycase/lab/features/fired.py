"""Where the features of a dictionary fire in a forward pass, and what is counted of that over a whole corpus."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from safetycase.evidence.tables import Row
from safetycase.lab.dictionaries.dictionary import Dictionary
from safetycase.lab.features.corpus_passes import Passed, slices
from safetycase.lab.features.corpus_windows import Window

Ints = NDArray[np.int64]

# Counting pairs one by one is quicker than a product of dense matrices where less than one entry of it in so many is a pair.
DENSE_PER_PAIR = 32
NEIGHBOURS = 10
FEWEST_TOGETHER = 5


@dataclass(frozen=True)
class Fired:
    """One entry for every token of a pass and feature that fires on it, token by token; all on the CPU."""

    indices: Ints
    """By row of the pass, which of the windows it is."""
    tokens: int
    row: Ints
    """Of each entry."""
    position: Ints
    """Of each entry, in its window."""
    token: Ints
    feature: Ints
    value: NDArray[np.float32]


def where_fired(dictionary: Dictionary) -> Callable[[Passed], Fired]:
    """Reduces a pass to its activations above 0, encoded a few tokens at a time."""

    def reduce(passed: Passed) -> Fired:
        x = passed.at[dictionary.reads]
        token, feature, value = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        for part in slices(len(x), dictionary.n_features, x.device):
            coded = dictionary.encode(x[part])
            at = (coded > 0).nonzero(as_tuple=True)
            token.append(at[0].cpu().numpy() + part.start)
            feature.append(at[1].cpu().numpy())
            value.append(coded[at].float().cpu().numpy())
        tokens = np.concatenate(token)
        return Fired(
            np.array(passed.indices), len(x), passed.row.numpy()[tokens], passed.position.numpy()[tokens],
            tokens, np.concatenate(feature), np.concatenate(value),
        )  # fmt: skip

    return reduce


class Densities:
    """How often and how strongly every feature fires."""

    def __init__(self, features: int) -> None:
        self.fired, self.windows, self.documents = (np.zeros(features, np.int64) for _ in range(3))
        self.total, self.squares, self.maximum = (np.zeros(features) for _ in range(3))

    def add(self, fired: Fired) -> None:
        """Take in a pass; documents are counted when they are closed."""
        n, value = len(self.fired), fired.value.astype(np.float64)
        self.fired += np.bincount(fired.feature, minlength=n)
        self.total += np.bincount(fired.feature, value, minlength=n)
        self.squares += np.bincount(fired.feature, value**2, minlength=n)
        np.maximum.at(self.maximum, fired.feature, value)

    def rows(self) -> list[Row]:
        """Of the table `density`."""
        columns = {name: getattr(self, name).tolist() for name in ("fired", "documents", "windows", "total", "squares", "maximum")}
        return [
            {"feature": feature, **dict(zip(columns, row, strict=True))} for feature, row in enumerate(zip(*columns.values(), strict=True))
        ]


@dataclass(frozen=True)
class Counted:
    """A document that was read to its end: how many tokens count, which features fire, on how many tokens documented ones do."""

    document: str
    tokens: int
    fires: NDArray[np.bool_]
    documented: Ints


class OpenDocument:
    """The last document of what was read so far, which may go on; documents follow one another in a corpus."""

    def __init__(self) -> None:
        self._open: Counted | None = None

    def close(self, windows: Sequence[Window], fires: NDArray[np.bool_], documented: Ints, *, last: bool) -> list[Counted]:
        """The documents that end in these windows, given by window which features fire and on how many tokens documented ones do."""
        names = [window.document for window in windows]
        starts = [index for index, name in enumerate(names) if index == 0 or name != names[index - 1]]
        tokens = np.add.reduceat([int(window.counted.sum()) for window in windows], starts)
        parts = zip(starts, tokens.tolist(), np.logical_or.reduceat(fires, starts), np.add.reduceat(documented, starts), strict=True)
        found = [] if self._open is None else [self._open]
        for start, count, any_, counts in parts:
            part = Counted(names[start], count, any_, counts)
            if found and found[-1].document == part.document:
                before = found.pop()
                part = Counted(part.document, before.tokens + count, before.fires | any_, before.documented + counts)
            found.append(part)
        self._open = None if last else found.pop()
        return found


class Cofiring:
    """On how many tokens documented features fire together with every feature."""

    def __init__(self, documented: int, features: int) -> None:
        self.together = np.zeros((documented, features), np.int32)

    def add(self, fired: Fired, documented: Ints) -> None:
        """Take in a pass; `documented` is by entry the place of its feature among the documented ones, -1 for others."""
        ours = documented >= 0
        shape = fired.tokens, len(self.together)
        one, all_ = np.ones(int(ours.sum()), np.int32), np.ones(len(fired.token), np.int32)
        of_documented = sparse.csr_array((one, (fired.token[ours], documented[ours])), shape=shape)
        of_all = sparse.csr_array((all_, (fired.token, fired.feature)), shape=(fired.tokens, self.together.shape[1]))
        pairs = int(np.diff(of_documented.indptr).astype(np.int64) @ np.diff(of_all.indptr))
        if pairs * DENSE_PER_PAIR > fired.tokens * self.together.size:
            self._add_dense(of_documented, of_all)
            return
        found = (of_documented.T @ of_all).tocoo()
        self.together[found.row, found.col] += found.data

    def rows(self, documented: Sequence[int], fired: Ints, tokens: int) -> list[Row]:
        """Of the table `neighbours`: the ten with the largest pointwise mutual information of those that fire together often enough."""
        return [row for place, feature in enumerate(documented) for row in self._of(place, feature, fired, tokens)]

    def _of(self, place: int, feature: int, fired: Ints, tokens: int) -> list[Row]:
        together = self.together[place].astype(np.int64)
        others = np.flatnonzero(together >= FEWEST_TOGETHER)
        others = others[others != feature]
        information = np.log(together[others] * (tokens / (fired[feature] * fired[others].astype(np.float64))))
        strongest = np.lexsort((others, -information))[:NEIGHBOURS]
        return [
            {
                "feature": feature,
                "other": int(others[i]),
                "relation": "cofiring",
                "value": float(information[i]),
                "together": int(together[others[i]]),
            }
            for i in strongest
        ]

    def _add_dense(self, of_documented: sparse.csr_array, of_all: sparse.csr_array) -> None:
        for part in slices(of_all.shape[0], of_all.shape[1], torch.device("cpu")):
            left, right = (torch.from_numpy(each[part].toarray()).float() for each in (of_documented, of_all))
            self.together += (left.mT @ right).to(torch.int32).numpy()
