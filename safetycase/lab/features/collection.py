"""One pass over the corpus: how often every feature fires, and the windows that show what the documented ones respond to."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from safetycase.errors import SourceError
from safetycase.evidence.tables import Row
from safetycase.lab.features.context_reservoirs import SIGNIFICANT_DIGITS
from safetycase.lab.features.contexts import Context, Contexts
from safetycase.lab.features.corpus_passes import WINDOWS_AT_ONCE, chunks, passes
from safetycase.lab.features.corpus_windows import Window, windows
from safetycase.lab.features.fired import Cofiring, Counted, Densities, Fired, Ints, OpenDocument, where_fired
from safetycase.lab.features.study import FeatureStudy, Stage
from safetycase.lab.features.token_texts import running_texts, token_texts
from safetycase.lab.observing import Absent, Progress

FEATURES_AT_ONCE = 64
"""Documented features whose contexts make one shard."""


@dataclass(frozen=True)
class Collected:
    """What later stages need of the corpus."""

    maximum: Float[Tensor, "feature"]
    """Largest activation of every feature; on the CPU."""
    tokens: int
    windows: int
    documents: int
    contexts: Mapping[int, list[Row]]
    """Documented feature to its rows of the table `contexts`."""
    window_tokens: Mapping[int, list[int]]
    """Token ids of every window of any context."""
    window_documents: Mapping[int, str]


def collect(study: FeatureStudy, documented: Sequence[int], nearest: Mapping[int, int]) -> Stage[Collected]:
    """Yields `density`, `documents`, `firing`, `contexts`, `windows` (or `windows_restricted`) and `neighbours` (part `cofiring`).

    A feature fires where its activation is above 0; on beginning-of-text tokens it is not asked and stands as 0. `nearest` is
    each documented feature's nearest neighbour by direction. Memory is bounded by the number of documented features and the
    windows kept for each, whatever the length of the corpus. The corpus is read twice: the second time for the texts of the
    windows alone. Neighbours that are the same document again count as one.

    A resumed step whose shards are all stored runs no pass; one that lacks any makes the pass again.
    Raises SourceError where the corpus holds no token.
    """
    n_windows = _all_stored(study, documented)
    if n_windows is not None:
        return (yield from _recalled(study, documented, n_windows))
    found = _Collection(study, documented, nearest)
    for number, (group, last) in enumerate(_with_last(chunks(_windows(study)))):
        yield Progress("corpus", found.tokens, study.ask.max_tokens)
        yield from _document_shards(study, str(number), documented, found.add(group, last=last))
    if not found.tokens:
        raise SourceError(f"{study.corpus.source}: found no token that counts, expected text")
    yield from study.shards.rows("density", "all", found.densities.rows)
    contexts = {feature: list(found.contexts.of(place)) for place, feature in enumerate(documented)}
    window_rows = _window_rows(study, {context.window for listed in contexts.values() for context in listed})
    zeros = {row["window"]: [0.0] * len(row["token_ids"]) for row in window_rows}
    rows: dict[int, list[Row]] = {}
    for part, features in _parts(documented):
        made = yield from study.shards.rows("contexts", part, partial(_context_rows, features, contexts, zeros))
        rows |= _by_feature(features, made)
    kept = yield from _window_shards(study, window_rows)
    yield from study.shards.rows("neighbours", "cofiring", lambda: found.cofiring.rows(documented, found.densities.fired, found.tokens))
    return Collected(
        maximum=torch.from_numpy(found.densities.maximum).float(),
        tokens=found.tokens,
        windows=found.windows,
        documents=found.documents,
        contexts=rows,
        window_tokens={row["window"]: row["token_ids"] for row in kept},
        window_documents={row["window"]: row["document"] for row in kept},
    )


class _Collection:
    """What was counted and kept of the windows so far."""

    def __init__(self, study: FeatureStudy, documented: Sequence[int], nearest: Mapping[int, int]) -> None:
        self._study = study
        self._n = study.dictionary.n_features
        self._place: Ints = np.full(self._n, -1, np.int64)
        """By feature, its place among the documented ones."""
        self._place[np.array(documented, np.int64)] = np.arange(len(documented))
        self._documented = torch.tensor(documented, dtype=torch.long)
        self._nearest = torch.tensor([nearest.get(feature, -1) for feature in documented], dtype=torch.long)
        self._open = OpenDocument()
        self.densities = Densities(self._n)
        self.cofiring = Cofiring(len(documented), self._n)
        self.contexts = Contexts(study.ask, study.seed, len(documented))
        self.tokens = self.windows = self.documents = 0

    def add(self, group: Sequence[Window], *, last: bool) -> list[Counted]:
        """Pass these windows; the documents that end in them."""
        fires = np.zeros((len(group), self._n), np.bool_)
        counts = np.zeros((len(group), len(self._nearest)), np.int64)
        reduce = where_fired(self._study.dictionary)
        for fired in passes(self._study.model, self._study.batches, group, [self._study.dictionary.reads], reduce):
            fires[fired.indices[fired.row], fired.feature] = True
            place = self._place[fired.feature]
            counts[fired.indices] = self._counts(fired, place)
            self.densities.add(fired)
            self.cofiring.add(fired, place)
            self._keep([group[index] for index in fired.indices], fired, place, torch.from_numpy(fires[fired.indices]))
        closed = self._open.close(group, fires, counts, last=last)
        self.densities.windows += fires.sum(axis=0)
        self.densities.documents += sum((each.fires for each in closed), np.zeros(self._n, np.int64))
        self.tokens += sum(int(window.counted.sum()) for window in group)
        self.windows += len(group)
        self.documents += len(closed)
        return closed

    def _counts(self, fired: Fired, place: Ints) -> NDArray[np.int64]:
        """By row and documented feature, on how many tokens it fires."""
        ours, n = place >= 0, len(self._nearest)
        found = np.bincount(fired.row[ours] * n + place[ours], minlength=len(fired.indices) * n)
        return found.reshape(len(fired.indices), n)

    def _keep(self, group: Sequence[Window], fired: Fired, place: Ints, fires: Tensor) -> None:
        ours, shape = place >= 0, (len(group), len(self._nearest), self._study.ask.context)
        activations = np.zeros(shape, np.float32)
        activations[fired.row[ours], place[ours], fired.position[ours]] = fired.value[ours]
        neighbours = fires[:, self._nearest] & (self._nearest >= 0)
        self.contexts.add(group, torch.from_numpy(activations), fires[:, self._documented], neighbours)


def _windows(study: FeatureStudy) -> Iterator[Window]:
    return windows(study.model, study.corpus, context=study.ask.context, max_tokens=study.ask.max_tokens)


def _with_last(groups: Iterator[list[Window]]) -> Iterator[tuple[list[Window], bool]]:
    """Every group, and whether it is the last."""
    before = next(groups, None)
    for group in groups:
        assert before is not None
        yield before, False
        before = group
    if before is not None:
        yield before, True


def _document_shards(study: FeatureStudy, part: str, documented: Sequence[int], closed: Sequence[Counted]) -> Stage[None]:
    """What is known of documents that were read to their end."""
    yield from study.shards.rows("documents", part, lambda: [{"document": each.document, "tokens": each.tokens} for each in closed])
    yield from study.shards.rows(
        "firing",
        part,
        lambda: [
            {"feature": documented[place], "document": each.document, "fired": int(each.documented[place])}
            for each in closed
            for place in np.flatnonzero(each.documented).tolist()
        ],
    )


def _parts(documented: Sequence[int]) -> list[tuple[str, Sequence[int]]]:
    """The name of every shard of contexts and the features in it; one without rows where nothing is documented."""
    starts = range(0, max(1, len(documented)), FEATURES_AT_ONCE)
    return [(str(start), documented[start : start + FEATURES_AT_ONCE]) for start in starts]


def _context_rows(features: Sequence[int], contexts: Mapping[int, Sequence[Context]], zeros: Mapping[int, list[float]]) -> Iterator[Row]:
    """`zeros` holds for every window a 0 for each of its tokens; rows of windows in which a feature is silent share them."""
    for feature in features:
        for context in contexts[feature]:
            activations = zeros[context.window]
            fired = np.flatnonzero(context.activations).tolist()
            if fired:
                activations = list(activations)
            for position in fired:
                activations[position] = float(f"{context.activations[position]:.{SIGNIFICANT_DIGITS}g}")
            yield {
                "feature": feature,
                "window": context.window,
                "bin": context.bin,
                "rank": context.rank,
                "activations": activations,
            }


def _window_rows(study: FeatureStudy, used: Collection[int]) -> list[Row]:
    """The windows with these numbers, from a second reading of the corpus, without a pass."""
    same: dict[int, int] = {}
    """Every token id once: a list of them then costs no more than its places."""
    picked = [
        (window.number, window.document, [same.setdefault(token, token) for token in window.tokens.tolist()])
        for window in (_windows(study) if used else ())
        if window.number in used
    ]
    texts = token_texts(study.model.tokenizer, same)
    return [
        {"window": number, "document": document, "tokens": running_texts(study.model.tokenizer, ids, texts), "token_ids": ids}
        for number, document, ids in picked
    ]


def _window_shards(study: FeatureStudy, made: Sequence[Row]) -> Stage[tuple[Row, ...]]:
    """The windows of all contexts, in the table that the corpus's sensitivity calls for; the other one is absent."""
    public = study.corpus.sensitivity == "public"
    other, reason = ("windows_restricted", "is declared public") if public else ("windows", "is not declared public")
    rows = yield from study.shards.rows(_window_table(study), "all", lambda: made)
    yield Absent(other, f"corpus {study.corpus.id} {reason}")
    return rows


