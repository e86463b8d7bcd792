"""A few cells of the coverage grid, chosen for being hard, with few runs; docs/coverage.md has the whole grid."""

import pytest

from tests.benchmarks import coverage
from tests.benchmarks.coverage import Design

RUNS = 400
FLOOR = 0.90
"""Four Monte Carlo standard errors (0.011) below 95 %: a seeded run cannot flake, and plain methods fall below it."""

HARD = (
    coverage.rate_cell(Design(128, 10, False, 0.3), 0.05),
    coverage.rate_cell(Design(20, 10, True, 0.0), 0.02),
    coverage.mean_cell(Design(20, 10, True, 0.3), "skewed"),
    coverage.mean_cell(Design(128, 10, False, 0.3), "normal"),
    coverage.mean_cell(Design(100, 60, True, 0.1), "skewed"),
    coverage.paired_cell(Design(40, 20, False, 0.1), "skewed"),
    coverage.rate_difference_cell(Design(100, 20, True, 0.3), 0.98, 0.02),
    coverage.auroc_cell(Design(40, 10, True, 0.3), 0.97, "mixture"),
    coverage.corrected_cell(40, 20, 0.05, 0.9, 0.8),
    coverage.selection_cell(40, 20, 0.0),
    coverage.kappa_cell(40, 0.2, 0.6),
    coverage.ratio_cell(10, 0.5, "skewed"),
    coverage.ratio_cell(60, 1.0, "skewed"),
    coverage.share_cell(20, 3.0),
    coverage.partial_cell(Design(40, 10, True, 0.3), 0.6),
    coverage.partial_cell(Design(48, 8, False, 0.6), 0.6),
    coverage.partial_cell(Design(100, 10, False, 0.6), 0.0),
    coverage.precision_cell(40, 0.05, 0.9, 0.1),
    coverage.prevalence_cell(60, 0.3, 4.0),
)


@pytest.mark.parametrize("cell", [pytest.param(cell, id=f"{cell.method}, {cell.name}") for cell in HARD])
def test_a_hard_cell_is_covered(cell: coverage.Cell) -> None:
    """The 95 % interval holds the truth in well over 90 % of runs."""
    assert coverage.simulate(cell, RUNS).coverage >= FLOOR


def test_unequal_clusters_are_all_filled() -> None:
    """The last cluster is about twice the mean, none is empty, and the sizes add up."""
    labels = Design(40, 20, False, 0.1).labels()

    sizes = [(labels == c).sum() for c in range(20)]
    assert sum(sizes) == 40
    assert min(sizes) == 1
    assert sizes[-1] == max(sizes) >= 3
