"""From a plan's steps to questions: what was resolved (digests, precision, device), and the question that follows."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from safetycase.case.declared import ModelEntry, PromptEntry
from safetycase.errors import StoreError
from safetycase.evidence import kinds
from safetycase.evidence.record import Digest, Question, Record, digest_of
from safetycase.evidence.store import Store
from safetycase.plan.loading import local_folder
from safetycase.plan.plan import Plan
from safetycase.sources.digests import model_digest, weights_digest
from safetycase.sources.model_facts import model_facts
from safetycase.sources.model_files import model_files
from safetycase.sources.organisms import organism
from safetycase.sources.prompts import SPLITS, PromptSet


class ResolvedModel(Record):
    """What a model entry turned out to be."""

    digest: Digest
    """Of weights, tokenizer and configuration together."""
    weights_sha256: Digest | None
    """None for a model that was only named (imports)."""
    dtype: str
    device_class: str
    architecture: str
    n_parameters: int | None
    planted: str | None = None
    facts: dict[str, str] = {}
    """What its own files say of it besides, unverified."""


class ResolvedPrompts(Record):
    """What a prompt entry turned out to be."""

    digest: Digest
    splits: dict[str, int]
    categories: tuple[str, ...]
    families: int


class Resolved(Record):
    """What runs resolved, kept in the case so that reading needs neither hub nor files; keys are digests of plan entries."""

    models: dict[Digest, ResolvedModel] = {}
    prompts: dict[Digest, ResolvedPrompts] = {}


RESOLVED = "resolved.json"


def recall(store: Store) -> Resolved:
    """What earlier runs resolved in this case; raises StoreError where that file is damaged."""
    try:
        return Resolved.model_validate(store.read_json(RESOLVED) or {})
    except ValidationError as invalid:
        problem = invalid.errors()[0]
        raise StoreError(f"{store.root / RESOLVED}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}; damaged") from invalid


def remember(store: Store, *, models: Mapping[str, ResolvedModel] = {}, prompts: Mapping[str, ResolvedPrompts] = {}) -> None:
    """Add to what is resolved in this case."""
    known = recall(store)
    merged = Resolved(models={**known.models, **models}, prompts={**known.prompts, **prompts})
    if merged != known:
        store.write_json(RESOLVED, merged.model_dump(mode="json"))


def entry_digest(entry: ModelEntry | PromptEntry) -> str:
    """Under which an entry of a plan is resolved."""
    return digest_of(entry.model_dump(mode="json"))


def question(
    plan: Plan, step: str, models: Mapping[str, ResolvedModel], prompts: Mapping[str, Digest], upstream: Mapping[str, Digest]
) -> Question:
    """The question that a step asks; `models` by role, `prompts` by population, `upstream` by step id."""
    entry = plan.declared.steps[step]
    kind = kinds.load(entry.kind)
    return Question(
        kind=entry.kind,
        observe_version=kind.OBSERVE_VERSION,
        ask=plan.asks[step].model_dump(mode="json"),
        models={role: model.digest for role, model in models.items()},
        inputs={f"prompts.{p}": d for p, d in prompts.items()} | {f"step.{s}": d for s, d in upstream.items()},
        formats=_formats(plan, step),
        dtype={role: model.dtype for role, model in models.items()},
        device_class=models["subject"].device_class,
        seed=entry.seed,
    )


def _formats(plan: Plan, step: str) -> dict[str, Digest]:
    """Role to digest of how prompts become tokens, where the plan says more than the tokenizer does."""
    formats = {}
    for role, model in plan.roles(step).items():
        entry = plan.declared.models[model]
        how = {"template": entry.template, "system": entry.system, "thinking": entry.thinking}
        if how != {"template": None, "system": None, "thinking": "auto"}:
            formats[role] = digest_of(how)
    return formats


def prompt_digests(plan: Plan, step: str, resolved: Resolved) -> dict[str, Digest] | None:
    """Population to digest of the prompt set and its split; None where a hub's set has not been fetched yet."""
    digests = {}
    for population, set_id in plan.populations(step).items():
        entry = plan.declared.prompts[set_id]
        if set_id in plan.prompt_sets:
            content = plan.prompt_sets[set_id].digest
        elif entry_digest(entry) in resolved.prompts:
            content = resolved.prompts[entry_digest(entry)].digest
        else:
            return None
        digests[population] = digest_of([set_id, content, entry.seed, entry.model_dump(mode="json")["fractions"]])
    return digests


def resolve_prompts(prompts: PromptSet) -> ResolvedPrompts:
    """A prompt set in numbers."""
    return ResolvedPrompts(
        digest=prompts.digest,
        splits={split: len(prompts.split(split)) for split in SPLITS},
        categories=tuple(sorted({prompt.category for prompt in prompts.prompts})),
        families=len({prompt.family for prompt in prompts.prompts}),
    )


def resolve_local_model(entry: ModelEntry, base: Path, *, dtype: str, device_class: str) -> ResolvedModel:
    """Digest a model that lies in a folder; raises ModelError."""
    folder = local_folder(entry.source, base)
    files = model_files(folder)
    name = entry.source.removeprefix("organism:") if entry.source.startswith("organism:") else None
    return ResolvedModel(
        digest=model_digest(files),
        weights_sha256=weights_digest(files),
        dtype=dtype,
        device_class=device_class,
        architecture=str((read_config(files.config).get("architectures") or ["unknown"])[0]),
        n_parameters=count_parameters(files.weights),
        planted=organism(name).planted if name else None,
        facts=model_facts(folder),
    )


def named_model(entry: ModelEntry) -> ResolvedModel:
    """A model that was only named, in an import: its digest is that of the name, and its weights are unknown."""
    return ResolvedModel(
        digest=digest_of({"named": entry.source, "revision": entry.revision}),
        weights_sha256=None,
        dtype="unknown",
        device_class="unknown",
        architecture="unknown",
        n_parameters=None,
    )


def read_config(path: Path) -> dict[str, Any]:
    """config.json of a model."""
    config = json.loads(path.read_text(encoding="utf-8"))
    return config if isinstance(config, dict) else {}


def count_parameters(weights: tuple[Path, ...]) -> int:
    """Parameters in safetensors files, by their headers alone."""
    total = 0
    for path in weights:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        for name, tensor in header.items():
            if name != "__metadata__":
                size = 1
                for side in tensor["shape"]:
                    size *= side
                total += size
    return total
