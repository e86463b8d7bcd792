"""What a test plants in the tables of a documentation of features, and what all of them share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from safetycase.evidence.kinds.feature_documentation.names import contrast_slots

WINDOW_TOKENS = 16


@dataclass(frozen=True)
class Planted:
    """What is true of dictionary, features and contrasts; features 0, 1, … rank 1, 2, … for the first contrast."""

    contrasts: tuple[str, ...] = ("refusal",)
    ablated: float = -4.0
    """Change of log-odds when the first feature is ablated, in nats."""
    steered: float = 6.0
    """Change of log-odds at the largest dose of steering along it."""
    causal: int = 1
    """How many of the highest-ranking features have these effects; all others move what null features move."""
    spread: float = 0.3
    """Standard deviation of what null features do."""
    auroc: float = 0.95
    """Of the activation of the features that read the contrast, present against absent; all others 0.5."""
    reading: int | None = None
    """How many of the highest-ranking features read it; None: the causal ones."""
    association: float = 0.6
    """Correlation of their activation with the log-odds, within present prompts of a category."""
    sensitivity: float = 0.9
    """Of the labels, on windows in which the feature fires."""
    false_positives: float = 0.05
    """Of the labels, on windows in which it is silent."""
    explained: float = 0.9
    """Explained variance of the dictionary; random has a third of it, the other baselines a half."""
    recovered: float = 0.95
    """Cross-entropy recovered by the dictionary."""
    hurts: float = 2.0
    """Nats per token that ablating the output costs."""
    captured: float = 0.7
    """Share of the effect of the contrast's own direction that lies in the reconstruction."""
    incoherent: float = 0.0
    """Share of answers at the largest two doses that are incoherent."""
    kl_per_dose: float = 0.5
    """Off-target KL per unit of dose, in nats."""
    autoencoder: bool = True
    trained_on: str = "organism:refuser"
    same: bool | None = True
    sensitive: bool = False
    """The corpus is not declared public."""
    features: int = 256
    dead: int = 10
    dense: int = 2
    per_contrast: int = 4
    tested: int = 3
    nulls: int = 120
    random: int = 2
    named: tuple[int, ...] = (7,)
    doses: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0, 2.0)
    clamps: tuple[float, ...] = (2.0, 5.0)
    variants: tuple[str, ...] = ()
    explainer: bool = False
    behaviour: tuple[str, ...] = ()
    """Phrases of the behaviour; empty: refusal, by text judges."""
    direction: str | None = None
    documents: int = 40
    n_test: int = 24
    n_validation: int = 8
    answers: int = 12
    """Prompts per class and split that are answered."""
    answers_to: tuple[str, ...] = ("validation", "test")
    """Splits of which steered answers were generated."""
    garbled_in: tuple[str, ...] = ("validation", "test")
    """Splits in which such answers are incoherent."""
    families: int = 8
    held_out: int = 20
    shuffles: int = 10
    probe_sizes: tuple[int, ...] = (1, 2, 5)
    shuffled_probes: int = 19
    stopped: Mapping[str, str] = field(default_factory=dict)
    """Contrast to why its log-odds could not be asked."""
    without: frozenset[str] = frozenset()
    """Optional tables that are absent."""
    setup: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 7


def randomness(plan: Planted, *what: Any) -> np.random.Generator:
    return np.random.default_rng([plan.seed, *"/".join(map(str, what)).encode()])


def document(number: int) -> str:
    return f"document {number:03d}"


def length(number: int) -> int:
    return 64 + 16 * (number % 5)


def slots_of(plan: Planted) -> dict[int, tuple[str, ...]]:
    """Feature to its slots: every contrast ranks 0, 1, … first; the random ones follow."""
    named: dict[int, list[str]] = {}
    for contrast in plan.contrasts:
        for feature, slot in enumerate(contrast_slots(contrast, plan.per_contrast)):
            named.setdefault(feature, []).append(slot)
    for feature in plan.named:
        named.setdefault(feature, []).append(f"feature-{feature}")
    for n in range(1, plan.random + 1):
        named[20 + n] = [f"random-{n}"]
    return {feature: tuple(each) for feature, each in named.items()}
