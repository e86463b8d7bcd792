"""Is a contrast's main feature silent on some prompts because a more specific one carries its direction there?"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from safetycase.evidence.tables import Row
from safetycase.lab.dictionaries.absorption import F1_JUMP, MOST_MAIN, Absorbed, Reference, absorbed
from safetycase.lab.features.linear_probes import Probe, f1, fit_probe
from safetycase.lab.features.probes import too_few
from safetycase.lab.features.prompt_pooling import Pooled, pooled
from safetycase.lab.features.study import AskedContrast, FeatureStudy, Stage
from safetycase.lab.observing import Absent

LEAST_ACCURACY = 0.7
"""Balanced, of the probe on confirmation prompts: a direction that does not tell the classes apart cannot be absorbed.

SAEBench asks for an F1 of 0.6 where a class is one in 26; where classes are of like size, calling all prompts present reaches that.
"""


def absorption(study: FeatureStudy, contrast: AskedContrast, ranking: Sequence[int]) -> Stage[None]:
    """The table `absorption`: every present confirmation prompt, in full and in part (`absorbed`).

    The direction is that of a dense probe at the written site, fitted on discovery prompts; main features are the first of the ranking
    that a sparse probe gains from (`main_features`). Every prompt is the mean over its tokens, in which what features write still adds
    up; a feature is silent on a prompt where it is on all of its tokens. A prompt that the probe does not read as present cannot show
    absorption.
    """
    problem = too_few(contrast) or ("" if ranking else f"contrast {contrast.name}: no feature fires on its discovery prompts")
    if problem:
        yield Absent("absorption", problem)
        return
    rows: list[Row] | str = []
    if not study.shards.finished("absorption", contrast.name):
        rows = _rows(study, contrast, ranking)
    if isinstance(rows, str):
        yield Absent("absorption", rows)
        return
    yield from study.shards.rows("absorption", contrast.name, lambda: rows)


def main_features(activations: Float[Tensor, "prompt feature"], present: Bool[Tensor, "prompt"], ranking: Sequence[int]) -> list[int]:
    """The first features of a ranking, as many as raise the F1 of the sparse probe on them by 0.03 or more; at least one, at most ten.

    A feature that does not is passed over only if a later one brings the jump for all of them.
    """
    candidates = list(ranking[:MOST_MAIN])
    chosen, reached = 1, -torch.inf
    for count in range(1, len(candidates) + 1):
        x = activations[:, candidates[:count]]
        value = f1(fit_probe(x, present).score(x), present)
        if value >= reached + F1_JUMP:
            chosen, reached = count, value
    return candidates[:chosen]


def _rows(study: FeatureStudy, contrast: AskedContrast, ranking: Sequence[int]) -> list[Row] | str:
    (present, absent), (tested, tested_absent) = contrast.discovery(), contrast.confirmation()
    points = pooled(study, contrast, (*present, *absent, *tested, *tested_absent))
    n = len(present) + len(absent)
    labels = torch.arange(n) < len(present)
    probe = fit_probe(points.outputs[:n], labels)
    truth = torch.arange(len(tested) + len(tested_absent)) < len(tested)
    right = (probe.score(points.outputs[n:]) > 0) == truth
    accuracy = float(right[truth].double().mean() + right[~truth].double().mean()) / 2
    if accuracy < LEAST_ACCURACY:
        return (
            f"contrast {contrast.name}: a dense probe at {study.dictionary.writes[0]} has a balanced accuracy of {accuracy:.2f} on "
            f"confirmation prompts, expected at least {LEAST_ACCURACY:g}: there is no direction that could be absorbed"
        )
    main = main_features(points.activations[:n], labels, ranking)
    found = _of_tested(study, points, slice(len(present), n), slice(n, n + len(tested)), probe, main)
    return list(_listed(contrast, [prompt.id for prompt in tested], found))


def _of_tested(study: FeatureStudy, points: Pooled, absent: slice, tested: slice, probe: Probe, main: Sequence[int]) -> Absorbed:
    return absorbed(
        points.written[tested],
        points.outputs[tested],
        study.dictionary.directions().cpu(),
        probe.direction,
        main,
        read=probe.score(points.outputs[tested]) > 0,
        reference=Reference(points.written[absent].mean(dim=0), points.outputs[absent].mean(dim=0)),
    )


def _listed(contrast: AskedContrast, items: Sequence[str], found: Absorbed) -> Iterator[Row]:
    values = zip(found.main_fires.tolist(), found.full.tolist(), found.fraction.tolist(), strict=True)
    for item, (fires, full, fraction) in zip(items, values, strict=True):
        yield {"contrast": contrast.name, "item": item, "main_fires": fires, "full": full, "fraction": fraction}
