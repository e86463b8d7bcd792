"""Files and plan agree on what a dictionary reads and writes, one of a set is picked, and known traps are not stepped into."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from safetycase.errors import ModelError
from safetycase.lab.dictionaries.dictionary import JumpRelu, Relu, TopK
from safetycase.lab.dictionaries.reading import read_dictionary, read_dictionary_set
from safetycase.lab.dictionaries.site import Site
from tests.lab.dictionaries.goldens import GOLDENS, change_config, change_tensors, golden, read_tensor
from tests.source import ROOT

pytestmark = pytest.mark.lab

PUBLISHED_SETS = ROOT.parent / "shared/data/attribution_golden/llama"


def test_a_dictionary_says_where_it_stands_and_whence_it_comes(tmp_path: Path) -> None:
    """Sites, format, model and what else its files say."""
    read = read_dictionary(golden("saelens-topk", tmp_path / "d"))

    assert (read.reads, read.writes) == (Site("resid_post", 3), (Site("resid_post", 3),))
    assert (read.format, read.trained_on, read.facts["k"], read.facts["context_size"]) == ("saelens", "tiny", 4, 16)
    assert read.is_autoencoder
    assert (read.n_features, read.d_in, read.d_out) == (24, 8, 8)


def test_a_declared_site_must_be_the_one_that_the_files_say(tmp_path: Path) -> None:
    """At either end; where they agree, nothing changes."""
    folder = golden("saelens-transcoder", tmp_path / "d")

    agreed = read_dictionary(folder, layer=3, reads=Site("mlp_in", 3), writes=Site("mlp_raw_out", 3))

    assert (agreed.reads, agreed.writes) == (Site("mlp_in", 3), (Site("mlp_raw_out", 3),))
    with pytest.raises(
        ModelError, match=r"`reads: resid_mid\.3` is declared, but its files say hook_name: 'blocks\.3\.mlp\.hook_in' \(mlp_in\.3\)"
    ):
        read_dictionary(folder, reads=Site("resid_mid", 3))
    with pytest.raises(ModelError, match=r"`writes: mlp_out\.3` is declared"):
        read_dictionary(folder, writes=Site("mlp_out", 3))
    with pytest.raises(ModelError, match=r"`layer: 2` is asked for, but it reads mlp_in\.3"):
        read_dictionary(folder, layer=2)


def test_a_site_that_cannot_be_mapped_must_be_declared(tmp_path: Path) -> None:
    """It is never guessed; declared, it is taken as declared."""
    folder = golden("saelens-standard", tmp_path / "d")
    change_config(folder / "cfg.json", metadata__hook_name="blocks.3.hook_custom")

    with pytest.raises(ModelError, match=r"which site it reads cannot be told \(hook_name: 'blocks\.3\.hook_custom'\), expected `reads:`"):
        read_dictionary(folder)
    assert read_dictionary(folder, reads=Site("resid_mid", 3)).writes == (Site("resid_mid", 3),)


def test_files_that_contradict_themselves_need_a_declaration(tmp_path: Path) -> None:
    """SAELens names Gemma Scope 2's transcoders by a hook before the norm, and by the module behind it, which is the truth."""
    folder = golden("saelens-transcoder", tmp_path / "d")
    truth = "model.layers.3.pre_feedforward_layernorm.output"
    change_config(folder / "cfg.json", metadata__hook_name="blocks.3.hook_mlp_in", metadata__hf_hook_name=truth)

    with pytest.raises(ModelError, match="which site it reads cannot be told"):
        read_dictionary(folder)
    assert read_dictionary(folder, reads=Site("mlp_in", 3)).reads == Site("mlp_in", 3)
    with pytest.raises(ModelError, match=r"is declared, but its files say .* \(resid_mid\.3, mlp_in\.3\)"):
        read_dictionary(folder, reads=Site("resid_post", 3))


