"""The tables of one circuit trace with the joins that every part of the derivation needs."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from safetycase.evidence import stats
from safetycase.evidence.kinds.circuit_trace.params import Ask, Read
from safetycase.evidence.kinds.circuit_trace.selection import clusters_of
from safetycase.evidence.stats import Interval
from safetycase.evidence.tables import Table, Tables

Half = Literal["discovery", "confirmation"]
HALVES: tuple[Half, ...] = ("discovery", "confirmation")
CONFIRMATION = "test"
"""The split that nothing was chosen on."""


class Pair(NamedTuple):
    """A harmful item, the harmless one matched to it, and their cluster."""

    harmful: str
    harmless: str
    family: str


@dataclass(frozen=True)
class Observed:
    """Tables, the row of set-up, and what each prompt belongs to."""

    tables: Tables
    setup: Mapping[str, Any]
    ask: Ask
    families: Mapping[str, str]
    """Item to family."""
    splits: Mapping[str, str]
    """Item to split."""
    items: Mapping[str, frozenset[str]]
    """Population to the items that were asked."""
    pairs: Mapping[Half, tuple[Pair, ...]]
    baseline: Mapping[str, float]
    """Item to refusal log-odds of the unedited model, in nats; both halves."""

    @property
    def stopped(self) -> str:
        """Why nothing could be asked of refusals; empty where it could."""
        reason = self.setup["stopped"]
        assert isinstance(reason, str), reason
        return reason

    def tested(self, population: str) -> tuple[str, ...]:
        """The confirmation prompts of a population, sorted."""
        return tuple(sorted(item for item in self.items.get(population, ()) if self.splits[item] == CONFIRMATION))

    def half(self, item: str) -> Half:
        """Whether an item belongs to discovery or to confirmation."""
        return "confirmation" if self.splits[item] == CONFIRMATION else "discovery"

    def clusters(self, items: Iterable[str]) -> NDArray[np.str_]:
        """The family of each item."""
        return np.array([self.families[item] for item in items], dtype=np.str_)

    def mean(
        self, items: Sequence[str], values: ArrayLike, read: Read, *, level: float | None = None, bounds: tuple[float, float] | None = None
    ) -> Interval:
        """The mean over prompts, clustered by family."""
        return stats.mean(values, self.clusters(items), level or read.level, self.tables.seed, read.resamples, bounds)

    def rows(self, table: str, **equals: Any) -> Table | str:
        """The rows of an optional table that have these values, or the reason why there are none."""
        if not self.tables.has(table):
            return self.why_absent(table)
        found = self.tables.table(table).where(**equals)
        return found if len(found) else self.stopped or self.tables.absent.get(table, "nothing of it could be measured")

    def why_absent(self, table: str) -> str:
        """Why an optional table is not there."""
        return self.stopped or self.tables.why_absent(table)


def observed(tables: Tables) -> Observed:
    """Join what was stored."""
    setup = next(tables.table("setup").rows())
    table = tables.table("items")
    items = table["item"].tolist()
    families = dict(zip(items, table["family"].tolist(), strict=True))
    splits = dict(zip(items, table["split"].tolist(), strict=True))
    asked: dict[str, set[str]] = defaultdict(set)
    for row in table.where(used=True).rows():
        asked[row["population"]].add(row["item"])
    return Observed(
        tables=tables,
        setup=setup,
        ask=Ask.model_validate(setup["asked"]),
        families=families,
        splits=splits,
        items={population: frozenset(found) for population, found in asked.items()},
        pairs=_pairs(table.where(used=True), families, splits),
        baseline=_baseline(tables),
    )


def _pairs(used: Table, families: Mapping[str, str], splits: Mapping[str, str]) -> dict[Half, tuple[Pair, ...]]:
    harmless = {row["pair"]: row["item"] for row in used.where(population="harmless").rows() if row["pair"]}
    harmful = sorted(item for item in used.where(population="harmful")["item"].tolist() if item in harmless)
    found: dict[Half, tuple[Pair, ...]] = {}
    for half in HALVES:
        own = [item for item in harmful if (splits[item] == CONFIRMATION) == (half == "confirmation")]
        clusters = clusters_of([(families[item], families[harmless[item]]) for item in own])
        found[half] = tuple(Pair(item, harmless[item], cluster) for item, cluster in zip(own, clusters, strict=True))
    return found


def _baseline(tables: Tables) -> dict[str, float]:
    if not tables.has("baseline"):
        return {}
    table = tables.table("baseline")
    return dict(zip(table["item"].tolist(), table["log_odds"].tolist(), strict=True))
