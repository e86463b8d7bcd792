"""What a test plants in the tables of a circuit trace, and what all of them share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from safetycase.evidence.kinds.circuit_trace.selection import Node

ROLES = ("instruction", "end-1")
N_LAYERS = 4


@dataclass(frozen=True)
class Planted:
    """What is true of a model's refusals; effects in nats."""

    members: int = 3
    """Features that recur on harmful prompts alone: feature 100 + n of layer n % 4, at end-1."""
    shared: int = 6
    """Features that recur on prompts of both classes."""
    recurs: float = 0.95
    """Share of harmful graphs that hold a member; harmless ones hold it in `recurs_harmless`."""
    recurs_harmless: float = 0.05
    stands: bool = True
    """Whether members recur so on confirmation prompts too; else they stand in as many graphs of either class."""
    ablated: float = -4.0
    """Change of log-odds when the circuit is ablated, on harmful prompts."""
    ablated_harmless: float = 0.0
    all_ablated: float = -5.0
    """Change of log-odds when every feature is."""
    kept: float = 0.8
    """Share of that effect that stays where only the circuit is kept."""
    random_ablated: float = 0.0
    random_kept: float = 0.1
    spread: float = 0.2
    """Standard deviation of what random circuits do, between circuits."""
    noise: float = 0.3
    """Standard deviation of every change, between prompts."""
    randoms: int = 120
    answered: int = 20
    prediction: float = 1.0
    """Slope of measured on predicted changes, over prompts and over members; 0 for predictions that tell nothing."""
    probe: float = 0.5
    """The same of the probe's."""
    error_share: float = 0.4
    reconstructed: float = 0.8
    """Share of the variance of what MLPs write, in the middle of prompts."""
    subgraph: float = 0.5
    """Scores of pruned graphs; random subgraphs have `random_subgraph`."""
    random_subgraph: float = 0.3
    subgraphs: int = 30
    exactness: float = 2e-6
    residual: float = 1e-5
    peak: tuple[int, str] = (2, "end-1")
    """Cell at which one patched state carries most of the difference."""
    patched: float = 0.9
    """Share that it carries; other cells carry a tenth of that."""
    edge_shares: tuple[float, ...] = (0.01, 0.05, 0.2, 0.5, 1.0)
    edge_faithfulness: tuple[float, ...] = (0.5, 0.8, 0.95, 1.05, 1.0)
    random_faithfulness: tuple[float, ...] = (0.0, 0.02, 0.1, 0.4, 1.0)
    edge_circuits: int = 40
    families: int = 8
    per_family: int = 3
    """Pairs of a family in each half."""
    matched_by: str = "family"
    transcoders: bool = True
    same_model: bool | None = True
    cross_layer: bool = False
    target: str = "log-odds"
    labels: bool = True
    paraphrase: bool = True
    stopped: str = ""
    judge_version: int | None = None
    """Version under which labels are stored; None: the current ones."""
    without: frozenset[str] = frozenset()
    """Optional tables that are absent."""
    ask: Mapping[str, Any] = field(default_factory=dict)
    setup: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 7

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The planted members."""
        return tuple((n % N_LAYERS, 100 + n, "end-1") for n in range(self.members))


def randomness(plan: Planted, *what: Any) -> np.random.Generator:
    return np.random.default_rng([plan.seed, *"/".join(map(str, what)).encode()])
