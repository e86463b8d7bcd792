"""A digest names exactly these bytes, is quick the second time, and never stale."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from safetycase.sources.digests import file_digest, model_digest, weights_digest
from safetycase.sources.model_files import ModelFiles


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for every test; the file that it writes."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "safetycase" / "digests.json"


def test_a_file_digest_is_its_sha256(tmp_path: Path) -> None:
    """The same as `sha256sum` prints, through symbolic links too."""
    path = written(tmp_path / "a", b"weights")
    (tmp_path / "link").symlink_to(path)

    assert file_digest(path) == hashlib.sha256(b"weights").hexdigest()
    assert file_digest(tmp_path / "link") == file_digest(path)


def test_a_file_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same path, size and modification time: the answer comes from the cache."""
    path = written(tmp_path / "a", b"weights")
    first = file_digest(path)

    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("the file was read again"))

    assert file_digest(path) == first


def test_a_changed_file_is_hashed_again(tmp_path: Path, cache: Path) -> None:
    """Another modification time or another size is another file; the old entry is dropped."""
    path = written(tmp_path / "a", b"weights")
    first = file_digest(path)
    written(path, b"weightz")
    os.utime(path, ns=(1, 1))

    assert file_digest(path) == hashlib.sha256(b"weightz").hexdigest() != first
    assert len(json.loads(cache.read_text())) == 1


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"x": 3}', b"\xff\xfe"])
def test_a_damaged_cache_is_forgotten(tmp_path: Path, cache: Path, damage: bytes) -> None:
    """The cache saves time and decides nothing."""
    path = written(tmp_path / "a", b"weights")
    cache.parent.mkdir(parents=True)
    cache.write_bytes(damage)

    assert file_digest(path) == hashlib.sha256(b"weights").hexdigest()
    assert list(json.loads(cache.read_text()).values()) == [file_digest(path)]


def test_a_cache_that_cannot_be_written_does_not_matter(tmp_path: Path, cache: Path) -> None:
    """A file where the folder should be, as on a full or read-only disk."""
    cache.parent.parent.mkdir()
    cache.parent.write_text("in the way")

    assert file_digest(written(tmp_path / "a", b"weights")) == hashlib.sha256(b"weights").hexdigest()


def test_a_failed_write_leaves_no_scrap(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache is replaced whole or not at all."""

    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)

    assert file_digest(written(tmp_path / "a", b"weights")) == hashlib.sha256(b"weights").hexdigest()
    assert list(cache.parent.iterdir()) == []


def test_a_model_digest_is_that_of_its_sorted_lines(tmp_path: Path) -> None:
    """`<name> <sha256>` per file, sorted: a person can recompute it with sha256sum."""
    files = model(tmp_path)
    names = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json")
    lines = "".join(f"{name} {hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}\n" for name in names)

    assert model_digest(files) == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"])
def test_any_changed_byte_changes_the_model_digest(tmp_path: Path, name: str) -> None:
    """Weights, tokenizer, config and generation settings; the weights' own digest only with the weights."""
    files = model(tmp_path)
    before = model_digest(files), weights_digest(files)

    written(tmp_path / name, (tmp_path / name).read_bytes() + b" ")

    assert model_digest(files) != before[0]
    assert (weights_digest(files) != before[1]) == (name == "model.safetensors")


def test_a_model_may_be_moved(tmp_path: Path) -> None:
    """The digest is of names and contents, not of where the folder lies."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()

    assert model_digest(model(one)) == model_digest(model(other))


def model(folder: Path) -> ModelFiles:
    return ModelFiles(
        folder=folder,
        weights=(written(folder / "model.safetensors", b"w"),),
        config=written(folder / "config.json", b"c"),
        tokenizer=(written(folder / "tokenizer.json", b"t"),),
        others=(written(folder / "generation_config.json", b"g"),),
    )


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
