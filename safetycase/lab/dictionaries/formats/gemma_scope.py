"""Gemma Scope (the first, for Gemma 2): one params.npz per dictionary, whose site and model its folders name."""

import re
from functools import partial
from pathlib import Path

import torch

from safetycase.errors import ModelError
from safetycase.lab.dictionaries.dictionary import Dictionary, JumpRelu
from safetycase.lab.dictionaries.published import PublishedDictionary, SaidSite
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.dictionaries.tensors import Tensors, open_tensors
from safetycase.sources.dictionary_files import DictionaryFiles
from safetycase.sources.sites import SiteName

# gemma-scope-2b-pt-res, in a hub cache models--google--gemma-scope-2b-pt-res.
REPOSITORY = re.compile(r"(?:.*--)?gemma-scope-(\d+b)-(pt|it)-(res|mlp|att|transcoders)(?:-.*)?")
LAYER = re.compile(r"layer_(\d{1,4})")
SITES: dict[str, SiteName] = {"res": "resid_post", "mlp": "mlp_out", "att": "attn_z"}


def published(files: DictionaryFiles) -> tuple[PublishedDictionary, ...]:
    """The dictionaries of a folder; raises ModelError for those of the embedding, which are no site of a layer."""
    return tuple(_published(weights) for weights in files.weights)


def _published(weights: Path) -> PublishedDictionary:
    parts = weights.absolute().parent.parts
    layers = [int(match[1]) for part in parts if (match := LAYER.fullmatch(part))]
    repositories = [match for part in parts if (match := REPOSITORY.fullmatch(part))]
    if "embedding" in parts:
        raise ModelError(f"{weights}: a dictionary of the embedding, expected one of a layer")
    words = f"the folders {'/'.join(parts[-4:])}"
    load = partial(_load, weights, _model(repositories[-1]) if repositories else "")
    if not layers or not repositories:
        return PublishedDictionary(weights.parent, SaidSite((), words), None, load, may_be_either=True)
    layer, kind = layers[-1], repositories[-1][3]
    if kind == "transcoders":
        reads = SaidSite((Site("mlp_in_normalized", layer),), words)
        return PublishedDictionary(weights.parent, reads, SaidSite((Site("mlp_out", layer),), words), load)
    return PublishedDictionary(weights.parent, SaidSite((Site(SITES[kind], layer),), words), None, load)


def _model(repository: re.Match[str]) -> str:
    return f"google/gemma-2-{repository[1]}" + ("-it" if repository[2] == "it" else "")


def _load(
    weights: Path, trained_on: str, reads: Site, writes: tuple[Site, ...], device: torch.device | str, dtype: torch.dtype
) -> Dictionary:
    with open_tensors(weights, device=device, dtype=dtype) as tensors:
        return dictionary(tensors, reads, writes, trained_on=trained_on)


def dictionary(tensors: Tensors, reads: Site, writes: tuple[Site, ...], *, trained_on: str) -> Dictionary:
    """The dictionary of a params.npz: JumpReLU on raw inputs, behind a ReLU. Raises ModelError."""
    name = "w" if "w_enc" in tensors else "W"
    d_out = "d_in" if writes == (reads,) else "d_out"
    W_enc = tensors.take(f"{name}_enc", "d_in feature").mT
    W_dec = tensors.take(f"{name}_dec", f"feature {d_out}")
    b_enc, b_dec = tensors.take("b_enc", "feature"), tensors.take("b_dec", d_out)
    threshold = tensors.take("threshold", "feature")
    factor = tensors.take_if_there("scaling_factor", "feature")
    if factor is not None and not torch.allclose(factor, torch.ones_like(factor)):
        raise ModelError(f"{tensors.path}: scaling_factor is not 1, and what it would scale is not published, expected 1 or none")
    tensors.none_left("Gemma Scope")
    return Dictionary(
        W_enc=W_enc,
        b_enc=b_enc,
        W_dec=W_dec[:, None],
        b_dec=b_dec,
        activation=JumpRelu(threshold.clamp(min=0)),
        reads=reads,
        writes=writes,
        format="gemma-scope",
        trained_on=trained_on,
    )
