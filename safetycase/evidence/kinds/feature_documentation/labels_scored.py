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
    labels = {(row["feature"], row["author"]) for row in seen.tables.table("labels").rows()}
    density = seen.tables.table("density")
    windows = dict(zip(density["feature"].tolist(), density["windows"].tolist(), strict=True))
    for (feature, author), slots in ((each, seen.slots.get(each[0], ())) for each in sorted(labels)):
        found = scored.get((feature, author))
        for slot in slots:
            if found is None:
                estimates.miss(_names(author, slot), _unscored(seen))
            else:
                _put(found, windows.get(feature, 0), seen, (author, slot), read, estimates)


def _names(author: str, slot: str) -> Iterator[str]:
    yield f"label_precision.corpus.natural@{author}#{slot}"
    yield f"label_recall.corpus.natural@{author}#{slot}"
    yield from (f"label_balanced_accuracy.corpus.{negatives}@{author}#{slot}" for negatives in NEGATIVES)


def _unscored(seen: Observed) -> str:
    if not seen.tables.has("detection"):
        return seen.tables.why_absent("detection")
    return "the label was not scored on held-out windows: it is a hypothesis"


def _put(found: Scored, fires_in: int, seen: Observed, tail: tuple[str, str], read: Read, estimates: Estimates) -> None:
    measures: dict[Measure, Callable[[], Interval]] = {
        "precision": partial(_precision, found, fires_in, seen, read),
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
        nulls = _shuffled(found, measure, made.value, _share(fires_in, seen))
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


def _precision(found: Scored, fires_in: int, seen: Observed, read: Read) -> Interval:
    windows = int(seen.setup["corpus"]["windows"])
    fires = np.arange(windows) < fires_in
    return stats.precision_at(
        _rate(found, HELD_OUT, read.level), _rate(found, SILENT, read.level), stats.rate(fires, None, read.level),
        read.level, seen.tables.seed, read.resamples,
    )  # fmt: skip


def _share(fires_in: int, seen: Observed) -> float:
    windows = int(seen.setup["corpus"]["windows"])
    return fires_in / windows if windows else 0.0


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
