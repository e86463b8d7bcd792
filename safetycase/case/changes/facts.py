"""Every other fact of a case that differs: plan, models, prompt sets, params, tool, environment, packs, warnings, people."""

from collections.abc import Iterator, Mapping
from typing import Any

from safetycase.case.changes.records import FactChange, Snapshot

APART = ("schema_version", "judgements", "attempts")
"""Parts of a case that are compared elsewhere."""
OF_THE_MOMENT = ("started", "plan_digest", "plan_path")
"""Circumstances that are another in every run, or stand elsewhere."""
OF_VERDICTS = "judged_findings_sha256"
"""Findings at the level of verdicts: the same findings as the shown ones, at a level that is itself a fact."""
IDENTITIES: tuple[tuple[str, ...], ...] = (("id",), ("name",), ("claim",), ("finding", "id"))
"""Where in the records of a list their name may stand; the first that tells them apart."""


def fact_changes(old: Snapshot, new: Snapshot) -> tuple[FactChange, ...]:
    """Facts that differ, in the order of the case and then by name."""
    was, now = _facts(old), _facts(new)
    found = [change for area in dict.fromkeys((*now, *was)) for change in _compare((area,), was.get(area), now.get(area))]
    lost = _no_longer_listed(old, new)
    return (*found, FactChange(path=("attempts", "no longer listed"), was=lost, now=0)) if lost else tuple(found)


def _facts(snapshot: Snapshot) -> dict[str, Any]:
    facts = {name: value for name, value in snapshot.case.model_dump(mode="json").items() if name not in APART}
    facts["steps"] = [_step(step, snapshot) for step in facts["steps"]]
    return facts


def _step(step: dict[str, Any], snapshot: Snapshot) -> dict[str, Any]:
    """A step with its seed and how it was read, without what is of the moment."""
    circumstances = {name: value for name, value in (step["circumstances"] or {}).items() if name not in OF_THE_MOMENT}
    seed = next((each.seed for each in snapshot.case.attempts if each.question == step["question"]), None)
    found = snapshot.findings.get(step["id"])
    read = {"read": found.read, "derive_version": found.derive_version, "limitations": list(found.limitations)} if found else {}
    kept = {name: value for name, value in step.items() if name != OF_VERDICTS}
    return {**kept, "seed": seed, "circumstances": circumstances, **read}


def _compare(path: tuple[str, ...], was: Any, now: Any) -> Iterator[FactChange]:
    """Down to the innermost facts that differ; a record that is there on one side alone stays whole."""
    if was == now:
        return
    left, right = _by_name(was), _by_name(now)
    if left is not None and right is not None:
        for name in sorted(left.keys() | right.keys()):
            yield from _compare((*path, name), left.get(name), right.get(name))
    elif _are_texts(was) and _are_texts(now) and set(was) != set(now):
        yield FactChange(path=path, was=[each for each in was if each not in now], now=[each for each in now if each not in was])
    else:
        yield FactChange(path=path, was=was, now=now)


def _by_name(value: Any) -> Mapping[str, Any] | None:
    """A record, or a list of records by what identifies them; None for anything else."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        return None
    for identity in IDENTITIES:
        names = [_at(each, identity) for each in value]
        if all(isinstance(name, str) for name in names) and len(set(names)) == len(names):
            return dict(zip(names, value, strict=True))
    return None


def _at(value: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _no_longer_listed(old: Snapshot, new: Snapshot) -> int:
    """Attempts that the old log has and the new one lacks: a log only grows, unless it is another case's."""
    listed = {(each.question, each.started) for each in new.case.attempts}
    return sum((each.question, each.started) not in listed for each in old.case.attempts)
