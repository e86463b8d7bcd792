"""How much of a direction's causal effect the reconstruction carries, and how much the error that the dictionary leaves."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from safetycase.evidence import stats
from safetycase.evidence.estimates import Estimates
from safetycase.evidence.kinds.feature_documentation.observed import Observed
from safetycase.evidence.kinds.feature_documentation.params import PRESENT, Read, population
from safetycase.evidence.record import Unit
from safetycase.evidence.stats import Interval, Undefined

PARTS = ("whole", "reconstruction", "error")

Change = Mapping[str, float]
"""Confirmation prompt to change of log-odds, in nats."""


def capture(seen: Observed, contrast: str, read: Read, estimates: Estimates) -> None:
    """Put the change of log-odds with each direction taken out of each part, and the shares of the whole change."""
    present = population(contrast, PRESENT)
    changes = changes_of(seen, contrast)
    for direction in directions(seen, contrast):
        for part in PARTS:
            change = changes.get((direction, part), {})
            name = f"log_odds_change.{present}.{part}#{direction}"
            if change:
                estimates.put(name, partial(seen.mean, sorted(change), [change[item] for item in sorted(change)], read), Unit.NATS)
            else:
                estimates.miss([name], _why_not(seen, contrast, direction))
        for part in PARTS[1:]:
            name = f"captured_share.{present}.{part}#{direction}"
            if changes.get((direction, "whole")) and changes.get((direction, part)):
                parts = [changes[direction, part], changes[direction, "whole"]]
                estimates.put(name, partial(_share, seen, parts, read.level), Unit.FRACTION)
            else:
                estimates.miss([name], _why_not(seen, contrast, direction))


def directions(seen: Observed, contrast: str) -> Iterator[str]:
    """The contrast's own, and that of the upstream step that the plan names."""
    yield "own"
    step = seen.setup["contrasts"][contrast]["direction_step"]
    if step:
        yield step


def changes_of(seen: Observed, contrast: str) -> dict[tuple[str, str], Change]:
    """(direction, part) to the change on every present confirmation prompt."""
    if not seen.tables.has("capture"):
        return {}
    before = seen.baseline.get(contrast, {})
    rows = seen.tables.table("capture").where(contrast=contrast, population=population(contrast, PRESENT))
    return {
        (direction, part): {
            item: value - before[item]
            for item, value in zip(each["item"].tolist(), each["log_odds"].tolist(), strict=True)
            if item in before
        }
        for (direction, part), each in rows.by("direction", "part").items()
    }


def _share(seen: Observed, parts: Sequence[Change], level: float) -> Interval:
    """The mean change by a part over the mean change by the whole."""
    items = sorted(parts[0].keys() & parts[1].keys())
    if not items:
        raise Undefined("the part and the whole were not taken out on the same prompts")
    above, below = (np.array([part[item] for item in items]) for part in parts)
    return stats.ratio(above, below, seen.clusters(items), level)


def _why_not(seen: Observed, contrast: str, direction: str) -> str:
    if not seen.tables.has("capture"):
        return seen.stopped(contrast) or seen.tables.why_absent("capture")
    return seen.stopped(contrast) or f"the direction {direction} was not taken out of the output site: there is none of its width"
