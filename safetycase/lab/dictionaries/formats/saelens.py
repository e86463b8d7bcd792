"""SAELens folders: cfg.json and sae_weights.safetensors, from version 6 and from the flat configurations before it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from safetycase.errors import ModelError, nearest
from safetycase.lab.dictionaries.dictionary import Activation, Dictionary, Gated, JumpRelu, Normalisation, Relu, TopK
from safetycase.lab.dictionaries.formats.settings import fact, flag, positive, scalar_facts, text
from safetycase.lab.dictionaries.published import PublishedDictionary, SaidSite, said_site
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.dictionaries.tensors import Tensors, open_tensors
from safetycase.sources.dictionary_files import DictionaryFiles, read_config

AUTOENCODERS = ("standard", "topk", "abstopk", "jumprelu", "gated")
TRANSCODERS = ("transcoder", "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder")
NORMALISATIONS = ("none", "expected_average_only_in", "constant_norm_rescale", "layer_norm", "covariance_whitening")
FACTS = (
    "context_size",
    "dataset_path",
    "prepend_bos",
    "neuronpedia_id",
    "sae_lens_version",
    "sae_lens_training_version",
    "training_architecture",
    "model_from_pretrained_kwargs",
    "seqpos_slice",
)


@dataclass(frozen=True)
class _Settings:
    """A cfg.json of any version, with the meanings that SAELens gives to what is left out."""

    path: Path
    architecture: str
    sizes: Mapping[str, int]
    normalisation: str
    subtracts_b_dec: bool
    k: int | None
    rescales_by_decoder: bool
    about: Mapping[str, Any]
    """Where it was trained and on what."""

    @property
    def is_transcoder(self) -> bool:
        return self.architecture in TRANSCODERS


def published(files: DictionaryFiles) -> tuple[PublishedDictionary, ...]:
    """The dictionaries of a folder; raises ModelError for one whose configuration cannot be evaluated exactly."""
    return tuple(_published(weights) for weights in files.weights)


def _published(weights: Path) -> PublishedDictionary:
    settings = _settings(weights.parent / "cfg.json")
    about = settings.about
    reads = _said(about, ("hook_name", "hf_hook_name"))
    writes = _said(about, ("hook_name_out", "hf_hook_name_out"))
    if not settings.is_transcoder and writes.sites not in ((), reads.sites):
        raise ModelError(f"{settings.path}: {settings.architecture} has an output hook of its own ({writes.words}), expected a transcoder")
    return PublishedDictionary(weights.parent, reads, writes if settings.is_transcoder else None, partial(_load, settings, weights))


def _said(about: Mapping[str, Any], entries: tuple[str, ...]) -> SaidSite:
    return said_site({entry: about[entry] for entry in entries if isinstance(about.get(entry), str)})


def _settings(path: Path) -> _Settings:
    flat = read_config(path)
    about = flat["metadata"] if isinstance(flat.get("metadata"), dict) else {}
    about = {**{key: value for key, value in flat.items() if key != "metadata"}, **about}
    if _is_before_6(about):
        flat = _modern(path, flat)
        about = {**flat, **about, "hook_name": about.get("hook_name") or flat.get("hook_name")}
    architecture = text(path, flat, "architecture", default="standard")
    if architecture not in AUTOENCODERS + TRANSCODERS:
        known = nearest(architecture, AUTOENCODERS + TRANSCODERS)
        raise ModelError(f"{path}: architecture {architecture!r:.60} cannot be evaluated from what is saved; {known}")
    settings = _Settings(
        path=path,
        architecture=architecture,
        sizes={
            name: positive(path, flat, key) for key, name in (("d_in", "d_in"), ("d_sae", "feature"), ("d_out", "d_out")) if key in flat
        },
        normalisation=text(path, flat, "normalize_activations", default="none"),
        subtracts_b_dec=flag(path, flat, "apply_b_dec_to_input", default=architecture not in TRANSCODERS),
        k=positive(path, flat, "k") if architecture in ("topk", "abstopk") else None,
        rescales_by_decoder=architecture in ("topk", "abstopk") and flag(path, flat, "rescale_acts_by_decoder_norm", default=False),
        about=about,
    )
    _check(settings, flat)
    return settings


def _is_before_6(about: Mapping[str, Any]) -> bool:
    version = about.get("sae_lens_version")
    return not isinstance(version, str) or not version.split(".")[0].isdecimal() or int(version.split(".")[0]) < 6


def _modern(path: Path, flat: Mapping[str, Any]) -> dict[str, Any]:
    """A flat configuration in today's words, by SAELens' own rules; activations that those rules would replace are refused."""
    renamed = {"hook_point": "hook_name", "hook_point_head_index": "hook_head_index", "activation_fn_str": "activation_fn"}
    new = {renamed.get(key, key): value for key, value in flat.items()}
    activation = new.get("activation_fn") or "relu"
    arguments = new.get("activation_fn_kwargs") or {}
    if activation == "topk" and isinstance(arguments, dict):
        new |= {"architecture": "topk", "k": arguments.get("k", new.get("k"))}
    elif activation != "relu":
        raise ModelError(f"{path}: activation {activation!r:.60} cannot be evaluated, expected relu or topk")
    normalise = new.get("normalize_activations")
    if normalise is None or isinstance(normalise, bool):
        new["normalize_activations"] = "expected_average_only_in" if normalise else "none"
    return new


def _check(settings: _Settings, flat: Mapping[str, Any]) -> None:
    """What SAELens itself would refuse, and what it would evaluate as something else than was trained."""
    path, about = settings.path, settings.about
    if settings.normalisation not in NORMALISATIONS:
        raise ModelError(
            f"{path}: normalize_activations is {settings.normalisation!r:.60}; {nearest(settings.normalisation, NORMALISATIONS)}"
        )
    if settings.is_transcoder and settings.subtracts_b_dec:
        raise ModelError(f"{path}: apply_b_dec_to_input is true, which a transcoder cannot do, expected false")
    if about.get("hook_head_index") is not None:
        raise ModelError(f"{path}: hook_head_index is {about['hook_head_index']!r:.20}: a site of one head is not read, expected all heads")
    if flat.get("is_transcoder") or flat.get("hook_point_out"):
        raise ModelError(
            f"{path}: a transcoder of a fork of SAELens, whose weights say nothing of their layout, expected SAELens 6 or later"
        )
    reshape = text(path, flat, "reshape_activations", default="none")
    if reshape not in ("none", "hook_z"):
        raise ModelError(f"{path}: reshape_activations is {reshape!r:.60}, expected none or hook_z")
    if reshape == "hook_z" and isinstance(about.get("hook_name"), str) and not about["hook_name"].endswith("_z"):
        raise ModelError(f"{path}: reshape_activations is hook_z at {about['hook_name']!r:.100}, expected a hook that ends in _z")


def _load(
    settings: _Settings, weights: Path, reads: Site, writes: tuple[Site, ...], device: torch.device | str, dtype: torch.dtype
) -> Dictionary:
    d_out = "d_out" if settings.is_transcoder else "d_in"
    with open_tensors(weights, sizes=settings.sizes, device=device, dtype=dtype) as tensors:
        W_enc = tensors.take("W_enc", "d_in feature").mT
        W_dec = tensors.take("W_dec", f"feature {d_out}")
        b_dec = tensors.take("b_dec", d_out)
        W_skip = tensors.take("W_skip", "d_out d_in") if "skip" in settings.architecture else None
        b_enc, activation = _activation(settings, tensors)
        W_dec = _finetuned(settings, tensors, W_dec)
        tensors.none_left("SAELens' " + settings.architecture)
    normalised: dict[str, Normalisation] = {"constant_norm_rescale": "constant_norm_rescale", "layer_norm": "layer_norm"}
    dictionary = Dictionary(
        W_enc=W_enc,
        b_enc=b_enc,
        W_dec=W_dec[:, None],
        b_dec=b_dec,
        activation=activation,
        reads=reads,
        writes=writes,
        W_skip=W_skip,
        subtracts_b_dec=settings.subtracts_b_dec,
        normalisation=normalised.get(settings.normalisation, "none"),
        restores=not settings.is_transcoder,
        log_firing_rates=_log_firing_rates(weights.parent, len(W_enc), device, dtype),
        format="saelens",
        trained_on=str(settings.about.get("model_name") or ""),
        facts=scalar_facts(settings.about, FACTS) | fact("architecture", settings.architecture) | fact("k", settings.k),
    )
    if settings.rescales_by_decoder:
        dictionary = _with_unit_rows(dictionary)
    return _without_fixed_scaling(dictionary, settings)


def _activation(settings: _Settings, tensors: Tensors) -> tuple[torch.Tensor, Activation]:
    """The encoder's bias and what follows it; a negative threshold rectifies nothing that the ReLU before it has not."""
    if settings.architecture == "gated":
        gate, scale, magnitude = (tensors.take(name, "feature") for name in ("b_gate", "r_mag", "b_mag"))
        return torch.zeros_like(gate), Gated(gate, scale.exp(), magnitude)
    b_enc = tensors.take("b_enc", "feature")
    if settings.k is not None:
        if settings.k > tensors.sizes["feature"]:
            raise ModelError(f"{settings.path}: k is {settings.k}, expected at most the {tensors.sizes['feature']} features")
        return b_enc, TopK(settings.k, signed=settings.architecture == "abstopk")
    if settings.architecture.startswith("jumprelu"):
        return b_enc, JumpRelu(tensors.take("threshold", "feature").clamp(min=0))
    return b_enc, Relu()


