"""The tables of one documentation of features with the joins that every part of the derivation needs."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from safetycase.evidence import stats
from safetycase.evidence.kinds.feature_documentation.params import ABSENT, PRESENT, Read, population
from safetycase.evidence.stats import Interval
from safetycase.evidence.tables import Table, Tables

UNCOUNTED = "tokens of the corpus were not counted: on how many of them features fire is not known"


@dataclass(frozen=True)
class Observed:
    """Tables, the row of set-up, and what each prompt and each feature belongs to."""

    tables: Tables
    setup: Mapping[str, Any]
    families: Mapping[str, str]
    """Item to family."""
    categories: Mapping[str, str]
    lengths: Mapping[str, int]
    """Item to tokens of the prompt."""
    test_items: Mapping[str, frozenset[str]]
    """Population to the items that what was found is tested on."""
    baseline: Mapping[str, Mapping[str, float]]
    """Contrast to item to log-odds of the unedited model, in nats; all splits."""
    slots: Mapping[int, tuple[str, ...]]
    """Documented feature to why it has a card."""

    @property
    def tokens(self) -> int:
        """Of the corpus; 0 where they were not counted, as in imports, and nothing is then known of densities."""
        return int(self.setup["corpus"]["tokens"])

    @property
    def contrasts(self) -> tuple[str, ...]:
        """The contrasts of the plan, by name: the order in which the plan declares them is not stored."""
        return tuple(sorted(self.setup["contrasts"]))

    def stopped(self, contrast: str) -> str:
        """Why nothing could be asked of a contrast's log-odds; empty where it could."""
        reason = self.setup["contrasts"][contrast]["stopped"]
        assert isinstance(reason, str), reason
        return reason

    def variants(self, contrast: str) -> tuple[str, ...]:
        """Populations of a contrast besides its two classes."""
        classes = {population(contrast, PRESENT), population(contrast, ABSENT)}
        others = {other for other in self.contrasts if other != contrast and other.startswith(f"{contrast}-")}
        found = (each for each in self.test_items if each.startswith(f"{contrast}-") and each not in classes)
        return tuple(sorted(each for each in found if not any(each.startswith(f"{other}-") for other in others)))

    def ranked(self, contrast: str) -> tuple[tuple[str, int], ...]:
        """The slots of a contrast with their features, by rank."""
        named = {slot: feature for feature, slots in self.slots.items() for slot in slots}
        ranks = ((slot.removeprefix(f"{contrast}-"), slot) for slot in named)
        return tuple((slot, named[slot]) for rank, slot in sorted((int(r), s) for r, s in ranks if r.isdecimal()) if rank)

    def clusters(self, items: Iterable[str]) -> NDArray[np.str_]:
        """The family of each item."""
        return np.array([self.families[item] for item in items], dtype=np.str_)

    def mean(self, items: Sequence[str], values: ArrayLike, read: Read, level: float | None = None) -> Interval:
        """The mean over prompts, clustered by family."""
        return stats.mean(values, self.clusters(items), level or read.level, self.tables.seed, read.resamples)

    def rows(self, table: str, **equals: Any) -> Table | str:
        """The rows of an optional table that have these values, or the reason why there are none."""
        if not self.tables.has(table):
            return self.tables.why_absent(table)
        found = self.tables.table(table).where(**equals)
        return found if len(found) else self.tables.absent.get(table, "nothing of it could be measured")


def observed(tables: Tables) -> Observed:
    """Join what was stored."""
    items = tables.table("items")
    used = items.where(split="test", used=True)
    tested: dict[str, set[str]] = defaultdict(set)
    for name, item in zip(used["population"], used["item"], strict=True):
        tested[name].add(item)
    lengths: dict[str, int] = {}
    for item, length in zip(items["item"], items["length"], strict=True):
        lengths[item] = max(int(length), lengths.get(item, 0))
    return Observed(
        tables=tables,
        setup=next(tables.table("setup").rows()),
        families=dict(zip(items["item"].tolist(), items["family"].tolist(), strict=True)),
        categories=dict(zip(items["item"].tolist(), items["category"].tolist(), strict=True)),
        lengths=lengths,
        test_items={name: frozenset(tested.get(name, ())) for name in sorted(set(items["population"].tolist()))},
        baseline=_baseline(tables),
        slots={row["feature"]: tuple(row["slots"]) for row in sorted(tables.table("documented").rows(), key=lambda row: row["feature"])},
    )


def _baseline(tables: Tables) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = defaultdict(dict)
    if tables.has("baseline"):
        table = tables.table("baseline")
        for contrast, item, value in zip(table["contrast"].tolist(), table["item"].tolist(), table["log_odds"].tolist(), strict=True):
            found[contrast][item] = value
    return dict(found)
