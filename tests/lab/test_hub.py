"""What is fetched from the hub is safetensors of a named revision, and each failure is one line."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import errors
from huggingface_hub.utils._paths import filter_repo_objects

from safetycase.errors import ModelError
from safetycase.lab.hub import dictionary_snapshot, is_hub_id, snapshot

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    ("source", "expected"),
    [("google/gemma-2b-it", True), ("./model", False), ("../a/b", False), ("model", False), ("a/b/c", False), ("~/m", False)],
)
def test_a_hub_id_is_organisation_and_name(source: str, expected: bool) -> None:
    """Paths are not mistaken for hub ids."""
    assert is_hub_id(source) is expected


def test_no_pickle_is_ever_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights as safetensors, at the revision named; code only where it is allowed."""
    asked: list[dict[str, Any]] = []

    def download(hub_id: str, **options: Any) -> str:
        asked.append({"hub_id": hub_id, **options})
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)

    assert snapshot("org/name", "abc123") == tmp_path
    snapshot("org/name", "main", code=True)
    assert (asked[0]["hub_id"], asked[0]["revision"]) == ("org/name", "abc123")
    assert "*.safetensors" in asked[0]["allow_patterns"]
    assert not {"*.bin", "*.pt", "*.pth", "*.py"} & set(asked[0]["allow_patterns"])
    assert "*.py" in asked[1]["allow_patterns"]


def test_a_revision_must_be_named() -> None:
    """What is assessed has to be said, be it `main`."""
    with pytest.raises(ModelError, match=r"needs `revision:` \(a commit, a tag, or main\)"):
        snapshot("org/name", None)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(errors.LocalEntryNotFoundError("a\nb"), "the hub cannot be reached", id="offline"),
        pytest.param(errors.HFValidationError("Repo id must be ...\nmore"), "Repo id must be", id="a malformed id"),
        pytest.param(OSError("disk full"), "disk full", id="a full disk"),
    ],
)
def test_a_failure_is_one_line(error: Exception, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The id, the revision and the reason."""

    def download(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)

    with pytest.raises(ModelError, match=f"org/name@main: cannot be fetched: .*{said}") as caught:
        snapshot("org/name", "main")
    assert "\n" not in str(caught.value)


REPOSITORY = (
    "README.md",
    "config.json",
    "config.yaml",
    "layer_0.safetensors",
    "layer_20/width_16k/average_l0_71/params.npz",
    "layer_20/width_16k/average_l0_140/params.npz",
    "res/trainer_0/ae.pt",
    "res/trainer_0/config.json",
    "res/trainer_0/optimizer.pt",
    "res/trainer_0/train.py",
)


@pytest.mark.parametrize(
    ("path", "fetched"),
    [
        pytest.param(None, {"config.json", "config.yaml", "layer_0.safetensors", *REPOSITORY[4:8]}, id="all of a small repository"),
        pytest.param("layer_20/width_16k/average_l0_71", {"config.json", "config.yaml", REPOSITORY[4]}, id="a folder"),
        pytest.param("res/trainer_0/ae.pt", {"config.json", "config.yaml", *REPOSITORY[6:8]}, id="a file, and what says how to read it"),
    ],
)
def test_of_a_repository_of_dictionaries_only_the_part_named_is_fetched(
    path: str | None, fetched: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No code and no pickle but the one file that is read as tensors alone; configurations above it come too."""
    asked: list[str] = []

    def download(hub_id: str, *, revision: str, allow_patterns: list[str]) -> str:
        asked.extend(allow_patterns)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    _hub_says(monkeypatch, 4e9)

    assert dictionary_snapshot("org/name", "abc123", path) == tmp_path
    assert set(filter_repo_objects(REPOSITORY, allow_patterns=asked)) == fetched


def test_a_disk_is_not_filled_without_being_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of dictionaries lie in one repository; the plan says which."""
    _hub_says(monkeypatch, 400e9)

    with pytest.raises(ModelError, match=r"org/name@main: holds 400 GB in 1 files, expected `path:` to name a part"):
        dictionary_snapshot("org/name", "main", None)


def test_a_dictionary_that_was_fetched_before_is_found_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size cannot be asked for, and need not be."""

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path))

    assert dictionary_snapshot("org/name", "main", None) == tmp_path


def _hub_says(monkeypatch: pytest.MonkeyPatch, size: float) -> None:
    info = SimpleNamespace(siblings=[SimpleNamespace(size=int(size))])
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: info)
