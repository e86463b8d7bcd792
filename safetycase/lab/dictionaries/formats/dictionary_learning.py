"""dictionary_learning folders: config.json and ae.pt, of which only tensors are loaded."""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from safetycase.errors import ModelError, nearest
from safetycase.lab.dictionaries.dictionary import Activation, Dictionary, Gated, JumpRelu, Relu, TopK
from safetycase.lab.dictionaries.formats.settings import fact, positive, scalar_facts, section, text
from safetycase.lab.dictionaries.published import PublishedDictionary, SaidSite
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.dictionaries.tensors import Tensors, open_tensors
from safetycase.sources.dictionary_files import DictionaryFiles, read_config
from safetycase.sources.sites import SiteName

# The classes that its loader knows.
CLASSES = (
    "AutoEncoder",
    "AutoEncoderNew",
    "GatedAutoEncoder",
    "AutoEncoderTopK",
    "BatchTopKSAE",
    "MatryoshkaBatchTopKSAE",
    "JumpReluAutoEncoder",
)
# How its scripts name a submodule, in the configuration or in a folder: resid_post_layer_8, resid_out_layer3, mlp_out_layer3.
SUBMODULE = re.compile(r"(resid_post|resid_out|resid|mlp_out|mlp|attn_out|attention_out|attn)_layer_?(\d{1,4})")
# By submodule and by end: what stands there. The MLP's own output is meant, before any norm behind it.
SITES: Mapping[tuple[str, str], SiteName] = {
    ("resid", "out"): "resid_post",
    ("resid", "in"): "resid_pre",
    ("mlp", "out"): "mlp_raw_out",
    ("mlp", "in"): "mlp_in",
    ("att", "out"): "attn_raw_out",
}
FACTS = ("trainer_class", "layer", "submodule_name", "steps", "seed", "lr", "l1_penalty", "target_l0")


def published(files: DictionaryFiles) -> tuple[PublishedDictionary, ...]:
    """The dictionaries of a folder."""
    return tuple(_published(weights) for weights in files.weights)


def _published(weights: Path) -> PublishedDictionary:
    path = weights.parent / "config.json"
    config = read_config(path)
    trainer = section(path, config, "trainer")
    buffer = config["buffer"] if isinstance(config.get("buffer"), dict) else {}
    kind = text(path, trainer, "dict_class", default="missing")
    if kind not in CLASSES:
        raise ModelError(f"{path}: dict_class {kind!r:.60} cannot be evaluated; {nearest(kind, CLASSES)}")
    end = buffer.get("io", "out")
    if end == "in_and_out":
        raise ModelError(f"{path}: io is in_and_out: it reads and writes different places, which {kind} says nothing about")
    return PublishedDictionary(weights.parent, _said(weights.parent, trainer, end), None, partial(_load, weights, kind, trainer, buffer))


def _said(folder: Path, trainer: Mapping[str, Any], end: Any) -> SaidSite:
    """The site that the submodule's name says, from the configuration or else from a folder."""
    name = trainer.get("submodule_name")
    names = [name] if isinstance(name, str) else list(reversed(folder.absolute().parts))
    matched = [match for each in names if (match := SUBMODULE.fullmatch(each))]
    if not matched:
        return SaidSite((), f"submodule_name: {name!r:.60}, layer: {trainer.get('layer')!r:.20}, io: {end!r:.20}")
    place = matched[0][1]
    stem = next(stem for stem in ("resid", "mlp", "att") if place.startswith(stem))
    site = SITES.get((stem, end)) if isinstance(end, str) else None
    words = f"{matched[0][0]}, io: {end!r:.20}"
    return SaidSite(() if site is None else (Site(site, int(matched[0][2])),), words)


