"""Intervals, nulls and agreement over clustered prompts: pure functions, seeded locally."""

from safetycase.evidence.stats.agreement import Agreement, agreement, cohens_kappa, corrected_rate
from safetycase.evidence.stats.interval import Clusters, Interval, Undefined
from safetycase.evidence.stats.means import mean, paired_difference
from safetycase.evidence.stats.nulls import NullTest, holm, null_test, simultaneous_level, smallest_p
from safetycase.evidence.stats.ranks import auroc
from safetycase.evidence.stats.rates import clopper_pearson, rate, rate_difference, wilson
from safetycase.evidence.stats.selection import pareto, with_selection

__all__ = [
    "Agreement",
    "Clusters",
    "Interval",
    "NullTest",
    "Undefined",
    "agreement",
    "auroc",
    "clopper_pearson",
    "cohens_kappa",
    "corrected_rate",
    "holm",
    "mean",
    "null_test",
    "paired_difference",
    "pareto",
    "rate",
    "rate_difference",
    "simultaneous_level",
    "smallest_p",
    "wilson",
    "with_selection",
]