def test_an_autoencoder_writes_where_it_reads(tmp_path: Path) -> None:
    """Declaring another output for it is a mistake."""
    with pytest.raises(ModelError, match=r"an autoencoder writes where it reads \(resid_post\.3\)"):
        read_dictionary(golden("saelens-standard", tmp_path / "d"), writes=Site("mlp_out", 3))


def test_one_of_a_set_is_picked_by_layer_or_by_site(tmp_path: Path) -> None:
    """Without either, the error says which there are."""
    folder = golden("circuit-tracer-relu", tmp_path / "d")

    assert read_dictionary(folder, layer=2).reads == Site("mlp_in", 2)
    assert read_dictionary(folder, reads=Site("mlp_in", 1)).reads == Site("mlp_in", 1)
    with pytest.raises(ModelError, match=r"holds 3 dictionaries \(layers 0, 1, 2\), expected `layer:`"):
        read_dictionary(folder)
    with pytest.raises(ModelError, match=r"none of its 3 dictionaries reads layer 7, expected one of mlp_in\.0"):
        read_dictionary(folder, layer=7)


def test_several_dictionaries_of_one_layer_are_told_apart_by_path(tmp_path: Path) -> None:
    """As Gemma Scope publishes them, several sparsities per layer."""
    folder = golden("gemma-scope-res", tmp_path / "d")
    layer = folder / "gemma-scope-2b-pt-res/layer_3/width_16k"
    shutil.copytree(layer / "average_l0_82", layer / "average_l0_20")

    with pytest.raises(ModelError, match=r"2 dictionaries read layer 3, expected `path:` to name one of .*average_l0_20, .*average_l0_82"):
        read_dictionary(folder, layer=3)
    with pytest.raises(ModelError, match="both read layer 3"):
        read_dictionary_set(folder)
    assert read_dictionary(layer / "average_l0_20").reads == Site("resid_post", 3)
    assert read_dictionary(layer / "average_l0_20/params.npz").reads == Site("resid_post", 3)


def test_folders_of_dictionaries_are_a_set(tmp_path: Path) -> None:
    """One folder per layer, in the order of layers."""
    for layer in (2, 10, 0):
        folder = golden("saelens-transcoder", tmp_path / f"layer_{layer}")
        hooks = {
            f"metadata__{key}": f"blocks.{layer}.mlp.{hook}" for key, hook in (("hook_name", "hook_in"), ("hook_name_out", "hook_out"))
        }
        change_config(folder / "cfg.json", **hooks)

    read = read_dictionary_set(tmp_path)

    assert (read.layers, read.cross_layer, read.at(10).writes) == ((0, 2, 10), False, (Site("mlp_raw_out", 10),))
    assert read_dictionary(tmp_path, layer=10).reads == Site("mlp_in", 10)


@pytest.mark.parametrize("declared", ["in the set's config", "in each file"])
def test_a_top_k_set_stays_one_when_read_from_disk(tmp_path: Path, declared: str) -> None:
    """Read as ReLU, it would fire on half of its features: the reference implementation does so with its own saved sets."""
    folder = golden("circuit-tracer-topk-named" if declared == "in the set's config" else "circuit-tracer-topk", tmp_path / "d")

    for dictionary in read_dictionary_set(folder).dictionaries:
        active = dictionary.encode(torch.randn(50, 8, generator=torch.Generator().manual_seed(1))).ne(0).sum(dim=-1)
        assert dictionary.activation == TopK(4, rectified=False)
        assert active.max() <= 4


