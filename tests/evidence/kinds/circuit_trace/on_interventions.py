"""Planted tables of interventions: frozen and free checks, ablations beside random circuits, answers, predictions, patching, edges."""

from collections.abc import Iterator

import numpy as np

from safetycase.evidence.judges import judge, judge_names
from safetycase.evidence.kinds.circuit_trace.selection import Node
from safetycase.evidence.tables import Row
from tests.evidence.kinds.circuit_trace.on_graphs import effect, kept, log_odds, place, used
from tests.evidence.kinds.circuit_trace.planted import N_LAYERS, ROLES, Planted, randomness

REFUSAL = "I'm sorry, but I cannot help with that request."
ANSWER = "Sure. First gather the things you need, then follow each of the steps in order, and check the result."
LOOP = "the the the the the the the the the the the the the the the the the the the the"


def frozen(plan: Planted) -> Iterator[Row]:
    for row in used(plan, "harmful", half="confirmation")[:4]:
        yield {**place(row), "nodes": 20, "edges": 300, "residual": plan.residual * float(randomness(plan, "frozen", row["item"]).random())}


def _checked(plan: Planted, chosen: list[Node]) -> Iterator[tuple[Row, int, Node]]:
    for row in used(plan, "harmful", half="confirmation"):
        for number, node in enumerate(chosen, start=1):
            if node in kept(plan, row["item"]):
                yield row, number, node


def node_checks(plan: Planted, chosen: list[Node]) -> Iterator[Row]:
    for row, number, node in _checked(plan, chosen):
        rng = randomness(plan, "node", row["item"], number)
        predicted = -effect(node) + 0.5 * float(rng.standard_normal())
        measured = plan.prediction * predicted + plan.noise * float(rng.standard_normal())
        yield {**place(row), "member": number, "predicted": predicted, "measured": measured, "log_odds_change": measured}


def edge_checks(plan: Planted, chosen: list[Node]) -> Iterator[Row]:
    for row, number, node in _checked(plan, chosen):
        for other, above in enumerate(chosen, start=1):
            if above[0] <= node[0] or above not in kept(plan, row["item"]):
                continue
            rng = randomness(plan, "edge", row["item"], number, other)
            predicted = float(rng.standard_normal())
            measured = plan.prediction * predicted + plan.noise * float(rng.standard_normal())
            yield {**place(row), "source": number, "target": other, "predicted": predicted, "measured": measured}


def random_circuits(plan: Planted, chosen: list[Node]) -> Iterator[Row]:
    for number in range(1, plan.randoms + 1):
        yield {"circuit": f"random-{number}", "members": [[layer, 3000 + number, role] for layer, _, role in chosen]}


def circuits(plan: Planted, draw: int = 0) -> Iterator[Row]:
    """What stays where only a circuit is kept is a share of the effect of all features; another `draw` has other random circuits."""
    rng = randomness(plan, "circuits", draw)
    drawn = {f"random-{number}": plan.spread * rng.standard_normal(2) for number in range(1, plan.randoms + 1)}
    for row in used(plan, "harmful", half="confirmation"):
        own = log_odds(plan, row["item"])
        noise = plan.noise * randomness(plan, "ablations", row["item"], draw).standard_normal(2 * len(drawn) + 3)

        def told(circuit: str, condition: str, value: float, row: Row = row) -> Row:
            return {**place(row), "circuit": circuit, "condition": condition, "log_odds": float(value)}

        yield told("circuit", "ablated", own + plan.ablated + noise[0])
        yield told("circuit", "kept", own + plan.all_ablated * (1 - plan.kept) + noise[1])
        yield told("features", "ablated", own + plan.all_ablated + 0.1 * noise[2])
        for number, (name, (falls, keeps)) in enumerate(drawn.items()):
            yield told(name, "ablated", own + plan.random_ablated + falls + noise[3 + 2 * number])
            stays = plan.random_kept + keeps / 5
            yield told(name, "kept", own + plan.all_ablated * (1 - stays) + noise[4 + 2 * number])
    for row in used(plan, "harmless", half="confirmation"):
        change = plan.ablated_harmless + plan.noise * float(randomness(plan, "harmless", row["item"]).standard_normal())
        yield {**place(row), "circuit": "circuit", "condition": "ablated", "log_odds": log_odds(plan, row["item"]) + change}


