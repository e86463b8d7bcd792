"""Features that stand for chance beside tested ones: active on the same prompts, alike in strength and in how often they fire."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.lab.features.relevance import Peaks


@dataclass(frozen=True)
class NullFeatures:
    """The chosen features, nearest first, and how they were chosen."""

    features: tuple[int, ...]
    note: str


def matched_features(norms: Float[Tensor, "feature"], peaks: Peaks, tested: Sequence[int], wanted: int) -> NullFeatures:
    """Up to so many features that fire on a discovery prompt and are not tested, none twice.

    Tested features take turns, by rank, in choosing the nearest that is left. What is compared is the logarithm of the
    direction's norm times the mean largest activation on present prompts, and that of the share of present prompts on which
    a feature fires, each in units of its spread: present prompts are those on which ablation is judged, and a feature
    that is silent there could not do anything. Silent ones therefore come last. `norms` are those of the directions.
    """
    candidates = [feature for feature in peaks.fires.nonzero().squeeze(-1).tolist() if feature not in set(tested)]
    if not candidates or not tested or not wanted:
        return NullFeatures((), "no null feature was asked for" if candidates else "no other feature fires on a discovery prompt")
    where = _log_space(norms, peaks, [*candidates, *tested])
    distances = torch.cdist(where[len(candidates) :], where[: len(candidates)])
    orders = [iter(row.argsort(stable=True).tolist()) for row in distances]
    chosen: dict[int, None] = {}
    while len(chosen) < min(wanted, len(candidates)):
        order = orders[len(chosen) % len(tested)]
        chosen[candidates[next(index for index in order if candidates[index] not in chosen)]] = None
    features = tuple(chosen)
    fire = int((peaks.present[:, list(features)] > 0).any(dim=0).sum())
    how = f"{len(features)} of {len(candidates)}" if len(features) < len(candidates) else f"all {len(candidates)}"
    few = f" ({wanted} were asked for)" if len(features) < wanted else ""
    return NullFeatures(
        features,
        f"{how} untested features that fire on discovery prompts{few}, nearest to the tested ones in direction norm times mean largest "
        f"activation on present prompts and in the share of these on which they fire; {fire} of them fire on present prompts",
    )


def _log_space(norms: Float[Tensor, "feature"], peaks: Peaks, features: Sequence[int]) -> Float[Tensor, "chosen 2"]:
    """Logarithms of strength and firing share, each divided by its standard deviation; zeros count as half the least above zero."""
    here = peaks.present[:, list(features)].double()
    columns = []
    for values in (norms[list(features)].double() * here.mean(dim=0), (here > 0).double().mean(dim=0)):
        above = values[values > 0]
        floor = above.min() / 2 if len(above) else torch.ones((), dtype=torch.float64)
        logs = values.clamp_min(float(floor)).log()
        spread = logs.std(correction=0)
        columns.append(logs / spread if spread > 0 else logs)
    return torch.stack(columns, dim=1)
