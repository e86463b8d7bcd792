"""Members that write alike, aim alike and appear together, grouped and named without anybody's hand."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from safetycase.evidence.kinds.circuit_trace.findings import CircuitEdge, Member, Supernode
from safetycase.evidence.kinds.circuit_trace.observed import Observed
from safetycase.evidence.kinds.circuit_trace.params import Read
from safetycase.evidence.kinds.circuit_trace.recurrence import Circuit, presence

TARGET = 0
"""The number that stands for the target among the ends of edges."""
FEWEST_SHARED = 2
"""Ends that two members can both reach from which on what they aim at is compared: of one end nothing but the sign could be."""
TOKENS_NAMED = 3
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Edge:
    """An edge of the hypothesis by numbers of members."""

    weight: float
    kept: float


def supernodes(seen: Observed, circuit: Circuit, members: Sequence[Member], read: Read) -> tuple[Supernode, ...]:
    """Groups of members by average linkage: two groups join where the mean likeness of their members is at least `same_supernode`.

    Likeness is the mean of those that can be had of: cosine of decoders, cosine of outgoing edges to what both can reach (members above
    both, and the target), and the share of harmful discovery graphs with either that hold both (Jaccard). Every member is in one group;
    groups stand by their largest effect, each named by the member that has it.
    """
    if not members:
        return ()
    if len(members) == 1:
        groups = [[0]]
    else:
        distance = np.clip(1 - likeness(seen, circuit), 0.0, None)
        np.fill_diagonal(distance, 0.0)
        tree = hierarchy.linkage(squareform(distance, checks=False), method="average")
        labels = hierarchy.fcluster(tree, 1 - read.same_supernode + 1e-9, criterion="distance").tolist()
        by_label: dict[int, list[int]] = defaultdict(list)
        for place, label in enumerate(labels):
            by_label[label].append(place)
        groups = list(by_label.values())
    effects = [-abs(member.effect) for member in members]
    inside = [sorted(group, key=lambda place: (effects[place], place)) for group in groups]
    ordered = sorted(inside, key=lambda group: (effects[group[0]], group[0]))
    return _named([[members[place] for place in group] for group in ordered])


def likeness(seen: Observed, circuit: Circuit) -> Values:
    """[member, member]: the mean of the likenesses that can be had, symmetric, 1 on the diagonal; negative where two write apart."""
    count = len(circuit.members)
    decoders, outgoing, together = _decoders(seen), _outgoing(seen), _together(seen, circuit)
    found = np.eye(count)
    for one, other in combinations(range(count), 2):
        parts = [together[one, other]]
        if (one + 1, other + 1) in decoders:
            parts.append(decoders[one + 1, other + 1])
        aimed = _aimed(circuit, outgoing, one, other)
        if aimed is not None:
            parts.append(aimed)
        found[one, other] = found[other, one] = float(np.mean(parts))
    return found


def edges_of(seen: Observed, slots: Sequence[str]) -> tuple[CircuitEdge, ...]:
    """The edges of the hypothesis, by member."""
    named = {TARGET: "target", **dict(enumerate(slots, start=1))}
    return tuple(
        CircuitEdge(source=named[source], target=named[target], weight=edge.weight, share=edge.kept)
        for (source, target), edge in sorted(_edges(seen).items())
        if source in named and target in named
    )


def _edges(seen: Observed) -> dict[tuple[int, int], Edge]:
    """Mean over the harmful discovery prompts on which both ends are active: the table has a row for each."""
    table = seen.rows("member_edges")
    if isinstance(table, str):
        return {}
    found = {}
    for (source, target), rows in table.by("source", "target").items():
        found[source, target] = Edge(float(np.sort(rows["weight"]).mean()), float(rows["kept"].mean()))
    return found


def _decoders(seen: Observed) -> Mapping[tuple[int, int], float]:
    rows = seen.rows("likeness")
    return {} if isinstance(rows, str) else {(row["one"], row["other"]): row["decoders"] for row in rows.rows()}


def _outgoing(seen: Observed) -> Mapping[int, Mapping[int, float]]:
    found: dict[int, dict[int, float]] = defaultdict(dict)
    for (source, target), edge in _edges(seen).items():
        found[source][target] = edge.weight
    return found


def _aimed(circuit: Circuit, outgoing: Mapping[int, Mapping[int, float]], one: int, other: int) -> float | None:
    """Cosine of outgoing edges over the ends that both can reach; None where there are too few, or one has no edge to them."""
    highest = max(circuit.nodes[one][0], circuit.nodes[other][0])
    shared = [TARGET, *(number for number, node in enumerate(circuit.nodes, start=1) if node[0] > highest)]
    if len(shared) < FEWEST_SHARED:
        return None
    a, b = (np.array([outgoing.get(place + 1, {}).get(end, 0.0) for end in shared]) for place in (one, other))
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else None


def _together(seen: Observed, circuit: Circuit) -> Values:
    """[member, member]: of harmful discovery graphs that hold either, the share that holds both."""
    items = [pair.harmful for pair in seen.pairs["discovery"] if pair.harmful in circuit.kept]
    stands = np.stack([presence(circuit, node, items) for node in circuit.nodes]).astype(np.float64)
    both = stands @ stands.T
    either = stands.sum(axis=1)[:, None] + stands.sum(axis=1)[None, :] - both
    share: Values = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
    return share


def _named(groups: Sequence[Sequence[Member]]) -> tuple[Supernode, ...]:
    """A name that comes again gets its number."""
    seen_names: dict[str, int] = defaultdict(int)
    found = []
    for group in groups:
        name = name_of(group[0])
        seen_names[name] += 1
        unique = name if seen_names[name] == 1 else f"{name} ({seen_names[name]})"
        found.append(Supernode(name=unique, members=tuple(member.slot for member in group)))
    return tuple(found)


def name_of(member: Member) -> str:
    """Its label; without one the tokens that it raises most; without these its layer and number."""
    if member.label:
        return member.label
    if member.raises:
        return "raises " + ", ".join(f"“{token}”" for token in member.raises[:TOKENS_NAMED])
    return f"layer {member.layer}, feature {member.feature}"
