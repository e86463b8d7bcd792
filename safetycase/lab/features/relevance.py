"""Which features are relevant to a contrast, on discovery prompts: by direction, by activation, and by attribution to its log-odds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from safetycase.evidence.kinds.feature_documentation.params import SIDES, population
from safetycase.evidence.tables import Row
from safetycase.lab.batches import Load
from safetycase.lab.dictionaries.dictionary import Dictionary
from safetycase.lab.features.study import AskedContrast, FeatureStudy, Stage, counted_positions
from safetycase.lab.features.telling_positions import shared_positions
from safetycase.lab.forward import Forward, Tokens, left_padded
from safetycase.lab.model import LoadedModel, last_position_options
from safetycase.lab.observing import Progress
from safetycase.lab.prompt_samples import SPLITS
from safetycase.lab.scores import refusal_log_odds
from safetycase.lab.site_access import edit_site, record_sites
from safetycase.sources.prompts import Split

FEATURES_AT_ONCE = 8192
"""Of the areas under the curve."""
STORED_PER_LAYER = 4
"""A backward pass keeps about this many times the memory of a forward one, per layer that it goes back through."""


@dataclass(frozen=True)
class Relevance:
    """How the features rank for a contrast."""

    ranking: tuple[int, ...]
    """Features that fire on any discovery prompt, the most relevant first."""
    direction: Float[Tensor, "d_out"]
    """Mean difference of the output site at the last prompt token, present minus absent, on discovery prompts; in float32 on the CPU."""


@dataclass(frozen=True)
class Peaks:
    """The largest activation of every feature on the discovery prompts of each class, behind what all prompts begin with; on the CPU.

    0 where it does not fire.
    """

    present: Float[Tensor, "prompt feature"]
    absent: Float[Tensor, "prompt feature"]
    direction: Float[Tensor, "d_out"]
    """Mean difference of the output site at the last token, present minus absent."""

    @property
    def fires(self) -> Bool[Tensor, "feature"]:
        """Whether a feature fires on any discovery prompt."""
        fires: Tensor = (self.present > 0).any(dim=0) | (self.absent > 0).any(dim=0)
        return fires


def relevance(study: FeatureStudy, contrast: AskedContrast) -> Stage[Relevance]:
    """Yields `relevance`, every feature of the dictionary, and `baseline`, the log-odds of both classes on all splits.

    A contrast without target tokens has no log-odds: its attribution is 0 and stays out of the ranking, and it has no baseline.
    """
    yield Progress(f"relevance for {contrast.name}", 0, 1)
    yield from _baseline(study, contrast)
    peaks = discovery_peaks(study, contrast)
    rows = yield from study.shards.rows("relevance", contrast.name, partial(_rows, study, contrast, peaks))
    placed = sorted((row["rank"], row["feature"]) for row in rows if row["rank"])
    return Relevance(tuple(feature for _, feature in placed), peaks.direction)


def discovery_peaks(study: FeatureStudy, contrast: AskedContrast) -> Peaks:
    """One pass over the discovery prompts of both classes."""
    present, absent = contrast.discovery()
    dictionary, first = study.dictionary, shared_positions(study.model, contrast)

    def reduce(inputs: Float[Tensor, "pos d_in"], outputs: Float[Tensor, "pos d_out"]) -> Float[Tensor, "kept"]:
        return torch.cat([dictionary.encode(inputs[first:]).amax(dim=0).clamp_min(0), outputs[-1]]).cpu()

    kept = study.on_prompts(contrast.tokens_of((*present, *absent)), reduce)
    features, last = torch.split(kept, [dictionary.n_features, dictionary.d_out], dim=1)
    n = len(present)
    direction = last[:n].double().mean(dim=0) - last[n:].double().mean(dim=0)
    return Peaks(features[:n], features[n:], direction.float())


def ranking(quantities: Sequence[NDArray[np.float64]], fires: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Features that fire, by the mean of their ranks in each quantity, largest first; equal ones by index."""
    firing = np.flatnonzero(fires)
    ranks = [rankdata(-quantity[firing], method="average") for quantity in quantities]
    return firing[np.argsort(np.mean(ranks, axis=0), kind="stable")] if len(firing) else firing


def area_under_curve(present: Float[Tensor, "prompt feature"], absent: Float[Tensor, "other feature"]) -> Float[Tensor, "feature"]:
    """The chance that a present prompt scores above an absent one, ties counting half (Mann and Whitney), in float64.

    Counted exactly, from the place of every present prompt among the sorted absent ones.
    """
    areas = []
    for above, below in zip(torch.split(present.T, FEATURES_AT_ONCE), torch.split(absent.T, FEATURES_AT_ONCE), strict=True):
        ordered, scores = below.contiguous().sort(dim=1).values, above.contiguous()
        smaller = torch.searchsorted(ordered, scores, right=False)
        not_larger = torch.searchsorted(ordered, scores, right=True)
        areas.append((smaller + not_larger).sum(dim=1).double() / (2 * above.shape[1] * below.shape[1]))
    return torch.cat(areas)


