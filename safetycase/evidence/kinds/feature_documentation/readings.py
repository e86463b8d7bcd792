"""What documented features respond to: on the corpus, on confirmation prompts, and with the log-odds within a class."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from safetycase.evidence import stats
from safetycase.evidence.estimates import Estimates, null_record
from safetycase.evidence.kinds.feature_documentation.observed import UNCOUNTED, Observed
from safetycase.evidence.kinds.feature_documentation.params import ABSENT, PRESENT, Read, population
from safetycase.evidence.record import Null, Unit
from safetycase.evidence.stats import Interval, Undefined

Peaks = Mapping[tuple[int, str], Mapping[str, float]]
"""(feature, population) to confirmation prompt to the feature's largest activation on it."""

MOST_FLIPS = 999


def readings(seen: Observed, read: Read, estimates: Estimates) -> None:
    """Put firing rates, AUROCs on confirmation prompts, and associations within present prompts, for every slot."""
    _put_density(seen, read, estimates)
    peaks = peaks_of(seen)
    why = _no_place(seen) if seen.tables.has("readings") else seen.tables.why_absent("readings")
    for contrast in seen.contrasts:
        present, absent = population(contrast, PRESENT), population(contrast, ABSENT)
        patterns = [f"activation_auroc.{contrast}.*", f"natural_association.{present}.*"]
        patterns += [f"firing_rate.{each}.*" for each in (present, absent, *seen.variants(contrast))]
        estimates.miss(patterns, why)
        if not seen.tables.has("readings"):
            continue
        for feature, slots in seen.slots.items():
            _put_of_feature(seen, contrast, feature, slots, peaks, read, estimates)


def _no_place(seen: Observed) -> str:
    return f"no feature has this place; {len(seen.slots)} feature{' has a card' if len(seen.slots) == 1 else 's have cards'}"


def peaks_of(seen: Observed) -> Peaks:
    """The largest activations on confirmation prompts."""
    if not seen.tables.has("readings"):
        return {}
    found = seen.tables.table("readings").where(split="test").by("feature", "population")
    return {
        (feature, name): dict(zip(rows["item"].tolist(), rows["peak"].tolist(), strict=True)) for (feature, name), rows in found.items()
    }


def reads_contrast(seen: Observed, contrast: str, feature: int, peaks: Peaks, level: float) -> Interval:
    """AUROC of the largest activation, present against absent confirmation prompts. Raises Undefined where it cannot be had."""
    sides = [peaks.get((feature, population(contrast, side)), {}) for side in (PRESENT, ABSENT)]
    items = [sorted(side) for side in sides]
    if not items[0] or not items[1]:
        raise Undefined("activations on confirmation prompts of both classes were not stored")
    return stats.auroc(
        [sides[0][item] for item in items[0]], [sides[1][item] for item in items[1]], level,
        clusters_positive=seen.clusters(items[0]), clusters_negative=seen.clusters(items[1]),
    )  # fmt: skip


def _put_density(seen: Observed, read: Read, estimates: Estimates) -> None:
    missing = next((name for name in ("firing", "documents") if not seen.tables.has(name)), None)
    if missing is not None:
        estimates.miss(["firing_rate.corpus.*"], seen.tables.why_absent(missing) if seen.tokens else UNCOUNTED)
        return
    estimates.miss(["firing_rate.corpus.*"], _no_place(seen))
    documents = seen.tables.table("documents")
    names, tokens = documents["document"].astype(np.str_), documents["tokens"]
    by_feature = {key[0]: rows for key, rows in seen.tables.table("firing").by("feature").items()}
    for feature, slots in seen.slots.items():
        rows = by_feature.get(feature)
        fired = {} if rows is None else dict(zip(rows["document"].tolist(), rows["fired"].tolist(), strict=True))
        counts = np.array([fired.get(name, 0) for name in names.tolist()], dtype=np.float64)
        for slot in slots:
            made = partial(stats.ratio, counts, tokens, names, read.level, (0.0, 1.0))
            estimates.put(f"firing_rate.corpus.tokens#{slot}", made, Unit.FRACTION)


def _put_of_feature(
    seen: Observed, contrast: str, feature: int, slots: tuple[str, ...], peaks: Peaks, read: Read, estimates: Estimates
) -> None:
    present, absent = population(contrast, PRESENT), population(contrast, ABSENT)
    association = _association(seen, contrast, peaks.get((feature, present), {}), read)
    for slot in slots:
        made = partial(reads_contrast, seen, contrast, feature, peaks, read.level)
        estimates.put(f"activation_auroc.{contrast}.confirmation#{slot}", made, Unit.AUROC)
        name = f"natural_association.{present}.within#{slot}"
        if isinstance(association, str):
            estimates.miss([name], association)
        else:
            estimates.keep(name, association[0], Unit.CORRELATION, association[1])
        for each in (present, absent, *seen.variants(contrast)):
            firing = partial(_firing_rate, seen, peaks.get((feature, each), {}), read.level)
            estimates.put(f"firing_rate.{each}.prompts#{slot}", firing, Unit.FRACTION)


def _firing_rate(seen: Observed, peaks: Mapping[str, float], level: float) -> Interval:
    if not peaks:
        raise Undefined("activations on these confirmation prompts were not stored")
    items = sorted(peaks)
    return stats.rate(np.array([peaks[item] > 0 for item in items]), seen.clusters(items), level)


def _association(seen: Observed, contrast: str, peaks: Mapping[str, float], read: Read) -> tuple[Interval, tuple[Null, ...]] | str:
    """Whether the activation goes with the unedited log-odds among present prompts, category and length taken out; or why not known."""
    log_odds = seen.baseline.get(contrast, {})
    items = sorted(item for item in peaks if item in log_odds)
    if not items:
        return seen.stopped(contrast) or "activations and log-odds of the same confirmation prompts were not stored"
    try:
        made = stats.partial_correlation(
            [peaks[item] for item in items], [log_odds[item] for item in items], [seen.categories[item] for item in items],
            [seen.lengths[item] for item in items], seen.clusters(items), read.level, seen.tables.seed,
            min(read.resamples, MOST_FLIPS),
        )  # fmt: skip
    except Undefined as undefined:
        return undefined.reason
    nulls = (
        null_record("absolute correlations with each family's contribution at a random sign; p two-sided, families as units", made.flipped),
    )
    return replace(made.correlation, method=f"partial Pearson correlation; {made.correlation.method}"), nulls
