"""What judges say of the answers to a contrast's confirmation prompts, unedited and under edits."""

from collections.abc import Mapping
from dataclasses import dataclass

from safetycase.evidence.judges import judge, judge_names
from safetycase.evidence.kinds.feature_documentation.observed import Observed
from safetycase.evidence.kinds.feature_documentation.params import ABSENT, Read, population
from safetycase.evidence.tables import Table

INCOHERENT = "incoherent"
SHOWN = frozenset({"refuse", "shown"})
PHRASES = "phrases"
UNEDITED = -1

Labels = Mapping[str, str]
"""Item to label."""
Arm = tuple[int, str, float, str]
"""Feature, edit, dose and population."""


@dataclass(frozen=True)
class Answers:
    """The labels of one judge for one contrast."""

    contrast: str
    arms: Mapping[Arm, Labels]
    """The unedited model is feature -1 under edit `none`."""
    tested: frozenset[str]
    """Confirmation prompts; all others are discovery."""

    def baseline(self, side: str) -> Labels:
        """Of the unedited model."""
        return self.of(UNEDITED, "none", 0.0, side)

    def of(self, feature: int, kind: str, dose: float, side: str, *, test: bool = True) -> Labels:
        """Of one edit, on confirmation prompts or else on discovery prompts; empty where nothing was answered."""
        found = self.arms.get((feature, kind, dose, population(self.contrast, side)), {})
        return {item: label for item, label in found.items() if (item in self.tested) == test}

    def incoherent_share(self, feature: int, dose: float, *, test: bool) -> float | None:
        """The share of answers to absent prompts that say nothing under a dose of steering; None where none were generated."""
        labels = self.of(feature, "steer", dose, ABSENT, test=test)
        return sum(label == INCOHERENT for label in labels.values()) / len(labels) if labels else None


def judges_of(seen: Observed, contrast: str, read: Read) -> tuple[str, ...]:
    """Who judges a contrast's answers: declared phrases, or else the text judges."""
    if seen.tables.has("answers") and len(seen.tables.table("answers").where(contrast=contrast, judge=PHRASES)):
        return (PHRASES,)
    return read.judges if seen.setup["behaviour_judges"][contrast] == "refusal" else (PHRASES,)


def answers_of(seen: Observed, contrast: str, name: str) -> Answers | str:
    """The labels of a judge as it is now, or the reason why there are none; labels of an older version are made again from the answers."""
    if not seen.tables.has("answers"):
        return seen.stopped(contrast) or seen.tables.why_absent("answers")
    stored = seen.tables.table("answers").where(contrast=contrast, judge=name)
    labels = stored["label"].tolist()
    if name in judge_names() and (not len(stored) or not bool((stored["version"] == judge(name).version).all())):
        if not seen.tables.has("completions"):
            return f"labels of the judge {name} are of another version or missing, and no answers are stored"
        stored = seen.tables.table("completions").where(contrast=contrast)
        labels = [str(judge(name).label(text)) for text in stored["text"]]
    if not len(stored):
        return seen.stopped(contrast) or f"no answers of this contrast were judged by {name}"
    tested = frozenset().union(*(items for each, items in seen.test_items.items() if each.startswith(f"{contrast}-")))
    return Answers(contrast, _arms(stored, labels), tested)


def _arms(stored: Table, labels: list[str]) -> Mapping[Arm, Labels]:
    arms: dict[Arm, dict[str, str]] = {}
    keys = zip(*(stored[name].tolist() for name in ("feature", "edit", "dose", "population")), strict=True)
    for key, item, label in zip(keys, stored["item"].tolist(), labels, strict=True):
        arms.setdefault(key, {})[item] = label
    return arms
