"""How well a few features of a dictionary tell a contrast's classes apart, beside all of the site, features by lot, and shuffled labels."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from safetycase.evidence.kinds.feature_documentation.params import ABSENT, PRESENT, population
from safetycase.evidence.tables import Row
from safetycase.lab.features.linear_probes import fit_probe
from safetycase.lab.features.prompt_pooling import Pooled, pooled
from safetycase.lab.features.relevance import area_under_curve
from safetycase.lab.features.study import AskedContrast, FeatureStudy, Stage
from safetycase.lab.null_directions import generator
from safetycase.lab.observing import Absent

DRAWS = 15
"""Draws of features by lot, of which the median one is kept."""
SHUFFLES = 200
"""Permutations of labels, of which the one that says least of the true labels is kept."""
LEAST_PROMPTS = 2
"""Per class and half."""


def probes(study: FeatureStudy, contrast: AskedContrast) -> Stage[None]:
    """The table `probes`: fitted on discovery prompts, scores on confirmation prompts.

    Every prompt is the mean over its tokens (`prompt_pooling`), of the site that the dictionary reads or of its features.

      k-<n>         the n features whose means differ most between the classes on discovery prompts (Gurnee et al. 2023; SAEBench)
      dense         all coordinates of the site
      random-k-<n>  n features by lot among those that fire on discovery prompts: of some draws the one of median AUROC there
      shuffled      dense, with labels permuted (`permuted`): how much of a score the procedure makes of nothing
    """
    problem = too_few(contrast)
    if problem:
        yield Absent("probes", problem)
        return
    yield from study.shards.rows("probes", contrast.name, lambda: _rows(study, contrast))


def too_few(contrast: AskedContrast) -> str:
    """Why no probe can be fitted and tested on a contrast; empty where one can."""
    halves = {"discovery": contrast.discovery(), "confirmation": contrast.confirmation()}
    for half, (present, absent) in halves.items():
        fewest = min(len(present), len(absent))
        if fewest < LEAST_PROMPTS:
            return f"contrast {contrast.name}: found {fewest} {half} prompts of a class, expected at least {LEAST_PROMPTS}"
    return ""


def _rows(study: FeatureStudy, contrast: AskedContrast) -> Iterator[Row]:
    (present, absent), (tested, tested_absent) = contrast.discovery(), contrast.confirmation()
    points = pooled(study, contrast, (*present, *absent, *tested, *tested_absent))
    n = len(present) + len(absent)
    labels = torch.arange(n) < len(present)
    fitted = Fitting(points, labels, [prompt.family for prompt in (*present, *absent)], study.seed)
    asked = [(population(contrast.name, PRESENT), prompt) for prompt in tested]
    asked += [(population(contrast.name, ABSENT), prompt) for prompt in tested_absent]
    for probe, scores in fitted.scores(study.ask.probe_sizes):
        for (side, prompt), score in zip(asked, scores.tolist(), strict=True):
            yield {"contrast": contrast.name, "probe": probe, "population": side, "item": prompt.id, "score": score}


class Fitting:
    """Probes fitted on the first prompts of some pooled ones, and what they say of the others."""

    def __init__(self, points: Pooled, present: Bool[Tensor, "discovery"], families: Sequence[str], seed: int) -> None:
        self.points = points
        self.present = present
        self.families = families
        self.seed = seed

    def scores(self, sizes: Sequence[int]) -> Iterator[tuple[str, Float64[Tensor, "confirmation"]]]:
        """Name of every probe and its decision values on the confirmation prompts."""
        features = self.points.activations[: len(self.present)]
        telling = most_different(features, self.present, max(sizes, default=0))
        for size in sizes:
            yield f"k-{size}", self._of_features(telling[:size])
        for size in sizes:
            yield f"random-k-{size}", self._of_features(self._by_lot(size))
        yield "dense", self._of(self.points.inputs, self.present)
        yield "shuffled", self._of(self.points.inputs, permuted(self.present, self.families, self.seed))

    def _of_features(self, chosen: Int[Tensor, "k"]) -> Float64[Tensor, "confirmation"]:
        return self._of(self.points.activations[:, chosen], self.present)

    def _of(self, x: Float[Tensor, "prompt d"], labels: Bool[Tensor, "discovery"]) -> Float64[Tensor, "confirmation"]:
        return fit_probe(x[: len(labels)], labels).score(x[len(labels) :])

    def _by_lot(self, size: int) -> Int[Tensor, "k"]:
        """Features of the draw whose probe separates the discovery prompts as the median draw does."""
        features = self.points.activations[: len(self.present)]
        live = (features != 0).any(dim=0).nonzero().squeeze(-1)
        draws = []
        for index in range(DRAWS):
            order = torch.randperm(len(live), generator=generator(self.seed, f"random features {size}", index))
            chosen = live[order[:size]]
            score = fit_probe(features[:, chosen], self.present).score(features[:, chosen])
            area = float(area_under_curve(score[self.present, None], score[~self.present, None]))
            draws.append((area, index, chosen))
        return sorted(draws, key=lambda draw: draw[:2])[DRAWS // 2][2]


def most_different(features: Float[Tensor, "prompt feature"], present: Bool[Tensor, "prompt"], count: int) -> Int[Tensor, "k"]:
    """The features whose means differ most between the classes, in their own units; of equal ones the lower index."""
    difference = (features[present].double().mean(dim=0) - features[~present].double().mean(dim=0)).abs()
    return difference.sort(descending=True, stable=True).indices[:count]


def permuted(present: Bool[Tensor, "prompt"], families: Sequence[str], seed: int) -> Bool[Tensor, "prompt"]:
    """Labels that say as little as possible of the true ones.

    Labels move within families that hold both classes; families of one class swap theirs as wholes, so that what a family has in
    common stays on one side. Where few families are left, one draw may agree with the truth by half or by chance much more; where the
    classes are easily told apart, a probe of it would then find the truth (or its reverse). So of many draws the one is kept whose
    agreement is nearest to chance.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, family in enumerate(families):
        members[family].append(index)
    mixed = [each for each in members.values() if len({bool(present[index]) for index in each}) == 2]
    pure = [each for each in members.values() if len({bool(present[index]) for index in each}) == 1]
    draws = [_draw(present, mixed, pure, generator(seed, "shuffled labels", index)) for index in range(SHUFFLES)]
    return min((draw for draw in draws if 0 < int(draw.sum()) < len(draw)), key=lambda draw: _association(draw, present))


def _draw(
    present: Bool[Tensor, "prompt"], mixed: Sequence[Sequence[int]], pure: Sequence[Sequence[int]], randomness: torch.Generator
) -> Bool[Tensor, "prompt"]:
    labels = present.clone()
    for each in mixed:
        labels[each] = present[each][torch.randperm(len(each), generator=randomness)]
    swapped = torch.randperm(len(pure), generator=randomness).tolist()
    for to, origin in enumerate(swapped):
        labels[pure[to]] = present[pure[origin][0]]
    return labels


def _association(labels: Bool[Tensor, "prompt"], present: Bool[Tensor, "prompt"]) -> float:
    """By how much the share of present among those labelled present differs from that among the others."""
    return abs(float(present[labels].double().mean() - present[~labels].double().mean()))
