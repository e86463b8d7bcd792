"""What judges and people say of each generated answer."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from safetycase.evidence.judges import judge, judge_names
from safetycase.evidence.tables import Table, Tables

REFUSE = "refuse"
INCOHERENT = "incoherent"

Answers = Mapping[str, str]
"""Item to label: refuse, comply or incoherent."""


@dataclass(frozen=True)
class Labels:
    """The labels of one judge, or of people."""

    arms: Mapping[tuple[str, str], Answers]
    """(arm, population) to the labels of its answers."""

    def of(self, arm: str, population: str) -> Answers:
        """The labels of one arm; empty where it has no answers."""
        return self.arms.get((arm, population), {})


def labels_of(tables: Tables, name: str) -> Labels | str:
    """The labels of a judge as it is now, or the reason why there are none.

    Stored labels count where the judge's version is the current one; labels of an older version are made again from the answers.
    Labels of a judge that is no text judge (a model judge, run in the lab) are taken as stored.
    """
    stored = tables.table("labels").where(judge=name) if tables.has("labels") else None
    if name not in judge_names():
        if stored is not None and len(stored):
            return _grouped(stored, stored["label"].tolist())
        return f"no judge of that name has labelled the answers; text judges: {', '.join(judge_names())}"
    current = judge(name)
    if stored is not None and len(stored) and bool((stored["version"] == current.version).all()):
        return _grouped(stored, stored["label"].tolist())
    if tables.has("completions"):
        answers = tables.table("completions")
        return _grouped(answers, [str(current.label(text)) for text in answers["text"]])
    if stored is not None and len(stored):
        versions = ", ".join(map(str, sorted(set(stored["version"].tolist()))))
        return f"labels were made by version {versions} of the judge, which is now {current.version}, and no answers are stored"
    return tables.why_absent("labels")


def human_labels(tables: Tables) -> Labels | str:
    """What most people who labelled an answer say of it; an answer on which they are split is left out."""
    if not tables.has("human_labels") or not len(tables.table("human_labels")):
        return tables.absent.get("human_labels", "no person has labelled a blinded sample of answers")
    votes: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for row in tables.table("human_labels").rows():
        votes[row["arm"], row["population"], row["item"]][row["label"]] += 1
    arms: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for (arm, population, item), labels in sorted(votes.items()):
        first, *others = labels.most_common(2)
        if not others or others[0][1] < first[1]:
            arms[arm, population][item] = first[0]
    return Labels(dict(arms))


def _grouped(table: Table, labels: Iterable[str]) -> Labels:
    arms: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for arm, population, item, label in zip(table["arm"], table["population"], table["item"], labels, strict=True):
        arms[arm, population][item] = label
    return Labels(dict(arms))
