"""Which features of a dictionary write in nearly the same direction as a documented one."""

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from safetycase.evidence.tables import Row
from safetycase.lab.features.study import FeatureStudy, Stage

SHOWN = 10
"""Neighbours of a feature."""
CHUNK = 4096
"""Directions that all documented ones are compared with at once."""


def neighbours(study: FeatureStudy, documented: Sequence[int]) -> Stage[dict[int, int]]:
    """Rows of relation `decoder` in the table `neighbours`; returns the nearest other feature of each documented one.

    A feature without a direction of its own (all zeros) has no neighbours and is nobody's.
    """
    rows = yield from study.shards.rows("neighbours", "decoder", lambda: _rows(study, documented))
    nearest: dict[int, int] = {}
    for row in rows:
        nearest.setdefault(row["feature"], row["other"])
    return nearest


def _rows(study: FeatureStudy, documented: Sequence[int]) -> Iterator[Row]:
    if not documented:
        return
    cosines, others = nearest_directions(study.dictionary.directions(), documented, SHOWN)
    for feature, values, indices in zip(documented, cosines.tolist(), others.tolist(), strict=True):
        for value, other in zip(values, indices, strict=True):
            if value > -math.inf:
                yield {"feature": feature, "other": other, "relation": "decoder", "value": value, "together": 0}


@torch.inference_mode()
def nearest_directions(
    directions: Float[Tensor, "feature d_out"], chosen: Sequence[int], count: int
) -> tuple[Float[Tensor, "chosen rank"], Int[Tensor, "chosen rank"]]:
    """Cosines and indices of the nearest other directions of each chosen one, nearest first; of equal ones the lower index first.

    Where there are fewer than `count`, the cosine of what fills the rank is -inf.
    """
    features = torch.tensor(chosen, device=directions.device)
    own = _unit(directions[features])
    values = own.new_empty(len(features), 0)
    others = features.new_empty(len(features), 0)
    for start in range(0, len(directions), CHUNK):
        chunk = directions[start : start + CHUNK]
        indices = torch.arange(start, start + len(chunk), device=features.device)
        cosines = (own @ _unit(chunk).mT).clamp(-1, 1)
        excluded = (indices == features[:, None]) | (chunk.norm(dim=-1) == 0) | (own.norm(dim=-1) == 0)[:, None]
        values = torch.cat([values, cosines.masked_fill(excluded, -torch.inf)], dim=-1)
        others = torch.cat([others, indices.expand(len(features), -1)], dim=-1)
        order = values.sort(dim=-1, descending=True, stable=True).indices[:, :count]
        values, others = values.gather(-1, order), others.gather(-1, order)
    return values, others


def _unit(x: Float[Tensor, "*row d_out"]) -> Float[Tensor, "*row d_out"]:
    norm = x.norm(dim=-1, keepdim=True)
    return x / torch.where(norm == 0, torch.ones_like(norm), norm)
