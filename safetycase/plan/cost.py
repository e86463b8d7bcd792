"""A rough cost of the steps of a plan, from configuration and file headers alone."""

from dataclasses import dataclass, field
from typing import Any

from safetycase.evidence import kinds
from safetycase.evidence.store import Store
from safetycase.plan.places import is_hub, local_folder
from safetycase.plan.plan import Plan
from safetycase.plan.questions import ResolvedModel, read_config, recall
from safetycase.plan.reading import find_answers, resolve_for_reading
from safetycase.sources.model_files import model_files

OPERATIONS_PER_SECOND = {"cpu": 1e11, "cuda": 1.5e14}
"""Multiply-adds counted as two; what a small CPU and one large GPU get through on short prompts, not their peak."""
TOKENS_PER_PROMPT = 30
POSITIONS = 5
SECONDS_PER_PASS = {"cpu": 2e-5, "cuda": 1e-5}
"""Least cost of a forward pass per layer and prompt, which decides for tiny models."""


@dataclass(frozen=True)
class StepCost:
    """What a step may cost, or why that cannot be told."""

    kind: str
    state: str
    """answered, imported, to import, or to run."""
    device: str = ""
    seconds: float | None = None
    stages: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As `check --json` prints it."""
        return {"kind": self.kind, "state": self.state, "device": self.device, "seconds": self.seconds, "stages": self.stages}


def step_costs(plan: Plan, store: Store) -> dict[str, StepCost]:
    """Every step of a plan, in order."""
    known = recall(store)
    answers = find_answers(plan, store, known)
    costs = {}
    for step in plan.order:
        entry, answer = plan.declared.steps[step], answers[step]
        if entry.imported is not None:
            costs[step] = StepCost(entry.kind, "imported" if answer.observation else f"to import ({entry.imported})")
        elif answer.observation is not None:
            costs[step] = StepCost(entry.kind, "answered")
        else:
            costs[step] = _to_run(plan, step, resolve_for_reading(plan, entry.model, known))
    return costs


def _to_run(plan: Plan, step: str, model: ResolvedModel | None) -> StepCost:
    entry = plan.declared.steps[step]
    source = plan.declared.models[entry.model].source
    if model is None or model.n_parameters is None or is_hub(source, plan.base):
        return StepCost(entry.kind, "to run")
    config = read_config(model_files(local_folder(source, plan.base)).config)
    n_layers = int(config.get("num_hidden_layers") or config.get("n_layer") or 32)
    device = model.device_class if model.device_class in OPERATIONS_PER_SECOND else "cpu"
    per_pass = 2 * model.n_parameters * TOKENS_PER_PROMPT / OPERATIONS_PER_SECOND[device] + n_layers * SECONDS_PER_PASS[device]
    passes = kinds.load(entry.kind).forward_passes(plan.asks[step], n_layers, POSITIONS)
    stages = {stage: round(count * per_pass, 1) for stage, count in passes.items()}
    return StepCost(entry.kind, "to run", device, round(sum(stages.values()), 1), stages)
