"""How faithful circuits of heads and MLPs are by their share of edges, beside random circuits of as many edges."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence import stats
from safetycase.evidence.circuits.faithfulness import areas, faithfulness, faithfulness_interval
from safetycase.evidence.circuits.random_circuits import standing
from safetycase.evidence.estimates import Estimates, null_record
from safetycase.evidence.kinds.circuit_trace.findings import CurvePoint, ScoredEdge
from safetycase.evidence.kinds.circuit_trace.names import edge_share
from safetycase.evidence.kinds.circuit_trace.observed import Observed
from safetycase.evidence.kinds.circuit_trace.params import Read
from safetycase.evidence.kinds.circuit_trace.patching import pair_clusters
from safetycase.evidence.record import Null, Unit
from safetycase.evidence.stats import Interval, NullTest, Undefined

NULL = "circuits of as many edges between the same kinds of component in the same layers, drawn by lot, on the same pairs"
TOP_EDGES = 50
OWN, COMPLEMENT, FULL, EMPTY = "circuit", "complement", "full", "empty"
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Log-odds of pairs, in one order, by circuit and share."""

    clusters: NDArray[np.str_]
    full: Values
    empty: Values
    circuits: Mapping[float, Mapping[str, Values]]
    """Share of edges to circuit to log-odds, where every pair has them."""
    edges: Mapping[float, int]

    @property
    def shares(self) -> tuple[float, ...]:
        """Shares at which the circuit was measured, ascending."""
        return tuple(sorted(share for share, found in self.circuits.items() if OWN in found))

    def point(self, share: float, circuit: str) -> float:
        """Faithfulness over all pairs; raises Undefined where the model does what the empty circuit does."""
        return faithfulness(self.circuits[share][circuit], self.empty, self.full)

    def randoms(self, share: float) -> tuple[str, ...]:
        """Random circuits of this share, in order of their names."""
        return tuple(sorted(self.circuits[share].keys() - {OWN, COMPLEMENT}))


def edge_curve(seen: Observed, read: Read, estimates: Estimates) -> tuple[CurvePoint, ...]:
    """Put faithfulness at every share, of circuit and complement, and the areas CPR and CMD; returns the points that could be had."""
    curve = _curve(seen)
    patterns = ["faithfulness.matched.*", "cpr.matched.*", "cmd.matched.*"]
    if isinstance(curve, str):
        estimates.miss(patterns, curve)
        return ()
    estimates.miss(patterns, "no circuit of this share was measured on all confirmation pairs")
    for share in curve.shares:
        item = edge_share(share)
        nulls = _nulls(_beside(curve, share))
        estimates.put(f"faithfulness.matched.edge-circuit#{item}", partial(_interval, curve, share, OWN, read), Unit.FRACTION, nulls)
        if COMPLEMENT in curve.circuits[share]:
            made = partial(_interval, curve, share, COMPLEMENT, read)
            estimates.put(f"faithfulness.matched.edge-complement#{item}", made, Unit.FRACTION)
    _put_areas(curve, read, estimates)
    points = (_point(curve, share) for share in curve.shares)
    return tuple(point for point in points if point is not None)


def top_edges(seen: Observed) -> tuple[ScoredEdge, ...]:
    """The edges of largest absolute score."""
    rows = seen.rows("edges")
    if isinstance(rows, str):
        return ()
    ranked = sorted(rows.rows(), key=lambda row: (row["rank"], row["source"], row["target"]))[:TOP_EDGES]
    return tuple(ScoredEdge(source=row["source"], target=row["target"], score=row["score"]) for row in ranked)


def _curve(seen: Observed) -> Curve | str:
    table = seen.rows("edge_curve")
    if isinstance(table, str):
        return table
    found: dict[tuple[str, float], dict[str, float]] = defaultdict(dict)
    edges: dict[float, int] = {}
    for row in table.rows():
        found[row["circuit"], row["share"]][row["pair"]] = row["log_odds"]
        if row["circuit"] == OWN:
            edges[row["share"]] = row["edges"]
    ends = {name: next((values for (circuit, _), values in found.items() if circuit == name), {}) for name in (FULL, EMPTY)}
    pairs = sorted(ends[FULL].keys() & ends[EMPTY].keys())
    if not pairs:
        return "no pair was run both with all edges and with none"
    full, empty = (np.array([ends[name][pair] for pair in pairs]) for name in (FULL, EMPTY))
    circuits: dict[float, dict[str, Values]] = defaultdict(dict)
    for (circuit, share), values in found.items():
        if circuit not in (FULL, EMPTY) and values.keys() >= set(pairs):
            circuits[share][circuit] = np.array([values[pair] for pair in pairs])
    return Curve(pair_clusters(seen, pairs), full, empty, dict(circuits), edges)


