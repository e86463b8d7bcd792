"""Whether single members and edges do what the graphs predict: exactly with patterns and scales frozen, by rank in the free model."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from safetycase.evidence import stats
from safetycase.evidence.estimates import Estimates
from safetycase.evidence.kinds.circuit_trace.observed import CONFIRMATION, Observed
from safetycase.evidence.kinds.circuit_trace.params import Read
from safetycase.evidence.kinds.circuit_trace.recurrence import Circuit
from safetycase.evidence.record import Unit
from safetycase.evidence.tables import Table

CHECKS = {"node_prediction.harmful.nodes": "node_checks", "edge_prediction.harmful.edges": "edge_checks"}
"""Estimate to table."""


@dataclass(frozen=True)
class Exactness:
    """How far the two identities that must hold to rounding are from holding; None where they were not checked."""

    edge_sums: float | None
    frozen: float | None
    frozen_edges: int


def checks(seen: Observed, circuit: Circuit, read: Read, estimates: Estimates) -> None:
    """Put the rank correlations of predicted and measured change over (prompt, member) and over (prompt, edge)."""
    for name, table in CHECKS.items():
        rows = circuit.why_none or _checked(seen, table)
        if isinstance(rows, str):
            estimates.miss([name], rows)
            continue
        made = partial(stats.spearman, rows["predicted"], rows["measured"], seen.clusters(rows["item"].tolist()), read.level)
        estimates.put(name, made, Unit.CORRELATION)


def _checked(seen: Observed, table: str) -> Table | str:
    return seen.rows(table, population="harmful", split=CONFIRMATION)


def predicted_measured(seen: Observed, circuit: Circuit) -> tuple[tuple[float, float], ...]:
    """(predicted, measured) change of the target over members and prompts, for the figure."""
    rows = circuit.why_none or _checked(seen, "node_checks")
    if isinstance(rows, str):
        return ()
    rows = rows.take(np.lexsort((rows["member"], rows["item"].astype(np.str_))))
    return tuple(zip(rows["predicted"].tolist(), rows["measured"].tolist(), strict=True))


def exactness(seen: Observed) -> Exactness:
    """The largest residuals over all graphs, and over all frozen interventions."""
    graphs, frozen = seen.rows("graphs"), seen.rows("frozen")
    return Exactness(
        edge_sums=None if isinstance(graphs, str) else float(graphs["exactness"].max()),
        frozen=None if isinstance(frozen, str) else float(frozen["residual"].max()),
        frozen_edges=0 if isinstance(frozen, str) else int(frozen["edges"].sum()),
    )
