"""Is a contrast's main feature silent on some prompts because a more specific one carries its direction there?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from safetycase.evidence.tables import Row
from safetycase.lab.features.linear_probes import Probe, f1, fit_probe
from safetycase.lab.features.probes import too_few
from safetycase.lab.features.prompt_pooling import Pooled, pooled
from safetycase.lab.features.study import AskedContrast, FeatureStudy, Stage
from safetycase.lab.observing import Absent

# All as SAEBench has them (Karvonen et al. 2025; Chanin et al. 2024).
MOST_MAIN = 10
F1_JUMP = 0.03
"""By so much a further feature has to raise the F1 of the sparse probe to be a main one."""
LEAST_COSINE = 0.025
LEAST_SHARE = 0.4
LEAST_PARTIAL_COSINE = 0.1
MOST_ABSORBERS = 3
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


@dataclass(frozen=True)
class Reference:
    """Where a property is absent on average: what features write there, and what stands at the site."""

    written: Float[Tensor, "feature"]
    outputs: Float[Tensor, "d_out"]


@dataclass(frozen=True)
class Absorbed:
    """By prompt."""

    main_fires: Bool[Tensor, "prompt"]
    full: Bool[Tensor, "prompt"]
    fraction: Float64[Tensor, "prompt"]


def absorbed(
    written: Float[Tensor, "prompt feature"],
    outputs: Float[Tensor, "prompt d_out"],
    directions: Float[Tensor, "feature d_out"],
    probe: Float[Tensor, "d_out"],
    main: Sequence[int],
    *,
    read: Bool[Tensor, "prompt"] | None = None,
    reference: Reference | None = None,
) -> Absorbed:
    """Absorption as SAEBench defines it, on prompts that have the property.

    full: all main features are silent, and the other feature that adds most along the probe has a cosine of at least 0.025 with it and
    adds at least 0.4 of the prompt's projection on it. fraction: of what main features and the (at most three) others of cosine at
    least 0.1 that add most carry together, the others' part; 0 where these add less than 0.4 of the projection or the main features all
    of it, 1 where the main features add nothing. Both are nothing where the projection is not positive or the probe does not read
    the property (`read`; all by default).

    With a `reference`, projections and contributions are counted from it: what all prompts have in common, on which a probe has a bias
    but a projection has none, is then no feature's merit. Without, they are counted from 0, as in SAEBench.
    """
    unit = probe.double() / probe.double().norm()
    along = (directions @ unit.to(directions)).double()
    cosines = along / directions.norm(dim=-1).double().clamp_min(torch.finfo(torch.float64).tiny)
    fires = (written[:, list(main)] != 0).any(dim=-1)
    added = written.double() * along
    projection = outputs.double() @ unit
    if reference is not None:
        added = added - reference.written.double() * along
        projection = projection - reference.outputs.double() @ unit
    counted = projection > 0 if read is None else (projection > 0) & read
    own = added[:, list(main)].sum(dim=-1)
    others = added.clone()
    others[:, list(main)] = -torch.inf
    strongest, which = others.max(dim=-1)
    full = counted & ~fires & (cosines[which] >= LEAST_COSINE) & (strongest >= LEAST_SHARE * projection)
    return Absorbed(fires, full, _fraction(own, others.masked_fill(cosines < LEAST_PARTIAL_COSINE, 0), projection) * counted)


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


def _fraction(
    own: Float64[Tensor, "prompt"], others: Float64[Tensor, "prompt feature"], projection: Float64[Tensor, "prompt"]
) -> Float64[Tensor, "prompt"]:
    """Of what main features and absorbers carry, the absorbers' part; absorbers are counted up to what the main features leave."""
    absorbers = others.clamp_min(0).topk(min(MOST_ABSORBERS, others.shape[1]), dim=-1).values.sum(dim=-1)
    left = torch.minimum(absorbers, projection - own)
    share = torch.where(own <= 0, torch.ones_like(own), left / (left + own))
    counts = (absorbers >= LEAST_SHARE * projection) & (own < projection) & (absorbers > 0)
    return torch.where(counts, share, torch.zeros_like(share)).clamp(0, 1)
