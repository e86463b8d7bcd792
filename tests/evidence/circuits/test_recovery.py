"""Edge AUROC is the chance that a true edge outranks another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetycase.evidence.circuits.recovery import edge_auroc


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=4, max_size=30))
def test_auroc_counts_pairs(edges: list[tuple[int, bool]]) -> None:
    """Equal to the share of (true, other) pairs in which the true edge's size is larger, ties counting half; signs do not matter."""
    scores, true = np.array([score for score, _ in edges], dtype=float), np.array([is_true for _, is_true in edges])
    if min(true.sum(), (~true).sum()) < 2:
        return
    wins = [float(abs(a) > abs(b)) + 0.5 * float(abs(a) == abs(b)) for a in scores[true] for b in scores[~true]]

    assert edge_auroc(scores, true).value == pytest.approx(np.mean(wins))
