"""The files of a sparse dictionary are found by their published names, named in order, and known to be whole."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from safetycase.errors import ModelError
from safetycase.sources.dictionary_files import circuit_tracer_weights, dictionary_digest, dictionary_files
from tests.sources.test_model_files import weights_file

WEIGHTS = weights_file(3)
CONFIG = b"{}"
SET = b"model_kind: transcoder_set\n"
ACROSS = b"model_kind: cross_layer_transcoder\n"


def laid_out(folder: Path, files: Mapping[str, bytes]) -> Path:
    """A folder with files by relative name."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


LAYOUTS: dict[str, dict[str, bytes]] = {
    "saelens": {"cfg.json": CONFIG, "sae_weights.safetensors": WEIGHTS},
    "gemma-scope": {"layer_3/width_16k/average_l0_82/params.npz": b"PK"},
    "gemma-scope-2": {"resid_post/layer_3/config.json": CONFIG, "resid_post/layer_3/params.safetensors": WEIGHTS},
    "circuit-tracer": {"config.yaml": SET, "layer_0.safetensors": WEIGHTS, "layer_1.safetensors": WEIGHTS},
    "dictionary-learning": {"trainer_0/ae.pt": b"PK", "trainer_0/config.json": CONFIG},
    "sparsify": {"config.json": CONFIG, "layers.3/cfg.json": CONFIG, "layers.3/sae.safetensors": WEIGHTS},
}
NOISE = {
    "README.md": b"x",
    ".git/config.json": CONFIG,
    ".cache/sae_weights.safetensors": b"",
    "runs/config.yaml": b"lr: 3\n",
    "notes.json": b"{",
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_format_is_recognised_by_its_files(tmp_path: Path, name: str) -> None:
    """With what decides, in order, and without what does not."""
    folder = laid_out(tmp_path / "d", LAYOUTS[name] | NOISE)

    files = dictionary_files(folder)

    assert files.format == name
    assert [file.relative_to(folder).as_posix() for file in files.files] == sorted(LAYOUTS[name])
    assert dictionary_files(folder, name) == files


def test_a_weights_file_may_be_named_itself(tmp_path: Path) -> None:
    """Its configuration is found beside it."""
    folder = laid_out(tmp_path, LAYOUTS["saelens"])

    files = dictionary_files(folder / "sae_weights.safetensors")

    assert [file.name for file in files.files] == ["cfg.json", "sae_weights.safetensors"]
    assert dictionary_digest(files) == dictionary_digest(dictionary_files(folder))


def test_the_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    """Lines of relative name and SHA-256, sorted; another byte or another name is another digest, another place is not."""
    files = dictionary_files(laid_out(tmp_path / "a", LAYOUTS["saelens"]))
    lines = "".join(f"{name} {hashlib.sha256(content).hexdigest()}\n" for name, content in sorted(LAYOUTS["saelens"].items()))

    assert dictionary_digest(files) == hashlib.sha256(lines.encode()).hexdigest()
    assert dictionary_digest(dictionary_files(laid_out(tmp_path / "b", LAYOUTS["saelens"]))) == dictionary_digest(files)
    changed = dictionary_files(laid_out(tmp_path / "c", LAYOUTS["saelens"] | {"cfg.json": b"{} "}))
    nested = dictionary_files(laid_out(tmp_path / "e", {f"x/{name}": content for name, content in LAYOUTS["saelens"].items()}))
    assert len({dictionary_digest(each) for each in (files, changed, nested)}) == 3


def test_what_decides_beside_the_weights_is_among_the_files(tmp_path: Path) -> None:
    """The scaling of a checkpoint, and the run's own configuration above a sparsify folder."""
    checkpoint = laid_out(
        tmp_path / "a", LAYOUTS["saelens"] | {"activation_scaler.json": CONFIG, "activation_whitening.safetensors": WEIGHTS}
    )
    hookpoint = laid_out(tmp_path / "b", LAYOUTS["sparsify"]) / "layers.3"

    assert {"activation_scaler.json", "activation_whitening.safetensors"} <= {file.name for file in dictionary_files(checkpoint).files}
    assert dictionary_files(hookpoint).files[0] == tmp_path / "b/config.json"
    assert len(dictionary_digest(dictionary_files(hookpoint))) == 64


def test_a_set_of_transcoders_owns_the_files_that_it_lists(tmp_path: Path) -> None:
    """They are of a format of their own, and no second dictionary."""
    config = b"transcoders:\n- hf://google/scope/layer_0/params.npz?revision=main\n"
    files = dictionary_files(laid_out(tmp_path, {"config.yaml": config, "layer_0/params.npz": b"PK"}))

    assert (files.format, [file.name for file in files.files]) == ("circuit-tracer", ["config.yaml", "params.npz"])


def test_versions_below_02_list_layers_and_paths(tmp_path: Path) -> None:
    """In any order, and not of every layer."""
    entries = json.dumps([{"layer": 8, "filepath": "b.safetensors"}, {"layer": 6, "filepath": "a.safetensors"}])
    folder = laid_out(tmp_path, {"config.yaml": f"transcoders: {entries}\n".encode(), "a.safetensors": WEIGHTS, "b.safetensors": WEIGHTS})

    found = [(layer, file.name) for layer, (file,) in circuit_tracer_weights(folder / "config.yaml")]

    assert found == [(6, "a.safetensors"), (8, "b.safetensors")]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param({"README.md": b""}, "no sparse dictionary found, expected a file of a known format: sae_weights", id="nothing"),
        pytest.param(LAYOUTS["saelens"] | LAYOUTS["sparsify"], r"several formats \(saelens, sparsify\), expected `format:`", id="two"),
        pytest.param({"sae_weights.safetensors": WEIGHTS}, "sae_weights.safetensors without cfg.json", id="no config"),
        pytest.param({"ae.pt": b"PK"}, "ae.pt without config.json", id="no config beside a state dict"),
        pytest.param({"cfg.json": CONFIG, "sae_weights.safetensors": WEIGHTS[:-1]}, "the file is truncated", id="truncated"),
        pytest.param({"config.yaml": SET}, "no layer_0.safetensors beside it", id="empty set"),
        pytest.param({"config.yaml": SET, "layer_1.safetensors": WEIGHTS}, "layer_0.safetensors is missing", id="gap"),
        pytest.param({"config.yaml": SET, "layer_0.safetensors": b"x"}, "the file is truncated or no safetensors file", id="damage"),
        pytest.param({"config.yaml": ACROSS, "W_enc_0.safetensors": WEIGHTS}, "no W_dec_0.safetensors", id="no decoder"),
        pytest.param({"config.yaml": b"model_kind: sae\n"}, "model_kind is 'sae', expected transcoder_set", id="kind"),
        pytest.param({"config.yaml": b"transcoders: 3\n"}, "transcoders is no list", id="no list"),
        pytest.param({"config.yaml": b"transcoders: [3]\n"}, r"transcoders\[0\] is 3, expected a path", id="no path"),
        pytest.param({"config.yaml": b"transcoders: [&a x, *a]\n"}, "anchors and aliases are not read", id="aliases"),
        pytest.param({"config.yaml": b"transcoders: !!python/object:os.system []\n"}, "config.yaml", id="tags"),
    ],
)
def test_what_is_missing_or_damaged_is_one_line(tmp_path: Path, files: dict[str, bytes], said: str) -> None:
    """With the file, and what was expected."""
    with pytest.raises(ModelError, match=said) as refused:
        dictionary_files(laid_out(tmp_path / "d", files))

    assert "\n" not in str(refused.value)


def test_a_misspelt_path_or_format_names_its_nearest(tmp_path: Path) -> None:
    """As for models."""
    folder = laid_out(tmp_path / "dictionary", LAYOUTS["saelens"])

    with pytest.raises(ModelError, match=r"no such file or folder.*did you mean 'dictionary'\?"):
        dictionary_files(tmp_path / "dictionari")
    with pytest.raises(ModelError, match=r"no dictionary format 'sealens'; did you mean 'saelens'\?"):
        dictionary_files(folder, "sealens")
    with pytest.raises(ModelError, match=r"no sparse dictionary found, expected .*: params.npz \(gemma-scope\)"):
        dictionary_files(folder, "gemma-scope")
