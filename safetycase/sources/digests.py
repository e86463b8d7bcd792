"""SHA-256 of files and of models, with a cache, since weights are large and rarely change."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from safetycase.sources.model_files import ModelFiles

CACHE_NAME = "digests.json"


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hex.

    Remembered by resolved path, size and modification time in the user's cache folder; a cache that cannot be read or
    written costs time, never the answer.
    """
    resolved = path.resolve()
    before = resolved.stat()
    key = f"{resolved}|{before.st_size}|{before.st_mtime_ns}"
    known = _read_cache().get(key)
    if known is not None:
        return known
    with resolved.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    after = resolved.stat()
    if (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns):
        _remember(key, digest)
    return digest


def model_digest(files: ModelFiles) -> str:
    """SHA-256 over the lines `<name> <sha256>` of weights, tokenizer, config and what else decides the behaviour.

    Lines are sorted by name and end in a newline. Shards enter by name: the same tensors in another layout are another
    digest, as they are other files.
    """
    return _digest_of((*files.weights, *files.tokenizer, files.config, *files.others), files.folder)


def weights_digest(files: ModelFiles) -> str:
    """SHA-256 over the lines `<name> <sha256>` of the weights alone, sorted by name."""
    return _digest_of(files.weights, files.folder)


def _digest_of(paths: Iterable[Path], folder: Path) -> str:
    lines = sorted(f"{path.relative_to(folder).as_posix()} {file_digest(path)}\n" for path in paths)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _cache_file() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "safetycase" / CACHE_NAME


def _read_cache() -> dict[str, str]:
    """What is remembered; damage is forgotten."""
    try:
        content = json.loads(_cache_file().read_bytes())
    except (OSError, ValueError, RuntimeError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {key: value for key, value in content.items() if isinstance(value, str) and len(value) == 64}


def _remember(key: str, digest: str) -> None:
    """Adds one digest, replacing the file whole; of two writers at once, one may have to hash again some day."""
    with suppress(OSError, RuntimeError):  # a read-only or full home must not stop a run
        target = _cache_file()
        target.parent.mkdir(parents=True, exist_ok=True)
        stale = f"{key.split('|')[0]}|"
        kept = {k: v for k, v in _read_cache().items() if not k.startswith(stale)}
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=CACHE_NAME)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({**kept, key: digest}, file, indent=0, sort_keys=True)
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
