"""Planted tables of prompts, graphs, members and the edges between them."""

from collections.abc import Iterator
from functools import cache

import numpy as np

from safetycase.evidence.kinds.circuit_trace.params import Ask
from safetycase.evidence.kinds.circuit_trace.selection import Matched, Node, clusters_of, recurring, selected
from safetycase.evidence.tables import Row
from tests.evidence.kinds.circuit_trace.planted import N_LAYERS, ROLES, Planted, randomness


def items(plan: Planted) -> Iterator[Row]:
    """Half of the discovery pairs are of the split train, half of validation; one prompt more was not asked.

    Matched by category, two families of harmful prompts share one of harmless ones.
    """
    for population in ("harmful", "harmless", *(("paraphrase",) if plan.paraphrase else ())):
        for half in ("discovery", "confirmation"):
            if population == "paraphrase" and half == "discovery":
                continue
            for number in range(plan.families * plan.per_family):
                family = f"{half} {number % plan.families}"
                own = family if plan.matched_by == "family" or population != "harmless" else f"{half} plain {number % plan.families // 2}"
                split = "test" if half == "confirmation" else ("train", "validation")[number // plan.families % 2]
                yield {
                    "item": f"{population}-{half}-{number:03d}", "population": population, "split": split,
                    "category": f"category {number % 2}", "family": own,
                    "pair": "" if population == "paraphrase" else f"harmful-{half}-{number:03d}", "length": 14, "used": True,
                    "why_unused": "",
                }  # fmt: skip
    yield {
        "item": "harmful-unused", "population": "harmful", "split": "test", "category": "category 0", "family": "another", "pair": "",
        "length": 0, "used": False, "why_unused": "beyond the pairs that were asked for",
    }  # fmt: skip


def used(plan: Planted, *populations: str, half: str = "") -> list[Row]:
    return [row for row in items(plan) if row["used"] and row["population"] in populations and half in row["item"]]


def place(row: Row) -> Row:
    return {name: row[name] for name in ("item", "population", "split")}


def log_odds(plan: Planted, item: str) -> float:
    """Harmful prompts lie above 0, harmless ones below; every prompt keeps its own offset."""
    return (-3.0 if item.startswith("harmless") else 3.0) + float(randomness(plan, "offset", item).standard_normal())


def baseline(plan: Planted) -> Iterator[Row]:
    for row in used(plan, "harmful", "harmless", "paraphrase"):
        yield {**place(row), "log_odds": log_odds(plan, row["item"])}


@cache
def _kept(plan_key: tuple[int, int, float, float, bool, int], item: str) -> tuple[Node, ...]:
    members, shared, recurs, recurs_harmless, stands, seed = plan_key
    plan = Planted(members=members, shared=shared, seed=seed)
    rng = randomness(plan, "kept", item)
    share = recurs_harmless if item.startswith("harmless") else recurs
    if "confirmation" in item and not stands:
        share = (recurs + recurs_harmless) / 2
    own = [node for node in plan.nodes if rng.random() < share]
    own += [(n % N_LAYERS, 10 + n, ROLES[n % 2]) for n in range(shared) if rng.random() < 0.8]
    rare = int(rng.integers(1000, 2000))
    return (*own, (1, rare, "instruction"))


def kept(plan: Planted, item: str) -> tuple[Node, ...]:
    """The features of an item's pruned graph: members, those that both classes share, and one that stands nowhere else."""
    return _kept((plan.members, plan.shared, plan.recurs, plan.recurs_harmless, plan.stands, plan.seed), item)


def graphs(plan: Planted) -> Iterator[Row]:
    for row in used(plan, "harmful", "harmless", "paraphrase"):
        rng = randomness(plan, "graphs", row["item"])
        error, subgraph, unattributed = (
            float(np.clip(centre + 0.03 * rng.standard_normal(), 0.0, 1.0)) for centre in (plan.error_share, plan.subgraph, 0.08)
        )
        yield {
            **place(row), "active": 400 + int(rng.integers(0, 50)), "nodes": 400, "kept_features": len(kept(plan, row["item"])),
            "kept_errors": 12, "kept_edges": 60, "target_value": 2.0, "replacement": 1 - error, "completeness": 1 - error / 2,
            "error_share": error, "unattributed_share": unattributed,
            "reconstructed": plan.reconstructed + 0.03 * float(rng.standard_normal()),
            "exactness": plan.exactness * (0.5 + 0.5 * rng.random()),
            "subgraph_replacement": subgraph, "subgraph_completeness": subgraph,
        }  # fmt: skip


def graph_nulls(plan: Planted) -> Iterator[Row]:
    for row in used(plan, "harmful", "harmless", "paraphrase"):
        rng = randomness(plan, "graph nulls", row["item"])
        for draw in range(1, plan.subgraphs + 1):
            score = float(np.clip(plan.random_subgraph + 0.05 * rng.standard_normal(), 0.0, 1.0))
            yield {"item": row["item"], "draw": draw, "replacement": score, "completeness": score}


def effect(node: Node) -> float:
    """Signed total effect of a feature on the target, where it stands."""
    return 2.0 - 0.3 * (node[1] - 100) if node[1] >= 100 and node[1] < 1000 else 0.1


def graph_nodes(plan: Planted) -> Iterator[Row]:
    for row in used(plan, "harmful", "harmless", "paraphrase"):
        rng = randomness(plan, "nodes", row["item"])
        for node in kept(plan, row["item"]):
            layer, feature, role = node
            yield {
                "item": row["item"], "layer": layer, "feature": feature, "role": role, "influence": 0.05,
                "effect": effect(node) + 0.05 * float(rng.standard_normal()), "activation": 1.0 + float(rng.random()), "positions": 1,
            }  # fmt: skip


def selected_members(plan: Planted, ask: Ask) -> list[Node]:
    """What the lab selects: by the same rule, on discovery pairs."""
    rows = {row["item"]: row for row in used(plan, "harmful", "harmless", half="discovery")}
    pairs = [(item, item.replace("harmful", "harmless")) for item in rows if item.startswith("harmful")]
    clusters = clusters_of([(rows[one]["family"], rows[other]["family"]) for one, other in pairs])
    known = {item: kept(plan, item) for item in rows}
    graphed = Matched.of(known, [(one, other, cluster) for (one, other), cluster in zip(pairs, clusters, strict=True)])
    found = recurring(graphed, ask.minimum_recurrence, ask.swaps, plan.seed)
    return [each.node for each in selected(found, ask.selection_alpha, ask.max_members)]


def members(plan: Planted, chosen: list[Node]) -> Iterator[Row]:
    for number, (layer, feature, role) in enumerate(chosen, start=1):
        yield {
            "member": number, "layer": layer, "feature": feature, "role": role, "decoder_norm": 1.0,
            "label": f"label of {feature}" if plan.labels else "", "logits_top": [f" top{feature}", " sorry", " no", " I"],
            "logits_bottom": [" sure"],
        }  # fmt: skip


def member_edges(plan: Planted, chosen: list[Node]) -> Iterator[Row]:
    """The first member drives all above it; every one drives the target."""
    for row in used(plan, "harmful", half="discovery"):
        there = kept(plan, row["item"])
        for number, node in enumerate(chosen, start=1):
            if node not in there:
                continue
            yield {"item": row["item"], "source": number, "target": 0, "weight": 1.0 + number / 10, "kept": True}
            for other, above in enumerate(chosen, start=1):
                if above[0] > node[0] and above in there:
                    yield {"item": row["item"], "source": number, "target": other, "weight": 0.5, "kept": number == 1}


def likeness(plan: Planted, chosen: list[Node]) -> Iterator[Row]:
    """The first two members write alike, the others apart."""
    for one in range(1, len(chosen) + 1):
        for other in range(one + 1, len(chosen) + 1):
            yield {"one": one, "other": other, "decoders": 0.9 if (one, other) == (1, 2) else -0.2}
