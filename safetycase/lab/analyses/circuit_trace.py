"""Asks a model how it comes to refuse: which features recur in graphs of harmful prompts, and what ablating them does."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from safetycase.errors import ModelError, PlanError
from safetycase.evidence.kinds.circuit_trace.params import Ask
from safetycase.evidence.kinds.circuit_trace.tables import TABLES
from safetycase.evidence.tables import Row, Tables
from safetycase.lab.attribution.transcoders import one_per_layer
from safetycase.lab.batches import batches_for
from safetycase.lab.dictionaries.dictionary import Dictionary, DictionarySet
from safetycase.lab.features.same_model import is_folder, same_model
from safetycase.lab.features.token_texts import token_texts
from safetycase.lab.forward import tokenised
from safetycase.lab.model import LoadedModel
from safetycase.lab.model_judge import Classifier
from safetycase.lab.observing import Absent, Event, Inputs, Note, Rows, Tensors
from safetycase.lab.shards import Shards
from safetycase.lab.tracing.ablations import ablations, circuit_name, predictions
from safetycase.lab.tracing.answers import answers
from safetycase.lab.tracing.asked_tokens import asked_tokens
from safetycase.lab.tracing.checks import checks
from safetycase.lab.tracing.examples import examples
from safetycase.lab.tracing.frozen import frozen
from safetycase.lab.tracing.functional import Functional
from safetycase.lab.tracing.graphs import Graphs, graphs
from safetycase.lab.tracing.members import candidates, cards_note, members
from safetycase.lab.tracing.prompt_pairs import item_rows, sample_pairs
from safetycase.lab.tracing.random_circuits import RandomCircuits, random_circuits
from safetycase.lab.tracing.study import AskedTokens, Stage, TraceStudy
from safetycase.lab.tracing.without_dictionaries import without_dictionaries

OF_MEMBERS = ("node_checks", "edge_checks", "random_circuits", "circuits", "completions", "answers", "predictions")
"""Tables that there are only where there are members."""


def observe(models: Mapping[str, LoadedModel | Classifier], inputs: Inputs, ask: Ask, seed: int) -> Iterator[Event]:
    """The observation of circuits on `models["subject"]`: the tables of `evidence.kinds.circuit_trace`.

    The circuit is found on discovery pairs (train and validation) and tested on confirmation pairs (test). Raises ModelError where the
    transcoders are not those of this model, SourceError where prompts cannot be paired, PlanError where an upstream step lacks what
    is taken from it.
    """
    told: set[str] = set()
    why: dict[str, str] = {}
    for event in _observe(models, inputs, ask, seed, why):
        if isinstance(event, Absent):
            why[event.table] = event.reason
            continue
        if isinstance(event, Rows | Tensors):
            told.add(event.table)
        yield event
    for spec in TABLES:
        if spec.optional and spec.name not in told:
            yield Absent(spec.name, why.get(spec.name, "this observation did not call for it"))


def _observe(models: Mapping[str, LoadedModel | Classifier], inputs: Inputs, ask: Ask, seed: int, why: dict[str, str]) -> Iterator[Event]:
    subject = models["subject"]
    assert isinstance(subject, LoadedModel), type(subject)
    shards, batches = Shards(inputs), batches_for(subject)
    sampled = sample_pairs(inputs.prompts, ask, seed)
    prompts = {prompt.id: prompt for _, prompt in sampled.prompts}
    tokens = dict(zip(prompts, tokenised(subject, [prompt.text for prompt in prompts.values()]), strict=True))
    transcoders = _transcoders(subject, inputs, ask)
    yield from shards.rows("items", "all", lambda: item_rows(inputs.prompts, sampled, {item: len(row) for item, row in tokens.items()}))
    yield from shards.rows("prompts", "all", lambda: ({"item": item, "text": prompt.text} for item, prompt in prompts.items()))
    discovery = [tokens[prompt.id] for pair in sampled.discovery for prompt in pair.prompts]
    asked = asked_tokens(subject, batches, discovery, ask, inputs.upstream)
    functional = _functional(subject, inputs.upstream, ask, asked)
    study = TraceStudy(subject, transcoders, batches, shards, ask, seed, sampled, tokens, asked, functional, inputs.upstream)
    notes: dict[str, Any] = {}
    if asked.stopped:
        why.update(dict.fromkeys((spec.name for spec in TABLES if spec.optional), asked.stopped))
    else:
        yield from shards.rows("baseline", "all", lambda: _baseline_rows(study))
        if ask.transcoders is not None:
            notes |= yield from _traced(study, why)
        notes |= yield from without_dictionaries(study, inputs.prompts, why)
    yield from shards.rows("setup", "all", lambda: [_setup_row(study, notes)])
    yield Note("batch_memory_bytes", batches.memory)


def _traced(study: TraceStudy, why: dict[str, str]) -> Stage[dict[str, Any]]:
    """Everything that is asked with transcoders; returns what the setup says of it."""
    made = Graphs(study)
    kept = yield from graphs(study, made)
    yield from frozen(study)
    chosen = yield from members(study, made, kept)
    known = candidates(study, kept)
    often = [each for each in known if each.share >= study.ask.minimum_recurrence]
    notes: dict[str, Any] = {"candidates": len(often), "cards_note": cards_note(study)}
    yield from examples(study, made)
    if not chosen:
        why.update(dict.fromkeys(OF_MEMBERS, "no feature recurs more often in graphs of harmful prompts: there is no circuit to ablate"))
        return notes
    yield from checks(study, made, chosen)
    drawn = random_circuits(known, chosen, study.ask.random_circuits, study.seed)
    rows = yield from study.shards.rows("random_circuits", "all", lambda: _random_rows(drawn))
    randoms = [tuple((layer, feature, role) for layer, feature, role in row["members"]) for row in rows]
    yield from ablations(study, chosen, randoms)
    prediction_note = yield from predictions(study, chosen, made)
    yield from answers(study, chosen, randoms)
    return {**notes, "null_note": drawn.note, "prediction_note": prediction_note}


def _random_rows(drawn: RandomCircuits) -> Iterator[Row]:
    for number, circuit in enumerate(drawn.circuits, start=1):
        yield {"circuit": circuit_name(number), "members": [list(node) for node in circuit]}


def _transcoders(subject: LoadedModel, inputs: Inputs, ask: Ask) -> DictionarySet:
    """The plan's, in float32, one for every layer; none where the plan names none."""
    if ask.transcoders is None:
        return DictionarySet(())
    found = inputs.dictionaries["transcoders"]
    given = DictionarySet((found,)) if isinstance(found, Dictionary) else found
    try:
        layers = one_per_layer(subject, given)
    except ModelError as error:
        raise ModelError(f"dictionaries.{ask.transcoders}: {error}") from error
    return DictionarySet(tuple(each.to(subject.device, torch.float32) for each in layers), given.cross_layer, given.trained_on)


