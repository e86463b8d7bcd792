"""The case directory: content-addressed shards, deterministic records, an append-only log; nothing half-written is ever seen."""

import contextlib
import datetime
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from pydantic import ValidationError

from safetycase.errors import StoreError
from safetycase.evidence import kinds
from safetycase.evidence.record import Findings, Observation, Record, TableRef, digest_of
from safetycase.evidence.tables import Table, Tables, TableSpec, decode_rows, decode_tensors

R = TypeVar("R", bound=Record)
SUFFIX = {"parquet": ".parquet", "jsonl": ".jsonl", "safetensors": ".safetensors"}


class Store:
    """One case directory. Writing is atomic; reading checks every digest."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    # Shards

    def put_shard(self, data: bytes, spec: TableSpec) -> str:
        """Store the bytes of a shard under their digest; the same bytes twice are one file."""
        sha = hashlib.sha256(data).hexdigest()
        path = self.shard_path(sha, spec.format, spec.restricted)
        if not path.exists():
            self._write(path, data, private=spec.restricted)
        return sha

    def get_shard(self, sha: str, spec: TableSpec) -> bytes:
        """The bytes of a shard; raises StoreError when the file is missing or its bytes are others."""
        return _checked(self.shard_path(sha, spec.format, spec.restricted), sha)

    def shard_path(self, sha: str, form: str, restricted: bool) -> Path:
        """Where a shard lies."""
        return self.root / ("restricted" if restricted else "tables") / f"{sha}{SUFFIX[form]}"

    # Observations

    def put_observation(self, observation: Observation) -> Path:
        """Store an observation under the key of its question."""
        path = self._observation_path(observation.question.kind, observation.question.key)
        return self._write(path, canonical(observation))

    def observation(self, kind: str, key: str) -> Observation | None:
        """The answer to a question, if it has one."""
        path = self._observation_path(kind, key)
        return _load(Observation, path) if path.exists() else None

    def observation_digest(self, observation: Observation) -> str:
        """Digest of the bytes of a stored observation."""
        return hashlib.sha256(canonical(observation)).hexdigest()

    def observations(self) -> Iterator[Observation]:
        """Every observation of the case, by file name."""
        for path in sorted((self.root / "observations").glob("*.json")):
            yield _load(Observation, path)

    def tables(self, observation: Observation) -> Tables:
        """All tables of an observation, checked and decoded, with what a person labelled since."""
        specs = {spec.name: spec for spec in kinds.load(observation.question.kind).TABLES}
        absent = dict(observation.absent)
        rows: dict[str, Table] = {}
        tensors: dict[str, Any] = {}
        for ref in (*observation.tables, *self.annotations(observation.question.kind, observation.question.key)):
            spec = specs.get(ref.name)
            if spec is None:
                raise StoreError(f"{self.root}: observation {observation.question.key[:12]} has an unknown table {ref.name!r}")
            if spec.restricted and spec.optional and not self._all_there(ref):
                absent[ref.name] = "restricted, and not in this copy of the case"
                continue
            shards = [self.get_shard(shard.sha256, spec) for shard in ref.shards]
            if spec.format == "safetensors":
                tensors[ref.name] = decode_tensors(shards)
            else:
                rows[ref.name] = decode_rows(spec, shards)
        return Tables(observation.question.key, observation.question.seed, rows, tensors, absent, observation.imported)

    # Annotations: tables that people add to an observation later, such as labels

    def annotate(self, kind: str, key: str, refs: Sequence[TableRef]) -> Path:
        """Add tables made by people to an observation; those of the same name are replaced."""
        kept = [ref for ref in self.annotations(kind, key) if ref.name not in {new.name for new in refs}]
        return self._write(self._annotation_path(kind, key), canonical(Annotations(tables=(*kept, *refs))))

    def annotations(self, kind: str, key: str) -> tuple[TableRef, ...]:
        """Tables that people added to an observation."""
        path = self._annotation_path(kind, key)
        return _load(Annotations, path).tables if path.exists() else ()

    # Findings

    def put_findings(self, found: Findings) -> tuple[Path, str]:
        """Store findings beside how they were read; returns the path and the digest of the bytes."""
        data = canonical(found)
        return self._write(self.findings_path(found), data), hashlib.sha256(data).hexdigest()

    def findings_path(self, found: Findings) -> Path:
        """`findings/<kind>-<key>-<derive>.json`, where `derive` stands for version, read params and annotations."""
        labels = [ref.model_dump(mode="json") for ref in self.annotations(found.kind, found.question)]
        derive = digest_of([found.derive_version, found.read, labels])[:16]
        return self.root / "findings" / f"{found.kind}-{found.question}-{derive}.json"

    # Log

    def log(self, key: str, event: str, **fields: Any) -> None:
        """Append one line to the log of a question."""
        line = json.dumps({"event": event, "at": now(), **fields}, sort_keys=True, ensure_ascii=False, allow_nan=False)
        path = self.root / "runs" / f"{key}.jsonl"
        with self.writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
            with path.open("a", encoding="utf-8") as file:
                file.write(("\n" if torn else "") + line + "\n")
                file.flush()
                os.fsync(file.fileno())

    def events(self, key: str) -> list[dict[str, Any]]:
        """The log of a question, oldest first; a line torn by a crash is left out."""
        path = self.root / "runs" / f"{key}.jsonl"
        return _json_lines(path) if path.exists() else []

    def logged(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Every log of the case by its key."""
        for path in sorted((self.root / "runs").glob("*.jsonl")):
            yield path.stem, _json_lines(path)

    # Records of the case as a whole

    def write_json(self, name: str, value: Any) -> Path:
        """A small file of the case that is not evidence, such as what the last run resolved."""
        return self._write(self.root / name, (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())

    def read_json(self, name: str) -> Any:
        """That file again; None where there is none."""
        path = self.root / name
        if not path.exists():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as damaged:
            raise StoreError(f"{path}: damaged: {damaged}") from damaged

    def write_bytes(self, name: str, data: bytes) -> Path:
        """A file of the case, written whole or not at all."""
        return self._write(self.root / name, data)

    # Locks

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a question, or the sealing of the case, against other processes; raises StoreError when it is held."""
        path = self.root / "locks" / f"{name}.lock"
        with self.writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout as held:
            raise StoreError(f"{path}: held by another process; wait for it or use another --out") from held
        try:
            yield
        finally:
            lock.release()

    def _observation_path(self, kind: str, key: str) -> Path:
        return self.root / "observations" / f"{kind}-{key}.json"

    def _annotation_path(self, kind: str, key: str) -> Path:
        return self.root / "annotations" / f"{kind}-{key}.json"

    def _all_there(self, ref: TableRef) -> bool:
        return all(self.shard_path(shard.sha256, ref.format, ref.restricted).exists() for shard in ref.shards)

    def _write(self, path: Path, data: bytes, *, private: bool = False) -> Path:
        """Write aside, flush to the disk, then take the name: a reader sees the old file or the new one."""
        with self.writing(path):
            self._prepare(path.parent, private)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.chmod(name, 0o600 if private else 0o644)
                os.replace(name, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(name)
                raise
        return path

    def _prepare(self, folder: Path, private: bool) -> None:
        """Make a folder; the restricted one is for the owner alone and ignored by git."""
        folder.mkdir(parents=True, exist_ok=True)
        if private:
            folder.chmod(0o700)
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")

    @contextlib.contextmanager
    def writing(self, path: Path) -> Iterator[None]:
        """Translate what the disk says into one StoreError line."""
        try:
            yield
        except OSError as problem:
            if problem.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreError(f"{path}: the disk is full; what was finished is kept, free some space and run again") from problem
            raise StoreError(f"{path}: cannot be written: {problem.strerror or problem}") from problem


class Annotations(Record):
    """Tables that people added to an observation."""

    tables: tuple[TableRef, ...]


def canonical(record: Record) -> bytes:
    """The bytes of a record on disk: sorted keys, two spaces, a final newline."""
    return (json.dumps(record.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def now() -> str:
    """This moment, UTC, ISO 8601 with seconds."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _load(model: type[R], path: Path) -> R:
    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as invalid:
        problem = invalid.errors()[0]
        place = ".".join(map(str, problem["loc"])) or "file"
        raise StoreError(f"{path}: {place}: {problem['msg']}; damaged, or written by another version") from invalid
    except OSError as problem:
        raise StoreError(f"{path}: cannot be read: {problem.strerror}") from problem


def _checked(path: Path, sha: str) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError as missing:
        raise StoreError(f"{path}: missing; the case is incomplete") from missing
    except OSError as problem:
        raise StoreError(f"{path}: cannot be read: {problem.strerror}") from problem
    found = hashlib.sha256(data).hexdigest()
    if found != sha:
        raise StoreError(f"{path}: damaged: its bytes have the digest {found[:12]}…, expected {sha[:12]}…")
    return data


def _json_lines(path: Path) -> list[dict[str, Any]]:
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict) and "event" in entry and "at" in entry:
                found.append(entry)
    return found