def _finetuned(settings: _Settings, tensors: Tensors, W_dec: torch.Tensor) -> torch.Tensor:
    """Decoder rows times the factors by which versions before 6 scaled activations on their way out, where there are any."""
    factors = [tensors.take(name, "feature") for name in ("scaling_factor", "finetuning_scaling_factor") if name in tensors]
    if not factors or torch.allclose(factors[0], torch.ones_like(factors[0])):
        return W_dec
    if not flag(settings.path, settings.about, "finetuning_scaling_factor", default=False):
        raise ModelError(
            f"{tensors.path}: holds a scaling_factor that cfg.json does not announce, expected finetuning_scaling_factor: true"
        )
    return W_dec * factors[0][:, None]


def _with_unit_rows(dictionary: Dictionary) -> Dictionary:
    """The same function with unit decoder rows: SAELens ranks and reports activations in units of the rows' norms here."""
    norms = dictionary.W_dec[:, 0].norm(dim=-1)
    if not bool((norms > 0).all()):
        raise ModelError(f"{dictionary.reads}: a decoder row is zero, and activations are in units of its norm; expected none")
    return replace(
        dictionary,
        W_enc=dictionary.W_enc * norms[:, None],
        b_enc=dictionary.b_enc * norms,
        W_dec=dictionary.W_dec / norms[:, None, None],
    )


