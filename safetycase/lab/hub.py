"""Fetches a model from the Hugging Face hub: safetensors, configuration and tokenizer files of one named revision."""

import re
from collections.abc import Sequence
from glob import escape
from pathlib import Path, PurePosixPath

from safetycase.errors import ModelError

# Weights in safetensors only: what is not fetched cannot be unpickled.
WANTED = ("*.safetensors", "*.json", "*.txt", "*.model", "*.tiktoken", "*.jinja", "*.bpe")
CODE = ("*.py",)

# What the published formats of dictionaries consist of; `ae.pt` is read as tensors alone.
OF_DICTIONARIES = ("*.safetensors", "*.json", "*.npz", "config.yaml", "*/config.yaml", "ae.pt", "*/ae.pt")
BESIDE_DICTIONARIES = ("cfg.json", "config.json", "config.yaml")
LARGEST_WHOLE = 100e9
"""Bytes of a repository of dictionaries that are fetched without being asked for by path: such repositories hold hundreds of them."""
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def is_hub_id(source: str) -> bool:
    """Whether a source reads `organisation/name`."""
    return HUB_ID.fullmatch(source) is not None


def snapshot(hub_id: str, revision: str | None, *, code: bool = False) -> Path:
    """The folder of a model's files at one revision, downloaded or from the hub's own cache.

    `code` fetches the modules of models that bring their own. A revision must be named, be it `main`: what is assessed
    has to be said.

    Raises ModelError, one line, where the revision is not named, the repository or revision does not exist, access is
    refused, or the network is away.
    """
    return _download(hub_id, revision, [*WANTED, *(CODE if code else ())])


def dictionary_snapshot(hub_id: str, revision: str | None, path: str | None) -> Path:
    """The folder of a repository of sparse dictionaries at one revision, with the folder or file at `path` in it, or all it holds.

    Raises ModelError, one line, as `snapshot` does, and where a repository of more than `LARGEST_WHOLE` bytes is asked for whole.
    """
    if path is None:
        _check_size(hub_id, revision)
        return _download(hub_id, revision, OF_DICTIONARIES)
    named = PurePosixPath(path)
    above = [str(folder / name) for folder in named.parents for name in BESIDE_DICTIONARIES]
    return _download(hub_id, revision, [escape(path), *(f"{escape(path)}/{pattern}" for pattern in OF_DICTIONARIES), *map(escape, above)])


def _check_size(hub_id: str, revision: str | None) -> None:
    """Refuse to fill a disk; where the hub does not answer, `_download` says so or finds everything in the local cache."""
    import huggingface_hub
    from huggingface_hub import errors

    # The base classes are the transport's own errors: of requests or of httpx, by the version of the hub client.
    transport: tuple[type[Exception], ...] = (*errors.HfHubHTTPError.__bases__, OSError, ValueError)
    try:
        files = huggingface_hub.HfApi().model_info(hub_id, revision=revision, files_metadata=True, timeout=30).siblings or ()
    except transport:
        return
    total = sum(file.size or 0 for file in files)
    if total > LARGEST_WHOLE:
        raise ModelError(f"{hub_id}@{revision}: holds {total / 1e9:.0f} GB in {len(files)} files, expected `path:` to name a part of it")


def _download(hub_id: str, revision: str | None, patterns: Sequence[str]) -> Path:
    if revision is None:
        raise ModelError(f"{hub_id}: a hub model needs `revision:` (a commit, a tag, or main), found none")
    import huggingface_hub
    from huggingface_hub import errors

    reasons: list[tuple[type[Exception], str]] = [
        (errors.GatedRepoError, "access is gated: accept its licence on the hub and log in there"),
        (errors.RevisionNotFoundError, f"the revision {revision!r} does not exist"),
        (errors.RepositoryNotFoundError, "no such model on the hub, or it is private"),
        (errors.LocalEntryNotFoundError, "it is not in the local cache and the hub cannot be reached"),
    ]
    try:
        folder = huggingface_hub.snapshot_download(hub_id, revision=revision, allow_patterns=list(patterns))
    except (errors.HfHubHTTPError, OSError, ValueError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        reason = next((text for kind, text in reasons if isinstance(error, kind)), first_line)
        raise ModelError(f"{hub_id}@{revision}: cannot be fetched: {reason}") from error
    return Path(folder)
