"""sparsify folders: cfg.json and sae.safetensors in a folder named after the module whose activations are sparsely coded."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from safetycase.errors import ModelError
from safetycase.lab.dictionaries.dictionary import Dictionary, TopK
from safetycase.lab.dictionaries.formats.settings import fact, flag, positive, text
from safetycase.lab.dictionaries.published import PublishedDictionary, said_site
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.dictionaries.tensors import open_tensors
from safetycase.sources.dictionary_files import DictionaryFiles, read_config


def published(files: DictionaryFiles) -> tuple[PublishedDictionary, ...]:
    """The dictionaries of a folder."""
    return tuple(_published(weights) for weights in files.weights)


def _published(weights: Path) -> PublishedDictionary:
    folder = weights.absolute().parent
    path = weights.parent / "cfg.json"
    config = read_config(path)
    activation = text(path, config, "activation", default="topk")
    if activation != "topk":
        raise ModelError(f"{path}: activation {activation!r:.60} is not read, expected topk")
    above = weights.parent.parent / "config.json"
    run = read_config(above) if above.is_file() else {}
    hook = {"the folder": folder.name}
    load = partial(_load, weights, config, run)
    if not flag(path, config, "transcode", default=False):
        return PublishedDictionary(weights.parent, said_site(hook), None, load)
    return PublishedDictionary(weights.parent, said_site(hook, end="input"), said_site(hook), load)


def _load(
    weights: Path,
    config: Mapping[str, Any],
    run: Mapping[str, Any],
    reads: Site,
    writes: tuple[Site, ...],
    device: torch.device | str,
    dtype: torch.dtype,
) -> Dictionary:
    path = weights.parent / "cfg.json"
    transcodes = flag(path, config, "transcode", default=False)
    k = positive(path, config, "k")
    d_in = positive(path, config, "d_in")
    n_features = positive(path, config, "num_latents") if config.get("num_latents") else d_in * positive(path, config, "expansion_factor")
    sizes = {"d_in": d_in, "feature": n_features, "d_out": d_in}
    with open_tensors(weights, sizes=sizes, device=device, dtype=dtype) as tensors:
        W_enc, b_enc = tensors.take("encoder.weight", "feature d_in"), tensors.take("encoder.bias", "feature")
        W_dec, b_dec = tensors.take("W_dec", "feature d_out"), tensors.take("b_dec", "d_out")
        W_skip = tensors.take("W_skip", "d_out d_in") if flag(path, config, "skip_connection", default=False) else None
        tensors.none_left("sparsify")
    if k > n_features:
        raise ModelError(f"{path}: k is {k}, expected at most the {n_features} features")
    return Dictionary(
        W_enc=W_enc,
        b_enc=b_enc,
        W_dec=W_dec[:, None],
        b_dec=b_dec,
        activation=TopK(k, signed=flag(path, config, "signed", default=False)),
        reads=reads,
        writes=writes,
        W_skip=W_skip,
        subtracts_b_dec=not transcodes,
        format="sparsify",
        trained_on=run["model"] if isinstance(run.get("model"), str) else "",
        facts=fact("k", k) | fact("context_size", run.get("ctx_len")) | fact("dataset_path", run.get("dataset")),
    )
