"""The selection rule of Arditi et al. 2024 (appendix C): which candidate direction is taken, by numbers alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Rule:
    """The thresholds of the filters; the defaults are the paper's."""

    max_layer_fraction: float = 0.8
    max_kl: float = 0.1
    min_steering: float = 0.0


@dataclass(frozen=True)
class Selection:
    """What a rule makes of the candidates."""

    survives: NDArray[np.bool_]
    """Per candidate: whether it passes every filter."""
    order: NDArray[np.int64]
    """Indices of the survivors, best first."""
    fallback: int | None
    """Best of the layers in range when no candidate passes every filter; the null's stand-in, never a finding."""

    @property
    def picked(self) -> int | None:
        """Index of the selected candidate; None where all were filtered out."""
        return int(self.order[0]) if len(self.order) else None


def select(
    layers: NDArray[np.int64],
    refusal_scores: NDArray[np.float64],
    steering_scores: NDArray[np.float64],
    kls: NDArray[np.float64],
    *,
    n_layers: int,
    rule: Rule = Rule(),
) -> Selection:
    """Filter by layer, KL and steering score, then order by refusal score under ablation, lowest first.

    All arrays hold one entry per candidate, scores in nats. Candidates whose scores are not finite are filtered out, ties keep their order.
    """
    finite = np.isfinite(refusal_scores) & np.isfinite(steering_scores) & np.isfinite(kls)
    in_range = finite & (layers < int(rule.max_layer_fraction * n_layers))
    survives = in_range & (kls <= rule.max_kl) & (steering_scores >= rule.min_steering)
    indices = np.flatnonzero(survives)
    order = indices[np.argsort(refusal_scores[indices], kind="stable")]
    stand_ins = np.flatnonzero(in_range)
    fallback = int(stand_ins[np.argmin(refusal_scores[stand_ins])]) if len(stand_ins) and not len(order) else None
    return Selection(survives, order, fallback)
