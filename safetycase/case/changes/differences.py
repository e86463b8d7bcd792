"""The difference of one estimate between two versions: by prompt where they share prompts, else from the two intervals."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from safetycase.case.changes.records import Difference
from safetycase.evidence.kinds import ItemValue
from safetycase.evidence.record import Estimate, Unit
from safetycase.evidence.stats.differences import Margins, independent_change, paired_change
from safetycase.evidence.stats.interval import Undefined

LEAST_FAMILIES = 2
"""Families of shared prompts from which on the difference is taken by prompt."""


@dataclass(frozen=True)
class Pair:
    """An estimate in both versions, with what each prompt contributes to it as far as that is at hand."""

    step: str
    name: str
    was: Estimate
    now: Estimate
    items_was: Mapping[str, ItemValue]
    items_now: Mapping[str, ItemValue]
    reason: str = ""
    """Why the two cannot be compared; empty where they can."""
    tolerance: float = 0.0
    """Relative and absolute difference that another machine or batch size may show in a value."""

    @cached_property
    def shared(self) -> tuple[str, ...]:
        """Ids of the prompts that both versions measured; none where the values by prompt do not give the estimates as they were sealed."""
        if not (_gives(self.items_was, self.was) and _gives(self.items_now, self.now)):
            return ()
        return tuple(sorted(self.items_was.keys() & self.items_now.keys()))

    @property
    def is_paired(self) -> bool:
        """Whether there are families enough to compare prompt by prompt."""
        return len({self.items_now[item].family for item in self.shared}) >= LEAST_FAMILIES

    @property
    def has_interval(self) -> bool:
        """Whether the difference is one of the family of comparisons: not where it cannot be compared, or nothing at all differs."""
        return not self.reason and not (self.is_paired and self.largest is None and self._all_equal)

    @property
    def largest(self) -> float | None:
        """The largest difference that the quantity can show; None for quantities without bounds."""
        if self.now.unit is Unit.AUROC:
            return 1.0
        if self.now.unit is not Unit.FRACTION:
            return None
        # By the grammar of names a change of a share runs from -1 to 1, and so does a kappa.
        return 2.0 if self.name.split(".")[0].endswith(("_change", "kappa")) else 1.0

    @property
    def numerical(self) -> float:
        """What may be numerical in the difference of the two estimates."""
        return self.tolerance * max(1.0, abs(self.was.value), abs(self.now.value))

    @property
    def _all_equal(self) -> bool:
        alike = partial(math.isclose, rel_tol=self.tolerance, abs_tol=self.tolerance)
        return all(alike(self.items_was[item].value, self.items_now[item].value) for item in self.shared)


def difference(pair: Pair, level: float) -> Difference:
    """New minus old at a level; the method says which way it was taken."""
    if not pair.is_paired:
        return _independent(pair, level, _why_unpaired(pair))
    try:
        return _by_prompt(pair, level)
    except Undefined as undefined:
        return _independent(pair, level, undefined.reason)


def _why_unpaired(pair: Pair) -> str:
    if pair.shared:
        return "the shared prompts are of one family"
    if not (pair.items_was and pair.items_now):
        return "there are no values by prompt"
    return (
        "values by prompt, derived now, are not those that were sealed"
        if pair.items_was.keys() & pair.items_now.keys()
        else "no prompt is shared"
    )


def _by_prompt(pair: Pair, level: float) -> Difference:
    now = np.array([pair.items_now[item].value for item in pair.shared])
    was = np.array([pair.items_was[item].value for item in pair.shared])
    families = np.array([pair.items_now[item].family for item in pair.shared])
    share = pair.largest == 1.0 and set(now.tolist()) | set(was.tolist()) <= {0.0, 1.0}
    bounds = None if pair.largest is None else (-pair.largest, pair.largest)
    made = paired_change(now, was, families, level, share=share, bounds=bounds)
    method = f"paired by prompt on the {made.n} shared of {pair.was.n} there and {pair.now.n} here; {made.method}"
    return Difference(
        value=made.value, low=made.low, high=made.high, level=level, method=method, n=made.n, clusters=made.clusters, unit=pair.now.unit,
    )  # fmt: skip


def _independent(pair: Pair, level: float, why: str) -> Difference:
    low, high = independent_change(_margins(pair.now), _margins(pair.was), level)
    if pair.largest is not None:
        low, high = max(low, -pair.largest), min(high, pair.largest)
    method = f"MOVER from the two intervals, which treats the versions as independent: {why}"
    value = pair.now.value - pair.was.value
    return Difference(
        value=value, low=min(low, value), high=max(high, value), level=level, method=method, n=None, clusters=None, unit=pair.now.unit,
    )  # fmt: skip


def _margins(estimate: Estimate) -> Margins:
    return Margins(estimate.value, estimate.low, estimate.high, estimate.level, estimate.clusters)


def _gives(items: Mapping[str, ItemValue], estimate: Estimate) -> bool:
    """Whether the values by prompt, derived now, are those that the estimate was made of."""
    if len(items) != estimate.n:
        return False
    return bool(np.isclose(np.mean([each.value for each in items.values()]), estimate.value, rtol=1e-9, atol=1e-9))
