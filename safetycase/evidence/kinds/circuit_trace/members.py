"""The members of the circuit hypothesis as findings show them, and the example graphs."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from safetycase.evidence.kinds.circuit_trace.findings import ExampleGraph, ExampleNode, Member
from safetycase.evidence.kinds.circuit_trace.names import members as slots_of
from safetycase.evidence.kinds.circuit_trace.observed import CONFIRMATION, Observed
from safetycase.evidence.kinds.circuit_trace.recurrence import Circuit
from safetycase.evidence.kinds.circuit_trace.selection import Node


def members(seen: Observed, circuit: Circuit, stability: Sequence[float]) -> tuple[Member, ...]:
    """Every member with what is known of it; without the table of members, without label and tokens."""
    effects = _effects(seen)
    known = {row["member"]: row for row in seen.tables.table("members").rows()} if seen.tables.has("members") else {}
    found = []
    for number, (slot, each) in enumerate(zip(slots_of(seen.ask), circuit.members, strict=False), start=1):
        layer, feature, role = each.node
        row = known.get(number, {"label": "", "logits_top": [], "logits_bottom": []})
        found.append(
            Member(
                slot=slot, layer=layer, feature=feature, role=role, label=row["label"], raises=tuple(row["logits_top"]),
                lowers=tuple(row["logits_bottom"]), p=each.p, recurs=each.harmful, recurs_harmless=each.harmless,
                effect=effects[each.node], stability=stability[number - 1],
            )
        )  # fmt: skip
    return tuple(found)


def examples(seen: Observed) -> tuple[ExampleGraph, ...]:
    """The graphs that are drawn; tokens of their prompts lie in a table of their own."""
    rows = seen.rows("examples")
    if isinstance(rows, str):
        return ()
    return tuple(
        ExampleGraph(
            item=row["item"], population=row["population"], target=row["target"], roles=tuple(row["roles"]),
            nodes=tuple(ExampleNode(**node) for node in row["nodes"]),
            edges=tuple((int(source), int(target), float(weight)) for source, target, weight in row["edges"]),
        )
        for row in sorted(rows.rows(), key=lambda row: (row["population"], row["item"]))
    )  # fmt: skip


def _effects(seen: Observed) -> dict[Node, float]:
    """Mean over the harmful discovery prompts in whose pruned graph the node stands."""
    rows = seen.rows("graph_nodes")
    if isinstance(rows, str):
        return {}
    harmful = seen.items.get("harmful", frozenset())
    found: dict[Node, list[float]] = defaultdict(list)
    for row in rows.rows():
        if row["item"] in harmful and seen.splits[row["item"]] != CONFIRMATION:
            found[row["layer"], row["feature"], row["role"]].append(row["effect"])
    return {node: float(np.sort(values).mean()) for node, values in found.items()}
