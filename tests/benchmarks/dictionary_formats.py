"""Whether every published dictionary format is encoded and decoded as by the library that defines it, to 1e-5.

    python -m tests.benchmarks.dictionary_formats                  compares, in an environment that has the libraries
    python -m tests.benchmarks.dictionary_formats --write FOLDER   writes the small goldens that the tests read instead

The environment, apart from the one of the tests:

    python3 -m venv peers && peers/bin/pip install torch==2.13.0 sae-lens==6.54.12 natsort simple-parsing schedulefree nnsight
    peers/bin/pip install --no-deps dictionary-learning==0.1.0 eai-sparsify==1.3.3 circuit-tracer==0.5.0

Every case makes a dictionary of random weights in its own library, saves it as that library does, and records what that
library encodes and reconstructs.
"""

import argparse
import importlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from safetycase.lab.dictionaries.dictionary import Dictionary
from safetycase.lab.dictionaries.reading import read_dictionary_set

D_IN, FEATURES, TOKENS, LAYERS, K = 8, 24, 12, 3, 4
TOLERANCE = 1e-5
DICTIONARY, EXPECTED = "dictionary", "expected.safetensors"
Case = Callable[[Path, torch.Generator], dict[str, Tensor]]
"""Saves a dictionary under a folder and returns the inputs, activations and reconstructions, named `x.<layer>` and so on."""


def main() -> None:
    """Compares, or writes."""
    arguments = argparse.ArgumentParser(description="Reads dictionaries beside the libraries that define their formats.")
    arguments.add_argument("--write", type=Path, help="where to write the goldens")
    root = arguments.parse_args().write
    with tempfile.TemporaryDirectory() as scratch:
        worst = 0.0
        for name, case in CASES.items():
            folder = (root or Path(scratch)) / name
            (folder / DICTIONARY).mkdir(parents=True)
            expected = case(folder / DICTIONARY, torch.Generator().manual_seed(sum(name.encode())))
            save_file({key: tensor.detach().contiguous() for key, tensor in expected.items()}, folder / EXPECTED)
            differences = list(compare(folder))
            worst = max(worst, *(difference for _, _, difference in differences))
            print(f"{name:45} " + "  ".join(f"{what}.{layer} {difference:.1e}" for what, layer, difference in differences))  # noqa: T201
    print(f"largest difference {worst:.1e}, allowed {TOLERANCE:.0e}")  # noqa: T201
    sys.exit(worst > TOLERANCE)


def compare(folder: Path) -> Iterator[tuple[str, int, float]]:
    """Of a case: activations and reconstruction of every layer, and by how much ours differ, relative to the largest value."""
    expected = load_file(folder / EXPECTED)
    read = read_dictionary_set(folder / DICTIONARY)
    x = {layer: expected[f"x.{layer}"] for layer in read.layers}
    acts = {layer: read.at(layer).encode(x[layer]) for layer in read.layers}
    for layer in read.layers:
        yield "acts", layer, _difference(acts[layer], expected[f"acts.{layer}"])
        below = [read.at(lower) for lower in read.layers if lower < layer] if read.cross_layer else []
        out = read.at(layer).decode(acts[layer], x[layer]) + _written_from(below, acts, layer)
        yield "out", layer, _difference(out, expected[f"out.{layer}"])


def _written_from(below: list[Dictionary], acts: dict[int, Tensor], layer: int) -> Tensor:
    parts = [acts[lower.reads.layer] @ lower.W_dec[:, layer - lower.reads.layer] for lower in below]
    return torch.stack(parts).sum(dim=0) if parts else torch.zeros(())


def _difference(ours: Tensor, reference: Tensor) -> float:
    if ours.shape != reference.shape:
        return float("inf")
    return float((ours - reference).abs().max() / reference.abs().max().clamp(min=1))


def _normal(generator: torch.Generator, *shape: int, scale: float = 1.0) -> Tensor:
    return torch.randn(*shape, generator=generator) * scale


def _inputs(generator: torch.Generator) -> Tensor:
    return _normal(generator, TOKENS, D_IN) + 0.3