def _window_table(study: FeatureStudy) -> str:
    return "windows" if study.corpus.sensitivity == "public" else "windows_restricted"


def _all_stored(study: FeatureStudy, documented: Sequence[int]) -> int | None:
    """How many windows there are, where every shard is stored, else None; for the count the corpus is cut again, without a pass."""
    if not study.shards.finished("density", "all"):
        return None
    count = sum(1 for _ in _windows(study))
    needed = [
        *((table, part) for part in _groups(count) for table in ("documents", "firing")),
        *(("contexts", part) for part, _ in _parts(documented)),
        (_window_table(study), "all"),
        ("neighbours", "cofiring"),
    ]
    return count if all(study.shards.finished(*shard) for shard in needed) else None


def _groups(n_windows: int) -> list[str]:
    """The name of every shard of documents."""
    return [str(number) for number in range(-(-n_windows // WINDOWS_AT_ONCE))]


def _recalled(study: FeatureStudy, documented: Sequence[int], n_windows: int) -> Stage[Collected]:
    """The same shards in the same order, and what was collected, without a pass."""

    def stored() -> Iterator[Row]:
        raise AssertionError("a stored shard is gone")

    tokens = documents = 0
    for part in _groups(n_windows):
        rows = yield from study.shards.rows("documents", part, stored)
        tokens, documents = tokens + sum(row["tokens"] for row in rows), documents + len(rows)
        yield from study.shards.rows("firing", part, stored)
    density = yield from study.shards.rows("density", "all", stored)
    contexts: dict[int, list[Row]] = {}
    for part, features in _parts(documented):
        rows = yield from study.shards.rows("contexts", part, stored)
        contexts |= _by_feature(features, rows)
    kept = yield from _window_shards(study, ())
    yield from study.shards.rows("neighbours", "cofiring", stored)
    return Collected(
        maximum=torch.tensor([row["maximum"] for row in density], dtype=torch.float64).float(),
        tokens=tokens,
        windows=n_windows,
        documents=documents,
        contexts=contexts,
        window_tokens={row["window"]: row["token_ids"] for row in kept},
        window_documents={row["window"]: row["document"] for row in kept},
    )


def _by_feature(features: Sequence[int], rows: Sequence[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {feature: [] for feature in features}
    for row in rows:
        found[row["feature"]].append(row)
    return found
