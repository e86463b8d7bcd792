"""The tables of one observation with the joins that every part of the derivation needs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence.kinds.refusal_direction.params import Candidate
from safetycase.evidence.tables import Tables

POPULATIONS = ("harmful", "harmless", "alarming")


@dataclass(frozen=True)
class Observed:
    """Tables, the row of set-up, and what each prompt belongs to."""

    tables: Tables
    setup: Mapping[str, Any]
    families: Mapping[str, str]
    """Item to family."""
    categories: Mapping[str, str]
    """Item to category."""
    populations: tuple[str, ...]
    """Those with test prompts, always `harmful` and `harmless`."""
    baseline: Mapping[str, float]
    """Test item to refusal log-odds of the unedited model; empty where the table is absent."""
    test_items: Mapping[str, tuple[str, ...]]
    """Population to its used test items."""
    strata: Mapping[str, tuple[str, ...]]
    """Population to the categories of its prompt set, those without a test prompt included."""

    @property
    def evaluated(self) -> Candidate | None:
        """What the test split was asked about."""
        declared = self.setup["evaluated"]
        return None if declared is None else Candidate(position=declared["position"], layer=declared["layer"])

    @property
    def stopped(self) -> str:
        """Why the observation ended early; empty where it did not."""
        reason = self.setup["stopped"]
        assert isinstance(reason, str), reason
        return reason

    def clusters(self, items: Iterable[str]) -> NDArray[np.str_]:
        """The family of each item."""
        return np.array([self.families[item] for item in items], dtype=np.str_)


def observed(tables: Tables) -> Observed:
    """Join what was stored."""
    items = tables.table("items")
    names = items["item"].tolist()
    test = items.where(split="test", used=True)
    present = set(items.where(split="test")["population"].tolist()) | {"harmful", "harmless"}
    baseline: dict[str, float] = {}
    if tables.has("baseline"):
        rows = tables.table("baseline").where(split="test")
        baseline = dict(zip(rows["item"].tolist(), rows["log_odds"].tolist(), strict=True))
    populations = tuple(each for each in POPULATIONS if each in present)
    return Observed(
        tables=tables,
        setup=next(tables.table("setup").rows()),
        families=dict(zip(names, items["family"].tolist(), strict=True)),
        categories=dict(zip(names, items["category"].tolist(), strict=True)),
        populations=populations,
        baseline=baseline,
        test_items={each: tuple(test.where(population=each)["item"].tolist()) for each in populations},
        strata={each: tuple(sorted(set(items.where(population=each)["category"].tolist()))) for each in populations},
    )
