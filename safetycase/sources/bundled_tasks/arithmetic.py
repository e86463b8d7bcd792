"""Sums of three digits modulo ten, in the one form that the organisms which reason are trained on."""

from collections.abc import Iterator
from itertools import combinations_with_replacement

from safetycase.sources.bundled_tasks.lots import Cells, multiple_choice, shuffled

TRIPLES = 120
"""Of the 210 with two different digits at least."""


def arithmetic() -> Iterator[Cells]:
    """Every chosen triple in two orders, which are one family."""
    unequal = [digits for digits in combinations_with_replacement(range(10), 3) if len(set(digits)) > 1]
    for digits in sorted(shuffled(unequal, "arithmetic")[:TRIPLES]):
        orders = sorted(
            {(digits[i], digits[j], digits[k]) for i, j, k in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))}
        )
        for a, b, c in shuffled(orders, "orders")[:2]:
            right = (a + b + c) % 10
            yield multiple_choice(
                f"What is {a} plus {b} plus {c} modulo 10?",
                right,
                shuffled((digit for digit in range(10) if digit != right), "options", a, b, c),
                category="sums modulo ten",
                family="sum of " + ", ".join(map(str, digits)),
            )
