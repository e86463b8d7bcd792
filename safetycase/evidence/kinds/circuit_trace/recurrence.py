"""Which features recur in graphs of harmful prompts more than in those of matched harmless ones, and how well that holds elsewhere."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence import stats
from safetycase.evidence.estimates import Estimates, null_record
from safetycase.evidence.kinds.circuit_trace.names import members as slots_of
from safetycase.evidence.kinds.circuit_trace.observed import HALVES, Half, Observed, Pair
from safetycase.evidence.kinds.circuit_trace.params import Ask, Read
from safetycase.evidence.kinds.circuit_trace.selection import Matched, Node, Recurring, largest_swapped, recurring, selected
from safetycase.evidence.record import Unit
from safetycase.evidence.stats import Interval, NullTest, Undefined

MOST_RESEEDED = 100
"""Resamples of the discovery families; each passes through the whole selection."""
LARGEST_NULL = "labels swapped within matched pairs, family by family: the largest difference of any candidate of each swap"
OWN_NULL = "labels swapped within matched pairs, family by family: differences of this member, which was not selected on these prompts"
RECOVERED = "members_recovered.discovery.reseeded"
BEGINNINGS = ("recurrence.", "recurrence_difference.", RECOVERED)
"""Common beginnings of the estimates that are put here."""


@dataclass(frozen=True)
class Circuit:
    """The members of the circuit hypothesis, by how much their recurrence differs."""

    members: tuple[Recurring, ...]
    candidates: int
    kept: Mapping[str, frozenset[Node]]
    """Item to the features of its pruned graph, by role."""
    discovery: Matched
    """The graphs of the pairs that members were found on."""
    why_none: str = ""
    """Why there is no member; empty where there is one."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The members' layers, features and roles."""
        return tuple(each.node for each in self.members)


def circuit_of(seen: Observed) -> Circuit:
    """The members, found again by the lab's own rule; asserts that they are those of the table of members."""
    for table in ("graphs", "graph_nodes"):
        if seen.stopped or not seen.tables.has(table):
            return Circuit((), 0, {}, Matched.of({}, ()), seen.why_absent(table))
    kept = _kept(seen)
    discovery = Matched.of(kept, graphed(seen, kept, "discovery"))
    candidates = recurring(discovery, seen.ask.minimum_recurrence, seen.ask.swaps, seen.tables.seed)
    members = tuple(selected(candidates, seen.ask.selection_alpha, seen.ask.max_members))
    _check_members(seen, members)
    return Circuit(members, len(candidates), kept, discovery, "" if members else _why_none(candidates, discovery, seen.ask))


def recurrence(seen: Observed, circuit: Circuit, read: Read, estimates: Estimates) -> tuple[float, ...]:
    """Put every estimate of how members recur; returns of each the share of resamples in which it is a member again.

    0 where families could not be drawn again.
    """
    why = circuit.why_none or f"the circuit has {len(circuit.members)} member{'' if len(circuit.members) == 1 else 's'}"
    estimates.miss([f"{each}*" for each in BEGINNINGS], why)
    if not circuit.members:
        return ()
    _put_recurrence(seen, circuit, read, estimates)
    return _put_recovered(seen, circuit, read, estimates)


def _kept(seen: Observed) -> dict[str, frozenset[Node]]:
    """A graph without kept features keeps none; an item without a graph is not there."""
    nodes: dict[str, set[Node]] = defaultdict(set)
    for row in seen.tables.table("graph_nodes").rows():
        nodes[row["item"]].add((row["layer"], row["feature"], row["role"]))
    return {item: frozenset(nodes.get(item, ())) for item in seen.tables.table("graphs")["item"].tolist()}


def graphed(seen: Observed, kept: Mapping[str, frozenset[Node]], half: Half) -> list[Pair]:
    """The pairs of which both prompts have a graph."""
    return [pair for pair in seen.pairs[half] if pair.harmful in kept and pair.harmless in kept]


def _check_members(seen: Observed, members: Sequence[Recurring]) -> None:
    if not seen.tables.has("members"):
        return
    stored = sorted(seen.tables.table("members").rows(), key=lambda row: row["member"])
    named = [(row["layer"], row["feature"], row["role"]) for row in stored]
    assert named == [each.node for each in members], f"members {named} are stored, {[each.node for each in members]} are selected"


def _why_none(candidates: Sequence[Recurring], discovery: Matched, ask: Ask) -> str:
    if not candidates:
        return f"no feature stands in the pruned graphs of {ask.minimum_recurrence:.0%} of harmful discovery prompts"
    least = min(each.p for each in candidates)
    families = len(set(discovery.families))
    few = f"; of {families} families one swap in {2**families} repeats what was seen" if 2**-families > ask.selection_alpha else ""
    return (
        f"of {len(candidates)} features that recur, none recurs more on harmful prompts than swapped labels explain "
        f"(smallest p {least:.2g}, above {ask.selection_alpha:g}{few})"
    )