def _randomise(module: Any, generator: torch.Generator) -> None:
    """Weights of every parameter anew: initial ones are too regular to tell a transposed matrix or a lost bias."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            scale = 0.3 if parameter.ndim == 1 else parameter.shape[-1] ** -0.5
            parameter.copy_(_normal(generator, *parameter.shape, scale=scale))
            if "threshold" in name:
                parameter.copy_(_normal(generator, *parameter.shape, scale=0.3))  # some are negative


# SAELens


def _saelens(architecture: str, *, hook: str = "blocks.3.hook_resid_post", folder_name: str = "", **changes: Any) -> Case:
    def case(folder: Path, generator: torch.Generator) -> dict[str, Tensor]:
        registry, saes = importlib.import_module("sae_lens.registry"), importlib.import_module("sae_lens.saes.sae")
        kind, config = registry.get_sae_class(architecture)
        about = {"model_name": "tiny", "hook_name": hook, "context_size": 16}
        transcodes = "transcoder" in architecture
        if transcodes:
            changes.update(d_out=D_IN, apply_b_dec_to_input=False)
            about |= {"hook_name": "blocks.3.mlp.hook_in", "hook_name_out": "blocks.3.mlp.hook_out"}
        settings = {"d_in": D_IN, "d_sae": FEATURES, **changes}
        sae = kind(config(**settings, metadata=saes.SAEMetadata(**about)))
        _randomise(sae, generator)
        sae.save_model(folder / folder_name)
        return _of_saelens(sae, _inputs(generator))

    return case


def _of_saelens(sae: Any, x: Tensor, scaler: Any = None) -> dict[str, Tensor]:
    given = x if scaler is None else scaler.scale(x)
    heads = given.unflatten(-1, (2, D_IN // 2)) if sae.cfg.reshape_activations == "hook_z" else given
    acts = sae.encode(heads)
    out = sae(heads)
    out = out.flatten(-2) if out.ndim == 3 else out
    return {"x.3": x, "acts.3": acts, "out.3": out if scaler is None else scaler.unscale(out)}


def _saelens_trained(architecture: str, **changes: Any) -> Case:
    """As a training saves its final autoencoder."""

    def case(folder: Path, generator: torch.Generator) -> dict[str, Tensor]:
        registry, saes = importlib.import_module("sae_lens.registry"), importlib.import_module("sae_lens.saes.sae")
        kind, config = registry.get_sae_training_class(architecture)
        about = saes.SAEMetadata(model_name="tiny", hook_name="blocks.3.hook_resid_post")
        training = kind(config(d_in=D_IN, d_sae=FEATURES, k=float(K), metadata=about, **changes))
        _randomise(training, generator)
        training.topk_threshold = torch.tensor(0.4, dtype=training.topk_threshold.dtype)
        training.save_inference_model(folder)
        return _of_saelens(saes.SAE.load_from_disk(folder), _inputs(generator))

    return case


def _saelens_checkpoint(architecture: str, normalisation: str, **changes: Any) -> Case:
    """As a checkpoint amid a training lies there: weights for scaled inputs, the scaling beside them."""

    def case(folder: Path, generator: torch.Generator) -> dict[str, Tensor]:
        registry, saes = importlib.import_module("sae_lens.registry"), importlib.import_module("sae_lens.saes.sae")
        scaling = importlib.import_module("sae_lens.training.activation_scaler")
        kind, config = registry.get_sae_class(architecture)
        about = saes.SAEMetadata(model_name="tiny", hook_name="blocks.3.hook_resid_post")
        sae = kind(config(d_in=D_IN, d_sae=FEATURES, normalize_activations=normalisation, metadata=about, **changes))
        _randomise(sae, generator)
        sae.save_model(folder)
        mixed = _normal(generator, D_IN, D_IN)
        scaler = scaling.ActivationScaler()
        if normalisation == "covariance_whitening":
            scaler.estimate_whitening(D_IN, iter(_inputs(generator) @ mixed for _ in range(20)), 20)
        else:
            scaler.estimate_scaling_factor(D_IN, iter(_inputs(generator) @ mixed for _ in range(20)), 20)
        scaler.save(str(folder / "activation_scaler.json"))
        return _of_saelens(sae, _inputs(generator) @ mixed, scaler)

    return case


def _saelens_flat(activation: dict[str, Any], **changes: Any) -> Case:
    """As versions before 6 wrote it; today's version still reads it."""

    def case(folder: Path, generator: torch.Generator) -> dict[str, Tensor]:
        saes = importlib.import_module("sae_lens.saes.sae")
        flat = {"d_in": D_IN, "d_sae": FEATURES, "dtype": "float32", "model_name": "tiny", "hook_name": "blocks.3.hook_resid_post"}
        flat |= {"hook_layer": 3, "normalize_activations": False, "context_size": 16, **activation, **changes}
        (folder / "cfg.json").write_text(json.dumps(flat))
        weights = {"W_enc": _normal(generator, D_IN, FEATURES, scale=0.3), "W_dec": _normal(generator, FEATURES, D_IN, scale=0.3)}
        weights |= {"b_enc": _normal(generator, FEATURES, scale=0.3), "b_dec": _normal(generator, D_IN, scale=0.3)}
        save_file(weights, folder / "sae_weights.safetensors")
        return _of_saelens(saes.SAE.load_from_disk(folder), _inputs(generator))

    return case


