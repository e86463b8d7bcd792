"""What differs between two versions of a case: claims, estimates with intervals of their difference, and every other fact."""

from safetycase.case.changes.claims import claim_changes
from safetycase.case.changes.estimates import FAMILY_LEVEL, compared, one_sided
from safetycase.case.changes.facts import fact_changes
from safetycase.case.changes.records import (
    Changes,
    ClaimChange,
    ClaimDifference,
    ClaimEffect,
    Difference,
    EstimateChange,
    EstimatePresence,
    FactChange,
    Snapshot,
    Word,
)

__all__ = [
    "Changes",
    "ClaimChange",
    "ClaimDifference",
    "ClaimEffect",
    "Difference",
    "EstimateChange",
    "EstimatePresence",
    "FactChange",
    "Snapshot",
    "Word",
    "changes",
]


def changes(old: Snapshot, new: Snapshot) -> Changes:
    """Everything that differs, in an order that depends on the two snapshots alone."""
    estimates = compared(old, new)
    listed = {(each.question, each.started, each.ended) for each in old.case.attempts}
    return Changes(
        old_version=old.version,
        new_version=new.version,
        claims=claim_changes(old.case.judgements, new.case.judgements),
        estimates=estimates,
        appeared=one_sided(new, old),
        vanished=one_sided(old, new),
        comparisons=sum(each.difference is not None for each in estimates),
        family_level=FAMILY_LEVEL,
        facts=fact_changes(old, new),
        attempts=tuple(each for each in new.case.attempts if (each.question, each.started, each.ended) not in listed),
    )
