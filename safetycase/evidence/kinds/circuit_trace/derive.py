"""From what was observed of circuits to what it shows: pure, deterministic, without torch."""

from collections.abc import Mapping
from typing import Any

from safetycase.evidence.estimates import Estimates
from safetycase.evidence.judges import judge, judge_names
from safetycase.evidence.kinds.circuit_trace.answers import answers
from safetycase.evidence.kinds.circuit_trace.checks import checks, exactness, predicted_measured
from safetycase.evidence.kinds.circuit_trace.edge_curve import edge_curve, top_edges
from safetycase.evidence.kinds.circuit_trace.findings import Found, TargetFacts, TranscoderFacts
from safetycase.evidence.kinds.circuit_trace.graphs import graphs
from safetycase.evidence.kinds.circuit_trace.interventions import interventions
from safetycase.evidence.kinds.circuit_trace.limitations import limitations
from safetycase.evidence.kinds.circuit_trace.members import examples, members
from safetycase.evidence.kinds.circuit_trace.names import estimate_names
from safetycase.evidence.kinds.circuit_trace.observed import observed
from safetycase.evidence.kinds.circuit_trace.outcome import ending
from safetycase.evidence.kinds.circuit_trace.params import Read
from safetycase.evidence.kinds.circuit_trace.patching import patching
from safetycase.evidence.kinds.circuit_trace.predictions import predictions
from safetycase.evidence.kinds.circuit_trace.recurrence import circuit_of, recurrence
from safetycase.evidence.kinds.circuit_trace.supernodes import edges_of, supernodes
from safetycase.evidence.tables import Tables

DERIVE_VERSION = 1


def derive(tables: Tables, read: Read) -> Found:
    """The findings of one observation; same tables and same `read`, same findings."""
    seen, estimates = observed(tables), Estimates()
    circuit = circuit_of(seen)

    graphs(seen, read, estimates)
    shown = members(seen, circuit, recurrence(seen, circuit, read, estimates))
    checks(seen, circuit, read, estimates)
    made = interventions(seen, circuit, read, estimates)
    answers(seen, circuit, read, estimates)
    predictions(seen, circuit, read, estimates)
    heat, curve = patching(seen, read, estimates), edge_curve(seen, read, estimates)
    end, exact = ending(seen, circuit, made, estimates), exactness(seen)

    return Found(
        derive_version=DERIVE_VERSION,
        question=tables.question,
        read=read.model_dump(mode="json"),
        outcome=end.outcome,
        reasons=end.reasons,
        estimates={name: estimates.found[name] for name in sorted(estimates.found)},
        absent=estimates.why_absent(estimate_names(seen.ask, read, {})),
        limitations=limitations(seen, circuit, made, estimates, read),
        imported=tables.imported,
        candidates=circuit.candidates,
        members=shown,
        supernodes=supernodes(seen, circuit, shown, read),
        edges=edges_of(seen, [member.slot for member in shown]),
        tests=made.tests,
        holds=made.holds,
        exactness=exact.edge_sums,
        frozen_residual=exact.frozen,
        frozen_edges=exact.frozen_edges,
        patching=heat,
        top_edges=top_edges(seen),
        curve=curve,
        examples=examples(seen),
        predicted_measured=predicted_measured(seen, circuit),
        judge_versions={name: judge(name).version for name in read.judges if name in judge_names()},
        **_of_setup(seen.setup),
    )


def _of_setup(setup: Mapping[str, Any]) -> dict[str, Any]:
    transcoders, target = setup["transcoders"], setup["target"]
    return {
        "transcoders": None if transcoders is None else _transcoder_facts(setup),
        "target": None if target is None else TargetFacts(**{name: target[name] for name in TargetFacts.model_fields}),
        "refusal_texts": tuple(setup["refusal_texts"]),
        "compliance_texts": tuple(setup["compliance_texts"]),
        "tokens_from": setup["tokens_from"],
        "n_layers": setup["n_layers"],
        "matched_by": setup["matched_by"],
        "looked_at": setup["looked_at"],
        "null_note": setup["null_note"],
        "prediction_note": setup["prediction_note"],
        "edge_nodes": setup["edge_nodes"],
        "ablation": setup["ablation"],
        "cards_note": setup["cards_note"],
    }


def _transcoder_facts(setup: Mapping[str, Any]) -> TranscoderFacts:
    facts = setup["transcoders"]
    return TranscoderFacts(
        format=facts["format"], trained_on=facts["trained_on"] or "", same_model=setup["same_model"], activation=facts["activation"],
        layers=tuple(facts["layers"]), n_features=setup["looked_at"], reads=tuple(facts["reads"]), writes=tuple(facts["writes"]),
        cross_layer=facts["cross_layer"], has_skip=facts["has_skip"],
    )  # fmt: skip
