"""Gemma Scope 2 (for Gemma 3): params.safetensors and config.json per dictionary, and cross-layer transcoders in files by layer."""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from safetycase.errors import ModelError
from safetycase.lab.dictionaries.dictionary import Dictionary, JumpRelu
from safetycase.lab.dictionaries.formats.settings import fact, text
from safetycase.lab.dictionaries.published import PublishedDictionary, SaidSite, said_site
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.dictionaries.tensors import Tensors, open_tensors
from safetycase.sources.dictionary_files import DictionaryFiles, read_config

LAYER = re.compile(r"layer_(\d{1,4})(?:_.*)?")
CROSS_LAYER_FILE = re.compile(r"params_layer_(\d{1,4})")
# What the folders say where no config.json does: the hook that is read, and the one that is written where it is another.
NORM_BEFORE, NORM_BEHIND = "model.layers.{}.pre_feedforward_layernorm.output", "model.layers.{}.post_feedforward_layernorm.output"
HOOKS = {
    "resid_post": ("model.layers.{}.output", None),
    "attn_out": ("model.layers.{}.self_attn.o_proj.input", None),
    "mlp_out": (NORM_BEHIND, None),
    "transcoder": (NORM_BEFORE, NORM_BEHIND),
}


def published(files: DictionaryFiles) -> tuple[PublishedDictionary, ...]:
    """The dictionaries of a folder; a cross-layer transcoder needs the files of all its layers."""
    of_a_layer = [file for file in files.weights if CROSS_LAYER_FILE.fullmatch(file.stem) is None]
    across = {file.parent for file in files.weights} - {file.parent for file in of_a_layer}
    return (*(_published(file) for file in of_a_layer), *(one for folder in sorted(across) for one in _cross_layer_set(folder)))


def _published(weights: Path) -> PublishedDictionary:
    config = _config(weights.parent)
    layers = [int(match[1]) for part in weights.absolute().parent.parts if (match := LAYER.fullmatch(part))]
    reads, writes = _hooks(weights.parent, config, layers[-1] if layers else None)
    facts = fact("affine_connection", config.get("affine_connection"))
    load = partial(_load, weights, text(weights, config, "model_name", default=""), facts)
    return PublishedDictionary(weights.parent, reads, writes, load, may_be_either=not reads.sites and writes is None)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    config = read_config(path) if path.is_file() else {}
    architecture = config.get("architecture", "jump_relu")
    if architecture != "jump_relu":
        raise ModelError(f"{path}: architecture {architecture!r:.60} is not known, expected jump_relu")
    return config


def _hooks(folder: Path, config: Mapping[str, Any], layer: int | None) -> tuple[SaidSite, SaidSite | None]:
    """What is read and written: by the configuration, else by the folder that names the kind."""
    if isinstance(config.get("hf_hook_point_in"), str):
        hook_in, hook_out = config["hf_hook_point_in"], config.get("hf_hook_point_out")
        reads = said_site({"hf_hook_point_in": hook_in})
        return reads, said_site({"hf_hook_point_out": hook_out}) if isinstance(hook_out, str) and hook_out != hook_in else None
    kinds = [kind for part in folder.absolute().parts for kind in HOOKS if part.removesuffix("_all") == kind]
    if not kinds or layer is None:
        return SaidSite((), f"no config.json, and the folders {'/'.join(folder.absolute().parts[-3:])}"), None
    hook_in, hook_out = HOOKS[kinds[-1]]
    name = f"the folder {kinds[-1]}"
    return said_site({name: hook_in.format(layer)}), None if hook_out is None else said_site({name: hook_out.format(layer)})


def _load(
    weights: Path,
    trained_on: str,
    facts: dict[str, str | int | float | bool],
    reads: Site,
    writes: tuple[Site, ...],
    device: torch.device | str,
    dtype: torch.dtype,
) -> Dictionary:
    with open_tensors(weights, device=device, dtype=dtype) as tensors:
        return dictionary(tensors, reads, writes, trained_on=trained_on, facts=facts)


