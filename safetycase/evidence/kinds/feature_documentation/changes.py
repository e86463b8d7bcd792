"""What every edit of every feature does to log-odds, prompt by prompt, and which dose of steering a feature gets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence.kinds.feature_documentation.answers import Answers
from safetycase.evidence.kinds.feature_documentation.dosing import Dosing, Trial, choose_dose
from safetycase.evidence.kinds.feature_documentation.observed import Observed
from safetycase.evidence.kinds.feature_documentation.params import ABSENT, Read, population
from safetycase.evidence.tables import Table

Role = Literal["tested", "null"]


class Edit(NamedTuple):
    """One intervention on the prompts of one split of one class."""

    contrast: str
    feature: int
    kind: str
    """ablate, clamp or steer."""
    dose: float
    population: str
    split: str


@dataclass(frozen=True)
class Changes:
    """Edited minus unedited log-odds of the same prompts, and the divergence off target, both in nats."""

    items: tuple[str, ...]
    change: NDArray[np.float64]
    kl: NDArray[np.float64]


@dataclass(frozen=True)
class Edited:
    """All interventions of an observation."""

    changes: Mapping[Edit, Changes]
    roles: Mapping[tuple[str, Role], tuple[int, ...]]
    """(contrast, role) to features; tested ones by rank, null ones by index."""

    def of(self, contrast: str, feature: int, kind: str, dose: float, side: str, split: str = "test") -> Changes | None:
        """The changes under one edit, on confirmation prompts unless another split is named; None where it was not made."""
        return self.changes.get(Edit(contrast, feature, kind, dose, population(contrast, side), split))


def edited(seen: Observed) -> Edited:
    """Every edit beside the unedited model; prompts without a baseline are left out."""
    if not seen.tables.has("causes"):
        return Edited({}, {})
    table = seen.tables.table("causes")
    kept = [item in seen.baseline.get(contrast, {}) for contrast, item in zip(table["contrast"], table["item"], strict=True)]
    changes = {
        Edit(*key): _changes(seen, key[0], rows)
        for key, rows in table.take(np.array(kept, dtype=bool)).by(*Edit._fields[:2], "edit", *Edit._fields[3:]).items()
    }
    by_role: dict[tuple[str, Role], set[int]] = {}
    for contrast, feature, role in table.by("contrast", "feature", "role"):
        by_role.setdefault((contrast, role), set()).add(feature)
    return Edited(changes, {key: _ordered(seen, *key, found) for key, found in by_role.items()})


def _changes(seen: Observed, contrast: str, rows: Table) -> Changes:
    rows = rows.take(np.argsort(rows["item"].astype(np.str_), kind="stable"))
    items = tuple(rows["item"].tolist())
    before = np.array([seen.baseline[contrast][item] for item in items])
    return Changes(items, rows["log_odds"] - before, rows["kl"])


def _ordered(seen: Observed, contrast: str, role: Role, features: set[int]) -> tuple[int, ...]:
    if role == "null":
        return tuple(sorted(features))
    ranks = {feature: rank for rank, (_, feature) in enumerate(seen.ranked(contrast))}
    return tuple(sorted(features, key=lambda feature: (ranks.get(feature, len(ranks)), feature)))


def dosing(seen: Observed, made: Edited, answers: Answers | str | None, contrast: str, feature: int, read: Read) -> Dosing:
    """The dose of steering of a feature, by what doses do to absent prompts of the split validation: one rule for tested and null ones.

    `answers` are None for null features, which get none. Those of tested features to validation prompts take part, where there are any;
    those to confirmation prompts never do.
    """
    trials = []
    for dose in seen.setup["doses"]:
        changes = made.of(contrast, feature, "steer", dose, ABSENT, "validation")
        if changes is not None:
            incoherent = answers.incoherent_share(feature, dose, test=False) if isinstance(answers, Answers) else None
            trials.append((dose, Trial(dose, float(changes.change.mean()), float(changes.kl.mean()), incoherent)))
    found = choose_dose([trial for _, trial in trials], max_kl=read.max_kl, max_incoherent=read.max_incoherent)
    if found.index is None:
        return found
    return Dosing(list(seen.setup["doses"]).index(trials[found.index][0]))
