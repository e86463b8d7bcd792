"""What a build keeps in the case besides evidence: the register of findings, and copies of the files that people keep beside the plan."""

from safetycase.case import attestations as attesting
from safetycase.case import register as registering
from safetycase.case.changes import Changes, changes
from safetycase.case.judging import Judged
from safetycase.errors import SourceError
from safetycase.evidence.seal import latest
from safetycase.evidence.store import Store
from safetycase.plan.plan import Plan
from safetycase.plan.versions import previous, snapshot


def keep(plan: Plan, store: Store, judged: Judged) -> tuple[str, ...]:
    """Write findings that verdicts opened into the register and copy what people keep beside the plan; ids of the new findings.

    Raises SourceError where the register cannot be added to as it stands, or attestations were edited both beside the plan and in the case.
    """
    if plan.base.resolve() != store.root.resolve():
        attested = dict(judged.paperwork.files).get(attesting.FILE)
        if attested is not None:
            _copy_attested(store, attested)
        for name, data in judged.paperwork.pattern_files:
            store.write_bytes(name, data)
    with store.lock("register"):
        return _register(store, judged)


def changes_since_last(store: Store, judged: Judged) -> Changes | None:
    """What differs from the newest sealed version; None where there is none."""
    last = previous(store)
    return changes(last, snapshot(judged, store)) if last is not None else None


def _copy_attested(store: Store, data: bytes) -> None:
    """The file as it is beside the plan, unless somebody wrote into the copy since."""
    copy = store.root / attesting.FILE
    before = copy.read_bytes() if copy.exists() else data
    newest = latest(store)
    sealed = newest.folder / attesting.FILE if newest else copy
    if before != data and not (sealed.exists() and sealed.read_bytes() == before):
        raise SourceError(f"{copy}: edited here and beside the plan; expected the two to agree before a build copies one over the other")
    store.write_bytes(attesting.FILE, data)


def _register(store: Store, judged: Judged) -> tuple[str, ...]:
    """Add to the file as it is now: somebody may have written into it since the case was judged."""
    path = store.root / registering.FILE
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    opened = judged.opened(registering.load_register(path))
    if not opened:
        return ()
    store.write_bytes(registering.FILE, registering.appended(text, opened).encode())
    try:
        registering.load_register(path)
    except SourceError as problem:
        if text:
            store.write_bytes(registering.FILE, text.encode())
        else:
            path.unlink()
        wanted = "expected `findings:` as a block list at the end of the file"
        raise SourceError(f"{path}: cannot be added to; {wanted} ({problem})") from problem
    return tuple(each.id for each in opened)
