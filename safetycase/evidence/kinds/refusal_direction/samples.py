"""Answers drawn at random from every arm, so that a reader sees what labels stand for."""

import hashlib
from collections import defaultdict

from safetycase.evidence.kinds.refusal_direction.findings import Sample
from safetycase.evidence.kinds.refusal_direction.labels import Labels


def samples(labels: Labels | str, per_arm: int, seed: int) -> tuple[Sample, ...]:
    """`per_arm` answers of each arm, uniformly over its answers, by the label of the first judge.

    The order is that of a hash of seed and answer: any subset of the arms gives the same draw. Null directions are left out.
    """
    if isinstance(labels, str):
        return ()
    by_arm: dict[str, list[Sample]] = defaultdict(list)
    for (arm, population), answers in labels.arms.items():
        if not arm.startswith("random-"):
            by_arm[arm] += [Sample(arm=arm, population=population, item=item, label=label) for item, label in answers.items()]
    drawn = []
    for arm in sorted(by_arm):
        drawn += sorted(by_arm[arm], key=lambda sample: _place(sample, seed))[:per_arm]
    return tuple(drawn)


def _place(sample: Sample, seed: int) -> str:
    return hashlib.sha256(f"{seed}\n{sample.arm}\n{sample.population}\n{sample.item}".encode()).hexdigest()
