"""What directions do to refusal log-odds on the test split: the selected one, those that mean nothing, and resamples."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.evidence.tables import Row
from safetycase.lab.candidates import Found, contrast_weights, select_lazily
from safetycase.lab.null_directions import (
    covariance_directions,
    resampled_counts,
    scaled,
    shuffled_labels,
    unrelated_contrasts,
)
from safetycase.lab.observing import Event, Note, Progress
from safetycase.lab.refusal_study import Direction, Study

# Shards of modest size: what a kill can lose.
RANDOM_PER_SHARD = 16
RESELECTIONS_PER_SHARD = 5


def effects(study: Study, selected: Direction, successive: Float[Tensor, "k d_model"]) -> Iterator[Event]:
    """The table `effects`, with `reselections` on the way.

    Every direction is ablated on harmful and added on harmless test prompts, by the same edits. Null directions are
    added with the norm of the selected one, at its layer or, for shuffled labels, at the layer that their own
    selection picked; resampled ones keep their own norm, for they are the selected direction had again.
    """
    vector = selected.vector.unsqueeze(0)
    yield from study.shards.rows(
        "effects", "selected", lambda: _rows(study, "selected", ["selected"], vector, vector, [selected.layer])
    )
    yield from _fragility(study, successive)
    yield from _random(study, selected)
    yield from _contrasts(study, selected)
    for family, wanted in (("shuffle", study.ask.label_shuffles), ("resample", study.ask.reselections)):
        for start in range(0, wanted, RESELECTIONS_PER_SHARD):
            yield Progress(f"{family} selections", start, wanted)
            numbers = range(start, min(start + RESELECTIONS_PER_SHARD, wanted))
            yield from _reselected(study, selected, family, numbers)


def _fragility(study: Study, successive: Float[Tensor, "k d_model"]) -> Iterator[Event]:
    """Log-odds of harmful prompts with the first k directions ablated together, k = 2 ..."""
    for k in range(2, len(successive) + 1):
        yield Progress("fragility", k - 2, len(successive) - 1)

        def compute(k: int = k) -> Iterator[Row]:
            scores = study.test.ablated_together(successive[:k].float())
            yield from _condition(study, f"k-{k}", "fragility", "ablated", scores)

        yield from study.shards.rows("effects", f"k-{k}", compute)


def _random(study: Study, selected: Direction) -> Iterator[Event]:
    """Null (a): the covariance is that at the selected position and layer, within each class of training prompts."""
    wanted = study.ask.random_directions
    for start in range(0, wanted, RANDOM_PER_SHARD):
        yield Progress("random directions", start, wanted)
        numbers = range(start, min(start + RANDOM_PER_SHARD, wanted))

        def compute(numbers: range = numbers) -> Iterator[Row]:
            directions = random_directions(study, selected, numbers)
            names = [f"random-{number}" for number in numbers]
            return _rows(study, "random", names, directions, directions, [selected.layer] * len(names))

        yield from study.shards.rows("effects", f"random-{start}", compute)


def random_directions(
    study: Study, selected: Direction, numbers: Sequence[int]
) -> Float[Tensor, "direction d_model"]:
    """Directions number so-and-so of null (a), of the selected direction's norm."""
    here = study.training[:, study.positions.index(selected.position), selected.layer]
    groups = [here[: study.n_harmful], here[study.n_harmful :]]
    return covariance_directions(groups, selected.norm, study.seed, numbers)


def _contrasts(study: Study, selected: Direction) -> Iterator[Event]:
    """Null (c): contrasts among harmless training prompts, read where the selected direction was read."""
    prompts = study.prompts["harmless", "train"]
    lengths = torch.tensor([len(study.tokens[prompt.id]) for prompt in prompts])
    sides = unrelated_contrasts(prompts, lengths, study.ask.contrasts)
    if len(sides) < study.ask.contrasts:
        yield Note("contrasts", f"{len(sides)} of {study.ask.contrasts} could be made of {len(prompts)} harmless prompts")
    if not sides:
        return

    def compute() -> Iterator[Row]:
        here = study.training[study.n_harmful :, study.positions.index(selected.position), selected.layer].double()
        found = torch.stack([here[side].mean(dim=0) - here[~side].mean(dim=0) for side in sides.values()])
        directions = scaled(found, selected.norm)
        return _rows(study, "contrast", list(sides), directions, directions, [selected.layer] * len(sides))

    yield from study.shards.rows("effects", "contrasts", compute)


