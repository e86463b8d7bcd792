"""A model is loaded with all that the lab must know of it, or refused in one line."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from safetycase.errors import ModelError
from safetycase.lab import model as model_module
from safetycase.lab.model import LoadedModel, last_logits, load_model
from tests.lab.tiny import ARCHITECTURES, CHAT_TEMPLATE, D_MODEL, SlowTokenizer, random_model, save_model, word_tokenizer

pytestmark = pytest.mark.lab

every_architecture = pytest.mark.parametrize("architecture", [pytest.param(name, id=name) for name in ARCHITECTURES])
PROMPTS = ["w3", "w4 w5 w6 w7 w8 w9 w10 w11", "w12 w13"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@every_architecture
def test_every_architecture_is_loaded_and_independent_of_its_batch(architecture: str, tmp_path: Path) -> None:
    """A prompt alone has the logits that it has left-padded in a batch, whatever side the tokenizer pads on."""
    model = loaded(tmp_path, architecture, tokenizer=lambda: word_tokenizer(padding_side="right", chat_template=CHAT_TEMPLATE))

    together = last_logits(model, model.chat.encode(PROMPTS, model.device))

    assert together.dtype is torch.float32
    assert together.shape == (3, model.module.config.vocab_size)
    scale = max(1.0, together.abs().max().item())
    for row, prompt in enumerate(PROMPTS):
        alone = last_logits(model, model.chat.encode([prompt], model.device))
        assert (together[row] - alone[0]).abs().max().item() <= 1e-4 * scale


@every_architecture
def test_last_logits_are_those_of_the_whole_pass(architecture: str, tmp_path: Path) -> None:
    """Final soft cap and logit scale included: equal to the last position of the model's own forward pass."""
    model = loaded(tmp_path, architecture)
    encoded = model.chat.encode(PROMPTS[1:2], model.device)

    whole = model.module(input_ids=encoded.input_ids, use_cache=False).logits[:, -1]

    torch.testing.assert_close(last_logits(model, encoded), whole, atol=1e-5, rtol=1e-5)


def test_the_weights_are_those_of_the_files(tmp_path: Path) -> None:
    """Random norms and biases survive saving and loading; nothing is trained, nothing has a gradient."""
    model = loaded(tmp_path, "llama")
    original = random_model("llama")

    for name, parameter in model.module.named_parameters():
        assert torch.equal(parameter, original.get_parameter(name)), name
        assert not parameter.requires_grad
    assert not model.module.training
    assert model.n_parameters == sum(p.numel() for p in original.parameters())
    assert model.sites.d_model == D_MODEL
    assert (model.dtype, model.device.type, model.source) == (torch.float32, "cpu", "llama")


def test_shards_hold_the_same_model_under_another_digest(tmp_path: Path) -> None:
    """Sharded or not, the weights are equal; the digest names the files."""
    whole = loaded(tmp_path / "whole", "llama")
    sharded = loaded(tmp_path / "sharded", "llama", max_shard_size="20KB")

    assert len(list((tmp_path / "sharded" / "llama").glob("*.safetensors"))) > 1
    for name, parameter in whole.module.named_parameters():
        assert torch.equal(parameter, sharded.module.get_parameter(name)), name
    assert whole.digest != sharded.digest
    assert whole.weights_digest != sharded.weights_digest


def test_half_precision_is_loaded_as_asked(tmp_path: Path) -> None:
    """The dtype is the plan's, whatever the files hold; logits come in float32."""
    save_model(tmp_path / "m", "llama")

    model = load_model("m", base=tmp_path, dtype="bfloat16")

    assert model.dtype is model.module.dtype is torch.bfloat16
    assert last_logits(model, model.chat.encode(PROMPTS, "cpu")).dtype is torch.float32


def test_soft_capped_attention_is_not_left_to_a_kernel_that_ignores_it(tmp_path: Path) -> None:
    """Gemma 2 caps attention scores, which fused attention leaves out."""
    assert loaded(tmp_path, "gemma2").module.config._attn_implementation == "eager"


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt_neox"])
def test_the_tokenizer_is_that_of_its_file(architecture: str, tmp_path: Path) -> None:
    """A tokenizer that the library would rebuild from the model's type still gives the tokens of tokenizer.json."""
    model = loaded(tmp_path, architecture)

    assert model.tokenizer.convert_ids_to_tokens(model.chat.encode(["w3 w4"], "cpu").input_ids[0].tolist()) == ["<s>", "w3", "w4"]


def test_a_slow_tokenizer_is_brought_by_remote_code_only_if_allowed(tmp_path: Path) -> None:
    """Code beside the weights runs only with the command line's flag, and the line says so."""
    folder = save_model(tmp_path / "m", "llama")
    (folder / "tokenizer.json").unlink()
    SlowTokenizer().save_pretrained(folder)
    source = Path(__file__).with_name("tiny.py").read_text(encoding="utf-8")
    (folder / "tokenization_tiny.py").write_text(source, encoding="utf-8")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["auto_map"] = {"AutoTokenizer": ["tokenization_tiny.SlowTokenizer", None]}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))

    with pytest.raises(ModelError, match="--allow-remote-code"):
        load_model("m", base=tmp_path)


