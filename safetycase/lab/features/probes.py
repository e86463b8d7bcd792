"""How well a few features of a dictionary tell a contrast's classes apart, beside all of the site, features by lot, and shuffled labels."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from safetycase.evidence.kinds.feature_documentation.params import ABSENT, PRESENT, population
from safetycase.evidence.tables import Row
from safetycase.lab.features.linear_probes import Examples, fit_probe
from safetycase.lab.features.prompt_pooling import Pooled, pooled
from safetycase.lab.features.relevance import area_under_curve
from safetycase.lab.features.study import AskedContrast, FeatureStudy, Stage
from safetycase.lab.null_directions import generator
from safetycase.lab.observing import Absent

DRAWS = 15
"""Draws of features by lot, of which the median one is kept."""
SHUFFLES = 100
"""Permutations of labels; each is a probe of its own."""
LEAST_PROMPTS = 2
"""Per class and half."""


def probes(study: FeatureStudy, contrast: AskedContrast) -> Stage[None]:
    """The table `probes`: fitted on discovery prompts, scores on confirmation prompts.

    Every prompt is the mean over its tokens (`prompt_pooling`), of the site that the dictionary reads or of its features.

      k-<n>         the n features whose means differ most between the classes on discovery prompts (Gurnee et al. 2023; SAEBench)
      dense         all coordinates of the site
      random-k-<n>  n features by lot among those that are not zero on all discovery prompts: of 15 draws the one of median AUROC there
      shuffled-<n>  dense, with labels permuted (`permuted`), n from 1: what the procedure makes of labels that say nothing
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
        n = len(self.present)
        examples, confirmation = Examples(self.points.inputs[:n]), self.points.inputs[n:]
        yield "dense", examples.probe(self.present).score(confirmation)
        for number in range(1, SHUFFLES + 1):
            yield f"shuffled-{number}", examples.probe(permuted(self.present, self.families, self.seed, number)).score(confirmation)

    def _of_features(self, chosen: Int[Tensor, "k"]) -> Float64[Tensor, "confirmation"]:
        x = self.points.activations[:, chosen]
        return fit_probe(x[: len(self.present)], self.present).score(x[len(self.present) :])

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


def permuted(present: Bool[Tensor, "prompt"], families: Sequence[str], seed: int, number: int) -> Bool[Tensor, "prompt"]:
    """One permutation of the labels; permutations of other numbers are independent of it.

    Labels move within families that hold both classes; families of one class swap theirs as wholes, so that what a family has in
    common stays on one side. Every permutation counts, whatever it has in common with the truth: where few families are left, many have
    much, and then a score must be high to stand out among them.
    """
    randomness = generator(seed, "shuffled labels", number)
    members: dict[str, list[int]] = defaultdict(list)
    for index, family in enumerate(families):
        members[family].append(index)
    pure = [each for each in members.values() if len({bool(present[index]) for index in each}) == 1]
    labels = present.clone()
    for each in members.values():
        labels[each] = present[each][torch.randperm(len(each), generator=randomness)]
    for to, origin in enumerate(torch.randperm(len(pure), generator=randomness).tolist()):
        labels[pure[to]] = present[pure[origin][0]]
    return labels
