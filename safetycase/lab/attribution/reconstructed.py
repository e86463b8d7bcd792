"""How much of what MLPs write on a prompt its transcoders give back: low where they belong to another model."""

from typing import NamedTuple

import torch

from safetycase.lab.attribution.frozen_pass import FrozenPass


class Reconstructed(NamedTuple):
    """Shares of variance; below 0 where the prompt's own mean would be nearer. None where nothing varies, as on a single position."""

    total: float | None
    """Over all layers, each by how much it varies."""
    by_layer: tuple[float | None, ...]


def reconstructed(pass_: FrozenPass) -> Reconstructed:
    """1 - sum of squared errors / sum of squares around the mean over positions of what stands at the written sites.

    Over positions that are not zeroed: at the others there are no features. Features, decoder biases and skip paths count as given back,
    of a cross-layer transcoder with what layers below write.
    """
    kept = torch.ones(pass_.n_positions, dtype=torch.bool, device=pass_.errors.device)
    kept[list(pass_.zeroed)] = False
    left, around = [], []
    for error, where in zip(pass_.errors, pass_.writings, strict=True):
        found = where.found[kept].double()
        left.append(float(error[kept].double().square().sum()))
        around.append(float((found - found.mean(dim=0)).square().sum()) if len(found) else 0.0)
    return Reconstructed(_share(sum(left), sum(around)), tuple(_share(*each) for each in zip(left, around, strict=True)))


def _share(left: float, around: float) -> float | None:
    return 1 - left / around if around > 0 else None
