"""What choosing adds: the candidates that nothing dominates, and the variation of a choice made again."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from safetycase.evidence.stats.interval import Interval, Undefined, t_quantile


def with_selection(
    effect_conditional: Interval,
    replicate_effects: ArrayLike,
    level: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> Interval:
    """The effect with an interval that also carries the variation of selecting again.

    `replicate_effects` are the effects on the same test prompts after the selection was re-run on bootstrap resamples
    of the training and validation prompts. Each side of the conditional interval and t times the replicates' standard
    deviation are squared and added (MOVER, Zou and Donner 2008), which keeps an asymmetric interval asymmetric.

    Raises Undefined for fewer than 2 replicates.
    """
    assert effect_conditional.level == level, (effect_conditional.level, level)
    replicates = np.asarray(replicate_effects, dtype=np.float64)
    assert np.isfinite(replicates).all(), "a replicate effect is not finite"
    if replicates.size < 2:
        raise Undefined(f"the selection was re-run {replicates.size} times: its variation needs at least 2")
    spread = t_quantile(level, replicates.size - 1) * float(replicates.std(ddof=1))
    value = effect_conditional.value
    low = value - float(np.hypot(value - effect_conditional.low, spread))
    high = value + float(np.hypot(effect_conditional.high - value, spread))
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    method = f"{effect_conditional.method}; squared and added to t x sd of {replicates.size} re-run selections"
    return Interval(value, low, high, level, effect_conditional.n, effect_conditional.clusters, method)


def pareto(minimise: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of n candidates are dominated by no other; `minimise` is [n, k], smaller is better, NaN is never chosen."""
    scores = np.asarray(minimise, dtype=np.float64)
    assert scores.ndim == 2, scores.shape
    usable: NDArray[np.bool_] = np.all(~np.isnan(scores), axis=1)
    no_worse = np.all(scores[:, None, :] <= scores[None, :, :], axis=-1)
    better = np.any(scores[:, None, :] < scores[None, :, :], axis=-1)
    dominated = np.any(np.logical_and(no_worse, better)[usable], axis=0)
    chosen: NDArray[np.bool_] = np.logical_and(usable, ~dominated)
    return chosen
