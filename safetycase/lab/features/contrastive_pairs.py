"""How far the most telling feature stands out between prompts that differ in a contrast alone: no language model needed."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from safetycase.evidence.tables import Row
from safetycase.lab.features.prompt_pooling import Pooled, pooled
from safetycase.lab.features.random_dictionary import random_dictionary
from safetycase.lab.features.study import AskedContrast, FeatureStudy, Stage
from safetycase.lab.observing import Absent
from safetycase.sources.prompts import Prompt

LEAST_GROUPS = 2
"""Groups that hold both classes: with one there are no others that it could differ from."""


def pairs(study: FeatureStudy, contrast: AskedContrast) -> Stage[None]:
    """The table `pairs`: every group of prompts that holds both classes, by the dictionary and by a random one at equal L0 (as CE-Bench).

    Groups are families; categories where no two families hold both classes. All prompts of the contrast are used: nothing is fitted or
    chosen here.
    """
    prompts = tuple(prompt for half in (contrast.discovery(), contrast.confirmation()) for side in half for prompt in side)
    present = torch.cat([torch.arange(len(of[0]) + len(of[1])) < len(of[0]) for of in (contrast.discovery(), contrast.confirmation())])
    groups = groups_of_both(prompts, present)
    if len(groups) < LEAST_GROUPS:
        found = f"{len(groups)} families or categories hold prompts of both classes"
        yield Absent("pairs", f"contrast {contrast.name}: {found}, expected at least {LEAST_GROUPS}")
        return
    yield from study.shards.rows("pairs", contrast.name, lambda: _rows(study, contrast, prompts, groups))


@dataclass(frozen=True)
class Group:
    """Prompts that are alike but for the contrast, by index."""

    name: str
    present: tuple[int, ...]
    absent: tuple[int, ...]


def groups_of_both(prompts: Sequence[Prompt], present: Bool[Tensor, "prompt"]) -> list[Group]:
    """The families that hold both classes, by name; where there are fewer than two, the categories that do."""
    by_family = _groups(prompts, present, lambda prompt: prompt.family)
    return by_family if len(by_family) >= LEAST_GROUPS else _groups(prompts, present, lambda prompt: prompt.category)


def stand_out(activations: Float[Tensor, "prompt feature"], groups: Sequence[Group]) -> list[tuple[float, float]]:
    """Of every group, how far its most telling feature stands out: between its classes, and between it and all other groups.

    The difference of mean activations, in absolute value, is standardised over the features that are not zero on every prompt; its
    largest value is the score (Gulko et al. 2025; there pairs of stories, here groups of prompts). 0 where no feature differs from
    the others.
    """
    live = activations[:, (activations != 0).any(dim=0)].double()
    means = torch.stack([torch.stack([live[list(g.present)].mean(0), live[list(g.absent)].mean(0)]) for g in groups])
    centres = means.mean(dim=1)
    found = []
    for (present, absent), centre in zip(means, centres, strict=True):
        # From the mean of all groups, not of the others: that differs by a factor, which standardising takes out.
        found.append((_largest_standardised(present - absent), _largest_standardised(centre - centres.mean(dim=0))))
    return found


def _groups(prompts: Sequence[Prompt], present: Bool[Tensor, "prompt"], name: Callable[[Prompt], str]) -> list[Group]:
    members: Mapping[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for index, (prompt, is_present) in enumerate(zip(prompts, present.tolist(), strict=True)):
        members[name(prompt)][0 if is_present else 1].append(index)
    return [Group(each, tuple(both[0]), tuple(both[1])) for each, both in sorted(members.items()) if both[0] and both[1]]


def _rows(study: FeatureStudy, contrast: AskedContrast, prompts: Sequence[Prompt], groups: Sequence[Group]) -> Iterator[Row]:
    own = pooled(study, contrast, prompts)
    centre = own.inputs.mean(dim=0).to(study.model.device)
    n_features, reads = study.dictionary.n_features, study.dictionary.reads
    other = random_dictionary(n_features, reads, centre, float(own.active.mean()), study.seed, signed=False)
    methods: Mapping[str, Pooled] = {"dictionary": own, "random": pooled(replace(study, dictionary=other), contrast, prompts)}
    for method, points in methods.items():
        for group, (contrastive, independent) in zip(groups, stand_out(points.activations, groups), strict=True):
            yield {
                "contrast": contrast.name,
                "method": method,
                "family": group.name,
                "contrastive": contrastive,
                "independent": independent,
            }


def _largest_standardised(difference: Float64[Tensor, "feature"]) -> float:
    sizes = difference.abs()
    if not sizes.numel():
        return 0.0
    spread = sizes.std(correction=0)
    return float((sizes.max() - sizes.mean()) / spread) if spread > 0 else 0.0