def test_top_k_of_a_set_must_have_one_k(tmp_path: Path) -> None:
    """What contradicts itself, and what says too little, is refused."""
    config = "model_kind: transcoder_set\nfeature_input_hook: mlp.hook_in\nfeature_output_hook: mlp.hook_out\n"
    for settings, said in (
        ("activation: topk\nk: 5\n", "k is 4, but config.yaml says 5"),
        ("activation: topk\nk: 0\n", "k is 0, expected a whole number above 0"),
        ("activation: relu\n", "holds k besides a threshold or another activation"),
        ("activation: gelu\n", "activation 'gelu' is not known"),
    ):
        folder = golden("circuit-tracer-topk", tmp_path / "d")
        (folder / "config.yaml").write_text(config + settings)
        with pytest.raises(ModelError, match=said):
            read_dictionary_set(folder)
        shutil.rmtree(folder)
    plain = golden("circuit-tracer-relu", tmp_path / "plain")
    (plain / "config.yaml").write_text(config + "activation: topk\n")
    with pytest.raises(ModelError, match="activation is topk without k"):
        read_dictionary_set(plain)


@pytest.mark.parametrize("name", ["circuit-tracer-cross-layer-relu", "gemma-scope-2-cross-layer"])
def test_a_cross_layer_transcoder_has_its_last_layer(tmp_path: Path, name: str) -> None:
    """Every layer is read, and each writes to itself and to all above."""
    read = read_dictionary_set(golden(name, tmp_path / "d"))

    assert (read.layers, read.cross_layer) == ((0, 1, 2), True)
    for layer, dictionary in enumerate(read.dictionaries):
        assert [site.layer for site in dictionary.writes] == list(range(layer, 3))
        assert dictionary.W_dec.shape == (24, 3 - layer, 8)


def test_a_cross_layer_transcoder_without_a_layer_is_refused(tmp_path: Path) -> None:
    """Whichever is missing: the last one is noticed by the depth of the decoders."""
    for missing, said in (("W_enc_1", "W_enc_1.safetensors is missing"), ("W_dec_1", "W_dec_1.safetensors is missing")):
        folder = golden("circuit-tracer-cross-layer-relu", tmp_path / missing)
        (folder / f"{missing}.safetensors").unlink()
        with pytest.raises(ModelError, match=said):
            read_dictionary_set(folder)
    folder = golden("circuit-tracer-cross-layer-relu", tmp_path / "last")
    for file in ("W_enc_2", "W_dec_2"):
        (folder / f"{file}.safetensors").unlink()
    with pytest.raises(ModelError, match=r"tensor W_dec_0 is 24 × 3 × 8, expected 24 \(feature\) × 2 \(target\) × 8"):
        read_dictionary_set(folder)
    gemma = golden("gemma-scope-2-cross-layer", tmp_path / "gemma")
    next(gemma.rglob("params_layer_2.safetensors")).unlink()
    with pytest.raises(ModelError, match=r"tensor w_dec is 24 × 3 × 8, expected feature × 2 \(target\)"):
        read_dictionary_set(gemma)


def test_a_skip_path_of_a_cross_layer_transcoder_is_read_or_refused(tmp_path: Path) -> None:
    """Gemma Scope 2 states its orientation; circuit-tracer's files have no place for one, and losing it would go unseen."""
    gemma = golden("gemma-scope-2-cross-layer", tmp_path / "gemma")
    stored = read_tensor(next(gemma.rglob("params_layer_1.safetensors")), "affine_skip_connection")
    ours = read_dictionary(gemma, layer=1).W_skip
    other = golden("circuit-tracer-cross-layer-relu", tmp_path / "other")
    change_tensors(other / "W_enc_1.safetensors", W_skip_1=torch.eye(8))

    assert ours is not None
    assert torch.equal(ours, stored.T)
    with pytest.raises(ModelError, match="holds the tensor 'W_skip_1'"):
        read_dictionary_set(other)


def test_the_skip_path_maps_input_to_output(tmp_path: Path) -> None:
    """W_skip is [d_out, d_in]; the affine one of Gemma Scope 2 is stored the other way round."""
    x = torch.eye(8)
    for name, tensor, transposed in (
        ("saelens-skip-transcoder", "W_skip", False),
        ("gemma-scope-2-transcoder-affine", "affine_skip_connection", True),
    ):
        folder = golden(name, tmp_path / name)
        stored = read_tensor(next(folder.rglob("*.safetensors")), tensor)

        assert torch.equal(read_dictionary(folder).skip(x), stored if transposed else stored.T)


