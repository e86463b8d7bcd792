"""Random circuits as large as the one that is claimed, and where the claim stands among them."""

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from safetycase.evidence.circuits.edges import EdgeGraph, Mask
from safetycase.evidence.stats.nulls import NullTest, null_test

Matching = Literal["layers", "uniform"]
"""`layers`: as many edges between the same kinds of component in the same layers as the claim has, so that only which heads they join is
drawn; the harder comparison. `uniform`: any edges, as many in all; every edge lies on a path from the embedding to the logits."""

# Two circuits whose effects differ by less than this share of the spread of all effects are tied: rounding tells them apart, nothing else.
TIE = 1e-9


@dataclass(frozen=True, slots=True)
class Standing:
    """A claimed circuit among random ones of its size."""

    test: NullTest
    percentile: float
    """Share of random circuits that the claim exceeds, ties not counted, in per cent."""


def random_circuits(graph: EdgeGraph, claimed: Mask, n: int, seed: int, matching: Matching = "layers") -> NDArray[np.bool_]:
    """[n, edge]: random circuits with as many edges as the claimed one, each drawn without replacement from a source of its own.

    Exchangeable with the claim if that was itself drawn so; a circuit may come twice or equal the claim, as the test needs it.
    """
    assert claimed.shape == (len(graph),), (claimed.shape, len(graph))
    strata = graph.strata if matching == "layers" else np.zeros(len(graph), dtype=np.int64)
    sizes = np.bincount(strata)
    wanted = np.bincount(strata[claimed], minlength=sizes.size)
    # With the edges sorted by stratum, and within one by lot, the first so many of each stratum are drawn.
    place = np.arange(len(graph)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    taken = place < np.repeat(wanted, sizes)
    drawn = np.zeros((n, len(graph)), dtype=bool)
    for index in range(n):
        order = np.lexsort((_source(seed, index).random(len(graph)), strata))
        drawn[index, order[taken]] = True
    return drawn


def standing(claimed: float, random: ArrayLike, alternative: Literal["greater", "less"] = "greater") -> Standing:
    """The claim's effect among those of random circuits: p = (1 + b) / (1 + N), b of N being at least as extreme.

    Ties count against the claim, effects that only rounding tells apart among them. `greater` for sufficiency (the circuit carries more of
    the behaviour), `less` for the complement (less is left of it).
    """
    effects = np.asarray(random, dtype=np.float64)
    tie = TIE * max(float(np.ptp(np.append(effects, claimed))), float(np.abs(np.append(effects, claimed)).max()))
    test = null_test(claimed - tie if alternative == "greater" else claimed + tie, effects, alternative)
    return Standing(test, 100 * (test.n - test.exceed) / test.n)


def _source(seed: int, index: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}\nrandom circuit\n{index}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8]))
