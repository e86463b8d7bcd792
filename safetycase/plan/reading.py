"""From a plan or a case directory to a judged case: finds each step's answer without weights, hub or torch."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import safetycase
from safetycase.case.attempts import answered_at
from safetycase.case.judged import JudgedModel, PromptSetFacts
from safetycase.case.judging import Asked, Judged, judge_case
from safetycase.case.paperwork import load_paperwork
from safetycase.errors import ModelError, PlanError, SourceError
from safetycase.evidence.record import Observation
from safetycase.evidence.store import Store
from safetycase.plan.loading import load_plan
from safetycase.plan.places import dictionary_path, is_hub
from safetycase.plan.plan import Plan
from safetycase.plan.questions import (
    Resolved,
    ResolvedModel,
    entry_digest,
    input_digests,
    merge,
    named_model,
    question,
    recall,
    resolve_corpus,
    resolve_dictionary,
    resolve_local_model,
)
from safetycase.resources import Templates


def open_case(path: Path, out: Path | None, templates: Templates | None = None) -> tuple[Plan, Store]:
    """A plan with its case, from the path of either; raises PlanError where neither is there."""
    if path.is_dir():
        kept = path / "plan.yaml"
        if not kept.exists():
            raise PlanError(f"{path}: a folder without plan.yaml; expected a plan or a case directory")
        return load_plan(kept, reading=True, templates=templates), Store(out or path)
    plan = load_plan(path, reading=True, templates=templates)
    return plan, Store(out or plan.default_case)


def judge_plan(plan: Plan, store: Store) -> Judged:
    """Judge what the case holds of a plan, beside what people keep with it."""
    known = recall(store)
    asked = find_answers(plan, store, known)
    return judge_case(
        plan.declared,
        asked,
        store,
        load_paperwork(plan.declared, plan.base, store.root, plan.templates),
        prompt_sets=_prompt_facts(plan, known),
        plan_digest=plan.digest,
        declaration=plan.declaration,
        tool_version=safetycase.__version__,
    )


def find_answers(plan: Plan, store: Store, known: Resolved) -> dict[str, Asked]:
    """Every step with its question and, where it is answered, its observation; in the plan's order of steps."""
    answers: dict[str, Asked] = {}
    known = merge(known, _files_here(plan))
    for step in plan.order:
        entry = plan.declared.steps[step]
        if entry.imported is not None:
            answers[step] = _imported(plan, step, store)
        else:
            answers[step] = _asked(plan, step, store, known, answers)
    return answers


def imported_answer(plan: Plan, step: str, store: Store) -> Observation | None:
    """The newest import of the step's format and kind for the model that the plan names; None where none was made."""
    entry = plan.declared.steps[step]
    model = named_model(plan.declared.models[entry.model])
    found: list[tuple[str, Observation]] = []
    for observation in store.observations():
        imported, asked = observation.imported, observation.question
        if imported and imported.format == entry.imported and asked.kind == entry.kind and asked.models == {"subject": model.digest}:
            found.append((answered_at(store, asked.key), observation))
    return max(found, key=lambda each: each[0])[1] if found else None


def resolve_for_reading(plan: Plan, model_id: str, known: Resolved) -> ResolvedModel | None:
    """What a run resolved; else, for files that are here, what one on this machine's CPU would; None for a hub model never fetched."""
    entry = plan.declared.models[model_id]
    remembered = known.models.get(entry_digest(entry))
    if is_hub(entry.source, plan.base):
        return remembered
    dtype = entry.dtype if entry.dtype != "auto" else remembered.dtype if remembered else "float32"
    device = remembered.device_class if remembered else "cpu" if entry.device == "auto" else entry.device.split(":")[0]
    try:
        return resolve_local_model(entry, plan.base, dtype=dtype, device_class=device)
    except ModelError:
        return remembered


def _files_here(plan: Plan) -> Resolved:
    """The dictionaries and corpora that steps ask about, as far as their files are on this machine."""
    dictionaries, corpora = {}, {}
    asking = [step for step, entry in plan.declared.steps.items() if entry.imported is None]
    for name in {name for step in asking for name in plan.dictionary_roles(step).values()}:
        entry = plan.declared.dictionaries[name]
        if not is_hub(entry.source, plan.base):
            with suppress(ModelError):
                dictionaries[entry_digest(entry)] = resolve_dictionary(entry, dictionary_path(entry, plan.base))
    for name in {name for step in asking for name in plan.corpus_roles(step).values()} & set(plan.corpora):
        with suppress(SourceError):
            corpora[entry_digest(plan.declared.corpora[name])] = resolve_corpus(plan.corpora[name])
    return Resolved(dictionaries=dictionaries, corpora=corpora)


def _asked(plan: Plan, step: str, store: Store, known: Resolved, answers: Mapping[str, Asked]) -> Asked:
    resolved = {role: resolve_for_reading(plan, model_id, known) for role, model_id in plan.roles(step).items()}
    models = {role: model for role, model in resolved.items() if model is not None}
    inputs = input_digests(plan, step, known)
    upstream = {needed: answers[needed].key for needed in plan.declared.steps[step].needs}
    keys = {needed: key for needed, key in upstream.items() if key is not None}
    shown = tuple(_judged_model(plan, plan.roles(step)[role], role, model) for role, model in models.items())
    if len(models) < len(resolved) or inputs is None or len(keys) < len(upstream):
        return Asked(plan.reads[step], shown, None, None)
    asked = question(plan, step, models, inputs, keys)
    return Asked(plan.reads[step], shown, store.observation(asked.kind, asked.key), asked.key)


def _imported(plan: Plan, step: str, store: Store) -> Asked:
    entry = plan.declared.steps[step]
    newest = imported_answer(plan, step, store)
    shown = (_judged_model(plan, entry.model, "subject", named_model(plan.declared.models[entry.model])),)
    return Asked(plan.reads[step], shown, newest, newest.question.key if newest else None)


def _judged_model(plan: Plan, model_id: str, role: str, model: ResolvedModel) -> JudgedModel:
    entry = plan.declared.models[model_id]
    return JudgedModel(
        id=model_id,
        roles=(role,),
        source=entry.source,
        revision=entry.revision,
        digest=model.digest,
        weights_sha256=model.weights_sha256,
        architecture=model.architecture,
        n_parameters=model.n_parameters,
        dtype=model.dtype,
        template="declared in the plan" if entry.template else "of the tokenizer",
        planted=model.planted,
        facts=model.facts,
    )


def _prompt_facts(plan: Plan, known: Resolved) -> tuple[PromptSetFacts, ...]:
    facts = []
    for name, entry in plan.declared.prompts.items():
        resolved = known.prompts.get(entry_digest(entry))
        if resolved is not None:
            facts.append(
                PromptSetFacts(
                    id=name,
                    source=entry.source,
                    digest=resolved.digest,
                    splits=resolved.splits,
                    categories=len(resolved.categories),
                    families=resolved.families,
                )
            )
    return tuple(facts)