# Gemma Scope


def _gemma_scope(repository: str, *, with_factor: bool = False) -> Case:
    def case(folder: Path, generator: torch.Generator) -> dict[str, Tensor]:
        inside = f"{repository}/layer_3/width_16k/average_l0_82"
        arrays = _jumprelu_tensors(generator, "W_enc", "W_dec")
        if with_factor:
            arrays["scaling_factor"] = torch.ones(FEATURES)
        (folder / inside).mkdir(parents=True)
        write_npz(folder / inside / "params.npz", {name: tensor.numpy() for name, tensor in arrays.items()})
        x = _inputs(generator)
        if repository.endswith("transcoders"):
            transcoders = importlib.import_module("circuit_tracer.transcoder.single_layer_transcoder")
            return _of_circuit_tracer(transcoders.load_gemma_scope_transcoder(str(folder / inside / "params.npz"), 3), 3, x)
        return _of_saelens(_loaded_by_saelens("gemma_2_sae_huggingface_loader", folder, repository, "layer_3/width_16k/average_l0_82"), x)

    return case


def write_npz(path: Path, arrays: dict[str, Any]) -> None:
    """Arrays as numpy saves them, pickled where they hold objects."""
    save: Any = np.savez
    save(path, **arrays)


def _jumprelu_tensors(generator: torch.Generator, encoder: str, decoder: str) -> dict[str, Tensor]:
    tensors = {encoder: _normal(generator, D_IN, FEATURES, scale=0.4), decoder: _normal(generator, FEATURES, D_IN, scale=0.3)}
    tensors |= {"b_enc": _normal(generator, FEATURES, scale=0.3), "b_dec": _normal(generator, D_IN, scale=0.3)}
    return tensors | {"threshold": _normal(generator, FEATURES, scale=0.3).abs()}


def _loaded_by_saelens(loader: str, folder: Path, repository: str, inside: str) -> Any:
    """By its loader for the hub, which is told that the hub is a folder."""
    loaders: Any = importlib.import_module("sae_lens.loading.pretrained_sae_loaders")
    registry = importlib.import_module("sae_lens.registry")

    def from_folder(repo_id: str, filename: str, subfolder: str = "", force_download: bool = False) -> str:
        return str(folder / repo_id / subfolder / filename)

    def shapes(repo_id: str, filename: str) -> dict[str, list[int]]:
        return {name: list(tensor.shape) for name, tensor in load_file(folder / repo_id / filename).items()}

    loaders.hf_hub_download, loaders.get_safetensors_tensor_shapes = from_folder, shapes
    settings, weights, _ = getattr(loaders, loader)(repository, inside, "cpu", False, {"d_in": D_IN, "d_sae": FEATURES})
    settings = loaders.handle_config_defaulting(settings)
    kind, config = registry.get_sae_class(settings["architecture"])
    sae = kind(config.from_dict(settings))
    sae.load_state_dict(weights)
    return sae


