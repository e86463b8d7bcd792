"""How much of the computation the graphs of confirmation prompts explain, whole and pruned, beside random subgraphs."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from safetycase.evidence.circuits.random_circuits import standing
from safetycase.evidence.estimates import Estimates, null_record
from safetycase.evidence.kinds.circuit_trace.names import GRAPHED, SCORES, SUBGRAPH_SCORES
from safetycase.evidence.kinds.circuit_trace.observed import CONFIRMATION, Observed
from safetycase.evidence.kinds.circuit_trace.params import Read
from safetycase.evidence.record import Null, Unit
from safetycase.evidence.tables import Table

COUNTS: Mapping[str, str] = {"active_features": "active", "kept_features": "kept_features"}
"""Quantity to column."""
NULL = "random subgraphs of as many features of every layer as the pruned graph, drawn from the active ones; means over the same prompts"
SHARE = (0.0, 1.0)


def graphs(seen: Observed, read: Read, estimates: Estimates) -> None:
    """Put the scores of both classes; intervals are over families."""
    for population in GRAPHED:
        rows = seen.rows("graphs", population=population, split=CONFIRMATION)
        if isinstance(rows, str):
            estimates.miss([f"{quantity}.{population}.*" for quantity in (*SCORES, *SUBGRAPH_SCORES, *COUNTS)], rows)
            continue
        rows = rows.take(np.argsort(rows["item"].astype(np.str_), kind="stable"))
        _put_scores(seen, population, rows, read, estimates)
        _put_counts(seen, population, rows, read, estimates)


def _put_scores(seen: Observed, population: str, rows: Table, read: Read, estimates: Estimates) -> None:
    for score in SCORES:
        known = rows.take(np.isfinite(rows[score]))
        if not len(known):
            estimates.miss([f"{score}.{population}.graph"], "it could be had of no graph")
            continue
        made = partial(seen.mean, known["item"].tolist(), known[score], read, bounds=None if score == "reconstructed" else SHARE)
        estimates.put(f"{score}.{population}.graph", made, Unit.FRACTION)
    items = rows["item"].tolist()
    for score in SUBGRAPH_SCORES:
        made = partial(seen.mean, items, rows[score], read, bounds=SHARE)
        nulls = _nulls(seen, items, score.removeprefix("subgraph_"), float(rows[score].mean()))
        estimates.put(f"{score}.{population}.pruned", made, Unit.FRACTION, nulls)


def _nulls(seen: Observed, items: Sequence[str], score: str, reached: float) -> tuple[Null, ...]:
    """Draw by draw, the mean over all of these prompts; draws that not every prompt has are left out, and ties count against."""
    table = seen.rows("graph_nulls", item=set(items))
    if isinstance(table, str):
        return ()
    means = [float(rows[score].mean()) for rows in table.by("draw").values() if set(rows["item"].tolist()) == set(items)]
    return (null_record(NULL, standing(reached, means).test),) if means else ()


def _put_counts(seen: Observed, population: str, rows: Table, read: Read, estimates: Estimates) -> None:
    for quantity, column in COUNTS.items():
        condition = "graph" if quantity == "active_features" else "pruned"
        made = partial(seen.mean, rows["item"].tolist(), rows[column], read)
        estimates.put(f"{quantity}.{population}.{condition}", made, Unit.COUNT)
