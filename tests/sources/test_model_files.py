"""A model folder is read as it is, and what is missing or damaged is one clear line."""

import json
from pathlib import Path

import pytest

from safetycase.errors import ModelError
from safetycase.sources.model_files import model_files


def test_the_files_of_a_model_are_found_and_sorted(tmp_path: Path) -> None:
    """Weights, config, tokenizer and what else decides the behaviour; documentation is none of it."""
    folder = model_folder(tmp_path / "m")
    for name in ("README.md", "chat_template.jinja", "merges.txt", "generation_config.json", "training_args.txt"):
        (folder / name).write_text("{}")

    files = model_files(folder)

    assert [path.name for path in files.weights] == ["model.safetensors"]
    assert files.config == folder / "config.json"
    assert [path.name for path in files.tokenizer] == ["chat_template.jinja", "merges.txt", "tokenizer.json"]
    assert [path.name for path in files.others] == ["generation_config.json"]


def test_shards_are_those_that_the_index_names(tmp_path: Path) -> None:
    """A stray file beside the shards is not part of the model."""
    folder = sharded_folder(tmp_path / "m")
    (folder / "stray.safetensors").write_bytes(weights_file(3))

    assert [path.name for path in model_files(folder).weights] == ["a-1.safetensors", "a-2.safetensors"]


def test_a_missing_folder_names_its_nearest_neighbour(tmp_path: Path) -> None:
    """A misspelt folder is a frequent mistake."""
    model_folder(tmp_path / "gemma-2b")

    with pytest.raises(ModelError, match=r"gemma-2c: no such folder.*did you mean 'gemma-2b'\?"):
        model_files(tmp_path / "gemma-2c")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "consolidated.00.pth"])
def test_pickles_are_refused(tmp_path: Path, name: str) -> None:
    """A pickle runs code when it is read."""
    folder = model_folder(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / name)

    with pytest.raises(ModelError, match=rf"found {name}, refused: safetensors only"):
        model_files(folder)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("config.json", "no config.json found", id="config"),
        pytest.param("tokenizer.json", "no tokenizer found", id="tokenizer"),
        pytest.param("model.safetensors", "no weights found", id="weights"),
    ],
)
def test_a_missing_part_is_named(tmp_path: Path, name: str, said: str) -> None:
    """Which part is missing, and where."""
    folder = model_folder(tmp_path / "m")
    (folder / name).unlink()

    with pytest.raises(ModelError, match=said):
        model_files(folder)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    """The index promises a shard that is not there."""
    folder = sharded_folder(tmp_path / "m")
    (folder / "a-2.safetensors").unlink()

    with pytest.raises(ModelError, match=r"names the shard a-2.safetensors, which is missing"):
        model_files(folder)


@pytest.mark.parametrize("shard", ["../elsewhere.safetensors", "/etc/passwd", "a.bin"])
def test_an_index_does_not_lead_out_of_the_folder(tmp_path: Path, shard: str) -> None:
    """An index is untrusted input: shards lie beside it and are safetensors."""
    folder = sharded_folder(tmp_path / "m")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"t": shard}}))

    with pytest.raises(ModelError, match=r"expected a \.safetensors file beside the index"):
        model_files(folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": {"t": 3}}'])
def test_a_damaged_index_is_one_line(tmp_path: Path, text: str) -> None:
    """Broken JSON and JSON of another shape."""
    folder = sharded_folder(tmp_path / "m")
    (folder / "model.safetensors.index.json").write_text(text)

    with pytest.raises(ModelError, match=r"model\.safetensors\.index\.json: ") as caught:
        model_files(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0, 5, 20, -1])
def test_a_truncated_weights_file_is_one_line(tmp_path: Path, kept: int) -> None:
    """Cut in the length, in the header or in the tensors: always found before anything is loaded."""
    folder = model_folder(tmp_path / "m")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(ModelError, match="truncated") as caught:
        model_files(folder)
    assert "\n" not in str(caught.value)


def test_a_weights_file_with_something_behind_it_is_refused(tmp_path: Path) -> None:
    """Nothing may hide behind the tensors that the header lists."""
    folder = model_folder(tmp_path / "m")
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"more")

    with pytest.raises(ModelError, match="longer than its header says"):
        model_files(folder)


def test_an_unmerged_adapter_is_refused(tmp_path: Path) -> None:
    """An adapter would change the model behind the digest's back."""
    folder = model_folder(tmp_path / "m")
    (folder / "adapter_config.json").write_text("{}")

    with pytest.raises(ModelError, match="expected a model with its adapter merged"):
        model_files(folder)


def model_folder(folder: Path) -> Path:
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    (folder / "model.safetensors").write_bytes(weights_file(1))
    return folder


def sharded_folder(folder: Path) -> Path:
    model_folder(folder)
    (folder / "model.safetensors").rename(folder / "a-1.safetensors")
    (folder / "a-2.safetensors").write_bytes(weights_file(2))
    weight_map = {"x": "a-1.safetensors", "y": "a-2.safetensors", "z": "a-1.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


def weights_file(value: int) -> bytes:
    """One tensor of four bytes, written by hand in the safetensors layout."""
    header = json.dumps({"t": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}, "__metadata__": {"format": "pt"}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes([value] * 4)