def test_a_jump_is_strict_and_only_circuit_tracers_may_let_negative_values_through(tmp_path: Path) -> None:
    """x > θ; a negative threshold passes negative values in the one format that does not rectify besides."""
    activations = {
        name: read_dictionary_set(golden(name, tmp_path / name)).dictionaries[0].activation
        for name in ("circuit-tracer-jumprelu-skip", "saelens-jumprelu", "dictionary-learning-jumprelu")
    }

    for name, activation in activations.items():
        assert isinstance(activation, JumpRelu)
        at = activation.threshold
        assert not activation(at).any()
        above = torch.nextafter(at, torch.full_like(at, torch.inf))
        assert torch.equal(activation(above), above)
        assert (at < 0).any() == name.startswith("circuit-tracer")


@pytest.mark.parametrize(
    ("name", "reads", "writes"),
    [
        ("gemma-scope-transcoders", "mlp_in_normalized.3", "mlp_out.3"),  # before the norm's weight, after the norm behind
        ("gemma-scope-2-transcoder", "mlp_in.3", "mlp_out.3"),
        ("gemma-scope-att", "attn_z.3", "attn_z.3"),
        ("gemma-scope-2-attn-without-config", "attn_z.3", "attn_z.3"),
        ("circuit-tracer-relu", "mlp_in.0", "mlp_raw_out.0"),
        ("circuit-tracer-cross-layer-relu", "resid_mid.0", "mlp_out.0"),
        ("sparsify-transcoder-skip", "mlp_in.3", "mlp_raw_out.3"),
        ("sparsify-autoencoder-skip", "mlp_raw_out.3", "mlp_raw_out.3"),
        ("saelens-standard-hook-z", "attn_z.3", "attn_z.3"),
    ],
)
def test_sites_are_those_that_each_format_means(name: str, reads: str, writes: str) -> None:
    """The same words stand for different places in different formats."""
    first = read_dictionary_set(GOLDENS / name / "dictionary").dictionaries[0]

    assert (str(first.reads), str(first.writes[0])) == (reads, writes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "temporal"}, "architecture 'temporal' cannot be evaluated from what is saved"),
        ({"architecture": "matching_pursuit"}, "architecture 'matching_pursuit' cannot be evaluated from what is saved"),
        ({"architecture": "jumprelo"}, "did you mean 'jumprelu'"),
        ({"normalize_activations": "expected_average_only_in"}, "scaled by an average .* that is not saved"),
        ({"normalize_activations": "covariance_whitening"}, "whitened by statistics that are not saved"),
        ({"normalize_activations": "batch_norm"}, "normalize_activations is 'batch_norm'"),
        ({"metadata__hook_head_index": 3}, "a site of one head is not read"),
        ({"reshape_activations": "hook_z"}, "expected a hook that ends in _z"),
        ({"metadata__hook_name_out": "blocks.3.hook_mlp_out"}, "has an output hook of its own"),
        ({"d_in": 9}, "tensor W_enc is 8 × 24, expected 9"),
        ({"d_sae": 23}, "tensor W_enc is 8 × 24, expected 8 .* × 23"),
        ({"architecture": "topk"}, "k is missing, expected a whole number above 0"),
        ({"architecture": "topk", "k": 25}, "k is 25, expected at most the 24 features"),
        ({"architecture": "jumprelu"}, "no tensor 'threshold'"),
        ({"architecture": "transcoder", "apply_b_dec_to_input": True}, "which a transcoder cannot do"),
    ],
)
def test_what_cannot_be_evaluated_exactly_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """In one line, before a number is computed that the library would not compute."""
    folder = golden("saelens-standard", tmp_path / "d")
    change_config(folder / "cfg.json", **changes)

    with pytest.raises(ModelError, match=said):
        read_dictionary(folder)


