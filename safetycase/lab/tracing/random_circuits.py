"""Circuits that stand for chance: features of the members' layers and roles that are active, connected to the target, and like them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from safetycase.evidence.kinds.circuit_trace.selection import Node

Stratum = tuple[int, str, bool]
"""Layer, role, and whether a feature is of the stronger half there."""


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


def random_circuits(candidates: Sequence[Candidate], members: Sequence[Node], count: int, seed: int) -> RandomCircuits:
    """So many circuits with as many features of each stratum as the members have, where every stratum offers another choice.

    Strata are the layer, the role, and the half of the features there, by strength and recurrence together (logarithms, each in units of
    its spread), that a feature belongs to. Draws are uniform within strata and may hold members: were the members themselves such a draw,
    each circuit would be as likely as theirs, so that (1 + b) / (1 + N) is a p value. A null without them would be too easy to beat.
    """
    strata = _strata(candidates)
    wanted = Counter(strata[member] for member in members)
    pools = {stratum: sorted(node for node, own in strata.items() if own == stratum) for stratum in wanted}
    if not members or all(len(pools[stratum]) == n for stratum, n in wanted.items()):
        return RandomCircuits((), "no feature but the members stands in graphs of harmful discovery prompts at their layers and roles")
    rng = np.random.default_rng(seed)
    circuits = tuple(_drawn(wanted, pools, rng) for _ in range(count))
    return RandomCircuits(circuits, _note(wanted, pools, circuits))


def _strata(candidates: Sequence[Candidate]) -> dict[Node, Stratum]:
    """Of every feature; a feature at the median is of the stronger half."""
    places: dict[tuple[int, str], list[Candidate]] = defaultdict(list)
    for each in candidates:
        places[each.node[0], each.node[2]].append(each)
    found: dict[Node, Stratum] = {}
    for (layer, role), here in places.items():
        logs = np.log(np.array([[max(each.strength, 1e-12), max(each.share, 1e-3)] for each in here]))
        spread = logs.std(axis=0)
        score = ((logs - logs.mean(axis=0)) / np.where(spread > 0, spread, 1.0)).sum(axis=1)
        stronger = score >= np.median(score)
        found |= {each.node: (layer, role, bool(above)) for each, above in zip(here, stronger, strict=True)}
    return found


def _drawn(wanted: Mapping[Stratum, int], pools: Mapping[Stratum, Sequence[Node]], rng: np.random.Generator) -> tuple[Node, ...]:
    chosen = [pools[stratum][place] for stratum, n in wanted.items() for place in rng.permutation(len(pools[stratum]))[:n].tolist()]
    return tuple(sorted(chosen))


def _note(wanted: Mapping[Stratum, int], pools: Mapping[Stratum, Sequence[Node]], circuits: Sequence[Sequence[Node]]) -> str:
    """What was drawn from, counted."""
    sizes = [len(pool) for pool in pools.values()]
    return (
        f"{len(set(circuits))} different ones, drawn from {sum(sizes)} features in pruned graphs of harmful discovery prompts, the members "
        f"among them: as many as the members are of each layer and role, and of the stronger or weaker half there (decoder norm times mean "
        f"activation, and recurrence); {len(sizes)} such groups of {min(sizes)} to {max(sizes)} features"
    )
