"""Seals a version: documents, plan, judged case and findings in a folder that never changes, with sums that coreutils can check."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetycase.errors import StoreError
from safetycase.evidence.record import Observation, digest_of
from safetycase.evidence.store import SUFFIX, Store

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
TABLE_SUMS = "SHA256SUMS-tables"
"""Of the tables, by their place in the case directory; those of a redacted copy may be missing."""

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A version of a case."""

    version: str
    folder: Path
    new: bool
    """False where the content was sealed before and nothing was written."""


def seal(store: Store, bound: Files, observations: Iterable[Observation], rendering: str, render: Callable[[str], Files]) -> Sealed:
    """Seal what is bound together (file name to bytes) with the documents that `render` makes for a version.

    `rendering` is the digest of what the documents are made with. Content that was sealed before is left as it is; other content takes the
    next version: a new minor one where findings or observations changed, else a new patch. Raises StoreError.
    """
    content = digest_of({"files": {name: _sha(data) for name, data in bound.items()}, "rendering": rendering})
    with store.lock("seal"):
        last = latest(store)
        if last is not None and _manifest(last.folder)["content"] == content:
            return last
        version = _next(last, bound)
        files = {**bound, **render(version)}
        files[TABLE_SUMS] = _table_sums(store, observations)
        sums = {name: _sha(files[name]) for name in sorted(files)}
        manifest = {"schema_version": 1, "version": version, "content": content, "files": sums}
        files[MANIFEST] = (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()
        files[SUMS] = "".join(f"{_sha(files[name])}  {name}\n" for name in sorted(files)).encode()
        return Sealed(version, _write(store, version, files), new=True)


def latest(store: Store) -> Sealed | None:
    """The newest sealed version; None where there is none."""
    found = [path for path in (store.root / "versions").glob("*") if re.fullmatch(r"\d+\.\d+\.\d+", path.name) and (path / SUMS).exists()]
    newest = max(found, key=lambda path: _numbers(path.name), default=None)
    return Sealed(newest.name, newest, new=False) if newest else None


def _next(last: Sealed | None, bound: Files) -> str:
    if last is None:
        return "1.0.0"
    major, minor, patch = _numbers(last.version)
    before = {name: sha for name, sha in _manifest(last.folder)["files"].items() if name.startswith(("findings/", "observations/"))}
    after = {name: _sha(data) for name, data in bound.items() if name.startswith(("findings/", "observations/"))}
    return f"{major}.{minor + 1}.0" if before != after else f"{major}.{minor}.{patch + 1}"


def _write(store: Store, version: str, files: Files) -> Path:
    """Write aside, sums last, then take the name of the version in one step."""
    parent, final = store.root / "versions", store.root / "versions" / version
    with store.writing(final):
        parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=parent, prefix=".sealing-"))
        try:
            aside.chmod(0o755)
            for name, data in sorted(files.items(), key=lambda each: each[0] == SUMS):
                path = aside / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                if name.startswith("restricted/"):
                    path.parent.chmod(0o700)
                    path.chmod(0o600)
            os.rename(aside, final)
        except BaseException:
            with contextlib.suppress(OSError):
                shutil.rmtree(aside)
            raise
    return final


def _table_sums(store: Store, observations: Iterable[Observation]) -> bytes:
    lines = set()
    for observation in observations:
        for ref in (*observation.tables, *store.annotations(observation.question.kind, observation.question.key)):
            folder = "restricted" if ref.restricted else "tables"
            lines |= {f"{shard.sha256}  ../../{folder}/{shard.sha256}{SUFFIX[ref.format]}\n" for shard in ref.shards}
    return "".join(sorted(lines)).encode()


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest["content"], manifest["files"]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise StoreError(f"{folder / MANIFEST}: missing or damaged; expected the manifest of a sealed version") from problem
    return manifest


def _numbers(version: str) -> tuple[int, int, int]:
    major, minor, patch = version.split(".")
    return int(major), int(minor), int(patch)


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
