"""How well a label says where its feature fires: on held-out windows, beside labels of other features."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence import stats
from safetycase.evidence.estimates import Estimates, null_record
from safetycase.evidence.kinds.feature_documentation.names import NEGATIVES
from safetycase.evidence.kinds.feature_documentation.observed import Observed
from safetycase.evidence.kinds.feature_documentation.params import Read
from safetycase.evidence.record import Null, Unit
from safetycase.evidence.stats import Interval, Undefined
from safetycase.evidence.tables import Table

HELD_OUT, SILENT, NEIGHBOUR = "held-out", "held-out-zero", "held-out-neighbour"
"""The sets of windows that labels are scored on: the feature fires, it is silent, its nearest neighbour fires."""
Measure = Literal["precision", "recall", "zero", "neighbour"]
SHUFFLED = "labels of other features on the same windows"
_QUANTITIES = ("label_precision", "label_recall", "label_balanced_accuracy")


@dataclass(frozen=True)
class Scored:
    """One label of a feature on held-out windows, and the labels of other features on the same ones."""

    scorer: str
    own: Table
    others: tuple[Table, ...]

    def misses(self) -> tuple[int, ...]:
        """Windows in which the feature fires and the label says that it does not."""
        missed = self.own.where(set=HELD_OUT, fires=True, predicted=False)
        return tuple(sorted(missed["window"].tolist()))


def scored_labels(seen: Observed) -> dict[tuple[int, str], Scored]:
    """(feature, author) to how its label fared; labels that nothing scored are not here. A rule is scored by itself, others by a model."""
    if not seen.tables.has("detection"):
        return {}
    by_scorer: dict[tuple[int, str], dict[str, Scored]] = {}
    for (feature, author, scorer), rows in seen.tables.table("detection").by("feature", "author", "scorer").items():
        by_label = {key[0]: each for key, each in rows.by("label_of").items()}
        if feature in by_label:
            others = tuple(by_label[other] for other in sorted(by_label) if other != feature)
            by_scorer.setdefault((feature, author), {})[scorer] = Scored(scorer, by_label[feature], others)
    return {key: found.get("rule" if key[1] == "rule" else "scorer") or found[min(found)] for key, found in by_scorer.items()}


def labels_scored(seen: Observed, scored: Mapping[tuple[int, str], Scored], read: Read, estimates: Estimates) -> None:
    """Put precision at natural density, recall, and balanced accuracy against both kinds of silent windows."""
    why = "no such label was made, or no feature has this place" if seen.tables.has("detection") else seen.tables.why_absent("detection")
    estimates.miss([f"{quantity}.corpus.*" for quantity in _QUANTITIES], why)
    labels = {(row["feature"], row["author"]) for row in seen.tables.table("labels").rows() if row["feature"] in seen.slots}
    fires = _fires(seen)
    for (feature, author), slots in ((each, seen.slots[each[0]]) for each in sorted(labels)):
        found = scored.get((feature, author))
        for slot in slots:
            if found is None:
                estimates.miss(_names(author, slot), _unscored(seen))
            else:
                _put(found, fires[feature], seen, (author, slot), read, estimates)


@dataclass(frozen=True)
class _Fires:
    """How often a feature fires on the corpus."""

    windows: int
    of_windows: int
    by_document: NDArray[np.float64] | None
    """Tokens on which it fires, by document in which it does; None where that was not stored."""
    of_documents: int

    @property
    def share(self) -> float:
        return self.windows / self.of_windows if self.of_windows else 0.0

    def interval(self, level: float) -> Interval:
        """Of the share of windows; documents are the units, as windows of one document are alike."""
        if self.by_document is None or bool(self.windows) != bool(self.by_document.size):
            raise Undefined("in which documents the feature fires was not stored: how sure its density is cannot be said")
        return stats.prevalence(self.windows, self.of_windows, self.by_document, self.of_documents, level)


def _fires(seen: Observed) -> dict[int, _Fires]:
    corpus, density = seen.setup["corpus"], seen.tables.table("density")
    windows = dict(zip(density["feature"].tolist(), density["windows"].tolist(), strict=True))
    stored = (
        {key[0]: rows["fired"] for key, rows in seen.tables.table("firing").by("feature").items()} if seen.tables.has("firing") else None
    )
    nowhere = np.zeros(0)
    return {
        feature: _Fires(
            windows.get(feature, 0),
            int(corpus["windows"]),
            None if stored is None else np.sort(stored.get(feature, nowhere).astype(np.float64)),
            int(corpus["documents"]),
        )
        for feature in seen.slots
    }


def _names(author: str, slot: str) -> Iterator[str]:
    yield f"label_precision.corpus.natural@{author}#{slot}"
    yield f"label_recall.corpus.natural@{author}#{slot}"
    yield from (f"label_balanced_accuracy.corpus.{negatives}@{author}#{slot}" for negatives in NEGATIVES)


def _unscored(seen: Observed) -> str:
    if not seen.tables.has("detection"):
        return seen.tables.why_absent("detection")
    return "the label was not scored on held-out windows: it is a hypothesis"


def _put(found: Scored, fires: _Fires, seen: Observed, tail: tuple[str, str], read: Read, estimates: Estimates) -> None:
    measures: dict[Measure, Callable[[], Interval]] = {
        "precision": partial(_precision, found, fires, seen, read),
        "recall": partial(_rate, found, HELD_OUT, read.level),
        "zero": partial(_balanced, found, SILENT, read.level),
        "neighbour": partial(_balanced, found, NEIGHBOUR, read.level),
    }
    for (measure, interval), name in zip(measures.items(), _names(*tail), strict=True):
        try:
            made = interval()
        except Undefined as undefined:
            estimates.miss([name], undefined.reason)
            continue
        nulls = _shuffled(found, measure, made.value, fires.share)
        estimates.keep(name, replace(made, method=f"scored by {found.scorer}; {made.method}"), Unit.FRACTION, nulls)


def _predictions(rows: Table, which: str) -> tuple[NDArray[np.bool_], NDArray[np.str_]]:
    """What a label says of the windows of a set, and their documents; silent sets hold windows in which the feature is silent."""
    chosen = rows.where(set=which, fires=which == HELD_OUT)
    return chosen["predicted"], chosen["document"].astype(np.str_)


def _rate(found: Scored, which: str, level: float) -> Interval:
    """How often the label says that the feature fires."""
    predicted, documents = _predictions(found.own, which)
    if not predicted.size:
        kind = "in which it fires" if which == HELD_OUT else "in which it is silent"
        raise Undefined(f"no held-out windows {kind} were scored ({which})")
    return stats.rate(predicted, documents, level)


def _balanced(found: Scored, which: str, level: float) -> Interval:
    alarms = _rate(found, which, level)
    silent = replace(alarms, value=1 - alarms.value, low=1 - alarms.high, high=1 - alarms.low)
    return stats.balanced_accuracy(_rate(found, HELD_OUT, level), silent)


def _precision(found: Scored, fires: _Fires, seen: Observed, read: Read) -> Interval:
    density = fires.interval(read.level)
    made = stats.precision_at(
        _rate(found, HELD_OUT, read.level), _rate(found, SILENT, read.level), density, read.level, seen.tables.seed, read.resamples
    )
    return replace(made, method=f"{made.method}; density over documents: {density.method}")


def _shuffled(found: Scored, measure: Measure, observed: float, density: float) -> tuple[Null, ...]:
    """The same measure of labels that are about something else; one that predicts nothing has no precision and is left out."""
    values = [value for value in (_point(rows, measure, density) for rows in found.others) if value is not None]
    return (null_record(SHUFFLED, stats.null_test(observed, values, "greater")),) if values else ()


def _point(rows: Table, measure: Measure, density: float) -> float | None:
    hits = _predictions(rows, HELD_OUT)[0]
    if measure == "recall":
        return float(hits.mean()) if hits.size else None
    alarms = _predictions(rows, NEIGHBOUR if measure == "neighbour" else SILENT)[0]
    if not hits.size or not alarms.size:
        return None
    if measure == "precision":
        return stats.precision(float(hits.mean()), float(alarms.mean()), density)
    return float(hits.mean() + 1 - alarms.mean()) / 2
