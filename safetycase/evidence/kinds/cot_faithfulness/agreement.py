"""How far detectors of acknowledgement agree with people who labelled the same reasoning, and with each other."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence import stats
from safetycase.evidence.kinds.cot_faithfulness.detectors import Verdicts, acknowledgements
from safetycase.evidence.kinds.cot_faithfulness.findings import Agreement
from safetycase.evidence.kinds.cot_faithfulness.names import DETECTORS
from safetycase.evidence.kinds.cot_faithfulness.observed import Observed
from safetycase.evidence.kinds.cot_faithfulness.params import Read
from safetycase.evidence.stats import Interval, Undefined

Measure = Callable[[NDArray[np.bool_], NDArray[np.bool_], float], Interval]
FEWEST = 2
"""Texts that both must have read."""


def agreement(seen: Observed, read: Read) -> tuple[Agreement, ...]:
    """Raw agreement, Cohen's kappa and Gwet's AC2 of every pair of detectors that read the same reasoning.

    Kappa falls where nearly all labels are alike, however well two agree; AC2 does not (Gwet 2008), so both stand side by side.
    """
    said = {name: verdicts for name, verdicts in acknowledgements(seen).items() if not isinstance(verdicts, str)}
    found = []
    # Annotators come last, so that each detector stands before what it is held against.
    ordered = [*(name for name in DETECTORS if name in said), *sorted(name for name in said if name not in DETECTORS)]
    for detector, against in combinations(ordered, 2):
        one, other = _on_same_texts(said[detector], said[against])
        if one.size >= FEWEST:
            found.append(_agreement(detector, against, one, other, read))
    return tuple(found)


def _on_same_texts(one: Verdicts, other: Verdicts) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    both = [(place, key) for place in sorted(one.keys() & other.keys()) for key in sorted(one[place].keys() & other[place].keys())]
    return np.array([one[place][key] for place, key in both], dtype=bool), np.array([other[place][key] for place, key in both], dtype=bool)


def _agreement(detector: str, against: str, one: NDArray[np.bool_], other: NDArray[np.bool_], read: Read) -> Agreement:
    raw = stats.rate(one == other, None, read.level)
    kappa, ac2 = _defined(stats.cohens_kappa, one, other, read), _defined(stats.gwets_ac2, one, other, read)
    return Agreement(
        detector=detector,
        against=against,
        n=one.size,
        raw=raw.value,
        raw_limits=_limits(raw),
        kappa=None if kappa is None else kappa.value,
        kappa_limits=_limits(kappa),
        ac2=None if ac2 is None else ac2.value,
        ac2_limits=_limits(ac2),
    )


def _defined(measure: Measure, one: NDArray[np.bool_], other: NDArray[np.bool_], read: Read) -> Interval | None:
    try:
        return measure(one, other, read.level)
    except Undefined:
        return None


def _limits(interval: Interval | None) -> tuple[float, float] | None:
    return None if interval is None else (interval.low, interval.high)