def _gemma_scope_2(inside: str, *, affine: bool = False, with_config: bool = True) -> Case:
    hook_in = "self_attn.o_proj.input" if "attn_out" in inside else "output"

    def case(folder: Path, generator: torch.Generator) -> dict[str, Tensor]:
        repository = "gemma-scope-2-270m-pt"
        target = folder / repository / inside
        target.mkdir(parents=True)
        tensors = _jumprelu_tensors(generator, "w_enc", "w_dec")
        config = {"architecture": "jump_relu", "model_name": "google/gemma-3-270m", "hf_hook_point_in": f"model.layers.3.{hook_in}"}
        if "transcoder" in inside:
            config |= {"hf_hook_point_in": "model.layers.3.pre_feedforward_layernorm.output"}
            config |= {"hf_hook_point_out": "model.layers.3.post_feedforward_layernorm.output", "affine_connection": affine}  # type: ignore[dict-item]
        if affine:
            tensors["affine_skip_connection"] = _normal(generator, D_IN, D_IN, scale=0.3)
        save_file(tensors, target / "params.safetensors")
        (target / "config.json").write_text(json.dumps(config))
        sae = _loaded_by_saelens("gemma_3_sae_huggingface_loader", folder, repository, inside)
        if not with_config:
            (target / "config.json").unlink()
        return _of_saelens(sae, _inputs(generator))

    return case


def _gemma_scope_2_cross_layer(folder: Path, generator: torch.Generator) -> dict[str, Tensor]:
    target = folder / "gemma-scope-2-270m-pt/clt/width_262k_l0_medium_affine"
    target.mkdir(parents=True)
    paths = {}
    for layer in range(LAYERS):
        tensors = _jumprelu_tensors(generator, "w_enc", "w_dec")
        tensors["w_dec"] = _normal(generator, FEATURES, LAYERS, D_IN, scale=0.3)
        tensors["affine_skip_connection"] = _normal(generator, D_IN, D_IN, scale=0.3)
        paths[layer] = str(target / f"params_layer_{layer}.safetensors")
        save_file(tensors, paths[layer])
    transcoders = importlib.import_module("circuit_tracer.transcoder.cross_layer_transcoder")
    # It counts its files one short and would lose the last layer: a number beyond the last lets it read them all.
    peer = transcoders.load_gemma_scope_2_clt({**paths, LAYERS: ""}, dtype=torch.float32)
    return _of_cross_layer(peer, generator)


# circuit-tracer


def _circuit_tracer(activation: str, *, skip: bool = False, named: bool = False) -> Case:
    def case(folder: Path, generator: torch.Generator) -> dict[str, Tensor]:
        transcoders = importlib.import_module("circuit_tracer.transcoder.single_layer_transcoder")
        functions = importlib.import_module("circuit_tracer.transcoder.activation_functions")
        config = "model_name: tiny\nmodel_kind: transcoder_set\nfeature_input_hook: mlp.hook_in\nfeature_output_hook: mlp.hook_out\n"
        (folder / "config.yaml").write_text(config + (f"activation: topk\nk: {K}\n" if named else ""))
        found: dict[str, Tensor] = {}
        for layer in range(LAYERS):
            act = {"relu": torch.relu, "jumprelu": functions.JumpReLU(torch.zeros(FEATURES)), "topk": functions.TopK(K)}[activation]
            peer = transcoders.SingleLayerTranscoder(D_IN, FEATURES, act, layer, skip_connection=skip, dtype=torch.float32)
            _randomise(peer, generator)
            saved = {name: tensor for name, tensor in peer.state_dict().items() if tensor is not None}
            if activation == "topk" and not named:
                saved["k"] = torch.tensor(K)
            save_file(saved, folder / f"layer_{layer}.safetensors")
            found |= _of_circuit_tracer(peer, layer, _inputs(generator))
        return found

    return case


def _of_circuit_tracer(peer: Any, layer: int, x: Tensor) -> dict[str, Tensor]:
    acts = peer.encode(x)
    return {f"x.{layer}": x, f"acts.{layer}": acts, f"out.{layer}": peer.decode(acts, x)}


