"""How well what ablating the circuit does to unseen prompts was predicted before: by the graphs, and by a linear probe."""

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence import stats
from safetycase.evidence.estimates import Estimates
from safetycase.evidence.kinds.circuit_trace.observed import CONFIRMATION, Observed
from safetycase.evidence.kinds.circuit_trace.params import Read
from safetycase.evidence.kinds.circuit_trace.recurrence import Circuit
from safetycase.evidence.record import Unit
from safetycase.evidence.stats import Interval, Undefined
from safetycase.evidence.tables import Table

PREDICTORS = {"circuit": "predicted", "probe": "probe"}
"""Condition to column."""
FEWEST = 3
"""Discovery prompts for a line."""


def predictions(seen: Observed, circuit: Circuit, read: Read, estimates: Estimates) -> None:
    """Put the out-of-sample R2 of both predictors."""
    rows = circuit.why_none or seen.rows("predictions")
    for condition, column in PREDICTORS.items():
        name = f"explained_change.confirmation.{condition}"
        if isinstance(rows, str):
            estimates.miss([name], rows)
        else:
            estimates.put(name, partial(explained, seen, rows, column, read.level), Unit.FRACTION)


def explained(seen: Observed, rows: Table, column: str, level: float) -> Interval:
    """1 - sum of squared errors / sum of squares around the discovery mean, over confirmation prompts of both classes.

    Errors are those of a line from prediction to measured change that was fitted on discovery prompts: the scale of a first-order
    prediction is not held against it, and nothing of it was seen in the confirmation prompts. Below 0 where the mean of discovery
    prompts predicts better. A ratio of sums over prompts, clustered by family (`stats.ratio`).
    Raises Undefined where there is no line, no variation, or a single family.
    """
    tested = rows["split"] == CONFIRMATION
    known, unseen = rows.take(~tested), rows.take(tested)
    if len(known) < FEWEST:
        raise Undefined(f"{len(known)} discovery prompts are too few for a line from prediction to change")
    if np.ptp(known[column]) == 0:
        raise Undefined("the same change was predicted for every discovery prompt: there is no line")
    slope, intercept = _line(known[column], known["measured"])
    errors = (unseen["measured"] - intercept - slope * unseen[column]) ** 2
    around = (unseen["measured"] - known["measured"].mean()) ** 2
    made = stats.ratio(errors, around, seen.clusters(unseen["item"].tolist()), level)
    low, high = 1 - made.high, min(1 - made.low, 1.0)
    value = 1 - made.value
    return replace(
        made,
        value=value,
        low=min(low, value),
        high=max(high, value),
        method=f"line fitted on {len(known)} discovery prompts; {made.method}",
    )


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Least squares."""
    centred = x - x.mean()
    slope = float(centred @ (y - y.mean()) / (centred @ centred))
    return slope, float(y.mean() - slope * x.mean())