def _without_fixed_scaling(dictionary: Dictionary, settings: _Settings) -> Dictionary:
    """The dictionary for raw inputs where it was saved for scaled or whitened ones, as checkpoints of a training are.

    SAELens folds both into the weights at the end of a training and then says `none`; a file that still names them and
    brings no numbers was saved for inputs that nobody can reproduce.
    """
    if settings.normalisation not in ("expected_average_only_in", "covariance_whitening"):
        return dictionary
    if settings.is_transcoder:
        raise ModelError(f"{settings.path}: normalize_activations is {settings.normalisation}, expected none for a transcoder's two sites")
    scaler = settings.path.parent / "activation_scaler.json"
    factor = read_config(scaler).get("scaling_factor") if scaler.is_file() else None
    if settings.normalisation == "covariance_whitening":
        if factor is not None:
            raise ModelError(f"{scaler}: scaling_factor is {factor!r:.60} besides a whitening, expected null")
        return _unwhitened(dictionary, settings.path.parent / "activation_whitening.safetensors", settings)
    if not isinstance(factor, int | float) or isinstance(factor, bool) or not math.isfinite(factor) or factor <= 0:
        raise ModelError(
            f"{settings.path}: inputs were scaled by an average (expected_average_only_in) that is not saved, "
            "expected a scaling_factor in activation_scaler.json beside it"
        )
    return replace(dictionary, W_enc=dictionary.W_enc * factor, W_dec=dictionary.W_dec / factor, b_dec=dictionary.b_dec / factor)


def _unwhitened(dictionary: Dictionary, file: Path, settings: _Settings) -> Dictionary:
    """z = (x - mean) M is encoded and z M⁻¹ + mean is written: both are affine and fold into the weights, in double precision."""
    if not file.is_file():
        raise ModelError(f"{settings.path}: inputs were whitened by statistics that are not saved, expected {file.name} beside it")
    wide, sizes = torch.float64, {"d_in": dictionary.d_in, "d_in_too": dictionary.d_in}
    with open_tensors(file, sizes=sizes, device=dictionary.W_enc.device, dtype=wide) as tensors:
        mean, M = tensors.take("mean", "d_in"), tensors.take("matrix", "d_in d_in_too")
        inverse = tensors.take("inverse_matrix", "d_in d_in_too")
        tensors.none_left("SAELens' whitening")
    dtype = dictionary.W_enc.dtype
    W_enc = dictionary.W_enc.to(wide) @ M.mT
    # Where b_dec is subtracted first, its folded value takes the mean off as well.
    shift = torch.zeros_like(dictionary.b_enc, dtype=wide) if dictionary.subtracts_b_dec else W_enc @ mean
    activation = dictionary.activation
    if isinstance(activation, Gated):
        activation = replace(
            activation,
            gate_bias=(activation.gate_bias - shift).to(dtype),
            magnitude_bias=(activation.magnitude_bias - shift * activation.magnitude_scale).to(dtype),
        )
    else:
        dictionary = replace(dictionary, b_enc=(dictionary.b_enc - shift).to(dtype))
    return replace(
        dictionary,
        W_enc=W_enc.to(dtype),
        W_dec=(dictionary.W_dec.to(wide) @ inverse).to(dtype),
        b_dec=(dictionary.b_dec.to(wide) @ inverse + mean).to(dtype),
        activation=activation,
    )


def _log_firing_rates(folder: Path, n_features: int, device: torch.device | str, dtype: torch.dtype) -> torch.Tensor | None:
    file = folder / "sparsity.safetensors"
    if not file.is_file():
        return None
    with open_tensors(file, sizes={"feature": n_features}, device=device, dtype=dtype) as tensors:
        return tensors.take("sparsity", "feature")
