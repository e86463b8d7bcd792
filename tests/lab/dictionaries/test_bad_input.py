"""Whatever lies in a dictionary's files, they are read or refused in one line, and nothing in them is executed."""

import json
import pickle
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase.errors import ModelError, SafetycaseError
from safetycase.lab.dictionaries.reading import read_dictionary_set
from tests.benchmarks.dictionary_formats import write_npz
from tests.lab.dictionaries.goldens import GOLDENS, change_config, change_tensors, golden, read_tensor

pytestmark = pytest.mark.lab

# By format: a golden, its weights, the name of one tensor, and its configuration.
EACH_FORMAT = {
    "saelens": ("saelens-jumprelu", "sae_weights.safetensors", "W_dec", "cfg.json"),
    "saelens-checkpoint": ("saelens-checkpoint-whitened", "activation_whitening.safetensors", "mean", "activation_scaler.json"),
    "gemma-scope-2": (
        "gemma-scope-2-transcoder-affine",
        "gemma-scope-2-270m-pt/transcoder_all/layer_3_width_16k_l0_big_affine/params.safetensors",
        "affine_skip_connection",
        "gemma-scope-2-270m-pt/transcoder_all/layer_3_width_16k_l0_big_affine/config.json",
    ),
    "circuit-tracer": ("circuit-tracer-jumprelu-skip", "layer_1.safetensors", "W_skip", None),
    "circuit-tracer-clt": ("circuit-tracer-cross-layer-relu", "W_dec_2.safetensors", "W_dec_2", None),
    "dictionary-learning": ("dictionary-learning-batchtopk", "trainer_0/ae.pt", "encoder.weight", "trainer_0/config.json"),
    "sparsify": ("sparsify-transcoder-skip", "layers.3.mlp/sae.safetensors", "W_skip", "layers.3.mlp/cfg.json"),
}
each_format = pytest.mark.parametrize(("name", "weights", "tensor", "config"), EACH_FORMAT.values(), ids=EACH_FORMAT)


def refusal(folder: Path) -> str:
    """The one line in which a folder is refused."""
    with pytest.raises(ModelError) as refused:
        read_dictionary_set(folder)
    line = str(refused.value)
    assert "\n" not in line
    return line


@each_format
def test_a_missing_tensor_is_named(tmp_path: Path, name: str, weights: str, tensor: str, config: str | None) -> None:
    """With the file that should hold it. A skip path is missed where the configuration announces it."""
    folder = golden(name, tmp_path / "d")
    if name == "circuit-tracer-jumprelu-skip":
        tensor = "W_enc"  # a skip path that is not there is no skip path, in this format
    change_tensors(folder / weights, **{tensor: None})

    assert tensor in (line := refusal(folder))
    assert Path(weights).name in line


@each_format
def test_a_tensor_of_another_width_is_refused(tmp_path: Path, name: str, weights: str, tensor: str, config: str | None) -> None:
    """What was found and what was expected."""
    folder = golden(name, tmp_path / "d")
    change_tensors(folder / weights, **{tensor: torch.zeros(5, 7, 3)})

    assert f"tensor {tensor} is 5 × 7 × 3, expected" in refusal(folder)


@each_format
def test_values_that_are_not_finite_are_refused(tmp_path: Path, name: str, weights: str, tensor: str, config: str | None) -> None:
    """One NaN is enough."""
    folder = golden(name, tmp_path / "d")
    own = read_tensor(folder / weights, tensor)
    own.view(-1)[3] = torch.nan
    change_tensors(folder / weights, **{tensor: own})

    assert f"tensor {tensor} holds values that are not finite" in refusal(folder)


@each_format
def test_values_that_overflow_the_wanted_precision_are_refused(
    tmp_path: Path, name: str, weights: str, tensor: str, config: str | None
) -> None:
    """A double that is no float32 must not become infinity unsaid."""
    folder = golden(name, tmp_path / "d")
    own = read_tensor(folder / weights, tensor).double()
    own.view(-1)[3] = 1e300
    change_tensors(folder / weights, **{tensor: own})

    if name == "saelens-checkpoint-whitened":  # folded in double precision, where it is a number still
        assert "not finite in torch.float32 once its scaling is folded in" in refusal(folder)
    else:
        assert f"tensor {tensor} holds values that are not finite in torch.float32" in refusal(folder)


@each_format
def test_a_tensor_that_the_format_does_not_know_is_refused(
    tmp_path: Path, name: str, weights: str, tensor: str, config: str | None
) -> None:
    """It would do something in the library that wrote it, and nothing here."""
    folder = golden(name, tmp_path / "d")
    change_tensors(folder / weights, W_surprise=torch.zeros(3))

    assert "W_surprise" in refusal(folder)