def _cross_layer(activation: str) -> Case:
    def case(folder: Path, generator: torch.Generator) -> dict[str, Tensor]:
        transcoders = importlib.import_module("circuit_tracer.transcoder.cross_layer_transcoder")
        peer = transcoders.CrossLayerTranscoder(LAYERS, FEATURES, D_IN, activation, lazy_decoder=False, dtype=torch.float32)
        _randomise(peer, generator)
        peer.to_safetensors(str(folder))
        config = (
            "model_name: tiny\nmodel_kind: cross_layer_transcoder\nfeature_input_hook: hook_resid_mid\nfeature_output_hook: hook_mlp_out\n"
        )
        (folder / "config.yaml").write_text(config)
        if activation == "jump_relu":  # its own writer leaves the thresholds out
            for layer in range(LAYERS):
                file = folder / f"W_enc_{layer}.safetensors"
                save_file(
                    load_file(file) | {f"threshold_{layer}": peer.activation_function.threshold[layer, 0].detach().contiguous()}, file
                )
        read = transcoders.load_clt(str(folder), dtype=torch.float32, lazy_decoder=False)
        return _of_cross_layer(read, generator)

    return case


def _of_cross_layer(peer: Any, generator: torch.Generator) -> dict[str, Tensor]:
    x = torch.stack([_inputs(generator) for _ in range(LAYERS)])
    acts = torch.stack([peer.encode_layer(x[layer], layer) for layer in range(LAYERS)])
    positions, layers, _, vectors, _ = peer.select_decoder_vectors(acts.detach())
    out = peer.compute_reconstruction(positions, layers, vectors, x)
    named = {"x": x, "acts": acts, "out": out}
    return {f"{name}.{layer}": tensor[layer] for name, tensor in named.items() for layer in range(LAYERS)}


# dictionary_learning and sparsify


def _dictionary_learning(kind: str, module: str = "dictionary", **arguments: Any) -> Case:
    def case(folder: Path, generator: torch.Generator) -> dict[str, Tensor]:
        peer_class = getattr(importlib.import_module(f"dictionary_learning.{module}"), kind)
        peer = peer_class(D_IN, FEATURES, **arguments)
        _randomise(peer, generator)
        if hasattr(peer, "threshold") and "TopK" in kind:
            peer.threshold.fill_(0.35)
        inside = folder / "trainer_0"
        inside.mkdir()
        torch.save(peer.state_dict(), inside / "ae.pt")
        trainer = {"dict_class": kind, "activation_dim": D_IN, "dict_size": FEATURES, "layer": 3, "lm_name": "tiny"}
        trainer |= {"submodule_name": "resid_post_layer_3", **({"k": K} if "TopK" in kind else {})}
        (inside / "config.json").write_text(json.dumps({"trainer": trainer, "buffer": {"io": "out", "ctx_len": 16}}))
        read = peer_class.from_pretrained(inside / "ae.pt")
        x = _inputs(generator)
        return {"x.3": x, "acts.3": read.encode(x), "out.3": read.decode(read.encode(x))}

    return case


def _sparsify(hookpoint: str, **changes: Any) -> Case:
    def case(folder: Path, generator: torch.Generator) -> dict[str, Tensor]:
        library = importlib.import_module("sparsify")
        peer = library.SparseCoder(D_IN, library.SparseCoderConfig(num_latents=FEATURES, k=K, **changes))
        _randomise(peer, generator)
        peer.save_to_disk(folder / hookpoint)
        x = _inputs(generator)
        values, indices, _ = peer.encode(x)
        acts = torch.zeros(TOKENS, FEATURES).scatter(-1, indices, values.detach())
        return {"x.3": x, "acts.3": acts, "out.3": peer(x).sae_out}

    return case


