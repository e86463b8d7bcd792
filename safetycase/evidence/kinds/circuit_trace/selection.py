"""Which features are members of the circuit: those that recur more in graphs of harmful prompts than of matched harmless ones."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Node = tuple[int, int, str]
"""Layer, feature, role."""
Presence = NDArray[np.float64]
"""[pair, node]: 1 where the node stands in the pruned graph of the pair's prompt."""


@dataclass(frozen=True)
class Recurring:
    """A candidate with how often it recurs on either side."""

    node: Node
    harmful: float
    harmless: float
    p: float
    """Share of swaps, with one added to both counts, in which any candidate differs as much."""

    @property
    def difference(self) -> float:
        """Share of harmful graphs less share of harmless graphs."""
        return self.harmful - self.harmless


@dataclass(frozen=True)
class Matched:
    """The graphs of matched pairs: which nodes they hold, and the family of each pair."""

    nodes: tuple[Node, ...]
    harmful: Presence
    harmless: Presence
    families: tuple[str, ...]

    @classmethod
    def of(cls, kept: Mapping[str, Collection[Node]], pairs: Sequence[tuple[str, str, str]]) -> "Matched":
        """From the nodes that each item's pruned graph keeps; pairs are (harmful item, harmless item, family)."""
        nodes = tuple(sorted({node for pair in pairs for item in pair[:2] for node in kept[item]}))
        place = {node: index for index, node in enumerate(nodes)}
        sides = np.zeros((2, len(pairs), len(nodes)))
        for row, pair in enumerate(pairs):
            for side in (0, 1):
                sides[side, row, [place[node] for node in kept[pair[side]]]] = 1.0
        return cls(nodes, sides[0], sides[1], tuple(family for _, _, family in pairs))

    def take(self, rows: NDArray[np.int64]) -> "Matched":
        """Some pairs, perhaps more than once."""
        return Matched(self.nodes, self.harmful[rows], self.harmless[rows], tuple(self.families[row] for row in rows))


def recurring(graphs: Matched, minimum: float, swaps: int, seed: int) -> list[Recurring]:
    """The candidates, those first that differ most: nodes that stand in at least the share `minimum` of harmful graphs.

    Null: labels swapped within matched pairs, all pairs of a family together (they are not independent); each swap passes through the same
    choice of candidates, and its largest difference stands for all of them (Westfall and Young 1993: the family-wise error holds).
    """
    if not graphs.nodes or not graphs.families:
        return []
    harmful, harmless = graphs.harmful.mean(axis=0), graphs.harmless.mean(axis=0)
    largest = largest_swapped(graphs, minimum, swaps, seed)
    found = []
    for index in np.flatnonzero(harmful >= minimum):
        difference = harmful[index] - harmless[index]
        p = (1 + int((largest >= difference - 1e-12).sum())) / (1 + swaps)
        found.append(Recurring(graphs.nodes[index], float(harmful[index]), float(harmless[index]), p))
    return sorted(found, key=lambda each: (-each.difference, each.node))


def selected(candidates: Sequence[Recurring], alpha: float, most: int) -> list[Recurring]:
    """The members: of the candidates that pass, those that differ most."""
    return [each for each in candidates if each.p <= alpha][:most]


def largest_swapped(graphs: Matched, minimum: float, swaps: int, seed: int) -> NDArray[np.float64]:
    """[swap]: the largest difference of any candidate under swapped labels; -1 where there is no candidate."""
    reachable = np.maximum(graphs.harmful, graphs.harmless).mean(axis=0) >= minimum  # no swap makes a candidate of any other node
    if not reachable.any():
        return np.full(swaps, -1.0)
    harmful, harmless = graphs.harmful[:, reachable], graphs.harmless[:, reachable]
    _, family = np.unique(np.asarray(graphs.families), return_inverse=True)
    signs = np.random.default_rng(seed).integers(0, 2, size=(swaps, int(family.max()) + 1))[:, family].astype(np.float64)
    count = len(graphs.families)
    swapped_share = ((1 - signs) @ harmful + signs @ harmless) / count
    difference = (1 - 2 * signs) @ (harmful - harmless) / count
    largest: NDArray[np.float64] = np.where(swapped_share >= minimum, difference, -1.0).max(axis=1)
    return largest


def clusters_of(families: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The cluster of every pair from the families of its harmful and its harmless prompt: pairs that a chain of families joins are one.

    Where pairs share a family that is the cluster. Each goes by the first of its families, in order of the alphabet.
    """
    first: dict[str, str] = {}

    def root(family: str) -> str:
        while (above := first.setdefault(family, family)) != family:
            family = above
        return family

    for one, other in families:
        roots = sorted((root(one), root(other)))
        first[roots[1]] = roots[0]
    return tuple(root(one) for one, _ in families)