@each_format
def test_a_truncated_file_is_refused(tmp_path: Path, name: str, weights: str, tensor: str, config: str | None) -> None:
    """A download that broke off."""
    folder = golden(name, tmp_path / "d")
    whole = (folder / weights).read_bytes()
    (folder / weights).write_bytes(whole[:-100])

    assert Path(weights).name in refusal(folder)


@each_format
def test_a_configuration_that_is_no_json_is_refused(tmp_path: Path, name: str, weights: str, tensor: str, config: str | None) -> None:
    """Also one that is JSON but no object, or nested beyond reason."""
    folder = golden(name, tmp_path / "d")
    for content in ("{not json", "[]", '{"a":' * 100_000, "\xff"):
        (folder / (config or "config.yaml")).write_text(content + (" model_kind" if config is None else ""), encoding="latin-1")

        assert Path(config or "config.yaml").name in refusal(folder)


def test_a_state_dict_that_executes_code_is_refused_unexecuted(tmp_path: Path) -> None:
    """The pickle would make a file, as the last lines show; the reader does not."""
    marker = tmp_path / "executed"
    evil = pickle.dumps({"encoder.weight": _Evil(marker)})
    for save in (lambda path: path.write_bytes(evil), lambda path: torch.save({"encoder.weight": _Evil(marker)}, path)):
        folder = golden("dictionary-learning-standard", tmp_path / "d")
        save(folder / "trainer_0/ae.pt")

        assert "ae.pt: refused" in refusal(folder)
        assert not marker.exists()
        shutil.rmtree(folder)
    pickle.loads(evil)
    assert marker.exists()


def test_a_state_dict_of_something_else_than_tensors_is_refused(tmp_path: Path) -> None:
    """Numbers, lists, whole tensors without names, and views that claim more memory than their file holds."""
    folder = golden("dictionary-learning-standard", tmp_path / "d")
    vast = torch.zeros(1).expand(1 << 40)
    for content in ({"encoder.weight": 3}, [torch.zeros(3)], torch.zeros(3), {3: torch.zeros(3)}, {"encoder.weight": vast}):
        torch.save(content, folder / "trainer_0/ae.pt")

        assert "expected a state dict" in refusal(folder)


def test_pickled_objects_in_an_npz_are_refused_unexecuted(tmp_path: Path) -> None:
    """numpy would unpickle an array of objects if it were let."""
    folder, marker = golden("gemma-scope-res", tmp_path / "d"), tmp_path / "executed"
    path = next(folder.rglob("params.npz"))
    arrays = dict(np.load(path))
    write_npz(path, arrays | {"b_enc": np.array([_Evil(marker)] * 24, dtype=object)})

    assert "array b_enc holds pickled objects, refused" in refusal(folder)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda a: a | {"W_enc": a["W_enc"] * np.nan}, "W_enc holds values that are not finite", id="NaN"),
        pytest.param(lambda a: {k: v for k, v in a.items() if k != "threshold"}, "no tensor 'threshold'", id="missing"),
        pytest.param(lambda a: a | {"W_dec": a["W_dec"].T}, "tensor W_dec is 8 × 24, expected 24 (feature) × 8", id="transposed"),
        pytest.param(lambda a: a | {"scaling_factor": a["b_enc"]}, "scaling_factor is not 1", id="scaling"),
        pytest.param(lambda a: a | {"b_enc": a["b_enc"].astype(np.int64)}, "b_enc is of int64, expected floating point", id="integers"),
        pytest.param(lambda a: a | {"b_enc": a["b_enc"].astype("U5")}, "array b_enc cannot be read", id="strings"),
        pytest.param(lambda a: a | {"W_enc": np.zeros((8, 0), np.float32)}, "expected at least one of each width", id="empty"),
    ],
)
def test_a_wrong_npz_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], dict[str, Any]], said: str) -> None:
    """Array by array."""
    folder = golden("gemma-scope-res", tmp_path / "d")
    path = next(folder.rglob("params.npz"))
    write_npz(path, change(dict(np.load(path))))

    assert said in refusal(folder)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("../outside.safetensors", "leads out of its folder"),
        ("/etc/passwd", "leads out of its folder"),
        ("a/../../outside.safetensors", "leads out of its folder"),
        ("hf://org/repo/../../outside.safetensors", "leads out of its folder"),
        ("hf://org/repo", "leads out of its folder"),
        ("hf://[::1/repo/layer.safetensors", "leads out of its folder"),
        ("hf://org/repo/layer_9.safetensors?revision=main", "fetch the repository that it names into this folder"),
        ("config.yaml", "is no weights file in its folder"),
        ("a\\b.safetensors", "leads out of its folder"),
    ],
)
def test_an_entry_of_a_set_cannot_lead_out_of_its_folder(tmp_path: Path, entry: str, said: str) -> None:
    """What a configuration names is read only where it lies."""
    folder = golden("circuit-tracer-relu", tmp_path / "d")
    shutil.copy(folder / "layer_0.safetensors", tmp_path / "outside.safetensors")
    with (folder / "config.yaml").open("a") as config:
        config.write(f"transcoders: [layer_0.safetensors, {json.dumps(entry)}]\n")

    assert said in refusal(folder)