def _interval(curve: Curve, share: float, circuit: str, read: Read) -> Interval:
    made = faithfulness_interval(curve.circuits[share][circuit], curve.empty, curve.full, curve.clusters, read.level)
    return replace(made, method=f"{curve.edges[share]} edges; {made.method}")


def _beside(curve: Curve, share: float) -> NullTest | None:
    randoms = curve.randoms(share)
    if not randoms:
        return None
    try:
        return standing(curve.point(share, OWN), [curve.point(share, each) for each in randoms], "greater").test
    except Undefined:
        return None


def _nulls(test: NullTest | None) -> tuple[Null, ...]:
    return () if test is None else (null_record(NULL, test),)


def _point(curve: Curve, share: float) -> CurvePoint | None:
    """A point of the figure; where no random circuit was drawn, as of all edges, there is but one circuit: the circuit itself."""
    try:
        own = curve.point(share, OWN)
        rest = curve.point(share, COMPLEMENT) if COMPLEMENT in curve.circuits[share] else None
    except Undefined:
        return None
    test = _beside(curve, share)
    if rest is None or (test is None and share < 1):
        return None
    low, middle, high = (own,) * 3 if test is None else (test.quantiles[each] for each in ("0.05", "0.5", "0.95"))
    return CurvePoint(
        share=share, edges=curve.edges[share], faithfulness=own, completeness=rest, random_low=low, random_middle=middle,
        random_high=high, p=1.0 if test is None else test.p,
    )  # fmt: skip


def _put_areas(curve: Curve, read: Read, estimates: Estimates) -> None:
    names = ("cpr.matched.edge-circuit", "cmd.matched.edge-circuit")
    if len(curve.shares) < 2:
        estimates.miss(names, "circuits of fewer than two shares were measured: there is no area")
        return
    try:
        points = [curve.point(share, OWN) for share in curve.shares]
    except Undefined as undefined:
        estimates.miss(names, undefined.reason)
        return
    own, nulls = areas(curve.shares, points), _random_areas(curve)
    for name, value, others, side in (
        (names[0], own.cpr, [each[0] for each in nulls], "greater"),
        (names[1], own.cmd, [each[1] for each in nulls], "less"),
    ):
        test = standing(value, others, "greater" if side == "greater" else "less").test if others else None
        estimates.put(name, partial(_area, curve, points, name.startswith("cmd"), read), Unit.FRACTION, _nulls(test))


def _random_areas(curve: Curve) -> list[tuple[float, float]]:
    """CPR and CMD of every random circuit that was measured at each share; where none was drawn, the circuit's own point stands."""
    by_share = {share: set(curve.randoms(share)) for share in curve.shares}
    drawn = [found for found in by_share.values() if found]
    names = sorted(set.intersection(*drawn)) if drawn else []
    found = []
    for name in names:
        made = areas(curve.shares, [curve.point(share, name if by_share[share] else OWN) for share in curve.shares])
        found.append((made.cpr, made.cmd))
    return found


def _area(curve: Curve, points: Sequence[float], distance: bool, read: Read) -> Interval:
    """Both areas are weighted sums of the points by the trapezoid rule, hence ratios of sums over pairs.

    Of CMD the signs of 1 - f are taken as they were measured: its interval is too high, never too low, where f lies near 1.
    """
    weights = _trapezoid(curve.shares)
    effect = curve.full - curve.empty
    above = np.zeros_like(effect)
    for share, weight, point in zip(curve.shares, weights, points, strict=True):
        restored = curve.circuits[share][OWN] - curve.empty
        above += weight * (np.sign(1 - point) * (effect - restored) if distance else restored)
    made = stats.ratio(above, effect, curve.clusters, read.level)
    low = min(max(made.low, 0.0), made.value) if distance else made.low
    rule = "area by trapezoids divided by its range, a ratio of sums"
    return replace(made, low=low, method=f"{rule} over shares {curve.shares[0]:g} to {curve.shares[-1]:g}; {made.method}")


def _trapezoid(shares: Sequence[float]) -> Values:
    """Weight of each point in the area under a curve through them, divided by the range that they cover."""
    gaps = np.diff(np.asarray(shares)) / (shares[-1] - shares[0])
    weights: Values = (np.append(gaps, 0.0) + np.append(0.0, gaps)) / 2
    return weights