def attribution(study: FeatureStudy, target: Sequence[int], prompts: Sequence[Tokens]) -> Float[Tensor, "feature"]:
    """Mean over prompts of the sum over positions of a s (d . g), in nats: to first order, what ablating each feature takes away.

    a is the activation, s the scale of what the dictionary writes, d the direction and g the gradient of the log-odds with
    respect to the first written site (attribution patching, Nanda 2023), had by one backward pass per batch. A position that
    holds a beginning-of-text token is not counted. In float64, on the CPU.
    """
    model, dictionary = study.model, study.dictionary
    total = torch.zeros(dictionary.n_features, dtype=torch.float64)

    def work(indices: list[int]) -> Float[Tensor, "feature"]:
        rows = [prompts[index] for index in indices]
        read, gradient = _gradient(model, dictionary, rows, target)
        summed = torch.zeros(dictionary.n_features, dtype=torch.float64)
        with torch.inference_mode():
            for row, tokens in enumerate(rows):
                counted = counted_positions(model, tokens)
                x, g = (each[row, -len(tokens) :][counted].to(dictionary.W_enc) for each in (read, gradient))
                written = dictionary.encode(x) * dictionary.write_scale(x)
                summed += (written * (g @ dictionary.directions().mT)).sum(dim=0).cpu()
        return summed

    for _, found in study.batches.each([_backward_load(study, len(tokens)) for tokens in prompts], work):
        total += found
    return total / len(prompts)


def _baseline(study: FeatureStudy, contrast: AskedContrast) -> Stage[None]:
    """Log-odds of the unedited model."""
    if not contrast.target:
        return
    target = torch.tensor(contrast.target)
    forward = Forward(study.model, study.batches)
    for side in SIDES:
        for split in SPLITS:
            place = {"contrast": contrast.name, "population": population(contrast.name, side), "split": split}

            def compute(side: str = side, split: Split = split, place: Row = place) -> Iterator[Row]:
                prompts = contrast.of(side, split)
                scores = forward.unedited(contrast.tokens_of(prompts), lambda logits, _: refusal_log_odds(logits, target))
                for prompt, score in zip(prompts, scores.tolist(), strict=True):
                    yield {**place, "item": prompt.id, "log_odds": score}

            yield from study.shards.rows("baseline", f"{place['population']}.{split}", compute)


def _rows(study: FeatureStudy, contrast: AskedContrast, peaks: Peaks) -> Iterator[Row]:
    directions = study.dictionary.directions().cpu()
    cosine = torch.nn.functional.cosine_similarity(directions.double(), peaks.direction.double()[None], dim=1)
    area = area_under_curve(peaks.present, peaks.absent)
    attributed = torch.zeros(len(area), dtype=torch.float64)
    if contrast.target:
        attributed = attribution(study, contrast.target, contrast.tokens_of(contrast.discovery()[0]))
    quantities = [cosine.numpy(), area.numpy(), *([attributed.numpy()] if contrast.target else [])]
    rank = np.zeros(len(area), dtype=np.int64)
    placed = ranking(quantities, peaks.fires.numpy())
    rank[placed] = np.arange(1, len(placed) + 1)
    columns = {
        "cosine": cosine,
        "auroc": area,
        "attribution": attributed,
        "firing_present": (peaks.present > 0).double().mean(dim=0),
        "firing_absent": (peaks.absent > 0).double().mean(dim=0),
        "rank": torch.from_numpy(rank),
    }
    values = zip(*(column.tolist() for column in columns.values()), strict=True)
    for feature, of_feature in enumerate(values):
        yield {"contrast": contrast.name, "feature": feature, **dict(zip(columns, of_feature, strict=True))}


def _gradient(
    model: LoadedModel, dictionary: Dictionary, rows: Sequence[Tokens], target: Sequence[int]
) -> tuple[Float[Tensor, "row pos d_in"], Float[Tensor, "row pos d_out"]]:
    """What the dictionary reads in a batch, and the gradient of each row's log-odds with respect to what it writes to first.

    The model's weights are frozen: the written site itself is made the leaf that gradients are taken of.
    """
    encoded = left_padded(rows, model.device)
    leaves: list[Tensor] = []

    def leaf(x: Float[Tensor, "row pos d_out"]) -> Float[Tensor, "row pos d_out"]:
        leaves.append(x.detach().clone().requires_grad_(True))
        return leaves[-1]

    with torch.inference_mode(False), torch.enable_grad():
        with record_sites(model, [dictionary.reads]) as at, edit_site(model, dictionary.writes[0], leaf):
            logits = model.module(
                input_ids=encoded.input_ids.clone(),
                attention_mask=encoded.attention_mask.clone(),
                use_cache=False,
                **last_position_options(model, encoded),
            ).logits[:, -1]
            read = at[dictionary.reads]
        score = refusal_log_odds(logits.float(), torch.tensor(target)).sum()
        (gradient,) = torch.autograd.grad(score, leaves)
    return read, gradient


def _backward_load(study: FeatureStudy, length: int) -> Load:
    """What a row asks of a forward pass whose tensors are kept for the way back."""
    forward = study.batches.load(length)
    layers = study.model.sites.n_layers - study.dictionary.writes[0].layer
    return Load(forward.positions, forward.memory * STORED_PER_LAYER * layers)
