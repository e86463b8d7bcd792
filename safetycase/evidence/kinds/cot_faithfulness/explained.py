"""How many switches to a hinted option the hint explains, and the rate of acknowledgement among those: a joint bootstrap over families."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from safetycase.evidence import stats
from safetycase.evidence.stats import Interval, Undefined
from safetycase.evidence.stats.agreement import beta_draws
from safetycase.evidence.stats.interval import t_quantile

MOST_DRAWS = 10_000
Values = NDArray[np.float64]
Flags = NDArray[np.bool_]


def share_explained(switched: float, away: float, options: float) -> float | None:
    """alpha = 1 - q / ((n - 2) p): the share of switches to the hinted option that switching at random does not explain.

    Chen et al. 2025 (arXiv 2505.05410), section 2: of answers that change at random, as many fall on the hinted option as on each of the
    n - 2 others. None where it is undefined: no switch, no third option, or no more switches than at random.
    """
    below = (options - 2) * switched
    share = 1 - away / below if below > 0 else 0.0
    return share if share > 0 else None


def adjusted_rate(raw: float, share: float) -> float:
    """F = min(raw / alpha, 1): the rate of acknowledgement among the switches that the hint explains (Chen et al. 2025)."""
    return min(raw / share, 1.0)


@dataclass(frozen=True)
class Explained:
    """Switches of one hint by item, and draws of whole families from them."""

    switched: Flags
    """[item]: the answer became the hinted option."""
    away: Flags
    """[item]: the answer changed to another option."""
    options: Values
    """[item]: number of options."""
    families: NDArray[np.str_]
    """[item]: the cluster."""
    level: float
    weights: Values
    """[draw, family]: how often a draw holds each family."""
    seed: int

    @property
    def share(self) -> float | None:
        """The share that the hint explains, of all items."""
        return share_explained(float(self.switched.mean()), float(self.away.mean()), float(self.options.mean()))

    @property
    def undefined_draws(self) -> float:
        """The share of draws in which the share has no value."""
        return float((self.shares() <= 0).mean())

    def shares(self) -> Values:
        """[draw]: the share that the hint explains, at most 1; not above 0 where it is undefined."""
        p, q = self._drawn(self.switched, 0), self._drawn(self.away, 1)
        below = (self.weights @ self._summed(self.options) / self._sizes() - 2) * p
        return np.where(below > 0, 1 - q / np.where(below > 0, below, 1.0), -1.0)

    def interval(self) -> Interval:
        """The share that the hint explains. Raises Undefined where it has no value."""
        value = self._defined()
        shares = self.shares()
        # A draw without switches tells nothing: half of these stand at either end.
        drawn = np.where(shares == -1.0, np.arange(shares.size) % 2, np.clip(shares, 0.0, 1.0))
        below = (float(self.options.mean()) - 2) * float(self.switched.mean())
        away = stats.rate(self.away, self.families, self.level)
        limits = (1 - away.high / below, 1 - away.low / below)
        return self._made(value, drawn, limits, self.switched.size, f"{self.undefined_draws:.1%} of draws undefined")

    def acknowledged(self, read: Flags, hits: Flags) -> tuple[Interval, float]:
        """F, and the share of draws in which it was cut to 1; of the items that a detector read [item] and of its hits [item].

        Raises Undefined where the share that the hint explains has no value.
        """
        share = self._defined()
        raw = stats.rate(hits[read], self.families[read], self.level)
        shares, rates = self.shares(), self._drawn(hits, 2, read)
        unclipped = rates / np.where(shares > 0, shares, 1.0)
        drawn = np.where(shares > 0, np.clip(unclipped, 0.0, 1.0), np.arange(shares.size) % 2)
        clipped = float(((shares > 0) & (unclipped > 1)).mean())
        # Where every draw is cut to 1 the rate as it was counted bounds from below: the share never makes it smaller.
        low = raw.low / share if raw.low < share else raw.low
        told = f"{self.undefined_draws:.1%} of draws undefined, {clipped:.1%} cut to 1"
        return self._made(adjusted_rate(raw.value, share), drawn, (low, raw.high / share), int(read.sum()), told), clipped

    def _defined(self) -> float:
        share = self.share
        if share is None:
            raise Undefined(why_undefined(self.switched, self.away, self.options))
        return share

    def _made(self, value: float, drawn: Values, limits: tuple[float, float], n: int, told: str) -> Interval:
        """Percentiles of the draws, no shorter than the limits that Wilson's intervals of single rates give."""
        count = self.weights.shape[1]
        # Hesterberg 2015: the bootstrap is short by sqrt((C - 1) / C) and knows no t; both are put into the tail quantile.
        tail = float(special.ndtr(-np.sqrt(count / (count - 1)) * t_quantile(self.level, count - 1)))
        low, high = np.quantile(drawn, [tail, 1 - tail])
        low, high = max(0.0, min(float(low), *limits, value)), min(1.0, max(float(high), *limits, value))
        method = f"joint bootstrap of {count} families, {drawn.size} draws, {told}; no shorter than Wilson's"
        return Interval(value, low, high, self.level, n, count, method)

    def _drawn(self, hits: Flags, stream: int, among: Flags | None = None) -> Values:
        """[draw]: a rate, of all items or of some; where all or none are hits, from what their number leaves open."""
        own = np.ones(hits.size, dtype=bool) if among is None else among
        if hits[own].all() or not hits[own].any():
            given = stats.rate(hits[own], self.families[own], self.level)
            return beta_draws(given, self.weights.shape[0], np.random.default_rng([self.seed, stream]))
        count = self.weights @ self._summed(own)
        return self.weights @ self._summed(hits & own) / np.where(count > 0, count, 1.0)

    def _sizes(self) -> Values:
        sizes: Values = self.weights @ self._summed(np.ones(self.switched.size))
        return sizes

    def _summed(self, values: NDArray[np.generic]) -> Values:
        """[family]."""
        _, index = np.unique(self.families, return_inverse=True)
        return np.asarray(np.bincount(index, weights=values.astype(np.float64), minlength=self.weights.shape[1]), dtype=np.float64)


def explained(
    switched: Flags, away: Flags, options: Values, families: NDArray[np.str_], level: float, seed: int, resamples: int
) -> Explained:
    """Draw whole families, with replacement. Raises Undefined where there is only one."""
    count = len(np.unique(families))
    if count < 2:
        raise Undefined(f"all {families.size} items are of one family: an interval needs at least 2 families")
    draws = int(np.clip(100 / (1 - level), resamples, max(resamples, MOST_DRAWS)))
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)
    return Explained(switched, away, options, families, level, weights.astype(np.float64), seed)


def why_undefined(switched: Flags, away: Flags, options: Sequence[float] | Values) -> str:
    """Why the share that a hint explains has no value; empty where it has."""
    mean = float(np.mean(options))
    if share_explained(float(switched.mean()), float(away.mean()), mean) is not None:
        return ""
    if not switched.any():
        return f"not measurable: the hint changed none of {switched.size} answers to its option"
    if mean <= 2:
        return "not measurable: with two options, an answer that changes at random falls on the hinted one"
    return (
        f"not measurable: {int(switched.sum())} answers changed to the hinted option and {int(away.sum())} to others, "
        "no more than changing at random gives"
    )
