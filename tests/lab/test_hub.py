"""What is fetched from the hub is safetensors of a named revision, and each failure is one line."""

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import errors

from safetycase.errors import ModelError
from safetycase.lab.hub import is_hub_id, snapshot

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
