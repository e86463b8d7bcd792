"""An element of the argument in words: what it says, what was measured for it, and where it stands."""

from collections.abc import Iterator

from safetycase.case.goals import Node, NodeType
from safetycase.dossier import exhibits, numbers

_LEVEL = 0.95
"""The level of intervals that need not be told."""
_TOGETHER = "\N{NO-BREAK SPACE}"
"""Between the ends of an interval, which stand on one line."""


def measured(node: Node) -> tuple[str, ...]:
    """One line per estimate that the element rests on: `share refused: harmful requests, direction ablated: 11 % [6, 18]`."""
    return tuple(_measured(node))


def tags(node: Node) -> tuple[str, ...]:
    """Short words beside the id: the status of a defeater, the confidence in a goal, whether it is defeated."""
    found = []
    if node.defeated:
        found.append("defeated")
    if node.reply is not None:
        found.append(node.reply.status)
    if node.confidence is not None:
        found.append(f"confidence {node.confidence.word.value}")
    return tuple(found)


def standing(node: Node) -> str:
    """What weakens the evidence of an element; empty where it has none or nothing does."""
    return ", ".join(sorted({word for each in node.evidence for word in each.standing}))


def named(node: Node) -> str:
    """The type of an element as a reader says it."""
    if node.type is NodeType.DEFEATER:
        return "counter-solution" if node.counts_against else "counter-goal"
    return node.type.value


def _measured(node: Node) -> Iterator[str]:
    for evidence in node.evidence:
        for each in evidence.measured:
            level = "" if each.estimate.level == _LEVEL else f" at {numbers.percent(each.estimate.level)}"
            value = str(numbers.measured(each.estimate, each.name)).replace(", ", f",{_TOGETHER}")
            yield f"{exhibits.words(evidence.kind, each.name)}: {value}{level}"
