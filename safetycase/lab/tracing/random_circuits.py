"""Circuits that stand for chance: of every member a feature of its layer and role that is active, connected to the target, and like it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence.kinds.circuit_trace.selection import Node

NEAREST = 12
"""Features of a layer and role among which a lot is drawn for each member: the nearest in strength and recurrence."""


@dataclass(frozen=True)
class Candidate:
    """A feature at a role, as it shows in the pruned graphs of harmful discovery prompts."""

    node: Node
    strength: float
    """Norm of what it writes: decoder norm times mean activation."""
    share: float
    """Of these prompts, on how many it stands in the graph."""


@dataclass(frozen=True)
class RandomCircuits:
    """The circuits, and how their features were matched."""

    circuits: tuple[tuple[Node, ...], ...]
    note: str


def random_circuits(candidates: Sequence[Candidate], members: Sequence[Node], minimum: float, count: int, seed: int) -> RandomCircuits:
    """So many circuits of as many features as there are members, where enough are to be had.

    For each member a feature is drawn from the nearest of its layer and role, in the logarithm of strength and of recurrence, each in
    units of its spread: first those that recur at least as often as members must, then those that recur less often. Only where its layer
    and role has none left are other roles of the layer drawn from, then other layers. No feature stands twice in a circuit, no member in
    any.
    """
    others = [each for each in candidates if each.node not in set(members)]
    known = {each.node: each for each in candidates}
    if not members or len(others) < len(members):
        return RandomCircuits((), f"only {len(others)} features that are no members stand in graphs of harmful discovery prompts")
    ranked = {member: _ranked(known[member], others, minimum) for member in members}
    rng = np.random.default_rng(seed)
    circuits = tuple(_drawn(members, ranked, [each.node for each in others], rng) for _ in range(count))
    return RandomCircuits(circuits, _note(members, circuits, len(others)))


def _ranked(member: Candidate, others: Sequence[Candidate], minimum: float) -> NDArray[np.int64]:
    """Places of the others, best match first."""
    at = np.log(np.array([[max(each.strength, 1e-12), max(each.share, 1e-3)] for each in (member, *others)]))
    spread = at.std(axis=0)
    distance = np.linalg.norm((at[1:] - at[0]) / np.where(spread > 0, spread, 1.0), axis=1)
    worse = np.array([2 * _apart(member.node, each.node) + (each.share < minimum) for each in others])
    order: NDArray[np.int64] = np.lexsort((np.arange(len(others)), distance, worse))
    return order


def _apart(member: Node, other: Node) -> int:
    """0 of the same layer and role, 1 of the same layer, 2 of another."""
    return 2 if other[0] != member[0] else int(other[2] != member[2])


def _drawn(
    members: Sequence[Node], ranked: Mapping[Node, NDArray[np.int64]], others: Sequence[Node], rng: np.random.Generator
) -> tuple[Node, ...]:
    taken: set[int] = set()
    for index in rng.permutation(len(members)):
        member = members[index]
        free = [place for place in ranked[member].tolist() if place not in taken]
        like = [place for place in free if _apart(member, others[place]) == _apart(member, others[free[0]])]
        taken.add(like[int(rng.integers(min(NEAREST, len(like))))])
    return tuple(sorted(others[place] for place in taken))


def _note(members: Sequence[Node], circuits: Sequence[Sequence[Node]], n_others: int) -> str:
    """How the draws match the members, counted."""
    wanted: dict[tuple[int, str], int] = defaultdict(int)
    for layer, _, role in members:
        wanted[layer, role] += 1
    matched = 0
    for circuit in circuits:
        found: dict[tuple[int, str], int] = defaultdict(int)
        for layer, _, role in circuit:
            found[layer, role] += 1
        matched += sum(min(count, found[place]) for place, count in wanted.items())
    share = matched / (len(circuits) * len(members)) if circuits else 0.0
    return (
        f"drawn from {n_others} other features in pruned graphs of harmful discovery prompts, of each member's layer and role in "
        f"{share:.0%} of draws, among the {NEAREST} nearest in decoder norm times mean activation and in recurrence"
    )