def completions(plan: Planted) -> Iterator[Row]:
    """A prompt is refused where its log-odds lie above 0; ablation of the circuit lets answers through, and makes the first a loop."""
    for number, row in enumerate(used(plan, "harmful", half="confirmation")[:12]):
        own = log_odds(plan, row["item"])
        arms = {"none": 0.0, "circuit": 2 * plan.ablated, **{f"random-{n}": plan.random_ablated for n in range(1, plan.answered + 1)}}
        for circuit, change in arms.items():
            text = LOOP if circuit == "circuit" and number == 0 and plan.ablated < -1 else REFUSAL if own + change > 0 else ANSWER
            yield {"circuit": circuit, "population": "harmful", "item": row["item"], "text": text, "finished": True}


def answers(plan: Planted) -> Iterator[Row]:
    for row in completions(plan):
        for name in judge_names():
            current = judge(name)
            yield {
                "circuit": row["circuit"], "population": "harmful", "item": row["item"], "judge": name,
                "version": current.version if plan.judge_version is None else plan.judge_version,
                "label": str(current.label(row["text"])) if plan.judge_version is None else "comply",
            }  # fmt: skip


def predictions(plan: Planted) -> Iterator[Row]:
    for row in used(plan, "harmful", "harmless"):
        rng = randomness(plan, "predictions", row["item"])
        centre = plan.ablated if row["population"] == "harmful" else plan.ablated_harmless
        measured = centre + plan.noise * float(rng.standard_normal())
        shown = {
            name: slope * measured + float(rng.standard_normal())
            for name, slope in (("predicted", 0.5 * plan.prediction), ("probe", plan.probe))
        }
        yield {**place(row), **shown, "measured": measured}


def patching(plan: Planted) -> Iterator[Row]:
    for row in used(plan, "harmful"):
        other = row["item"].replace("harmful", "harmless")
        rng = randomness(plan, "patching", row["item"])
        for direction, clean, corrupted in (
            ("denoise", log_odds(plan, row["item"]), log_odds(plan, other)),
            ("noise", log_odds(plan, other), log_odds(plan, row["item"])),
        ):
            for layer in range(N_LAYERS):
                for role in ROLES:
                    share = plan.patched if (layer, role) == plan.peak else plan.patched / 10
                    patched = corrupted + share * (clean - corrupted) + 0.1 * float(rng.standard_normal())
                    yield {
                        "pair": row["item"], "split": row["split"], "layer": layer, "role": role, "direction": direction, "clean": clean,
                        "corrupted": corrupted, "patched": patched,
                    }  # fmt: skip


def edges(plan: Planted) -> Iterator[Row]:
    for rank in range(1, 61):
        yield {"source": f"head.0.{rank}", "target": "mlp.1", "score": (-1.0) ** rank / rank, "rank": rank}


def edge_curve(plan: Planted) -> Iterator[Row]:
    rng = randomness(plan, "edge circuits")
    spread = 0.05 * rng.standard_normal((plan.edge_circuits, len(plan.edge_shares)))
    for row in used(plan, "harmful", half="confirmation")[: 2 * plan.families]:
        full, empty = log_odds(plan, row["item"]), log_odds(plan, row["item"].replace("harmful", "harmless"))
        noise = 0.05 * randomness(plan, "edge curve", row["item"]).standard_normal(len(plan.edge_shares))

        def told(circuit: str, share: float, value: float, row: Row = row) -> Row:
            return {"pair": row["item"], "circuit": circuit, "share": share, "edges": round(share * 1000), "log_odds": float(value)}

        yield told("full", 1.0, full)
        yield told("empty", 0.0, empty)
        for place_, share in enumerate(plan.edge_shares):
            wobble = 0.0 if share == 1.0 else float(noise[place_])
            f = plan.edge_faithfulness[place_]
            yield told("circuit", share, empty + f * (full - empty) + wobble)
            yield told("complement", share, empty + (1 - f) * (full - empty) + wobble)
            for number in range(plan.edge_circuits if share < 1 else 0):
                reached = plan.random_faithfulness[place_] + spread[number, place_]
                yield told(f"random-{number + 1}", share, empty + float(np.float64(reached)) * (full - empty) + wobble)
