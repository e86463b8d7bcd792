"""How well what ablating the circuit does to unseen prompts was predicted before: by the graphs, and by a linear probe."""

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence import stats
from safetycase.evidence.estimates import Estimates
from safetycase.evidence.kinds.circuit_trace.names import GRAPHED, PREDICTED
from safetycase.evidence.kinds.circuit_trace.observed import CONFIRMATION, Observed
from safetycase.evidence.kinds.circuit_trace.params import Read
from safetycase.evidence.kinds.circuit_trace.recurrence import Circuit
from safetycase.evidence.record import Unit
from safetycase.evidence.stats import Interval, Undefined
from safetycase.evidence.tables import Table

PREDICTORS = {"circuit": "predicted", "probe": "probe"}
"""Condition to column."""
BOTH = "confirmation"
"""Confirmation prompts of both classes."""
FEWEST = 3
"""Discovery prompts for a line."""


def predictions(seen: Observed, circuit: Circuit, read: Read, estimates: Estimates) -> None:
    """Put the out-of-sample R2 of both predictors, of each class and of both together, and of the class alone."""
    rows = circuit.why_none or seen.rows("predictions")
    if isinstance(rows, str):
        estimates.miss(["explained_change.*"], rows)
        return
    for prompts in PREDICTED:
        for condition, column in PREDICTORS.items():
            made = partial(explained, seen, rows, column, prompts, read.level)
            estimates.put(f"explained_change.{prompts}.{condition}", made, Unit.FRACTION)
    estimates.put("explained_change.confirmation.class-mean", partial(by_class, seen, rows, read.level), Unit.FRACTION)


def explained(seen: Observed, rows: Table, column: str, prompts: str, level: float) -> Interval:
    """1 - sum of squared errors / sum of squares around the discovery mean, over confirmation prompts.

    Of one class the mean is that of its own discovery prompts, so that what tells the classes apart explains nothing; of both together
    (`confirmation`) it does. Errors are those of a line from prediction to measured change that was fitted on discovery prompts of both
    classes: the scale of a first-order prediction is not held against it, and nothing of it was seen in the confirmation prompts. Below 0
    where the mean of discovery prompts predicts better. A ratio of sums over prompts, clustered by family (`stats.ratio`).
    Raises Undefined where there is no line, no variation, or a single family.
    """
    tested = rows["split"] == CONFIRMATION
    known, unseen = rows.take(~tested), rows.take(tested)
    if len(known) < FEWEST:
        raise Undefined(f"{len(known)} discovery prompts are too few for a line from prediction to change")
    if np.ptp(known[column]) == 0:
        raise Undefined("the same change was predicted for every discovery prompt: there is no line")
    slope, intercept = _line(known[column], known["measured"])
    if prompts != BOTH:
        unseen = unseen.where(population=prompts)
    centre = _mean(known if prompts == BOTH else known.where(population=prompts), prompts)
    made = _share(seen, unseen, intercept + slope * unseen[column], centre, level)
    return replace(made, method=f"line fitted on {len(known)} discovery prompts; {made.method}")


def by_class(seen: Observed, rows: Table, level: float) -> Interval:
    """The same share where all that is predicted is the mean change of the class on discovery prompts: the baseline of both together."""
    tested = rows["split"] == CONFIRMATION
    known, unseen = rows.take(~tested), rows.take(tested)
    means = {each: _mean(known.where(population=each), each) for each in GRAPHED}
    guessed = np.array([means[each] for each in unseen["population"].tolist()])
    made = _share(seen, unseen, guessed, _mean(known, BOTH), level)
    return replace(made, method=f"mean change of each class on {len(known)} discovery prompts; {made.method}")


def _mean(known: Table, prompts: str) -> float:
    if not len(known):
        raise Undefined(
            f"no change was measured on {'' if prompts == BOTH else prompts + ' '}discovery prompts: there is no mean to predict by"
        )
    return float(known["measured"].mean())


def _share(seen: Observed, unseen: Table, guessed: NDArray[np.float64], centre: float, level: float) -> Interval:
    if not len(unseen):
        raise Undefined("no change was predicted on confirmation prompts")
    errors, around = (unseen["measured"] - guessed) ** 2, (unseen["measured"] - centre) ** 2
    made = stats.ratio(errors, around, seen.clusters(unseen["item"].tolist()), level)
    value = 1 - made.value
    return replace(made, value=value, low=min(1 - made.high, value), high=max(min(1 - made.low, 1.0), value))


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Least squares."""
    centred = x - x.mean()
    slope = float(centred @ (y - y.mean()) / (centred @ centred))
    return slope, float(y.mean() - slope * x.mean())
