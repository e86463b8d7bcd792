"""Fetches a model from the Hugging Face hub: safetensors, configuration and tokenizer files of one named revision."""

import re
from pathlib import Path

from safetycase.errors import ModelError

# Weights in safetensors only: what is not fetched cannot be unpickled.
WANTED = ("*.safetensors", "*.json", "*.txt", "*.model", "*.tiktoken", "*.jinja", "*.bpe")
CODE = ("*.py",)
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
        folder = huggingface_hub.snapshot_download(hub_id, revision=revision, allow_patterns=[*WANTED, *(CODE if code else ())])
    except (errors.HfHubHTTPError, OSError, ValueError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        reason = next((text for kind, text in reasons if isinstance(error, kind)), first_line)
        raise ModelError(f"{hub_id}@{revision}: cannot be fetched: {reason}") from error
    return Path(folder)
