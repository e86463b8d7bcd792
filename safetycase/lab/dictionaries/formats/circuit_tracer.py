"""circuit-tracer sets: a config.yaml with one transcoder per layer, or with one cross-layer transcoder in files by layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from safetycase.errors import ModelError
from safetycase.lab.dictionaries.dictionary import Activation, Dictionary, JumpRelu, Relu, TopK
from safetycase.lab.dictionaries.formats import gemma_scope, gemma_scope_2
from safetycase.lab.dictionaries.formats.settings import fact, positive, text
from safetycase.lab.dictionaries.published import PublishedDictionary, SaidSite, said_site
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.dictionaries.tensors import Tensors, open_tensors
from safetycase.sources.dictionary_files import DictionaryFiles, circuit_tracer_config, circuit_tracer_weights

ACTIVATIONS = ("relu", "jump_relu", "jumprelu", "topk")


@dataclass(frozen=True)
class _Settings:
    """What a config.yaml says of the whole set."""

    path: Path
    cross_layer: bool
    activation: str | None
    k: int | None
    trained_on: str
    scan: str

    def facts(self, k: int | None) -> dict[str, str | int | float | bool]:
        return fact("scan", self.scan) | fact("k", k)


def published(files: DictionaryFiles) -> tuple[PublishedDictionary, ...]:
    """The transcoders of the sets in a folder, each layer by itself."""
    return tuple(one for config in files.weights for one in _set(config))


def _set(path: Path) -> Sequence[PublishedDictionary]:
    config = circuit_tracer_config(path)
    settings = _settings(path, config)
    weights = circuit_tracer_weights(path)
    writes = {layer: _said(config, "feature_output_hook", layer) for layer, _ in weights}
    found = []
    for position, (layer, paths) in enumerate(weights):
        load: Any = (
            partial(_cross_layer, settings, layer, len(weights), paths) if settings.cross_layer else partial(_per_layer, settings, paths[0])
        )
        above = tuple(site for later, _ in weights[position + 1 :] for site in writes[later].sites) if settings.cross_layer else ()
        where = path.parent / f"layer {layer}"
        found.append(
            PublishedDictionary(
                where, _said(config, "feature_input_hook", layer), writes[layer], load, above, cross_layer=settings.cross_layer
            )
        )
    return found


def _settings(path: Path, config: Mapping[str, Any]) -> _Settings:
    activation = config.get("activation")
    if activation is not None and activation not in ACTIVATIONS:
        raise ModelError(f"{path}: activation {activation!r:.60} is not known, expected one of {', '.join(ACTIVATIONS)}")
    cross_layer = config.get("model_kind") == "cross_layer_transcoder"
    if cross_layer and activation == "topk":
        raise ModelError(f"{path}: a cross-layer transcoder with activation topk is not defined by the format, expected relu or jump_relu")
    scan = config.get("scan")
    return _Settings(
        path=path,
        cross_layer=cross_layer,
        activation=activation,
        k=positive(path, config, "k") if config.get("k") is not None else None,
        trained_on=text(path, config, "model_name", default=""),
        scan=scan if isinstance(scan, str) else "",
    )


def _said(config: Mapping[str, Any], key: str, layer: int) -> SaidSite:
    hook = config.get(key)
    return said_site({key: f"blocks.{layer}.{hook}"} if isinstance(hook, str) else {})


def _per_layer(
    settings: _Settings, path: Path, reads: Site, writes: tuple[Site, ...], device: torch.device | str, dtype: torch.dtype
) -> Dictionary:
    """A transcoder of one layer; a set may list files of Gemma Scope as they are."""
    with open_tensors(path, device=device, dtype=dtype) as tensors:
        if path.suffix == ".npz":
            return gemma_scope.dictionary(tensors, reads, writes, trained_on=settings.trained_on)
        if "w_enc" in tensors:
            return gemma_scope_2.dictionary(tensors, reads, writes, trained_on=settings.trained_on)
        W_enc = tensors.take("W_enc", "feature d_in")
        W_dec = tensors.take("W_dec", "feature d_out")
        b_enc, b_dec = tensors.take("b_enc", "feature"), tensors.take("b_dec", "d_out")
        W_skip = tensors.take_if_there("W_skip", "d_out d_in")
        activation = _activation(settings, tensors)
        tensors.none_left("a circuit-tracer transcoder")
    k = activation.k if isinstance(activation, TopK) else None
    return Dictionary(
        W_enc=W_enc,
        b_enc=b_enc,
        W_dec=W_dec[:, None],
        b_dec=b_dec,
        activation=activation,
        reads=reads,
        writes=writes,
        W_skip=W_skip,
        format="circuit-tracer",
        trained_on=settings.trained_on,
        facts=settings.facts(k),
    )


def _activation(settings: _Settings, tensors: Tensors) -> Activation:
    """Top-k where the set or the file says so, else a threshold where there is one, else ReLU; what contradicts is refused."""
    k = settings.k if settings.activation in (None, "topk") else None
    if "k" in tensors:
        stored = int(tensors.take("k", "", dtype=torch.float64))
        if k not in (None, stored):
            raise ModelError(f"{tensors.path}: k is {stored}, but config.yaml says {k}, expected one k")
        k = stored
    has_threshold = "activation_function.threshold" in tensors
    if settings.activation == "topk" and k is None:
        raise ModelError(f"{settings.path}: activation is topk without k, expected the number of features that stay")
    if k is not None and (has_threshold or settings.activation not in (None, "topk")):
        raise ModelError(f"{tensors.path}: holds k besides a threshold or another activation, expected one of them")
    if k is not None:
        if not 0 < k <= tensors.sizes["feature"]:
            raise ModelError(f"{tensors.path}: k is {k}, expected between 1 and the {tensors.sizes['feature']} features")
        return TopK(k, rectified=False)
    return _threshold(settings, tensors, "activation_function.threshold")


def _threshold(settings: _Settings, tensors: Tensors, name: str) -> JumpRelu | Relu:
    """Strictly above the threshold, which may be negative here: the format does not rectify besides."""
    if settings.activation in ("jump_relu", "jumprelu") and name not in tensors:
        raise ModelError(f"{tensors.path}: no tensor {name!r}, expected one: config.yaml says {settings.activation}")
    if settings.activation == "relu" and name in tensors:
        raise ModelError(f"{tensors.path}: holds the tensor {name!r}, but config.yaml says relu, expected one of them")
    threshold = tensors.take_if_there(name, "feature")
    return Relu() if threshold is None else JumpRelu(threshold)


def _cross_layer(
    settings: _Settings,
    layer: int,
    n_layers: int,
    paths: tuple[Path, ...],
    reads: Site,
    writes: tuple[Site, ...],
    device: torch.device | str,
    dtype: torch.dtype,
) -> Dictionary:
    """One layer of a cross-layer transcoder: it writes to its own layer and to all above, the last one included."""
    if len(paths) == 1:
        with open_tensors(paths[0], sizes={"target": n_layers}, device=device, dtype=dtype) as tensors:
            return gemma_scope_2.cross_layer_dictionary(tensors, layer, reads, writes, trained_on=settings.trained_on)
    encoder, decoder = paths
    with open_tensors(encoder, device=device, dtype=dtype) as tensors:
        W_enc = tensors.take(f"W_enc_{layer}", "feature d_in")
        b_enc, b_dec = tensors.take(f"b_enc_{layer}", "feature"), tensors.take(f"b_dec_{layer}", "d_out")
        activation = _threshold(settings, tensors, f"threshold_{layer}")
        # A skip path has no place in these files: the reference implementation loses it when it saves one.
        tensors.none_left("a circuit-tracer cross-layer transcoder")
        sizes = {**tensors.sizes, "target": n_layers - layer}
    with open_tensors(decoder, sizes=sizes, device=device, dtype=dtype) as tensors:
        W_dec = tensors.take(f"W_dec_{layer}", "feature target d_out")
        tensors.none_left("a circuit-tracer cross-layer transcoder")
    return Dictionary(
        W_enc=W_enc,
        b_enc=b_enc,
        W_dec=W_dec,
        b_dec=b_dec,
        activation=activation,
        reads=reads,
        writes=writes,
        format="circuit-tracer",
        trained_on=settings.trained_on,
        facts=settings.facts(None),
    )
