"""Asks a model what the features of a sparse dictionary respond to and what they do, and how good the dictionary is as a whole."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from safetycase.errors import ModelError, PlanError
from safetycase.evidence.kinds.feature_documentation.names import contrast_slots
from safetycase.evidence.kinds.feature_documentation.params import Ask
from safetycase.evidence.kinds.feature_documentation.tables import TABLES
from safetycase.evidence.tables import Row
from safetycase.lab.batches import batches_for
from safetycase.lab.dictionaries.dictionary import Dictionary, Gated, JumpRelu
from safetycase.lab.features.absorption import absorption
from safetycase.lab.features.causes import causes
from safetycase.lab.features.collection import Collected, collect
from safetycase.lab.features.contrast_targets import asked_contrasts
from safetycase.lab.features.contrastive_pairs import pairs
from safetycase.lab.features.dictionary_quality import Quality, quality
from safetycase.lab.features.direction_capture import capture
from safetycase.lab.features.fit import check_fit
from safetycase.lab.features.labels import labels
from safetycase.lab.features.logits import logits
from safetycase.lab.features.neighbours import neighbours
from safetycase.lab.features.probes import probes
from safetycase.lab.features.readings import readings
from safetycase.lab.features.relevance import Relevance, relevance
from safetycase.lab.features.same_model import is_folder, same_model
from safetycase.lab.features.study import AskedContrast, FeatureStudy, Stage
from safetycase.lab.model import LoadedModel
from safetycase.lab.model_judge import Classifier
from safetycase.lab.observing import Absent, Event, Inputs, Note, Rows, Tensors
from safetycase.lab.shards import Shards


def observe(models: Mapping[str, LoadedModel | Classifier], inputs: Inputs, ask: Ask, seed: int) -> Iterator[Event]:
    """The observation of a dictionary on `models["subject"]`: the tables of `evidence.kinds.feature_documentation`.

    Features are found on discovery prompts (train and validation) and tested on confirmation prompts (test). Raises ModelError where the
    dictionary does not fit the model, PlanError where it is a set of several layers and none is named, or a named feature does not exist.
    """
    told: set[str] = set()
    why: dict[str, str] = {}
    for event in _observe(models, inputs, ask, seed, why):
        if isinstance(event, Absent):
            why[event.table] = event.reason  # of one contrast: another may have rows
            continue
        if isinstance(event, Rows | Tensors):
            told.add(event.table)
        yield event
    for spec in TABLES:
        if spec.optional and spec.name not in told:
            yield Absent(spec.name, why.get(spec.name, "this observation did not call for it"))


def _observe(models: Mapping[str, LoadedModel | Classifier], inputs: Inputs, ask: Ask, seed: int, why: dict[str, str]) -> Iterator[Event]:
    study = _study(models, inputs, ask, seed)
    contrasts = yield from asked_contrasts(study.model, study.shards, ask, seed, study.batches)
    study = replace(study, contrasts=contrasts)
    measured = yield from quality(study)
    relevant: dict[str, Relevance] = {}
    for name, contrast in study.contrasts.items():
        relevant[name] = yield from relevance(study, contrast)
    slots = documented_slots(study.ask, {name: found.ranking for name, found in relevant.items()}, measured.fired, seed)
    documented = tuple(slots)
    yield from study.shards.rows("documented", "all", lambda: _documented_rows(study.dictionary, slots))
    nearest = yield from neighbours(study, documented)
    yield from logits(study, documented)
    collected = yield from collect(study, documented, nearest)
    yield from readings(study, documented)
    yield from labels(study, documented, collected)
    notes = {}
    for name, contrast in study.contrasts.items():
        notes[name] = yield from _contrast(study, contrast, relevant[name], collected, measured, why)
    yield from study.shards.rows("setup", "all", lambda: [_setup_row(study, measured, collected, notes)])
    if measured.negative_share:
        yield Note("negative_activations", measured.negative_share)
    yield Note("batch_memory_bytes", study.batches.memory)


def documented_slots(ask: Ask, rankings: Mapping[str, Sequence[int]], fired: Tensor, seed: int) -> dict[int, tuple[str, ...]]:
    """Feature to why it has a card: its rank for a contrast, its name in the plan, or the lot among those that fire.

    The lot is an order by hash of (seed, feature), so that it does not depend on what else is documented.
    """
    slots: dict[int, list[str]] = {}
    for contrast, ranking in rankings.items():
        for slot, feature in zip(contrast_slots(contrast, ask.per_contrast), ranking, strict=False):
            slots.setdefault(feature, []).append(slot)
    for feature in ask.features:
        slots.setdefault(feature, []).append(f"feature-{feature}")
    firing = [feature for feature in fired.nonzero().flatten().tolist() if feature not in slots]
    for n, feature in enumerate(sorted(firing, key=lambda each: _lot(each, seed))[: ask.random_features], start=1):
        slots[feature] = [f"random-{n}"]
    return {feature: tuple(names) for feature, names in slots.items()}


def _lot(feature: int, seed: int) -> str:
    return hashlib.sha256(f"feature {feature}\n{seed}".encode()).hexdigest()


def _study(models: Mapping[str, LoadedModel | Classifier], inputs: Inputs, ask: Ask, seed: int) -> FeatureStudy:
    subject = models["subject"]
    assert isinstance(subject, LoadedModel), type(subject)
    others = {role: model for role, model in models.items() if role != "subject"}
    for role, model in others.items():
        if not isinstance(model, LoadedModel):
            raise ModelError(f"{role}: found a classifier, expected a model that writes text")
    dictionary = inputs.dictionaries["documented"]
    if not isinstance(dictionary, Dictionary):
        layers = ", ".join(map(str, dictionary.layers))
        raise PlanError(f"dictionaries.{ask.dictionary}: found dictionaries of layers {layers}, expected one: name it with `layer:`")
    check_fit(subject, dictionary, f"dictionaries.{ask.dictionary}")
    _check_features(dictionary, ask)
    return FeatureStudy(
        model=subject,
        dictionary=dictionary.to(subject.device, torch.float32),
        corpus=inputs.corpora["corpus"],
        batches=batches_for(subject),
        shards=Shards(inputs),
        ask=ask,
        seed=seed,
        contrasts={},
        upstream=inputs.upstream,
        others={role: model for role, model in others.items() if isinstance(model, LoadedModel)},
    )


def _check_features(dictionary: Dictionary, ask: Ask) -> None:
    """The named features exist."""
    beyond = [feature for feature in ask.features if feature >= dictionary.n_features]
    if beyond:
        raise PlanError(
            f"features: found {beyond[0]}, expected 0 to {dictionary.n_features - 1}: the dictionary has {dictionary.n_features}"
        )


def _documented_rows(dictionary: Dictionary, slots: Mapping[int, Sequence[str]]) -> Iterator[Row]:
    directions = dictionary.directions(torch.tensor(list(slots), device=dictionary.W_dec.device, dtype=torch.long))
    for feature, direction in zip(slots, directions, strict=True):
        yield {
            "feature": feature,
            "slots": list(slots[feature]),
            "decoder_norm": float(direction.norm()),
            "encoder_bias": float(_encoder_bias(dictionary)[feature]),
            "threshold": float(dictionary.activation.threshold[feature]) if isinstance(dictionary.activation, JumpRelu) else None,
        }


def _encoder_bias(dictionary: Dictionary) -> Tensor:
    return dictionary.activation.gate_bias if isinstance(dictionary.activation, Gated) else dictionary.b_enc


def _contrast(
    study: FeatureStudy, contrast: AskedContrast, found: Relevance, collected: Collected, measured: Quality, why: dict[str, str]
) -> Stage[str]:
    """What is asked of a contrast after the features are known; the note on its null features."""
    note = ""
    if contrast.stopped:
        why.update(dict.fromkeys(("causes", "completions", "answers", "capture"), contrast.stopped))
    else:
        if study.ask.causal_features:
            note = yield from causes(study, contrast, found.ranking, collected.maximum, measured.residual_norm)
        else:
            why.update(dict.fromkeys(("causes", "completions", "answers"), "no feature was to be intervened on"))
        yield from capture(study, contrast, _directions(study, contrast, found))
    yield from probes(study, contrast)
    yield from absorption(study, contrast, found.ranking)
    yield from pairs(study, contrast)
    return note


def _directions(study: FeatureStudy, contrast: AskedContrast, found: Relevance) -> dict[str, Tensor]:
    """Directions whose capture is asked: the contrast's own and, where the widths agree, that of an upstream step."""
    directions = {"own": found.direction}
    step = contrast.declared.direction
    if step is not None:
        stored = study.upstream[step].tensors.get("directions", {})
        if "selected" in stored and stored["selected"].shape[-1] == study.dictionary.d_out:
            directions[step] = torch.as_tensor(stored["selected"].copy())
    return directions