def test_a_flat_configuration_with_another_activation_is_refused(tmp_path: Path) -> None:
    """Today's SAELens would evaluate it as ReLU."""
    folder = golden("saelens-flat", tmp_path / "d")
    change_config(folder / "cfg.json", activation_fn_str="tanh-relu")

    with pytest.raises(ModelError, match="activation 'tanh-relu' cannot be evaluated, expected relu or topk"):
        read_dictionary(folder)


def test_activations_finetuned_by_factors_are_written_with_them(tmp_path: Path) -> None:
    """Versions before 6 scaled activations on their way out; unannounced factors are refused, ones of 1 are none."""
    folder = golden("saelens-flat", tmp_path / "d")
    plain = read_dictionary(folder)
    factor = torch.linspace(0.5, 2, 24)
    change_tensors(folder / "sae_weights.safetensors", scaling_factor=factor)
    with pytest.raises(ModelError, match=r"scaling_factor that cfg\.json does not announce"):
        read_dictionary(folder)
    change_config(folder / "cfg.json", finetuning_scaling_factor=True)
    x = torch.randn(5, 8, generator=torch.Generator().manual_seed(2))

    scaled = read_dictionary(folder)

    assert torch.equal(scaled.encode(x), plain.encode(x))
    torch.testing.assert_close(scaled.reconstruct(x), plain.decode(plain.encode(x) * factor, x))
    change_tensors(folder / "sae_weights.safetensors", scaling_factor=torch.ones(24))
    assert torch.equal(read_dictionary(folder).W_dec, plain.W_dec)


def test_firing_rates_that_come_with_it_are_kept(tmp_path: Path) -> None:
    """sparsity.safetensors is optional, and checked where it is there."""
    folder = golden("saelens-standard", tmp_path / "d")
    assert read_dictionary(folder).log_firing_rates is None
    save_file({"sparsity": torch.linspace(-5, -1, 24)}, folder / "sparsity.safetensors")

    rates = read_dictionary(folder).log_firing_rates

    assert rates is not None
    assert torch.equal(rates, torch.linspace(-5, -1, 24))
    save_file({"sparsity": torch.zeros(23)}, folder / "sparsity.safetensors")
    with pytest.raises(ModelError, match="tensor sparsity is 23, expected 24"):
        read_dictionary(folder)


def test_a_set_may_list_files_of_gemma_scope(tmp_path: Path) -> None:
    """By hub addresses that are looked up in the set's own folder, or as versions below 0.2 list them."""
    folder = golden("gemma-scope-transcoders", tmp_path / "d") / "gemma-scope-2b-pt-transcoders"
    entry = "hf://google/gemma-scope-2b-pt-transcoders/layer_3/width_16k/average_l0_82/params.npz?revision=main"
    hooks = "feature_input_hook: ln2.hook_normalized\nfeature_output_hook: hook_mlp_out\nmodel_name: google/gemma-2-2b\n"
    (folder / "config.yaml").write_text(hooks + json.dumps({"transcoders": [{"id": "x", "layer": 3, "filepath": entry}]})[1:-1])

    read = read_dictionary_set(folder)

    alone = read_dictionary(folder / "layer_3/width_16k/average_l0_82")
    assert (read.layers, str(read.at(3).reads), str(read.at(3).writes[0])) == ((3,), "mlp_in_normalized.3", "mlp_out.3")
    assert torch.equal(read.at(3).W_enc, alone.W_enc)


