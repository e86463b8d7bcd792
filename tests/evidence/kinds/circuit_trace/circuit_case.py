"""Tables of a circuit trace with a planted truth, as the lab would have stored them, and what is derived from them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from safetycase.evidence.kinds.circuit_trace.derive import derive
from safetycase.evidence.kinds.circuit_trace.findings import Found
from safetycase.evidence.kinds.circuit_trace.params import Ask, Read
from safetycase.evidence.kinds.circuit_trace.tables import TABLES
from safetycase.evidence.tables import Row, Table, Tables, decode_rows, encode_rows
from tests.evidence.kinds.circuit_trace import on_graphs, on_interventions
from tests.evidence.kinds.circuit_trace.planted import N_LAYERS, ROLES, Planted

READ = Read(resamples=200)
OF_MEMBERS = ("node_checks", "edge_checks", "random_circuits", "circuits", "completions", "answers", "predictions")
"""Tables that there are only where there are members."""


def ask(**truth: Any) -> Ask:
    """The question that these tables answer."""
    return _ask(replace(Planted(), **truth))


def _ask(plan: Planted) -> Ask:
    asked: dict[str, Any] = {
        "transcoders": "transcoders" if plan.transcoders else None, "paraphrase": "paraphrase" if plan.paraphrase else None,
        "target": plan.target, "direction": "refusal" if plan.target == "direction" else None, "edge_shares": plan.edge_shares,
        "swaps": 199, "max_members": 5, "random_circuits": max(plan.randoms, 19), "random_subgraphs": max(plan.subgraphs, 19),
        "answered_circuits": plan.answered, "random_edge_circuits": max(plan.edge_circuits, 19),
    }  # fmt: skip
    return Ask(**{**asked, **plan.ask})


def found(read: Read = READ, /, **truth: Any) -> Found:
    """Findings of a trace of which this is true; equal ones are derived once."""
    key = repr((read, sorted(truth.items())))
    if key not in _FOUND:
        _FOUND[key] = derive(tables(**truth), read)
    return _FOUND[key]


_FOUND: dict[str, Found] = {}


def tables(**truth: Any) -> Tables:
    """Tables of a trace of which this is true."""
    return _tables(**truth) if truth else _default()


@cache
def _default() -> Tables:
    return _tables()


def _tables(**truth: Any) -> Tables:
    plan = replace(Planted(), **truth)
    chosen = on_graphs.selected_members(plan, _ask(plan)) if plan.transcoders and not plan.stopped else []
    absent = {"graphs_whole": "the graphs were not kept whole", **{name: f"{name} was left out" for name in plan.without}}
    if plan.stopped:
        absent |= {spec.name: plan.stopped for spec in TABLES if spec.optional}
    elif not chosen:
        absent |= dict.fromkeys(OF_MEMBERS, "there is no circuit to ablate")
    if not plan.transcoders:
        alone = {"prompts", "baseline", "patching", "edges", "edge_curve"}
        absent |= {spec.name: "no transcoders were named" for spec in TABLES if spec.optional and spec.name not in alone}
    rows = {name: list(each) for name, each in _rows(plan, chosen).items() if name not in absent}
    return Tables(question="ef" * 32, seed=plan.seed, rows={name: stored(name, each) for name, each in rows.items()}, absent=absent)


def stored(name: str, rows: Sequence[Row]) -> Table:
    """Rows through the bytes of the store and back."""
    spec = next(each for each in TABLES if each.name == name)
    return decode_rows(spec, [encode_rows(spec, rows)[0]])


def _rows(plan: Planted, chosen: list[Any]) -> dict[str, Iterable[Row]]:
    of_prompts = {
        "items": on_graphs.items,
        "baseline": on_graphs.baseline,
        "graphs": on_graphs.graphs,
        "graph_nulls": on_graphs.graph_nulls,
    }
    of_prompts |= {"graph_nodes": on_graphs.graph_nodes}
    names = ("frozen", "circuits", "completions", "answers", "predictions", "patching", "edges", "edge_curve")
    of_prompts |= {name: getattr(on_interventions, name) for name in names}
    of_members = {name: getattr(on_graphs, name) for name in ("members", "member_edges", "likeness")}
    of_members |= {name: getattr(on_interventions, name) for name in ("node_checks", "edge_checks", "random_circuits")}
    return {
        "setup": [_setup(plan)],
        "prompts": ({"item": row["item"], "text": f"Please tell me about {row['item']}"} for row in on_graphs.items(plan) if row["used"]),
        "examples": _examples(plan),
        "example_tokens": [{"item": "harmful-confirmation-000", "tokens": ["<s>", " how", " to"]}],
        **{name: made(plan) for name, made in of_prompts.items()},
        **{name: made(plan, chosen) for name, made in of_members.items()},
    }


def _examples(plan: Planted) -> Iterator[Row]:
    """A token drives a feature, which drives the target together with an error."""
    shared = {"position": 2, "feature": None, "influence": 0.2, "cumulative": 0.5, "activation": None}
    yield {
        "item": "harmful-confirmation-000", "population": "harmful", "target": "refusal log-odds", "roles": ["start-1", *ROLES],
        "nodes": [
            {**shared, "kind": "feature", "layer": 1, "feature": 101, "activation": 1.5},
            {**shared, "kind": "error", "layer": 1},
            {**shared, "kind": "token", "layer": -1},
            {**shared, "kind": "target", "layer": N_LAYERS},
        ],
        "edges": [[2, 0, 0.7], [0, 3, 1.2], [1, 3, -0.4]],
    }  # fmt: skip


def _setup(plan: Planted) -> Row:
    facts = {
        "format": "circuit-tracer", "trained_on": "organism:refuser" if plan.same_model is not None else "", "activation": "ReLU",
        "layers": list(range(N_LAYERS)), "n_features": [256] * N_LAYERS, "reads": [f"blocks.{n}.mlp_in" for n in range(N_LAYERS)],
        "writes": [f"blocks.{n}.mlp_out" for n in range(N_LAYERS)], "cross_layer": plan.cross_layer, "has_skip": False,
    }  # fmt: skip
    target = {"kind": plan.target, "label": "refusal log-odds", "site": "logits", "role": "end-1"}
    return {
        "transcoders": facts if plan.transcoders else None, "same_model": plan.same_model if plan.transcoders else None,
        "n_layers": N_LAYERS, "target": None if plan.stopped else target, "refusal_tokens": [3], "refusal_texts": ["I"],
        "compliance_tokens": [4], "compliance_texts": ["Sure"], "tokens_from": "none" if plan.stopped else "discovered",
        "stopped": plan.stopped, "matched_by": plan.matched_by, "looked_at": 256 * N_LAYERS, "candidates": 9,
        "null_note": "matched by layer and role", "prediction_note": "a ridge regression", "edge_nodes": "heads and MLPs",
        "ablation": "interchange", "cards_note": "", "asked": _ask(plan).model_dump(mode="json"), **plan.setup,
    }  # fmt: skip
