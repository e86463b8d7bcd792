"""Whether few features are enough to tell a contrast, whether its features are absorbed by others, and how far pairs stand apart."""

import re
from collections.abc import Mapping
from functools import partial

import numpy as np

from safetycase.evidence import stats
from safetycase.evidence.estimates import Estimates, null_record
from safetycase.evidence.kinds.feature_documentation.observed import Observed
from safetycase.evidence.kinds.feature_documentation.params import ABSENT, PRESENT, Read, population
from safetycase.evidence.record import Unit
from safetycase.evidence.stats import Interval, Undefined
from safetycase.evidence.tables import Table

Values = Mapping[str, float]
"""Confirmation prompt to value."""

SHUFFLED = "dense probes of permuted labels, every permutation counted"
PAIR_METHODS = ("dictionary", "random")


def probes(seen: Observed, contrast: str, read: Read, estimates: Estimates) -> None:
    """Put AUROCs of probes, absorption, and the contrastive score."""
    _put_probes(seen, contrast, read, estimates)
    absorbed = absorption_of(seen, contrast)
    present = population(contrast, PRESENT)
    if isinstance(absorbed, str):
        estimates.miss([f"absorption_rate.{present}.full", f"absorbed_fraction.{present}.partial"], absorbed)
    else:
        estimates.put(f"absorption_rate.{present}.full", partial(_rate, seen, absorbed["full"], read), Unit.FRACTION)
        estimates.put(f"absorbed_fraction.{present}.partial", partial(_fraction, seen, absorbed["fraction"], read), Unit.FRACTION)
    for method in PAIR_METHODS:
        made = partial(_contrastive, seen, contrast, method, read)
        estimates.put(f"contrastive_score.{contrast}.{method}", made, Unit.STANDARD_DEVIATIONS)


def absorption_of(seen: Observed, contrast: str) -> Mapping[str, Values] | str:
    """Of every present confirmation prompt, whether it is absorbed in full and in what part; or why not known."""
    rows = seen.rows("absorption", contrast=contrast)
    if isinstance(rows, str):
        return rows
    items = rows["item"].tolist()
    return {column: dict(zip(items, rows[column].astype(np.float64).tolist(), strict=True)) for column in ("full", "fraction")}


def _put_probes(seen: Observed, contrast: str, read: Read, estimates: Estimates) -> None:
    rows = seen.rows("probes", contrast=contrast)
    if isinstance(rows, str):
        estimates.miss([f"probe_auroc.{contrast}.*"], rows)
        return
    estimates.miss([f"probe_auroc.{contrast}.*"], "a probe of so many features was not fitted")
    by_probe = {key[0]: each for key, each in rows.by("probe").items()}
    shuffled = [by_probe[probe] for probe in sorted(by_probe) if re.fullmatch(r"shuffled-\d+", probe)]
    for probe, each in by_probe.items():
        if re.fullmatch(r"(random-)?k-\d+|dense", probe):
            name = f"probe_auroc.{contrast}.{probe}"
            try:
                made = _auroc(seen, contrast, each, read.level)
            except Undefined as undefined:
                estimates.miss([name], undefined.reason)
                continue
            draws = [_auroc(seen, contrast, drawn, read.level).value for drawn in shuffled] if probe == "dense" else []
            estimates.keep(name, made, Unit.AUROC, [null_record(SHUFFLED, stats.null_test(made.value, draws, "greater"))] if draws else ())


def _auroc(seen: Observed, contrast: str, rows: Table, level: float) -> Interval:
    sides = [rows.where(population=population(contrast, side)) for side in (PRESENT, ABSENT)]
    return stats.auroc(
        sides[0]["score"], sides[1]["score"], level,
        clusters_positive=seen.clusters(sides[0]["item"]), clusters_negative=seen.clusters(sides[1]["item"]),
    )  # fmt: skip


def _rate(seen: Observed, full: Values, read: Read) -> Interval:
    items = sorted(full)
    return stats.rate(np.array([full[item] == 1.0 for item in items]), seen.clusters(items), read.level)


def _fraction(seen: Observed, fractions: Values, read: Read) -> Interval:
    items = sorted(fractions)
    values = [fractions[item] for item in items]
    return stats.mean(values, seen.clusters(items), read.level, seen.tables.seed, read.resamples, bounds=(0.0, 1.0))


def _contrastive(seen: Observed, contrast: str, method: str, read: Read) -> Interval:
    rows = seen.rows("pairs", contrast=contrast, method=method)
    if isinstance(rows, str):
        raise Undefined(rows)
    return stats.mean(rows["contrastive"], rows["family"].astype(np.str_), read.level, seen.tables.seed, read.resamples)