@given(data=st.data())
@settings(max_examples=150)
def test_damage_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    """Bytes of any file of any format overwritten, cut, inserted or all replaced: never another error than ours."""
    name = data.draw(st.sampled_from(ALL), label="golden")
    with tempfile.TemporaryDirectory() as scratch:
        folder = golden(name, Path(scratch) / "d")
        path = data.draw(st.sampled_from(sorted(file for file in folder.rglob("*") if file.is_file())))
        path.write_bytes(data.draw(_damaged(path.read_bytes()), label=path.name))
        _read_or_refuse(folder)


@given(data=st.data())
@settings(max_examples=150)
def test_any_configuration_is_read_or_refused(data: st.DataObject) -> None:
    """Any value in the place of any other, at the top or in a section."""
    name = data.draw(st.sampled_from([name for name in ALL if list((GOLDENS / name).rglob("*.json"))]), label="golden")
    with tempfile.TemporaryDirectory() as scratch:
        folder = golden(name, Path(scratch) / "d")
        path = data.draw(st.sampled_from(sorted(folder.rglob("*.json"))))
        content = json.loads(path.read_text())
        places = [(key,) for key in content] + [
            (key, inner) for key, value in content.items() if isinstance(value, dict) for inner in value
        ]
        change_config(path, **{"__".join(data.draw(st.sampled_from(sorted(places)))): data.draw(_JSON)})
        _read_or_refuse(folder)


def _read_or_refuse(folder: Path) -> None:
    try:
        read_dictionary_set(folder)
    except SafetycaseError as error:
        assert "\n" not in str(error)  # noqa: PT017  (being read is as good)


def _damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    end = max(0, len(whole) - 1)
    # Headers stand at the start or, in archives, at the end: most damage is aimed there.
    at = st.one_of(st.integers(0, min(end, 200)), st.integers(max(0, end - 300), end), st.integers(0, end))
    some = st.binary(min_size=1, max_size=8)
    return st.one_of(
        st.builds(lambda i, new: whole[:i] + new + whole[i + len(new) :], at, some),
        st.builds(lambda i, new: whole[:i] + new + whole[i:], at, some),
        st.builds(lambda i: whole[:i], at),
        st.binary(max_size=64),
    )


class _Evil:
    """What a pickle may hold: a call, made while it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


ALL = sorted(folder.name for folder in GOLDENS.iterdir())
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(["topk", "layer_norm", "gated"])
)
_JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=5
)


def test_an_npz_that_unpacks_beyond_its_size_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MiB of zeros in a file of some kilobytes: only the directory of the archive is looked at."""
    folder = golden("gemma-scope-res", tmp_path / "d")
    (weights,) = folder.rglob("params.npz")
    with zipfile.ZipFile(weights, "a", compression=zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("W_more.npy", bytes(64 << 20))
    monkeypatch.setattr(zipfile.ZipFile, "open", _never)

    assert "would unpack to" in refusal(folder)


def test_an_array_of_another_width_is_refused_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No array is read whose shape does not fit those before it."""
    folder = golden("gemma-scope-res", tmp_path / "d")
    (weights,) = folder.rglob("params.npz")
    write_npz(weights, dict(np.load(weights)) | {"b_dec": np.zeros(1 << 20, np.float32)})
    shapes: list[tuple[int, ...]] = []
    whole = np.lib.format.read_array

    def read(*args: Any, **more: Any) -> Any:
        shapes.append((made := whole(*args, **more)).shape)
        return made

    monkeypatch.setattr(np.lib.format, "read_array", read)

    assert "tensor b_dec is 1048576, expected" in refusal(folder)
    assert shapes
    assert (1 << 20,) not in shapes


def test_a_packed_state_dict_that_unpacks_beyond_its_size_is_never_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch saves is not packed; a file packed again is loaded only as far as weights could fill it."""
    folder = golden("dictionary-learning-batchtopk", tmp_path / "d")
    weights = folder / "trainer_0/ae.pt"
    change_tensors(weights, **{"encoder.weight": torch.zeros(4096, 4096)})
    with zipfile.ZipFile(weights) as stored:
        members = {each.filename: stored.read(each) for each in stored.infolist()}
    with zipfile.ZipFile(weights, "w", compression=zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    monkeypatch.setattr(torch, "load", _never)

    assert "would unpack to" in refusal(folder)


def _never(*_: Any, **__: Any) -> Any:
    raise AssertionError("read before it was bounded")