def _put_recurrence(seen: Observed, found: Circuit, read: Read, estimates: Estimates) -> None:
    pairs = {half: graphed(seen, found.kept, half) for half in HALVES}
    largest = largest_swapped(found.discovery, seen.ask.minimum_recurrence, seen.ask.swaps, seen.tables.seed)
    paraphrases = paraphrased(seen, found)
    for slot, member in zip(slots_of(seen.ask), found.members, strict=False):
        sides = [presence(found, member.node, [pair[side] for pair in pairs["discovery"]]) for side in (0, 1)]
        clusters = _clusters(pairs["discovery"])
        for population, side in zip(("harmful", "harmless"), sides, strict=True):
            estimates.put(f"recurrence.{population}.discovery#{slot}", partial(stats.rate, side, clusters, read.level), Unit.FRACTION)
        nulls = [null_record(LARGEST_NULL, stats.null_test(member.difference - 1e-12, largest, "greater"))]
        made = partial(stats.rate_difference, sides[0], sides[1], clusters, read.level)
        estimates.put(f"recurrence_difference.matched.discovery#{slot}", made, Unit.FRACTION, nulls)
        _put_confirmation(seen, found, member.node, slot, pairs["confirmation"], read, estimates)
        if seen.ask.paraphrase is not None:
            again = partial(_rate, seen, found, member.node, paraphrases, read.level)
            estimates.put(f"recurrence.paraphrase.confirmation#{slot}", again, Unit.FRACTION)


def paraphrased(seen: Observed, found: Circuit) -> list[str]:
    """The paraphrased prompts that have a graph."""
    return sorted(item for item in seen.items.get("paraphrase", ()) if item in found.kept)


def _put_confirmation(
    seen: Observed, found: Circuit, node: Node, slot: str, pairs: Sequence[Pair], read: Read, estimates: Estimates
) -> None:
    name = f"recurrence_difference.matched.confirmation#{slot}"
    if not pairs:
        estimates.miss([name], "no matched pair of confirmation prompts has both graphs")
        return
    harmful, harmless = (presence(found, node, [pair[side] for pair in pairs]) for side in (0, 1))
    clusters = _clusters(pairs)
    test = swapped(harmful, harmless, clusters, seen.ask.swaps, seen.tables.seed)
    made = partial(stats.rate_difference, harmful, harmless, clusters, read.level)
    estimates.put(name, made, Unit.FRACTION, [null_record(OWN_NULL, test)])


def presence(found: Circuit, node: Node, items: Sequence[str]) -> NDArray[np.bool_]:
    """[item]: whether the node stands in the pruned graph."""
    return np.array([node in found.kept[item] for item in items], dtype=bool)


def swapped(harmful: NDArray[np.bool_], harmless: NDArray[np.bool_], clusters: NDArray[np.str_], swaps: int, seed: int) -> NullTest:
    """The difference of recurrence beside those under labels swapped within pairs, all pairs of a cluster together."""
    difference = harmful.astype(np.float64) - harmless
    _, cluster = np.unique(clusters, return_inverse=True)
    by_cluster = np.bincount(cluster, weights=difference)
    signs = 1.0 - 2.0 * np.random.default_rng(seed).integers(0, 2, size=(swaps, by_cluster.size))
    return stats.null_test(float(difference.sum()) / difference.size - 1e-12, signs @ by_cluster / difference.size, "greater")


def _clusters(pairs: Sequence[Pair]) -> NDArray[np.str_]:
    return np.array([pair.family for pair in pairs], dtype=np.str_)


def _rate(seen: Observed, found: Circuit, node: Node, items: Sequence[str], level: float) -> Interval:
    if not items:
        raise Undefined("no graph of a paraphrased prompt was stored")
    return stats.rate(presence(found, node, items), seen.clusters(items), level)


def _put_recovered(seen: Observed, found: Circuit, read: Read, estimates: Estimates) -> tuple[float, ...]:
    """The share of members that the rule finds again in other samples of as many families; returns it member by member."""
    discovery = found.discovery
    families = np.unique(np.asarray(discovery.families))
    if families.size < 2:
        estimates.miss([RECOVERED], f"all {len(discovery.families)} discovery pairs are of one family: there is nothing to draw again")
        return (0.0,) * len(found.members)
    resamples = min(read.resamples, MOST_RESEEDED)
    again = np.array([_selected_again(seen, found, number) for number in range(resamples)])
    estimates.put(RECOVERED, partial(_recovered, again, discovery, families.size, read.level), Unit.FRACTION)
    return tuple(again.mean(axis=0).tolist())


def _selected_again(seen: Observed, found: Circuit, number: int) -> list[bool]:
    """Of each member, whether one resample of families selects it; a family that is drawn twice counts as two."""
    rng = np.random.default_rng([seen.tables.seed, number])
    labels = np.asarray(found.discovery.families)
    families = np.unique(labels)
    rows, names = [], []
    for place, family in enumerate(rng.choice(families, size=families.size)):
        own = np.flatnonzero(labels == family)
        rows.append(own)
        names += [f"{place:06d}"] * own.size
    drawn = replace(found.discovery.take(np.concatenate(rows)), families=tuple(names))
    candidates = recurring(drawn, seen.ask.minimum_recurrence, seen.ask.swaps, seen.tables.seed + 1 + number)
    nodes = {each.node for each in selected(candidates, seen.ask.selection_alpha, seen.ask.max_members)}
    return [node in nodes for node in found.nodes]


def _recovered(again: NDArray[np.bool_], discovery: Matched, families: int, level: float) -> Interval:
    shares = again.mean(axis=1)
    value = float(shares.mean())
    low, high = (float(q) for q in np.quantile(shares, [(1 - level) / 2, (1 + level) / 2]))
    method = f"share of {again.shape[1]} members in {len(shares)} bootstrap samples of families, percentiles"
    if low == high:
        differs = 1 - ((1 - level) / 2) ** (1 / families)
        low, high = value - differs * value, value + differs * (1 - value)
        method = f"share of {again.shape[1]} members, Clopper-Pearson bound on the share of {families} families that differs"
    return Interval(value, min(low, value), max(high, value), level, len(discovery.families), families, method)
