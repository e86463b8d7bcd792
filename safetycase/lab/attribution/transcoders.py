"""Transcoders as attribution needs them: one per layer of the model, reading and writing sites of its MLP."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.errors import ModelError
from safetycase.lab.attribution.frozen_norm import FrozenNorm, fitted_norm, identity_norm
from safetycase.lab.attribution.linear_layers import LinearLayer
from safetycase.lab.attribution.rounding import same
from safetycase.lab.dictionaries.dictionary import Dictionary, DictionarySet, Gated
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.model import LoadedModel

READS = ("mlp_in", "mlp_in_normalized", "resid_mid", "resid_pre")
WRITES = ("mlp_out", "mlp_raw_out")

Stage = Literal["pre", "mid", "post", "attention", "mlp"]
"""Where in a layer a cotangent enters: the stream before attention, behind it, behind the MLP; or only what attention or the MLP adds."""


@dataclass(frozen=True)
class Reading:
    """How a site depends on the stream of its layer, frozen."""

    stage: Stage
    norm: FrozenNorm
    found: Float[Tensor, "pos d_in"]
    """What stood there."""


@dataclass(frozen=True)
class Writing:
    """How what is written to a site reaches the stream of its layer, frozen."""

    norm: FrozenNorm
    coefficient: float
    found: Float[Tensor, "pos d_out"]
    """What stood there."""

    def in_stream(self, rows: Float[Tensor, "row d_out"], scale: Float[Tensor, "row"]) -> Float[Tensor, "row d_model"]:
        """Rows written at positions whose scales are given, as what they add to the stream."""
        return self.norm.fold_written(rows) * (scale * self.coefficient)[:, None]


def one_per_layer(model: LoadedModel, transcoders: DictionarySet | Dictionary) -> tuple[Dictionary, ...]:
    """By layer; raises ModelError where any is missing, is none that attribution can follow, or is of another model's shape."""
    given = transcoders.dictionaries if isinstance(transcoders, DictionarySet) else (transcoders,)
    n_layers, found = model.sites.n_layers, {each.reads.layer: each for each in given}
    missing = [layer for layer in range(n_layers) if layer not in found]
    beyond = [layer for layer in found if layer >= n_layers]
    if missing or beyond:
        what = f"none for {_listed(missing)}" if missing else f"some for {_listed(beyond)}"
        raise ModelError(f"{model.source}: its {n_layers} layers need a transcoder each, found {what}")
    ordered = tuple(found[layer] for layer in range(n_layers))
    for layer, each in enumerate(ordered):
        _check(model, layer, each, ordered[0])
    return ordered


def reading(site: Site, layer: LinearLayer, found: Float[Tensor, "pos d_in"]) -> Reading:
    """How a site depends on the stream, given what stood there; raises ModelError where this architecture has no such place."""
    match site.name:
        case "resid_pre":
            return Reading("pre", identity_norm(found), found)
        case "resid_mid":
            return Reading("mid", identity_norm(found), found)
        case "resid_post":
            return Reading("post", identity_norm(found), found)
        case "mlp_in":
            return Reading("mid" if layer.sequential else "pre", layer.before_mlp, found)
        case "mlp_in_normalized":
            norm = fitted_norm(torch.ones_like(layer.before_mlp.gain), layer.before_mlp.centred, None, layer.mlp_source, found)
            if not same(norm(layer.mlp_source), found):
                raise ModelError(f"site {site}: what the norm before the MLP makes of the stream is no multiple of it")
            return Reading("mid" if layer.sequential else "pre", norm, found)
        case _:
            raise ModelError(f"site {site}: expected one that is read off the stream: {', '.join(READS)}, resid_post")


def writing(site: Site, layer: LinearLayer) -> Writing:
    """How a site that transcoders write reaches the stream."""
    if site.name == "mlp_raw_out":
        return Writing(layer.behind_mlp, layer.mlp_coefficient, layer.mlp_raw)
    assert site.name == "mlp_out", site
    return Writing(identity_norm(layer.mlp_writes), layer.mlp_coefficient, layer.mlp_writes)


def _check(model: LoadedModel, layer: int, each: Dictionary, first: Dictionary) -> None:
    where, d = f"the transcoder of layer {layer}", model.sites.d_model
    if each.is_autoencoder:
        raise ModelError(f"{where} is an autoencoder of {each.reads}, expected one that reads the MLP's input and writes its output")
    if each.reads.name not in READS or any(site.name not in WRITES for site in each.writes):
        found = f"reads {each.reads} and writes {each.writes[0]}"
        raise ModelError(f"{where} {found}, expected to read one of {', '.join(READS)} and to write one of {', '.join(WRITES)}")
    if each.d_in != d or each.d_out != d:
        raise ModelError(
            f"{where} is {each.d_in} wide where it reads and {each.d_out} where it writes, expected {d}: it is another model's"
        )
    if isinstance(each.activation, Gated):
        raise ModelError(f"{where} is gated, expected ReLU, JumpReLU or TopK")
    if each.normalisation != "none":
        raise ModelError(f"{where} normalises its input ({each.normalisation}), which no frozen linear map describes")
    if [site.layer for site in each.writes] != list(range(layer, layer + len(each.writes))):
        raise ModelError(f"{where} writes {', '.join(map(str, each.writes))}, expected its own layer and those above it in order")
    if (each.reads.name, each.writes[0].name) != (first.reads.name, first.writes[0].name):
        raise ModelError(f"{where} reads and writes other kinds of site than that of layer 0, expected one kind")


def _listed(layers: list[int]) -> str:
    shown = ", ".join(map(str, layers[:8]))
    return f"layer{'s' if len(layers) > 1 else ''} {shown}{', ...' if len(layers) > 8 else ''}"
