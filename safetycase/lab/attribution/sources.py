"""What every node writes to the residual stream: the vectors that the adjoint is contracted with."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.lab.attribution.frozen_pass import FrozenPass


@dataclass(frozen=True)
class LayerSources:
    """What is added to the stream by the MLP of one layer, split by who accounts for it."""

    features: tuple[tuple[int, Float[Tensor, "feature d_model"]], ...]
    """(layer that fires, rows of all its features), for every layer that writes here."""
    others: Float[Tensor, "pos d_model other"]
    """Errors; decoder bias, or the output at zeroed positions; and, where there are any, shifts of norms around the MLP."""
    skip: Float[Tensor, "d_model d_model"] | None
    """Stream behind -> stream that the transcoder reads, by the skip path; scales of positions apart."""
    skip_scale: Float[Tensor, "pos"]


def layer_sources(pass_: FrozenPass) -> tuple[LayerSources, ...]:
    """By layer; decoder rows are gathered and scaled once."""
    return tuple(_of(pass_, layer) for layer in range(pass_.n_layers))


def _of(pass_: FrozenPass, layer: int) -> LayerSources:
    writing, features = pass_.writings[layer], pass_.features
    scale = writing.norm.scale
    rows = []
    for source in range(layer + 1):
        written = features.written(pass_.transcoders, source, layer)
        if written is not None and len(written):
            rows.append((source, writing.in_stream(written, scale[features.positions(source)])))
    dictionary, skip = pass_.transcoders[layer], pass_.skips[layer]
    rest = dictionary.b_dec.expand_as(writing.found).clone()
    zeroed = list(pass_.zeroed)
    rest[zeroed] = writing.found[zeroed] if skip is None else (writing.found - skip)[zeroed]
    others = [writing.in_stream(pass_.errors[layer], scale), writing.in_stream(rest, scale)]
    reading = pass_.readings[layer]
    shifts = []
    if writing.norm.shift is not None:
        shifts.append((writing.norm.shift * writing.coefficient).expand_as(others[0]))
    if reading.norm.shift is not None and dictionary.W_skip is not None:
        # What the skip path makes of the stream starts behind the norm's shift.
        shifts.append(writing.in_stream(dictionary.skip(reading.norm.shift).expand_as(writing.found), scale))
    if shifts:
        others.append(torch.stack(shifts).sum(dim=0))
    return LayerSources(
        features=tuple(rows),
        others=torch.stack(others, dim=-1),
        skip=None if dictionary.W_skip is None else _skip(pass_, layer, dictionary.W_skip),
        skip_scale=scale * reading.norm.scale,
    )


def _skip(pass_: FrozenPass, layer: int, W_skip: Tensor) -> Float[Tensor, "d_model d_model"]:
    """[what reaches the stream, what is read off it]."""
    behind = pass_.writings[layer]
    written = behind.norm.fold_written(W_skip.mT) * behind.coefficient
    return pass_.readings[layer].norm.fold(written.mT)
