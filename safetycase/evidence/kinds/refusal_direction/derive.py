"""From what was observed of a refusal direction to what it shows: pure, deterministic, without torch."""

from typing import Any

from safetycase.evidence.estimates import Estimates
from safetycase.evidence.judges import judge, judge_names
from safetycase.evidence.kinds.refusal_direction.collateral import collateral
from safetycase.evidence.kinds.refusal_direction.diagnostics import diagnostics
from safetycase.evidence.kinds.refusal_direction.effects import Effect, effects
from safetycase.evidence.kinds.refusal_direction.findings import Found, TokenCount
from safetycase.evidence.kinds.refusal_direction.fragility import fragility_ks
from safetycase.evidence.kinds.refusal_direction.labels import human_labels, labels_of
from safetycase.evidence.kinds.refusal_direction.limitations import limitations
from safetycase.evidence.kinds.refusal_direction.observed import Observed, observed
from safetycase.evidence.kinds.refusal_direction.outcome import ending
from safetycase.evidence.kinds.refusal_direction.params import Read
from safetycase.evidence.kinds.refusal_direction.rates import rates
from safetycase.evidence.kinds.refusal_direction.samples import samples
from safetycase.evidence.kinds.refusal_direction.selecting import selecting
from safetycase.evidence.tables import Tables

DERIVE_VERSION = 2


def derive(tables: Tables, read: Read) -> Found:
    """The findings of one observation; same tables and same `read`, same findings."""
    seen, estimates = observed(tables), Estimates()
    judges = {name: labels_of(tables, name) for name in read.judges}
    people = human_labels(tables)

    selected = selecting(seen, read, estimates)
    diagnostics(seen, judges, read, estimates)
    by_condition = effects(seen, read, estimates)
    collateral(seen, read, estimates)
    rates(seen, judges, people, read, estimates)
    end = ending(seen, selected, by_condition, estimates, read)

    found = [each for each in by_condition.values() if isinstance(each, Effect)]
    return Found(
        derive_version=DERIVE_VERSION,
        question=tables.question,
        read=read.model_dump(mode="json"),
        outcome=end.outcome,
        reasons=end.reasons,
        estimates=dict(sorted(estimates.found.items())),
        absent=dict(sorted(estimates.absent.items())),
        limitations=limitations(seen, selected, judges, people, read),
        imported=tables.imported,
        selected=selected.candidate,
        evaluated=seen.evaluated,
        survivors=selected.survivors,
        candidates=selected.candidates,
        null_samples=tuple(sample for effect in found for sample in effect.samples),
        categories=tuple(sorted({seen.categories[item] for items in seen.test_items.values() for item in items})),
        fragility_ks=(0, 1, *fragility_ks(seen)) if fragility_ks(seen) else (),
        samples=samples(judges[read.judges[0]], read.samples_per_arm, tables.seed),
        sample_seed=tables.seed,
        judge_versions={name: judge(name).version for name in read.judges if name in judge_names()},
        **_of_setup(seen),
    )


def _of_setup(seen: Observed) -> dict[str, Any]:
    setup = seen.setup
    return {
        "positions": tuple(setup["positions"]),
        "position_tokens": tuple(setup["position_tokens"]),
        "n_layers": setup["n_layers"],
        "refusal_tokens": _refusal_tokens(seen),
        "filter_note": _filter_note(setup["filter"]),
    }


def _refusal_tokens(seen: Observed) -> tuple[TokenCount, ...]:
    """Every refusal token with its counts on training prompts; zero of zero where nothing was counted."""
    counts = {}
    if seen.tables.has("first_tokens"):
        counts = {row["token"]: (row["refusals"], row["answers"]) for row in seen.tables.table("first_tokens").rows()}
    tokens = zip(seen.setup["refusal_tokens"], seen.setup["refusal_token_texts"], strict=True)
    return tuple(
        TokenCount(token=token, text=text, refusals=counts.get(token, (0, 0))[0], answers=counts.get(token, (0, 0))[1])
        for token, text in tokens
    )


def _filter_note(made: dict[str, Any]) -> str:
    """Whether training and validation prompts were filtered by score, why, and how many fell away."""
    said = {True: "applied", False: "not applied", None: "not known"}[made["applied"]]
    removed = ", ".join(f"{population} {share:.1%}" for population, share in sorted(made["removed"].items()))
    return f"Filter by score {said}: {made['reason']}" + (f" (removed: {removed})." if removed else ".")
