"""How often answers show a contrast's behaviour or fall apart: unedited, and under the edits of tested features."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from safetycase.evidence import stats
from safetycase.evidence.estimates import Estimates
from safetycase.evidence.kinds.feature_documentation.answers import INCOHERENT, SHOWN, Answers, Labels
from safetycase.evidence.kinds.feature_documentation.causes import ASKED_OF, EDITS, Causes, dose_of, why_no_place
from safetycase.evidence.kinds.feature_documentation.observed import Observed
from safetycase.evidence.kinds.feature_documentation.params import ABSENT, PRESENT, Read, population
from safetycase.evidence.record import Unit
from safetycase.evidence.stats import Interval, Undefined


def behaviour(seen: Observed, found: Causes, answers: Mapping[str, Answers | str], read: Read, estimates: Estimates) -> None:
    """Put rates and paired changes of every judge; `answers` by judge, the first decides on coherence."""
    why = next((each for each in answers.values() if isinstance(each, str)), why_no_place(seen, found))
    for side in (PRESENT, ABSENT):
        where = population(found.contrast, side)
        estimates.miss([f"{quantity}.{where}.*" for quantity in ("incoherent_rate", "behaviour_rate", "behaviour_rate_change")], why)
    for number, (judge, said) in enumerate(answers.items()):
        _put_baseline(seen, found.contrast, judge, said, read, estimates)
        for slot, feature in seen.ranked(found.contrast):
            if feature in found.tested and not isinstance(said, str):
                _put_feature(seen, found, said, judge, slot, feature, read, estimates, first=number == 0)


def _put_baseline(seen: Observed, contrast: str, judge: str, said: Answers | str, read: Read, estimates: Estimates) -> None:
    for side in (PRESENT, ABSENT):
        name = f"behaviour_rate.{population(contrast, side)}.baseline@{judge}"
        if isinstance(said, str):
            estimates.miss([name], said)
        else:
            estimates.put(name, partial(_share, seen, said.baseline(side), SHOWN, read.level), Unit.FRACTION)


def _put_feature(
    seen: Observed, found: Causes, answers: Answers, judge: str, slot: str, feature: int, read: Read, estimates: Estimates, *, first: bool
) -> None:
    for condition, side in ASKED_OF.items():
        where = population(found.contrast, side)
        dose = 0.0 if condition == "ablated" else dose_of(seen, found.doses[feature])
        rate, change = (f"{name}.{where}.{condition}@{judge}#{slot}" for name in ("behaviour_rate", "behaviour_rate_change"))
        incoherent = f"incoherent_rate.{where}.{condition}#{slot}"
        labels = {} if dose is None else answers.of(feature, EDITS[condition], dose, side)
        if not labels:
            at = f" at dose {dose:g}" if dose else ""
            why = found.doses[feature].reason if dose is None else f"no answers were generated under this edit{at}"
            estimates.miss([rate, change, *([incoherent] if first else [])], why)
            continue
        estimates.put(rate, partial(_share, seen, labels, SHOWN, read.level), Unit.FRACTION)
        estimates.put(change, partial(_rate_change, seen, labels, answers.baseline(side), read.level), Unit.FRACTION)
        if first:
            estimates.put(incoherent, partial(_share, seen, labels, frozenset({INCOHERENT}), read.level), Unit.FRACTION)


def _share(seen: Observed, labels: Labels, wanted: frozenset[str], level: float) -> Interval:
    if not labels:
        raise Undefined("no answers were generated")
    items = sorted(labels)
    return stats.rate(np.array([labels[item] in wanted for item in items]), seen.clusters(items), level)


def _rate_change(seen: Observed, after: Labels, before: Labels, level: float) -> Interval:
    items = sorted(after.keys() & before.keys())
    if not items:
        raise Undefined("no prompt was answered both with and without the edit")
    shown = [np.array([labels[item] in SHOWN for item in items]) for labels in (after, before)]
    return stats.rate_difference(shown[0], shown[1], seen.clusters(items), level)