def _functional(subject: LoadedModel, upstream: Mapping[str, Tables], ask: Ask, asked: AskedTokens) -> Functional:
    """What graphs are traced from; raises PlanError where the step `direction` selected none, or one of another width."""
    if ask.target == "token-difference" and not asked.compliance and not asked.stopped:
        raise ModelError("compliance_tokens: none were found, expected declared ones: every answer is a refusal")
    if ask.target != "direction" or asked.stopped:
        return Functional(ask.target, asked.refusal, asked.compliance)
    assert ask.direction is not None
    tables = upstream[ask.direction]
    stored = tables.tensors.get("directions", {})
    evaluated = next(tables.table("setup").rows())["evaluated"]
    if "selected" not in stored or not evaluated:
        raise PlanError(f"target: step {ask.direction!r} selected no direction; expected another target")
    vector = torch.as_tensor(stored["selected"].copy()).double()
    if vector.shape != (subject.sites.d_model,):
        raise PlanError(f"target: the direction of step {ask.direction!r} is {tuple(vector.shape)}, expected ({subject.sites.d_model},)")
    return Functional("direction", asked.refusal, asked.compliance, vector / vector.norm(), evaluated["layer"], evaluated["position"])


def _baseline_rows(study: TraceStudy) -> Iterator[Row]:
    prompts = study.sampled.prompts
    log_odds = study.unedited([prompt.id for _, prompt in prompts])[:, 0].tolist()
    for (population, prompt), value in zip(prompts, log_odds, strict=True):
        yield {"item": prompt.id, "population": population, "split": prompt.split, "log_odds": value}


def _setup_row(study: TraceStudy, notes: Mapping[str, Any]) -> Row:
    asked, functional, model = study.asked, study.functional, study.model
    texts = token_texts(model.tokenizer, [*asked.refusal, *asked.compliance])
    anywhere = next(iter(study.tokens.values()))
    return {
        "transcoders": _facts(study.transcoders) if study.transcoders.dictionaries else None,
        "same_model": _same_model(study),
        "n_layers": model.sites.n_layers,
        "target": None
        if asked.stopped
        else {"kind": functional.kind, "label": functional.label, "site": functional.site, "role": functional.role(model, len(anywhere))},
        "refusal_tokens": list(asked.refusal),
        "refusal_texts": [texts[token] for token in asked.refusal],
        "compliance_tokens": list(asked.compliance),
        "compliance_texts": [texts[token] for token in asked.compliance],
        "tokens_from": asked.source,
        "stopped": asked.stopped,
        "matched_by": study.sampled.matched_by,
        "looked_at": sum(each.n_features for each in study.transcoders.dictionaries),
        "candidates": notes.get("candidates", 0),
        **{name: notes.get(name, "") for name in ("null_note", "prediction_note", "edge_nodes", "ablation", "cards_note")},
        "asked": study.ask.model_dump(mode="json"),
    }


def _same_model(study: TraceStudy) -> bool | None:
    """Whether the transcoders' files name the model under assessment; None where they leave it open."""
    if not study.transcoders.dictionaries:
        return None
    trained_on = study.transcoders.trained_on or study.transcoders.dictionaries[0].trained_on
    return same_model(study.model.source, trained_on, local=is_folder(study.model))


def _facts(transcoders: DictionarySet) -> dict[str, Any]:
    first = transcoders.dictionaries[0]
    return {
        "format": first.format,
        "trained_on": transcoders.trained_on or first.trained_on,
        "layers": list(transcoders.layers),
        "n_features": [each.n_features for each in transcoders.dictionaries],
        "activation": type(first.activation).__name__,
        "reads": [str(each.reads) for each in transcoders.dictionaries],
        "writes": sorted({str(site) for each in transcoders.dictionaries for site in each.writes}),
        "cross_layer": transcoders.cross_layer,
        "has_skip": any(each.W_skip is not None for each in transcoders.dictionaries),
    }