CASES: dict[str, Case] = {
    "saelens-standard": _saelens("standard"),
    "saelens-standard-uncentred": _saelens("standard", apply_b_dec_to_input=False),
    "saelens-standard-constant-norm": _saelens("standard", normalize_activations="constant_norm_rescale"),
    "saelens-standard-layer-norm": _saelens("standard", normalize_activations="layer_norm"),
    "saelens-standard-hook-z": _saelens("standard", hook="blocks.3.attn.hook_z", reshape_activations="hook_z"),
    "saelens-topk": _saelens("topk", k=K),
    "saelens-topk-rescaled": _saelens("topk", k=K, rescale_acts_by_decoder_norm=True),
    "saelens-abstopk": _saelens("abstopk", k=K),
    "saelens-jumprelu": _saelens("jumprelu"),
    "saelens-gated": _saelens("gated"),
    "saelens-transcoder": _saelens("transcoder"),
    "saelens-transcoder-layer-norm": _saelens("transcoder", normalize_activations="layer_norm"),
    "saelens-skip-transcoder": _saelens("skip_transcoder"),
    "saelens-jumprelu-transcoder": _saelens("jumprelu_transcoder"),
    "saelens-jumprelu-skip-transcoder": _saelens("jumprelu_skip_transcoder"),
    "saelens-batchtopk": _saelens_trained("batchtopk"),
    "saelens-matryoshka": _saelens_trained("matryoshka_batchtopk", matryoshka_widths=[8, FEATURES]),
    "saelens-checkpoint-average": _saelens_checkpoint("jumprelu", "expected_average_only_in"),
    "saelens-checkpoint-average-topk-rescaled": _saelens_checkpoint(
        "topk", "expected_average_only_in", k=K, rescale_acts_by_decoder_norm=True
    ),
    "saelens-checkpoint-whitened": _saelens_checkpoint("standard", "covariance_whitening", apply_b_dec_to_input=False),
    "saelens-checkpoint-whitened-gated": _saelens_checkpoint("gated", "covariance_whitening", apply_b_dec_to_input=False),
    "saelens-checkpoint-whitened-topk": _saelens_checkpoint("topk", "covariance_whitening", k=K, rescale_acts_by_decoder_norm=True),
    "saelens-flat": _saelens_flat({"activation_fn_str": "relu"}, hook_point_head_index=None),
    "saelens-flat-topk": _saelens_flat({"activation_fn_str": "topk", "activation_fn_kwargs": {"k": K}}, normalize_activations="layer_norm"),
    "gemma-scope-res": _gemma_scope("gemma-scope-2b-pt-res", with_factor=True),
    "gemma-scope-att": _gemma_scope("gemma-scope-2b-pt-att"),
    "gemma-scope-transcoders": _gemma_scope("gemma-scope-2b-pt-transcoders"),
    "gemma-scope-2-resid": _gemma_scope_2("resid_post/layer_3_width_16k_l0_small"),
    "gemma-scope-2-attn-without-config": _gemma_scope_2("attn_out_all/layer_3_width_16k_l0_small", with_config=False),
    "gemma-scope-2-transcoder": _gemma_scope_2("transcoder/layer_3_width_16k_l0_big"),
    "gemma-scope-2-transcoder-affine": _gemma_scope_2("transcoder_all/layer_3_width_16k_l0_big_affine", affine=True),
    "gemma-scope-2-cross-layer": _gemma_scope_2_cross_layer,
    "circuit-tracer-relu": _circuit_tracer("relu"),
    "circuit-tracer-jumprelu-skip": _circuit_tracer("jumprelu", skip=True),
    "circuit-tracer-topk": _circuit_tracer("topk"),
    "circuit-tracer-topk-named": _circuit_tracer("topk", named=True),
    "circuit-tracer-cross-layer-relu": _cross_layer("relu"),
    "circuit-tracer-cross-layer-jumprelu": _cross_layer("jump_relu"),
    "dictionary-learning-standard": _dictionary_learning("AutoEncoder"),
    "dictionary-learning-new": _dictionary_learning("AutoEncoderNew"),
    "dictionary-learning-gated": _dictionary_learning("GatedAutoEncoder"),
    "dictionary-learning-jumprelu": _dictionary_learning("JumpReluAutoEncoder"),
    "dictionary-learning-topk": _dictionary_learning("AutoEncoderTopK", "trainers.top_k", k=K),
    "dictionary-learning-batchtopk": _dictionary_learning("BatchTopKSAE", "trainers.batch_top_k", k=K),
    "dictionary-learning-matryoshka": _dictionary_learning(
        "MatryoshkaBatchTopKSAE", "trainers.matryoshka_batch_top_k", k=K, group_sizes=[8, 16]
    ),
    "sparsify-autoencoder": _sparsify("layers.3"),
    "sparsify-autoencoder-skip": _sparsify("layers.3.mlp", skip_connection=True),
    "sparsify-transcoder-skip": _sparsify("layers.3.mlp", transcode=True, skip_connection=True),
}

if __name__ == "__main__":
    main()