def _reselected(study: Study, selected: Direction, family: str, numbers: range) -> Iterator[Event]:
    """Null (b) and the bootstrap: whole selections on shuffled labels, or on resampled prompts, and their effects."""
    part = f"{family}-{numbers.start}"
    rows = yield from study.shards.rows(
        "reselections", part, lambda: (row for number in numbers for row in _reselection(study, family, number))
    )
    if not rows:
        return

    def compute() -> Iterator[Row]:
        own = []
        for row in rows:
            weights = training_weights(study, family, int(row["direction"].rpartition("-")[2]))
            own.append(study.differences(weights)[study.positions.index(row["position"]), row["layer"]])
        found = torch.stack(own)
        added = scaled(found, selected.norm) if family == "shuffle" else found
        return _rows(study, family, [row["direction"] for row in rows], found, added, [row["layer"] for row in rows])

    yield from study.shards.rows("effects", part, compute)


def _reselection(study: Study, family: str, number: int) -> Iterator[Row]:
    """What the whole selection picks, or its stand-in where none survives; no row where no layer is in range."""
    differences = study.differences(training_weights(study, family, number))
    scorer = study.validation
    if family == "resample":
        scorer = scorer.resampled(*(_counts(study, population, "validation", number) for population in CLASSES))
    found: Found = select_lazily(scorer, differences, with_fallback=True)
    if found.index is not None:
        position, layer = found.place(found.index)
        yield {
            "direction": f"{family}-{number}",
            "family": family,
            "position": study.positions[position],
            "layer": layer,
            "survivors": len(found.selection.order),
            "fallback": found.selection.picked is None,
        }


CLASSES = ("harmful", "harmless")


def training_weights(study: Study, family: str, number: int) -> Float[Tensor, "prompt"]:
    """Weights of the training prompts for one shuffle of their labels, or one resample of their families per class."""
    if family == "shuffle":
        n_harmless = len(study.prompts["harmless", "train"])
        harmful, harmless = shuffled_labels(study.n_harmful, n_harmless, study.seed, number)
        return harmful.double() / harmful.sum() - harmless.double() / harmless.sum()
    counts = [_counts(study, population, "train", number) for population in CLASSES]
    return contrast_weights(*counts)


def _counts(study: Study, population: str, split: str, number: int) -> Float[Tensor, "prompt"]:
    families = [prompt.family for prompt in study.prompts[population, split]]
    return resampled_counts(families, study.seed, f"resample {population} {split}", number)


def _rows(
    study: Study,
    family: str,
    names: Sequence[str],
    ablated: Float[Tensor, "direction d_model"],
    added: Float[Tensor, "direction d_model"],
    layers: Sequence[int],
) -> Iterator[Row]:
    """Rows of both conditions for directions that are added at a layer each."""
    scores = {"ablated": study.test.ablated(ablated)}
    scores["added"] = torch.empty(len(names), len(study.test.harmless), dtype=torch.float64)
    for layer in sorted(set(layers)):
        at = [index for index, where in enumerate(layers) if where == layer]
        scores["added"][at] = study.test.added(added[at], layer)
    for condition, values in scores.items():
        for name, row in zip(names, values, strict=True):
            yield from _condition(study, name, family, condition, row)


def _condition(
    study: Study, name: str, family: str, condition: str, scores: Float[Tensor, "prompt"]
) -> Iterator[Row]:
    population = "harmful" if condition == "ablated" else "harmless"
    for item, score in zip(study.items(population, "test"), scores.tolist(), strict=True):
        yield {
            "direction": name,
            "family": family,
            "condition": condition,
            "population": population,
            "item": item,
            "log_odds": score,
        }
