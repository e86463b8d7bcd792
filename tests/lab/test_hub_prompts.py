"""Data sets on the hub become tables: the right file is chosen, shards are joined, failures are one line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from safetycase.errors import SourceError
from safetycase.lab import hub_prompts
from safetycase.lab.hub_prompts import fetch_hub_files, read_hub_table

pytestmark = pytest.mark.lab

FILES = {
    "README.md": "",
    "dataset_infos.json": "{}",
    "data/harmful-behaviors.csv": "Goal,Category\nharm one,a\n",
    "data/benign-behaviors.csv": "Goal,Category\nkind one,a\nkind two,b\n",
    "main/train-00000-of-00002.jsonl": '{"text": "first"}\n',
    "main/train-00001-of-00002.jsonl": '{"text": "second"}\n',
}


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub with one data set, `org/set`, in a folder."""
    _write(tmp_path, FILES)

    def listed(self: object, repo: str, *, repo_type: str, revision: str) -> list[str]:
        if (repo, repo_type, revision) != ("org/set", "dataset", "main"):
            raise OSError(f"404 for {repo} at {revision}\nmore lines")
        return list(FILES)

    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", listed)
    monkeypatch.setattr(hub_prompts, "hf_hub_download", lambda repo, path, **keywords: _path(tmp_path, path, keywords))


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")


def _path(folder: Path, path: str, keywords: Mapping[str, Any]) -> str:
    assert keywords == {"repo_type": "dataset", "revision": "main"}
    return str(folder / path)


@pytest.mark.parametrize(
    ("source", "count"),
    [
        pytest.param("hub:org/set:harmful", 1, id="part of a file name"),
        pytest.param("hub:org/set@main:data:benign", 2, id="folder and split, at a revision"),
        pytest.param("hub:org/set:main:train", 2, id="shards of a config"),
    ],
)
def test_names_choose_the_file(source: str, count: int) -> None:
    """Config and split answer to folders and to parts of file names; shards are one table."""
    table = read_hub_table(source)

    assert [row.number for row in table.rows] == list(range(1, count + 1))
    assert table.origin == source


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param("hub:set", "expected hub:<org>/<name>", id="no organisation"),
        pytest.param("hub:org/set", "expected one; name the config or split", id="ambiguous"),
        pytest.param("hub:org/set:harmfull", "did you mean 'harmful'", id="misspelt split"),
        pytest.param("hub:org/other:train", "cannot list the data set at revision main: 404 for org/other", id="no such set"),
        pytest.param("hub:org/set@v2:train", "at revision v2", id="no such revision"),
    ],
)
def test_failure_is_one_line_with_the_source(source: str, message: str) -> None:
    """What the hub answers reaches the user as a line that names the source."""
    with pytest.raises(SourceError, match=message) as caught:
        read_hub_table(source)

    assert str(caught.value).startswith(source)
    assert "\n" not in str(caught.value)


def test_files_of_a_data_set_can_be_had_unread() -> None:
    """A corpus streams them: in the order of their shards."""
    assert [path.name for path in fetch_hub_files("hub:org/set:main:train")] == ["train-00000-of-00002.jsonl", "train-00001-of-00002.jsonl"]
