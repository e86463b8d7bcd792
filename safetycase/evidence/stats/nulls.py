"""Effects against their nulls, and families of tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class NullTest:
    """An effect beside the same effect of things that should have none."""

    p: float
    n: int
    exceed: int  # null effects at least as extreme as the observed one
    quantiles: dict[str, float]  # of the null, keys "0.05", "0.5", "0.95"
    largest: float  # the most extreme null effect in the tested direction


def null_test(observed: float, null: ArrayLike, alternative: Literal["greater", "less"]) -> NullTest:
    """One-sided Monte Carlo test, p = (1 + b) / (1 + N) (Phipson and Smyth 2010), b null effects being as extreme."""
    effects = np.asarray(null, dtype=np.float64)
    assert effects.ndim == 1, effects.shape
    assert effects.size > 0, "a null of no effects"
    assert np.isfinite(effects).all(), "a null effect is not finite"
    assert np.isfinite(observed), observed
    exceed = int((effects >= observed).sum() if alternative == "greater" else (effects <= observed).sum())
    largest = effects.max() if alternative == "greater" else effects.min()
    quantiles = {name: float(np.quantile(effects, float(name))) for name in ("0.05", "0.5", "0.95")}
    return NullTest((1 + exceed) / (1 + effects.size), effects.size, exceed, quantiles, float(largest))


def smallest_p(n_null: int) -> float:
    """The smallest p that a null of `n_null` effects can give."""
    return 1 / (1 + n_null)


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down adjusted p values (1979), which hold the family-wise error under any dependence."""
    adjusted: dict[str, float] = {}
    running = 0.0
    for rank, name in enumerate(sorted(p, key=lambda name: p[name])):
        running = max(running, min(1.0, (len(p) - rank) * p[name]))
        adjusted[name] = running
    return {name: adjusted[name] for name in p}


def simultaneous_level(level: float, criteria: int) -> float:
    """The level of each interval for all of `criteria` to hold together with `level` (Bonferroni)."""
    assert criteria >= 1, criteria
    return 1 - (1 - level) / criteria