def _load(
    weights: Path,
    kind: str,
    trainer: Mapping[str, Any],
    buffer: Mapping[str, Any],
    reads: Site,
    writes: tuple[Site, ...],
    device: torch.device | str,
    dtype: torch.dtype,
) -> Dictionary:
    path = weights.parent / "config.json"
    named = {"activation_dim": "d_in", "dict_size": "feature"}
    sizes = {name: positive(path, trainer, key) for key, name in named.items() if trainer.get(key) is not None}
    with open_tensors(weights, sizes=sizes, device=device, dtype=dtype) as tensors:
        W_enc, W_dec, b_dec = _matrices(tensors, kind)
        b_enc, activation = _activation(tensors, kind, path, trainer)
        tensors.none_left(f"dictionary_learning's {kind}", known=("group_sizes",))
    if kind == "AutoEncoder":
        W_enc, b_enc, W_dec = _with_unit_rows(weights, W_enc, b_enc, W_dec)
    return Dictionary(
        W_enc=W_enc,
        b_enc=b_enc,
        W_dec=W_dec[:, None],
        b_dec=b_dec,
        activation=activation,
        reads=reads,
        writes=writes,
        subtracts_b_dec=kind not in ("AutoEncoderNew", "JumpReluAutoEncoder"),
        format="dictionary-learning",
        trained_on=text(path, trainer, "lm_name", default=""),
        facts=scalar_facts(trainer, FACTS)
        | fact("dict_class", kind)
        | fact("k", trainer.get("k"))
        | fact("context_size", buffer.get("ctx_len")),
    )


def _matrices(tensors: Tensors, kind: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Encoder [feature, d_in], decoder [feature, d_in] and the bias behind it, by the names of each class."""
    if kind in ("MatryoshkaBatchTopKSAE", "JumpReluAutoEncoder"):
        return tensors.take("W_enc", "d_in feature").mT, tensors.take("W_dec", "feature d_in"), tensors.take("b_dec", "d_in")
    bias = {"AutoEncoder": "bias", "AutoEncoderNew": "decoder.bias", "GatedAutoEncoder": "decoder_bias"}.get(kind, "b_dec")
    return tensors.take("encoder.weight", "feature d_in"), tensors.take("decoder.weight", "d_in feature").mT, tensors.take(bias, "d_in")


def _activation(tensors: Tensors, kind: str, path: Path, trainer: Mapping[str, Any]) -> tuple[torch.Tensor, Activation]:
    """The encoder's bias and what follows it. A batch top-k is evaluated by its threshold, as the library does by default."""
    if kind == "GatedAutoEncoder":
        gate, scale, magnitude = (tensors.take(name, "feature") for name in ("gate_bias", "r_mag", "mag_bias"))
        return torch.zeros_like(gate), Gated(gate, scale.exp(), magnitude)
    b_enc = tensors.take("b_enc" if "b_enc" in tensors else "encoder.bias", "feature")
    k = _k(tensors, path, trainer) if "TopK" in kind else None
    if kind == "AutoEncoderTopK":
        assert k is not None
        tensors.take_if_there("threshold", "")  # kept by its training, and used by its encoder only on request
        return b_enc, TopK(k)
    if kind in ("BatchTopKSAE", "MatryoshkaBatchTopKSAE"):
        return b_enc, JumpRelu(tensors.take("threshold", "").clamp(min=0).expand_as(b_enc).contiguous())
    if kind == "JumpReluAutoEncoder":
        return b_enc, JumpRelu(tensors.take("threshold", "feature").clamp(min=0))
    return b_enc, Relu()


def _k(tensors: Tensors, path: Path, trainer: Mapping[str, Any]) -> int:
    declared = positive(path, trainer, "k")
    stored = int(tensors.take("k", "", dtype=torch.float64)) if "k" in tensors else declared
    if stored != declared or stored > tensors.sizes["feature"]:
        raise ModelError(f"{tensors.path}: k is {stored}, but config.json says {declared}, expected one k, at most the number of features")
    return stored


def _with_unit_rows(
    weights: Path, W_enc: torch.Tensor, b_enc: torch.Tensor, W_dec: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same function with unit decoder rows, as the library's AutoEncoder makes it on loading, to compare activations."""
    norms = torch.linalg.vector_norm(W_dec, dim=-1)
    if torch.allclose(norms, torch.ones_like(norms)):
        return W_enc, b_enc, W_dec
    if not bool((norms > 0).all()):
        raise ModelError(f"{weights}: a decoder row is zero, and rows are made unit vectors here; expected none")
    return W_enc * norms[:, None], b_enc * norms, W_dec / norms[:, None]
