"""What a build keeps in the case besides evidence: the register of findings, and copies of the files that people keep beside the plan."""

from pathlib import Path

from safetycase.case import attestations as attesting
from safetycase.case import register as registering
from safetycase.case.changes import Changes, changes
from safetycase.case.judging import Judged
from safetycase.errors import SourceError
from safetycase.evidence.store import Store
from safetycase.plan.plan import Plan
from safetycase.plan.versions import previous, snapshot
from safetycase.sources.located_yaml import load_yaml


def keep(plan: Plan, store: Store, judged: Judged) -> tuple[str, ...]:
    """Write findings that verdicts opened into the register and copy attestations into the case; ids of the new findings.

    Raises SourceError where the register cannot be added to as it stands.
    """
    copies = dict(judged.paperwork.files)
    if plan.base.resolve() != store.root.resolve():
        _copy(store, attesting.FILE, copies.get(attesting.FILE))
        for name, data in judged.paperwork.pattern_files:
            _copy(store, name, data)
    for name, data in judged.register_file().items():
        _write_register(store.root / name, data, store)
    return tuple(each.finding.id for each in judged.case.findings_register if each.new)


def changes_since_last(store: Store, judged: Judged) -> Changes | None:
    """What differs from the newest sealed version; None where there is none."""
    last = previous(store)
    return changes(last, snapshot(judged, store)) if last is not None else None


def _copy(store: Store, name: str, data: bytes | None) -> None:
    """The file as it is beside the plan; none where it is not there any more."""
    if data is not None:
        store.write_bytes(name, data)
    else:
        (store.root / name).unlink(missing_ok=True)


def _write_register(path: Path, data: bytes, store: Store) -> None:
    before = path.read_bytes() if path.exists() else None
    store.write_bytes(path.name, data)
    try:
        registering.load_register(path)
        load_yaml(path, SourceError)
    except SourceError as problem:
        if before is None:
            path.unlink()
        else:
            store.write_bytes(path.name, before)
        raise SourceError(
            f"{path}: cannot be added to as it is written; expected `findings:` as a block list at the end of the file ({problem})"
        ) from problem