def dictionary(
    tensors: Tensors,
    reads: Site,
    writes: tuple[Site, ...],
    *,
    trained_on: str,
    facts: dict[str, str | int | float | bool] | None = None,
) -> Dictionary:
    """The dictionary of one params.safetensors: JumpReLU on raw inputs, with an affine skip path where there is one. Raises ModelError."""
    W_dec = tensors.take("w_dec", "feature d_in" if writes == (reads,) else "feature d_out")[:, None]
    return _of(tensors, W_dec, reads, writes, trained_on, facts or {})


def cross_layer_dictionary(tensors: Tensors, layer: int, reads: Site, writes: tuple[Site, ...], *, trained_on: str) -> Dictionary:
    """One layer of a cross-layer transcoder, whose decoder is as deep as the model: what it would write below itself is left out.

    `tensors` has the number of layers bound as `target`. Raises ModelError.
    """
    # Copied, so that the layers left out do not stay in memory behind a view.
    W_dec = tensors.take("w_dec", "feature target d_out")[:, layer:].contiguous()
    return _of(tensors, W_dec, reads, writes, trained_on, {})


def _of(
    tensors: Tensors,
    W_dec: torch.Tensor,
    reads: Site,
    writes: tuple[Site, ...],
    trained_on: str,
    facts: dict[str, str | int | float | bool],
) -> Dictionary:
    d_out = "d_in" if writes == (reads,) else "d_out"
    W_enc = tensors.take("w_enc", "d_in feature").mT
    b_enc, b_dec = tensors.take("b_enc", "feature"), tensors.take("b_dec", d_out)
    threshold = tensors.take("threshold", "feature")
    skip = tensors.take_if_there("affine_skip_connection", "d_in d_out") if d_out == "d_out" else None
    if facts.get("affine_connection") is True and skip is None:
        raise ModelError(f"{tensors.path}: no affine_skip_connection, expected one: its config.json says affine_connection")
    tensors.none_left("Gemma Scope 2")
    return Dictionary(
        W_enc=W_enc,
        b_enc=b_enc,
        W_dec=W_dec,
        b_dec=b_dec,
        activation=JumpRelu(threshold.clamp(min=0)),
        reads=reads,
        writes=writes,
        W_skip=None if skip is None else skip.mT,
        format="gemma-scope-2",
        trained_on=trained_on,
        facts=facts,
    )


def _cross_layer_set(folder: Path) -> list[PublishedDictionary]:
    layers = {int(match[1]): file for file in folder.iterdir() if file.is_file() and (match := CROSS_LAYER_FILE.fullmatch(file.stem))}
    config = _config(folder)
    n_layers = max(layers) + 1
    for layer in range(n_layers):
        if layer not in layers:
            raise ModelError(f"{folder}: params_layer_{layer}.safetensors is missing, expected one for every layer up to {n_layers - 1}")
    if "crosscoder" in folder.absolute().parts:
        raise ModelError(f"{folder}: a crosscoder reads several layers at once, expected a dictionary that reads one")
    name = "cross-layer transcoders of Gemma Scope 2"
    trained_on = text(folder, config, "model_name", default="")
    found = []
    for layer, file in sorted(layers.items()):
        load = partial(_load_cross_layer, file, layer, n_layers, trained_on)
        reads, writes = SaidSite((Site("mlp_in", layer),), name), SaidSite((Site("mlp_out", layer),), name)
        above = tuple(Site("mlp_out", later) for later in range(layer + 1, n_layers))
        found.append(PublishedDictionary(folder / file.stem, reads, writes, load, above, cross_layer=True))
    return found


def _load_cross_layer(
    file: Path,
    layer: int,
    n_layers: int,
    trained_on: str,
    reads: Site,
    writes: tuple[Site, ...],
    device: torch.device | str,
    dtype: torch.dtype,
) -> Dictionary:
    with open_tensors(file, sizes={"target": n_layers}, device=device, dtype=dtype) as tensors:
        return cross_layer_dictionary(tensors, layer, reads, writes, trained_on=trained_on)
