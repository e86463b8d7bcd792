"""Writes dictionaries in published formats: an autoencoder or transcoder as SAELens has it, a set of transcoders for circuit-tracer."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from safetycase.errors import ModelError
from safetycase.lab.dictionaries.dictionary import Dictionary, DictionarySet, JumpRelu, Relu, TopK
from safetycase.lab.dictionaries.site import Site
from safetycase.sources.sites import SiteName

# The version of SAELens' configurations that is written; without one it takes a file for older than 6.
SAELENS_FORMAT = "6.0.0"

# What TransformerLens calls each site, within a block.
HOOKS: Mapping[SiteName, str] = {
    "resid_pre": "hook_resid_pre",
    "resid_mid": "hook_resid_mid",
    "resid_post": "hook_resid_post",
    "attn_z": "attn.hook_z",
    "attn_out": "hook_attn_out",
    "mlp_in_normalized": "ln2.hook_normalized",
    "mlp_in": "mlp.hook_in",
    "mlp_neurons": "mlp.hook_post",
    "mlp_raw_out": "mlp.hook_out",
    "mlp_out": "hook_mlp_out",
}


def save_saelens(
    dictionary: Dictionary, folder: Path, *, dtype: torch.dtype = torch.float32, about: Mapping[str, str | int | bool] | None = None
) -> None:
    """Writes cfg.json and sae_weights.safetensors, which SAELens 6 and later load.

    Matrices are stored in `dtype`, biases and thresholds in float32; the configuration asks for float32 in memory. `about` goes into
    the metadata beside sites and model (context_size, dataset_path).
    Raises ModelError for what the format cannot hold: several targets, gates, normalisation, a TopK transcoder.
    """
    architecture, extra = _saelens_architecture(dictionary)
    W_enc, W_dec = dictionary.W_enc.mT, dictionary.W_dec[:, 0]
    tensors = {"W_enc": W_enc.to(dtype), "W_dec": W_dec.to(dtype), "b_enc": dictionary.b_enc.float(), "b_dec": dictionary.b_dec.float()}
    if dictionary.W_skip is not None:
        tensors["W_skip"] = dictionary.W_skip.to(dtype)
    if isinstance(dictionary.activation, JumpRelu):
        tensors["threshold"] = dictionary.activation.threshold.float()
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(
        folder / "cfg.json",
        {
            "architecture": architecture,
            "d_in": dictionary.d_in,
            "d_sae": dictionary.n_features,
            **({} if dictionary.is_autoencoder else {"d_out": dictionary.d_out}),
            **extra,
            "dtype": "float32",
            "device": "cpu",
            "apply_b_dec_to_input": dictionary.subtracts_b_dec,
            "normalize_activations": "none",
            "reshape_activations": "none",
            "metadata": {
                "sae_lens_version": SAELENS_FORMAT,
                "model_name": dictionary.trained_on,
                "hook_name": _hook(dictionary.reads),
                **({} if dictionary.is_autoencoder else {"hook_name_out": _hook(dictionary.writes[0])}),
                **(about or {}),
            },
        },
    )
    _write_tensors(folder / "sae_weights.safetensors", tensors)


def save_transcoder_set(dictionaries: DictionarySet, folder: Path, *, dtype: torch.dtype = torch.float32) -> None:
    """Writes config.yaml and one layer_<i>.safetensors per layer, which circuit-tracer loads.

    Layers are 0 to n - 1. Matrices are stored in `dtype`, biases and thresholds in float32.
    Raises ModelError for what the format cannot hold: a missing layer, sites of several kinds, an activation other than ReLU,
    JumpReLU and TopK that keeps negative values, an input that is shifted or normalised first.
    """
    if dictionaries.cross_layer or dictionaries.layers != tuple(range(len(dictionaries.layers))):
        layers = ", ".join(map(str, dictionaries.layers))
        raise ModelError(f"a set of per-layer transcoders has one for every layer from 0 on, found layers {layers}")
    kinds = {(each.reads.name, each.writes[0].name) for each in dictionaries.dictionaries}
    if len(kinds) > 1:
        raise ModelError(f"a set of transcoders reads and writes one kind of site, found {len(kinds)}")
    tensors = [_circuit_tracer_tensors(each, dtype) for each in dictionaries.dictionaries]
    ((reads, writes),) = kinds
    config = {
        "model_name": dictionaries.trained_on,
        "model_kind": "transcoder_set",
        "feature_input_hook": HOOKS[reads],
        "feature_output_hook": HOOKS[writes],
    }
    folder.mkdir(parents=True, exist_ok=True)
    # A JSON string is a YAML string: names need no other quoting.
    (folder / "config.yaml").write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in config.items()), encoding="utf-8")
    for layer, each in enumerate(tensors):
        _write_tensors(folder / f"layer_{layer}.safetensors", each)


def _saelens_architecture(dictionary: Dictionary) -> tuple[str, dict[str, Any]]:
    """SAELens' name of the dictionary's kind, and the settings that this kind has of its own."""
    _check_plain(dictionary)
    autoencoder, skip = dictionary.is_autoencoder, dictionary.W_skip is not None
    if autoencoder and skip:
        raise ModelError(f"an autoencoder with a skip path at {dictionary.reads}: SAELens has no such architecture")
    if not autoencoder and dictionary.subtracts_b_dec:
        raise ModelError(f"a transcoder at {dictionary.reads} that subtracts b_dec from its input: SAELens has no such architecture")
    match dictionary.activation:
        case Relu() if autoencoder:
            return "standard", {}
        case Relu():
            return ("skip_transcoder" if skip else "transcoder"), {}
        case JumpRelu() if autoencoder:
            return "jumprelu", {}
        case JumpRelu():
            return ("jumprelu_skip_transcoder" if skip else "jumprelu_transcoder"), {}
        case TopK(k, signed=False, rectified=True) if autoencoder:
            return "topk", {"k": k, "rescale_acts_by_decoder_norm": False}
        case TopK() if not autoencoder:
            raise ModelError(f"a TopK transcoder at {dictionary.reads}: SAELens has no such architecture; train it with batchtopk")
        case other:
            raise ModelError(f"{other!r:.40} at {dictionary.reads}: it is not written in SAELens' format")


def _circuit_tracer_tensors(dictionary: Dictionary, dtype: torch.dtype) -> dict[str, Tensor]:
    _check_plain(dictionary)
    if dictionary.subtracts_b_dec:
        raise ModelError(f"a dictionary at {dictionary.reads} that subtracts b_dec from its input: circuit-tracer has no such transcoder")
    tensors = {
        "W_enc": dictionary.W_enc.to(dtype),
        "W_dec": dictionary.W_dec[:, 0].to(dtype),
        "b_enc": dictionary.b_enc.float(),
        "b_dec": dictionary.b_dec.float(),
    }
    if dictionary.W_skip is not None:
        tensors["W_skip"] = dictionary.W_skip.to(dtype)
    match dictionary.activation:
        case Relu():
            return tensors
        case JumpRelu(threshold):
            return {**tensors, "activation_function.threshold": threshold.float()}
        case TopK(k, signed=False, rectified=False):
            return {**tensors, "k": torch.tensor(k)}
        case other:
            # circuit-tracer's TopK keeps negative values among the k largest: a rectified one would compute something else there.
            raise ModelError(f"{other!r:.40} at {dictionary.reads}: circuit-tracer has no such activation; train it with batchtopk")


def _check_plain(dictionary: Dictionary) -> None:
    """One target, inputs as they are."""
    if len(dictionary.writes) != 1:
        raise ModelError(f"a dictionary at {dictionary.reads} that writes {len(dictionary.writes)} sites: expected one")
    if dictionary.normalisation != "none":
        raise ModelError(f"a dictionary at {dictionary.reads} that normalises its input: it is not written")


def _hook(site: Site) -> str:
    return f"blocks.{site.layer}.{HOOKS[site.name]}"


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, path)
    path.chmod(0o644)