def _setup_row(study: FeatureStudy, measured: Quality, collected: Collected, notes: Mapping[str, str]) -> Row:
    dictionary, corpus = study.dictionary, study.corpus
    return {
        "dictionary": {
            "format": dictionary.format,
            "trained_on": dictionary.trained_on,
            "activation": _activation(dictionary, measured),
            "n_features": dictionary.n_features,
            "d_in": dictionary.d_in,
            "d_out": dictionary.d_out,
            "reads": str(dictionary.reads),
            "writes": [str(site) for site in dictionary.writes],
            "normalisation": dictionary.normalisation,
            "has_skip": dictionary.W_skip is not None,
            "facts": dictionary.facts,
        },
        "same_model": _same_model(study),
        "corpus": {
            "source": corpus.source,
            "licence": corpus.licence,
            "sensitivity": corpus.sensitivity,
            "documents": collected.documents,
            "windows": collected.windows,
            "tokens": collected.tokens,
            "quality_tokens": measured.tokens,
            "splice_tokens": measured.splice_tokens,
            "context": study.ask.context,
        },
        "contrasts": {name: _contrast_facts(study, contrast) for name, contrast in study.contrasts.items()},
        "residual_norm": measured.residual_norm,
        "spread_offset": measured.spread_offset,
        "looked_at": dictionary.n_features,
        "ablation": study.ask.ablation,
        "doses": list(study.ask.doses),
        "clamps": list(study.ask.clamps),
        "null_note": "; ".join(dict.fromkeys(f"{name}: {note}" for name, note in notes.items() if note)),
        "behaviour_judges": {name: _behaviour(contrast) for name, contrast in study.contrasts.items()},
        "asked": study.ask.model_dump(mode="json"),
    }


def _activation(dictionary: Dictionary, measured: Quality) -> str:
    """Its name, and how much of what is active is negative, where anything is."""
    name = type(dictionary.activation).__name__
    return f"{name} ({measured.negative_share:.1%} of its activations negative)" if measured.negative_share else name


def _contrast_facts(study: FeatureStudy, contrast: AskedContrast) -> dict[str, Any]:
    declared = contrast.declared
    return {
        "tokens": list(contrast.target),
        "token_texts": [study.model.tokenizer.decode([token]) for token in contrast.target],
        "tokens_from": contrast.target_from,
        "behaviour": declared.behaviour.name,
        "direction_step": declared.direction,
        "present": declared.present,
        "absent": declared.absent,
        "stopped": contrast.stopped,
    }


def _behaviour(contrast: AskedContrast) -> str:
    return contrast.declared.behaviour.name if contrast.declared.behaviour.phrases else "refusal"


def _same_model(study: FeatureStudy) -> dict[str, Any]:
    """Whether the dictionary's files name the model under assessment; and the name that they give."""
    source, trained_on = study.model.source, study.dictionary.trained_on
    return {"same": same_model(source, trained_on, local=is_folder(study.model)), "trained_on": trained_on}
