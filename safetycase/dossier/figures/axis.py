"""A linear scale with round ticks."""

import itertools
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """Maps numbers to pixels."""

    low: float
    high: float
    start: float
    end: float
    """Pixels of `low` and of `high`; `end` may be the smaller one."""

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int = 6) -> tuple[tuple[float, int], ...]:
        """Round numbers within the scale, each with the decimals it needs."""
        step = round_step((self.high - self.low) / max(1, most - 1))
        places = max(0, -math.floor(math.log10(step) + 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return tuple((round(index * step, 12), places) for index in range(first, last + 1))


def spanning(
    values: tuple[float, ...], start: float, end: float, *, margin: float = 0.06, include: tuple[float, ...] = ()
) -> Axis:
    """An axis that holds all values with a little air; never of zero length."""
    low, high = min((*values, *include)), max((*values, *include))
    air = (high - low) * margin or max(1.0, abs(high)) * 0.1
    return Axis(low - air, high + air, start, end)


def round_step(rough: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def spread(positions: list[float], gap: float) -> list[float]:
    """Positions of labels, moved apart so that no two are closer than `gap`; their order and middle are kept."""
    order = sorted(range(len(positions)), key=positions.__getitem__)
    moved = list(positions)
    for before, after in itertools.pairwise(order):
        moved[after] = max(moved[after], moved[before] + gap)
    overshoot = (moved[order[-1]] - positions[order[-1]]) / 2 if order else 0.0
    return [position - overshoot for position in moved]
