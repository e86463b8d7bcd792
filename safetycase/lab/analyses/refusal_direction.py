"""Asks a model for the direction that mediates its refusals, and what removing or adding it does.

Arditi et al. 2024 ("Refusal in language models is mediated by a single direction"), with scores kept per prompt, nulls
that pass through the same selection, and a curve over more directions than one.
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.errors import PlanError
from safetycase.evidence.kinds.refusal_direction.params import Ask, Candidate
from safetycase.evidence.kinds.refusal_direction.selection import select
from safetycase.evidence.kinds.refusal_direction.tables import TABLES
from safetycase.evidence.tables import Row
from safetycase.lab.activations import activations
from safetycase.lab.batches import batches_for
from safetycase.lab.candidates import Found, baseline_log_odds, select_lazily
from safetycase.lab.forward import forward_for, tokenised
from safetycase.lab.generation import Intervention
from safetycase.lab.model import LoadedModel
from safetycase.lab.model_judge import Classifier
from safetycase.lab.observing import Absent, Event, Inputs, Note, Progress
from safetycase.lab.prompt_samples import Sample, item_rows, sample_prompts
from safetycase.lab.refusal_answers import answers, costs, text_of
from safetycase.lab.refusal_effects import effects
from safetycase.lab.refusal_study import Direction, Study
from safetycase.lab.refusal_tokens import declared_tokens, discovered_tokens, first_token_rows, is_refusal
from safetycase.lab.shards import Shards
from safetycase.lab.successive_directions import successive_directions

Value = TypeVar("Value")
Stage = Generator[Event, None, Value]
"""Yields events and returns what the next stages need."""

CLASSES = ("harmful", "harmless")


def observe(models: Mapping[str, LoadedModel | Classifier], inputs: Inputs, ask: Ask, seed: int) -> Iterator[Event]:
    """The observation of `models["subject"]`: the tables of `evidence.kinds.refusal_direction`; a `judge` labels every answer too.

    Alarming prompts are asked on the test split only, from all splits of their set where that has too few: nothing is
    trained or selected on them. Raises PlanError where a declared candidate does not exist, SourceError where a split
    is too small, ModelError where a declared refusal token is none.
    """
    samples = sample_prompts(inputs.prompts, ask, seed)
    subject = models["subject"]
    assert isinstance(subject, LoadedModel), type(subject)
    study = replace(_study(subject, Shards(inputs), samples, ask, seed), judge=models.get("judge"))
    _check_declared(study)
    tokens = yield from _refusal_tokens(study)
    study = replace(study, refusal_tokens=tokens.ids)
    log_odds = yield from _baseline(study)
    filtered = _filter_by_score(study, log_odds)
    study = filtered.applied_to(study)
    yield from study.shards.rows("items", "all", lambda: item_rows(samples, filtered.reasons))
    yield from study.shards.rows("prompts", "all", lambda: _prompt_rows(study))

    differences = yield from _mean_differences(study)
    picked = yield from _selection(study, differences)
    selected = picked.direction
    yield from study.shards.rows("setup", "all", lambda: [_setup_row(study, tokens, filtered, picked)])
    nothing = torch.zeros(0, study.model.sites.d_model, dtype=torch.float64)
    if ask.selection_only:
        pass
    elif selected is None:
        yield from answers(study, None, nothing)
    else:
        successive = yield from _successive(study, selected)
        yield from effects(study, selected, successive)
        yield from answers(study, selected, successive)
        yield from costs(study, selected, successive)
        yield from _harmfulness(study)
    yield from _absent(study, picked)
    yield from _batches_used(study)


@dataclass(frozen=True)
class _RefusalTokens:
    """The first tokens of a refusal and where they come from."""

    ids: tuple[int, ...]
    source: str
    """declared, discovered or none"""
    why_none: str = ""


@dataclass(frozen=True)
class _Filter:
    """Which training and validation prompts are left out because of how the model scores them."""

    applied: bool
    reason: str
    removed: Mapping[str, float]
    """Population to the larger of its shares in the two splits."""
    reasons: Mapping[str, str]
    """Item to why it is not used."""

    def applied_to(self, study: Study) -> Study:
        """The study without the prompts that are left out."""
        kept = {key: tuple(p for p in prompts if p.id not in self.reasons) for key, prompts in study.prompts.items()}
        return replace(study, prompts={key: prompts for key, prompts in kept.items() if prompts})


@dataclass(frozen=True)
class _Picked:
    """The direction that the test split is asked about, or why there is none."""

    direction: Direction | None
    stopped: str = ""


def _study(model: LoadedModel, shards: Shards, samples: Mapping[tuple[str, str], Sample], ask: Ask, seed: int) -> Study:
    prompts = {key: sample.taken for key, sample in samples.items()}
    taken = [prompt for group in prompts.values() for prompt in group]
    tokens = dict(zip([p.id for p in taken], tokenised(model, [p.text for p in taken]), strict=True))
    forward = forward_for(model, batches_for(model), list(tokens.values()))
    return Study(forward, shards, ask, seed, prompts, tokens)


def _check_declared(study: Study) -> None:
    declared = study.ask.evaluate
    if isinstance(declared, Candidate) and not (declared.position in study.positions and declared.layer < study.n_layers):
        raise PlanError(
            f"evaluate: found position {declared.position}, layer {declared.layer}, expected a position from "
            f"{study.positions[0]} to -1 and a layer from 0 to {study.n_layers - 1}"
        )


def _refusal_tokens(study: Study) -> Stage[_RefusalTokens]:
    """Declared, or those that begin refusals, and little else, among answers to training prompts."""
    ask, model = study.ask, study.model
    if ask.refusal_tokens != "discover":
        yield Absent("first_tokens", "the refusal tokens were declared")
        return _RefusalTokens(tuple(declared_tokens(model, ask.refusal_tokens)), "declared")

    def compute() -> Iterator[Row]:
        prompts = [tokens for population in CLASSES for tokens in study.tokens_of(population, "train")]
        said = study.answers(prompts, [Intervention()] * len(prompts))
        refused = [is_refusal(text_of(model, answer)) for answer in said]
        return first_token_rows(model, [int(answer.tokens[0]) for answer in said], refused)

    yield Progress("refusal tokens", 0, 1)
    rows = yield from study.shards.rows("first_tokens", "all", compute)
    found = tuple(discovered_tokens(rows))
    if found:
        return _RefusalTokens(found, "discovered")
    refusals = sum(row["refusals"] for row in rows)
    asked = refusals + sum(row["answers"] for row in rows)
    why = "the model refused none" if not refusals else f"no first token tells its {refusals} refusals from other answers"
    return _RefusalTokens((), "none", f"of {asked} training prompts, {why}")


def _baseline(study: Study) -> Stage[dict[str, float]]:
    """Refusal log-odds of the unedited model on every prompt, by item; empty where no token stands for refusal."""
    log_odds: dict[str, float] = {}
    for population, split in study.prompts if study.refusal_tokens else ():
        if study.ask.selection_only and split == "test":
            continue

        def compute(population: str = population, split: str = split) -> Iterator[Row]:
            scores = baseline_log_odds(study.forward, study.refusal_ids, study.tokens_of(population, split))
            for item, score in zip(study.items(population, split), scores.tolist(), strict=True):
                yield {"item": item, "population": population, "split": split, "log_odds": score}

        rows = yield from study.shards.rows("baseline", f"{population}.{split}", compute)
        log_odds.update({row["item"]: row["log_odds"] for row in rows})
    return log_odds


def _filter_by_score(study: Study, log_odds: Mapping[str, float]) -> _Filter:
    """Keep the training and validation prompts that are refused (harmful) or answered (harmless), as the paper does.

    Where that would remove more than `max_filtered` of a class in either split, all are kept: the contrast would be
    one of refusal and no longer one of harm. Test prompts are never filtered.
    """
    unasked = {}
    if study.ask.selection_only:
        tests = [prompts for (_, split), prompts in study.prompts.items() if split == "test"]
        unasked = {prompt.id: "selection only: no test prompt is asked" for prompts in tests for prompt in prompts}
    if not study.ask.filter_by_score:
        return _Filter(False, "the plan asks for no filter", {}, unasked)
    if not study.refusal_tokens:
        return _Filter(False, "no token stands for refusal, so nothing could be scored", {}, unasked)
    failing: dict[str, str] = {}
    removed = dict.fromkeys(CLASSES, 0.0)
    fewest_left = min(len(prompts) for prompts in study.prompts.values())
    for population in CLASSES:
        for split in ("train", "validation"):
            items = study.items(population, split)
            wrong = [item for item in items if (log_odds[item] > 0) is not (population == "harmful")]
            side = "not above" if population == "harmful" else "not below"
            failing |= {item: f"filtered by score: log-odds {log_odds[item]:.2f} are {side} 0" for item in wrong}
            removed[population] = max(removed[population], len(wrong) / len(items))
            fewest_left = min(fewest_left, len(items) - len(wrong))
    most = max(removed.values())
    if most > study.ask.max_filtered or fewest_left < 2:
        reason = f"it would have removed up to {most:.1%} of a class, more than the {study.ask.max_filtered:.0%} allowed"
        return _Filter(False, reason, removed, unasked)
    reason = "prompts on the wrong side of zero refusal log-odds were left out of training and validation"
    return _Filter(True, reason, removed, {**failing, **unasked})


def _prompt_rows(study: Study) -> Iterator[Row]:
    for prompts in study.prompts.values():
        for prompt in prompts:
            yield {"item": prompt.id, "text": prompt.text}


def _mean_differences(study: Study) -> Stage[Float[Tensor, "position layer d_model"]]:
    """The candidates: harmful minus harmless means at every position and layer."""
    yield Progress("mean differences", 0, 1)
    found = yield from study.shards.tensors(
        "directions", "mean_differences", lambda: {"mean_differences": study.differences(study.labels).numpy()}
    )
    return torch.from_numpy(np.array(found["mean_differences"]))


def _selection(study: Study, differences: Float[Tensor, "position layer d_model"]) -> Stage[_Picked]:
    """The candidate that the rule picks on the validation split, or the declared one."""
    if not study.refusal_tokens:
        return _Picked(None, "no token stands for refusal")
    if study.ask.selection_only:
        index = yield from _lazy_selection(study, differences)
    else:
        index = yield from _full_selection(study, differences)
    declared = study.ask.evaluate
    if isinstance(declared, Candidate):
        index = study.positions.index(declared.position) * study.n_layers + declared.layer
    if index is None:
        return _Picked(None, "no candidate direction passed the filters of the selection rule")
    position, layer = study.positions[index // study.n_layers], index % study.n_layers
    vector = differences.flatten(0, 1)[index]
    if float(vector.norm()) == 0:
        why = "is the same vector for every prompt, so that the difference of means is zero"
        return _Picked(None, f"the activation at position {position}, layer {layer}, which was to be evaluated, {why}")
    yield from study.shards.tensors("directions", "selected", lambda: {"selected": vector.numpy()})
    return _Picked(Direction(vector, position, layer))


def _full_selection(study: Study, differences: Float[Tensor, "position layer d_model"]) -> Stage[int | None]:
    """Every candidate on every validation prompt; the index of the pick, position by position and layer by layer."""
    names = ("ablated", "added", "kl")
    means = {name: np.full((len(study.positions), study.n_layers), np.nan) for name in names}
    for layer in range(study.n_layers):
        yield Progress("candidates", layer, study.n_layers)

        def compute(layer: int = layer) -> Iterator[Row]:
            directions = differences[:, layer]
            ablated, kl = study.validation.ablated_and_divergence(directions)
            scores = {"ablated": ablated, "added": study.validation.added(directions, layer), "kl": kl}
            for quantity, values in scores.items():
                items = study.items("harmful" if quantity == "ablated" else "harmless", "validation")
                for position, row in zip(study.positions, values.tolist(), strict=True):
                    place = {"position": position, "layer": layer, "quantity": quantity}
                    yield from ({**place, "item": item, "value": v} for item, v in zip(items, row, strict=True))

        rows = yield from study.shards.rows("scores", f"layer-{layer}", compute)
        for name in names:
            for index, position in enumerate(study.positions):
                values = [row["value"] for row in rows if row["quantity"] == name and row["position"] == position]
                means[name][index, layer] = np.mean(values)
    layers = np.tile(np.arange(study.n_layers), len(study.positions))
    flat = [means[name].reshape(-1) for name in names]
    return select(layers, *flat, n_layers=study.n_layers).picked


def _lazy_selection(study: Study, differences: Float[Tensor, "position layer d_model"]) -> Stage[int | None]:
    """The same pick with the filters in order of cost, and the means of the candidates that were scored in full."""
    found: list[Found] = []

    def compute() -> Iterator[Row]:
        found.append(select_lazily(study.validation, differences))
        scores = np.stack([found[0].refusal_scores, found[0].steering_scores, found[0].kls], axis=1)
        for index in np.flatnonzero(np.isfinite(scores).all(axis=1)).tolist():
            position, layer = found[0].place(index)
            values = dict(zip(("refusal_score", "steering_score", "kl"), scores[index].tolist(), strict=True))
            yield {"position": study.positions[position], "layer": layer, **values}

    yield Progress("candidates", 0, 1)
    rows = yield from study.shards.rows("candidates", "all", compute)
    if not rows:
        return None
    best = min(rows, key=lambda row: row["refusal_score"])  # rows keep the order of the candidates, as ties must
    return study.positions.index(best["position"]) * study.n_layers + int(best["layer"])


def _setup_row(study: Study, tokens: _RefusalTokens, filtered: _Filter, picked: _Picked) -> Row:
    chat, direction = study.model.chat, picked.direction
    n_positions = len(study.positions)
    return {
        "n_layers": study.n_layers,
        "d_model": study.model.sites.d_model,
        "positions": list(study.positions),
        "position_tokens": list(chat.suffix_tokens[-n_positions:]) or ["(last token of the prompt)"],
        "refusal_tokens": list(tokens.ids),
        "refusal_token_texts": [study.model.tokenizer.decode([token]) for token in tokens.ids],
        "refusal_tokens_from": tokens.source,
        "filter": {"applied": filtered.applied, "reason": filtered.reason, "removed": dict(filtered.removed)},
        "evaluated": None if direction is None else {"position": direction.position, "layer": direction.layer},
        "random_direction_norm": 0.0 if direction is None else direction.norm,
        "prefill": study.ask.prefill,
        "stopped": tokens.why_none or picked.stopped,
    }


def _successive(study: Study, selected: Direction) -> Stage[Float[Tensor, "k d_model"]]:
    """The directions of the fragility curve: the selected one, then mean differences with those before ablated."""
    largest = max(1, study.ask.fragility_directions)

    def compute() -> Float[Tensor, "k d_model"]:
        harmful, harmless = (study.tokens_of(population, "train") for population in CLASSES)
        place = (selected.position, selected.layer)
        return successive_directions(study.forward, harmful, harmless, selected.vector, *place, largest)

    yield Progress("successive directions", 0, 1)
    found = yield from study.shards.tensors("directions", "successive", lambda: {"successive": compute().numpy()})
    if len(found["successive"]) < largest:
        yield Note("fragility", f"the mean difference vanishes after {len(found['successive'])} directions")
    return torch.from_numpy(np.array(found["successive"]))


def _harmfulness(study: Study) -> Iterator[Event]:
    """Projections at the last instruction token on its own mean difference of training prompts, at every layer.

    A diagnostic outside the selection (Zhao et al. 2025): harm may be decodable there where refusal is not decided.
    """
    place = (study.instruction_position,)
    means: list[Tensor] = []

    def project(population: str, split: str) -> Iterator[Row]:
        if not means:
            groups = [activations(study.forward, study.tokens_of(each, "train"), place)[:, 0] for each in CLASSES]
            means.append(groups[0].double().mean(dim=0) - groups[1].double().mean(dim=0))  # [layer, d_model]
        unit = means[0] / means[0].norm(dim=-1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
        here = activations(study.forward, study.tokens_of(population, split), place)[:, 0].double()
        projections = torch.einsum("nld,ld->nl", here, unit)
        for item, row in zip(study.items(population, split), projections.tolist(), strict=True):
            for layer, value in enumerate(row):
                yield {"layer": layer, "item": item, "population": population, "split": split, "projection": value}

    yield Progress("harmfulness", 0, 1)
    for split in ("validation", "test"):
        for population in CLASSES:
            yield from study.shards.rows("harmfulness", f"{population}.{split}", partial(project, population, split))


def _absent(study: Study, picked: _Picked) -> Iterator[Event]:
    """Why each optional table that was not yielded is not there."""
    stopped = "selection only was asked for" if study.ask.selection_only else picked.stopped
    made = {"prompts", "directions", "first_tokens"}
    reasons: dict[str, str] = {
        "human_labels": "no person has labelled a sample of these answers",
        "losses": "cross-entropy is kept per prompt, in the table `collateral`",
    }
    if study.refusal_tokens:
        made |= {"baseline", "candidates" if study.ask.selection_only else "scores"}
        if not study.ask.selection_only:
            reasons["candidates"] = "the scores are kept per prompt"
    if not study.ask.selection_only:
        made |= {"completions", "labels"}
    if picked.direction is not None and not study.ask.selection_only:
        made |= {"effects", "collateral", "harmfulness"}
        if study.ask.label_shuffles or study.ask.reselections:
            made |= {"reselections"}
        else:
            reasons["reselections"] = "neither shuffles nor resamples were asked for"
    for spec in TABLES:
        if spec.optional and spec.name not in made:
            yield Absent(spec.name, reasons.get(spec.name, stopped))


def _batches_used(study: Study) -> Iterator[Event]:
    batches = study.forward.batches
    yield Note("batch_memory_bytes", batches.memory)
    yield Note("batch_positions", batches.positions)
    yield Note("out_of_memory", len(batches.back_offs))
    yield Note("shared_prefix_tokens", study.forward.prefix)