def test_an_organism_is_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`organism:<name>` is loaded from the package, through the same path as any model."""
    save_model(tmp_path / "somewhere", "llama")
    bundled = dataclasses.make_dataclass("Bundled", ["folder"])(tmp_path / "somewhere")
    monkeypatch.setattr(model_module, "organism", {"refuser": bundled}.__getitem__)

    assert load_model("organism:refuser", base=Path("/")).source == "organism:refuser"


def test_the_expected_digest_is_checked_before_anything_is_loaded(tmp_path: Path) -> None:
    """A plan may say which files it means."""
    digest = loaded(tmp_path, "llama").digest

    assert load_model("llama", base=tmp_path, expected_digest=digest).digest == digest
    with pytest.raises(ModelError, match=f"its digest is {digest}, expected 00"):
        load_model("llama", base=tmp_path, expected_digest="00")


def drop_a_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.down_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def poison(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.1.mlp.down_proj.weight"][3, 4] = torch.nan
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def reshape(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = torch.ones(D_MODEL + 1)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def break_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def foreign_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "no-such-type"}')


def break_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")


def break_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{% for %}")


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(truncate, "truncated: found", id="truncated"),
        pytest.param(poison, r"model\.layers\.1\.mlp\.down_proj\.weight holds NaN", id="NaN"),
        pytest.param(drop_a_tensor, r"1 weights are missing .* model\.layers\.1\.mlp\.down_proj\.weight", id="a missing tensor"),
        pytest.param(reshape, r"model\.norm\.weight|model cannot be loaded", id="a tensor of another shape"),
        pytest.param(break_config, "cannot be (read|loaded)", id="config is no JSON"),
        pytest.param(foreign_config, "cannot be (read|loaded)", id="unknown model type"),
        pytest.param(break_tokenizer, "the tokenizer cannot be read", id="tokenizer is no JSON"),
        pytest.param(break_template, "chat template cannot render", id="an unreadable template"),
        pytest.param(pickle_only, "safetensors only", id="pickles"),
    ],
)
def test_damage_is_one_clear_line(damage: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    """What is missing, cut, poisoned or foreign is a model error of one line that names the folder."""
    damage(save_model(tmp_path / "m", "llama"))

    with pytest.raises(ModelError, match=said) as caught:
        load_model("m", base=tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "m") in str(caught.value)


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        pytest.param("mm", {}, r"no such folder.*did you mean 'm'\?", id="a misspelt folder"),
        pytest.param("org/name", {}, "needs `revision:`", id="a hub model without revision"),
        pytest.param("m", {"dtype": "float8"}, "dtype 'float8' is unknown", id="an unknown dtype"),
        pytest.param("m", {"device": "tpu9"}, "device 'tpu9' is unknown", id="an unknown device"),
        pytest.param("organism:no-such", {}, "no such organism", id="an unknown organism"),
    ],
)
def test_a_mistaken_request_is_one_clear_line(source: str, options: dict[str, Any], said: str, tmp_path: Path) -> None:
    """Each says what was found and what would have been right."""
    save_model(tmp_path / "m", "llama")

    with pytest.raises(ModelError, match=said):
        load_model(source, base=tmp_path, **options)


def test_an_architecture_that_is_not_understood_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names the model and what was unexpected in it."""
    save_model(tmp_path / "m", "llama")
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", with_a_normed_stream)

    with pytest.raises(ModelError, match=rf"{tmp_path}/m: architecture not understood: block 1 holds more"):
        load_model("m", base=tmp_path)


def with_a_normed_stream(*_: object, **__: object) -> tuple[Any, dict[str, list[str]]]:
    model = random_model("llama")
    model.model.layers[1].register_forward_hook(lambda module, args, output: torch.tanh(output))
    return model, {"missing_keys": [], "mismatched_keys": []}


def test_attention_that_padding_spoils_is_computed_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where fused attention gives NaN on a left-padded row, the plain one is used; where that does too, it is said."""
    save_model(tmp_path / "m", "llama")

    monkeypatch.setattr(model_module, "_finite_under_padding", lambda module: module.config._attn_implementation == "eager")
    assert load_model("m", base=tmp_path).module.config._attn_implementation == "eager"

    monkeypatch.setattr(model_module, "_finite_under_padding", lambda module: False)
    with pytest.raises(ModelError, match="on a padded batch of two rows"):
        load_model("m", base=tmp_path)


def loaded(base: Path, architecture: str, **options: Any) -> LoadedModel:
    save_model(base / architecture, architecture, **options)
    return load_model(architecture, base=base)