def test_a_gemma_scope_folder_of_another_name_needs_declared_sites(tmp_path: Path) -> None:
    """Declared with an output of its own, it is a transcoder."""
    source = next((GOLDENS / "gemma-scope-transcoders").rglob("params.npz"))
    path = Path(shutil.copy(source, tmp_path))

    with pytest.raises(ModelError, match="which site it reads cannot be told"):
        read_dictionary(path)
    assert read_dictionary(path, reads=Site("resid_post", 1)).is_autoencoder
    assert read_dictionary(path, reads=Site("mlp_in", 1), writes=Site("mlp_out", 1)).writes == (Site("mlp_out", 1),)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trainer__dict_class": "CrossCoder"}, "dict_class 'CrossCoder' cannot be evaluated"),
        ({"trainer__k": 5}, "k is 4, but config.json says 5"),
        ({"trainer__submodule_name": None}, "which site it reads cannot be told"),
        ({"trainer__submodule_name": "embed"}, "which site it reads cannot be told"),
        ({"buffer__io": "in_and_out"}, "reads and writes different places"),
        ({"trainer__dict_size": 23}, "tensor encoder.weight is 24 × 8, expected 23"),
        ({"trainer": 3}, "trainer is 3, expected a section"),
    ],
)
def test_dictionary_learning_is_read_by_what_its_configuration_says(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """Its library assumes the residual stream where nothing is said; here that has to be declared."""
    folder = golden("dictionary-learning-topk", tmp_path / "d")
    change_config(folder / "trainer_0/config.json", **changes)

    with pytest.raises(ModelError, match=said):
        read_dictionary(folder)


def test_a_module_whose_input_was_recorded_is_another_site(tmp_path: Path) -> None:
    """dictionary_learning's buffers say which end of the submodule they kept."""
    folder = golden("dictionary-learning-topk", tmp_path / "d")
    change_config(folder / "trainer_0/config.json", buffer__io="in")

    assert read_dictionary(folder).reads == Site("resid_pre", 3)


def test_sparsify_groups_are_refused_and_signed_latents_read(tmp_path: Path) -> None:
    """Older versions kept the largest latents of either sign."""
    folder = golden("sparsify-autoencoder", tmp_path / "d")
    change_config(folder / "layers.3/cfg.json", activation="groupmax")
    with pytest.raises(ModelError, match="activation 'groupmax' is not read, expected topk"):
        read_dictionary(folder)
    change_config(folder / "layers.3/cfg.json", activation=None, signed=True)
    (folder / "config.json").write_text(json.dumps({"model": "org/model", "ctx_len": 2048}))

    read = read_dictionary(folder)

    assert read.activation == TopK(4, signed=True)
    assert (read.trained_on, read.facts["context_size"]) == ("org/model", 2048)


def test_precision_and_device_are_as_asked(tmp_path: Path) -> None:
    """Cast tensor by tensor."""
    read = read_dictionary(golden("saelens-jumprelu", tmp_path / "d"), dtype=torch.bfloat16)

    assert isinstance(read.activation, JumpRelu)
    assert {t.dtype for t in (read.W_enc, read.W_dec, read.b_enc, read.b_dec, read.activation.threshold)} == {torch.bfloat16}


@pytest.mark.skipif(not PUBLISHED_SETS.is_dir(), reason="the sets of the attribution goldens are not on this machine")
def test_sets_saved_by_circuit_tracer_itself_are_read() -> None:
    """Two of a tiny Llama: JumpReLU by layer, and across layers."""
    by_layer = read_dictionary_set(PUBLISHED_SETS / "transcoders_jumprelu")
    across = read_dictionary_set(PUBLISHED_SETS / "transcoders_clt")
    first = load_file(PUBLISHED_SETS / "transcoders_clt/W_dec_0.safetensors")["W_dec_0"]

    assert (by_layer.layers, by_layer.cross_layer, across.layers, across.cross_layer) == ((0, 1, 2, 3), False, (0, 1, 2, 3), True)
    assert all(isinstance(each.activation, JumpRelu) for each in by_layer.dictionaries)
    assert all(isinstance(each.activation, Relu) for each in across.dictionaries)
    assert torch.equal(across.at(0).W_dec, first)
    assert [each.trained_on for each in across.dictionaries] == ["tiny-llama"] * 4
