"""Versions of a case read back, sealed ones and the present one, so that they can be compared."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from safetycase.case.changes import Snapshot
from safetycase.case.judged import JudgedCase, JudgedStep
from safetycase.case.judging import Judged
from safetycase.errors import PlanError, StoreError
from safetycase.evidence import kinds
from safetycase.evidence.kinds import ByItem
from safetycase.evidence.record import Findings, Observation, Record
from safetycase.evidence.seal import MANIFEST, latest
from safetycase.evidence.store import Store
from safetycase.plan.reading import judge_plan, open_case

CASE = "case.json"
VERSIONS = "versions"

R = TypeVar("R", bound=Record)


def read_snapshot(path: Path) -> Snapshot:
    """The version in a sealed folder, the newest one of a case directory, or a plan as it is judged now.

    Raises StoreError for a folder that is none of these or is damaged, PlanError for a plan that cannot be read.
    """
    if not path.is_dir():
        if not path.exists():
            raise StoreError(f"{path}: no such file or folder; expected a sealed version, a case directory or a plan")
        return judged_now(path)
    if (path / CASE).exists() or (path / MANIFEST).exists():
        return _sealed(path)
    newest = previous(Store(path))
    if newest is not None:
        return newest
    if (path / VERSIONS).is_dir() or (path / "plan.yaml").exists():
        raise StoreError(f"{path}: no sealed version; `safetycase build` seals one, and a plan is judged as it stands")
    raise StoreError(f"{path}: found neither {CASE} nor {VERSIONS}/; expected a sealed version, a case directory or a plan")


def previous(store: Store) -> Snapshot | None:
    """The newest sealed version of a case; None where there is none. Raises StoreError where it is damaged."""
    newest = latest(store)
    return _sealed(newest.folder) if newest is not None else None


def judged_now(path: Path) -> Snapshot:
    """A plan with what its case holds, judged as `render` does; raises PlanError or StoreError."""
    plan, store = open_case(path, None)
    return snapshot(judge_plan(plan, store), store)


def snapshot(judged: Judged, store: Store) -> Snapshot:
    """A judged case as something to compare with."""

    def by_item(step: str) -> ByItem:
        return _by_item(store, judged.observations.get(step), judged.findings[step])

    return Snapshot(judged.case, judged.findings, by_item=by_item)


def _sealed(folder: Path) -> Snapshot:
    manifest = _manifest(folder)
    data = _read(folder / CASE)
    if hashlib.sha256(data).hexdigest() != manifest["files"].get(CASE):
        raise StoreError(f"{folder / CASE}: damaged: its bytes are not those of {MANIFEST}")
    case = _parse(JudgedCase, folder / CASE, data)
    by_digest = {hashlib.sha256(each).hexdigest(): (path, each) for path, each in _files(folder)}
    findings = {step.id: _findings(folder, step, by_digest) for step in case.steps if step.findings_sha256}
    steps = {step.id: step for step in case.steps}

    def by_item(step: str) -> ByItem:
        path, seen = by_digest.get(steps[step].observation_sha256 or "", (folder, b""))
        observation = _parse(Observation, path, seen) if seen else None
        # A version lies in the `versions` of its case, whose tables it shares; handed over alone, it has none.
        return _by_item(Store(folder.resolve().parents[1]), observation, findings[step])

    return Snapshot(case, findings, manifest["version"], by_item)


def _files(folder: Path) -> list[tuple[Path, bytes]]:
    paths = sorted([*(folder / "findings").glob("*.json"), *(folder / "observations").glob("*.json")])
    return [(path, _read(path)) for path in paths]


def _findings(folder: Path, step: JudgedStep, by_digest: Mapping[str, tuple[Path, bytes]]) -> Findings:
    assert step.findings_sha256 is not None, step.id
    if step.findings_sha256 not in by_digest:
        digest = step.findings_sha256[:12]
        raise StoreError(f"{folder / 'findings'}: damaged: no file has the digest {digest}… of the findings of step {step.id!r}")
    path, data = by_digest[step.findings_sha256]
    try:
        record = kinds.load(step.kind).Found
    except PlanError as unknown:
        raise StoreError(f"{path}: {unknown}") from unknown
    return _parse(record, path, data)


def _by_item(store: Store, observation: Observation | None, found: Findings) -> ByItem:
    """What prompts contribute to estimates, where the tables are here and can be read as the findings were; else nothing."""
    if observation is None or not _has_tables(store, observation):
        return {}
    kind = kinds.load(found.kind)
    try:
        read = kind.Read.model_validate(found.read)
    except ValidationError:  # Read by a version of the tool whose params this one does not know.
        return {}
    return kind.by_item(store.tables(observation), read)


def _has_tables(store: Store, observation: Observation) -> bool:
    """Whether everything is in this copy of the case but what may be held back: optional restricted tables."""
    held_back = {spec.name for spec in kinds.load(observation.question.kind).TABLES if spec.restricted and spec.optional}
    needed = (ref for ref in observation.tables if ref.name not in held_back)
    return all(store.shard_path(shard.sha256, ref.format, ref.restricted).exists() for ref in needed for shard in ref.shards)


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(_read(path))
        if isinstance(manifest["files"], dict) and re.fullmatch(r"\d+\.\d+\.\d+", manifest["version"]):
            return manifest
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise StoreError(f"{path}: damaged; expected the manifest of a sealed version")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise StoreError(f"{path}: cannot be read: {problem.strerror}; expected a file of a sealed version") from problem


def _parse(model: type[R], path: Path, data: bytes) -> R:
    try:
        return model.model_validate_json(data)
    except ValidationError as invalid:
        problem = invalid.errors()[0]
        place = ".".join(map(str, problem["loc"])) or "file"
        raise StoreError(f"{path}: {place}: {problem['msg']}; damaged, or written by another version of the tool") from invalid
