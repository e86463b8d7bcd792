"""Where one state of the residual stream carries the difference: activation patching by layer and role, without any dictionary."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence import stats
from safetycase.evidence.estimates import Estimates
from safetycase.evidence.kinds.circuit_trace.findings import HeatCell
from safetycase.evidence.kinds.circuit_trace.observed import CONFIRMATION, HALVES, Half, Observed
from safetycase.evidence.kinds.circuit_trace.params import Read
from safetycase.evidence.record import Unit
from safetycase.evidence.stats import Interval, Undefined
from safetycase.evidence.tables import Table

ESTIMATES = {"denoise": "patched_change.harmless.denoised", "noise": "patched_change.harmful.noised"}
"""Direction to estimate, whose population is the run that is patched."""
Cell = tuple[str, int, str]
"""Direction, layer, role."""


def patching(seen: Observed, read: Read, estimates: Estimates) -> tuple[HeatCell, ...]:
    """Put the change at the cell with the largest share on discovery pairs, measured on confirmation pairs; returns all cells of both."""
    cells = {half: cells_of(seen, half) for half in HALVES}
    if not cells["confirmation"]:
        why = seen.rows("patching", split=CONFIRMATION)
        estimates.miss(ESTIMATES.values(), why if isinstance(why, str) else "no confirmation pair was patched")
    else:
        for direction, name in ESTIMATES.items():
            estimates.put(name, partial(_change, seen, cells, direction, read), Unit.NATS)
    return tuple(
        cell for half in HALVES for key, rows in sorted(cells[half].items()) if (cell := _heat(seen, half, key, rows, read)) is not None
    )


def cells_of(seen: Observed, half: Half) -> Mapping[Cell, Table]:
    """The rows of every cell, by pair."""
    table = seen.rows("patching")
    if isinstance(table, str):
        return {}
    own = table.take((table["split"] == CONFIRMATION) == (half == "confirmation"))
    return {
        (key[0], key[1], key[2]): rows.take(np.argsort(rows["pair"].astype(np.str_), kind="stable"))
        for key, rows in own.by("direction", "layer", "role").items()
    }


def peak(discovery: Mapping[Cell, Table], direction: str) -> Cell | None:
    """The cell of the largest share on discovery pairs; of equal ones the first by layer and role."""
    shares = {cell: share for cell, rows in discovery.items() if cell[0] == direction and (share := _share(rows)) is not None}
    return min(shares, key=lambda cell: (-shares[cell], cell)) if shares else None


def _share(rows: Table) -> float | None:
    """(patched - corrupted) / (clean - corrupted), each summed over pairs; None where the runs do not differ."""
    below = float((rows["clean"] - rows["corrupted"]).sum())
    return float((rows["patched"] - rows["corrupted"]).sum()) / below if below else None


def _change(seen: Observed, cells: Mapping[Half, Mapping[Cell, Table]], direction: str, read: Read) -> Interval:
    found = peak(cells["discovery"], direction)
    if found is None:
        raise Undefined("no discovery pair was patched: no cell could be chosen")
    rows = cells["confirmation"].get(found)
    if rows is None:
        raise Undefined(f"the cell chosen on discovery pairs, layer {found[1]} at {found[2]}, was not patched on confirmation pairs")
    made = stats.mean(
        rows["patched"] - rows["corrupted"], pair_clusters(seen, rows["pair"].tolist()), read.level, seen.tables.seed, read.resamples
    )  # fmt: skip
    return replace(made, method=f"layer {found[1]} at {found[2]}, chosen on discovery pairs; {made.method}")


def pair_clusters(seen: Observed, pairs: Iterable[str]) -> NDArray[np.str_]:
    """The cluster of each pair, named by its harmful item."""
    clusters = {pair.harmful: pair.family for half in HALVES for pair in seen.pairs[half]}
    return np.array([clusters.get(pair, seen.families[pair]) for pair in pairs], dtype=np.str_)


def _heat(seen: Observed, half: Half, cell: Cell, rows: Table, read: Read) -> HeatCell | None:
    value = _share(rows)
    if value is None:
        return None
    direction, layer, role = cell
    low, high = None, None
    try:
        made = stats.ratio(
            rows["patched"] - rows["corrupted"], rows["clean"] - rows["corrupted"], pair_clusters(seen, rows["pair"].tolist()), read.level
        )
    except Undefined:
        pass
    else:
        value, (low, high) = made.value, (made.low, made.high) if made.low < made.high else (None, None)
    return HeatCell(
        layer=layer, role=role, direction="denoise" if direction == "denoise" else "noise", split=half, value=value, low=low, high=high
    )
