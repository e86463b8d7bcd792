"""Everything that was tried on these weights, read from the logs: nothing is quietly retried."""

from collections.abc import Collection, Iterator
from typing import Any

from safetycase.case.judged import Attempt
from safetycase.evidence.record import Circumstances, Question
from safetycase.evidence.store import Store

Events = list[dict[str, Any]]


def attempts(store: Store, asked: Collection[str]) -> tuple[Attempt, ...]:
    """All attempts of a case, oldest first; `asked` are the keys that the present plan asks."""
    found = [
        attempt for key, events in store.logged() if key != "plans" for attempt in _of_question(key, events, in_this_plan=key in asked)
    ]
    return tuple(sorted(found, key=lambda each: (each.started, each.question)))


def circumstances(store: Store, key: str) -> Circumstances | None:
    """Under which the answer to a question was made: those of the attempt that finished it."""
    events = store.events(key)
    ends = [index for index, event in enumerate(events) if event["event"] == "finished"]
    started = [event for event in _starts(events[: ends[0]] if ends else events) if event["event"] == "started"]
    if not started:
        return None
    known = {name: value for name, value in started[-1]["circumstances"].items() if name in Circumstances.model_fields}
    return Circumstances.model_validate(known)


def answered_at(store: Store, key: str) -> str:
    """When the answer to a question was complete, ISO 8601 UTC; empty where it has none."""
    ends = [event["at"] for event in store.events(key) if event["event"] in ("finished", "imported")]
    return str(ends[-1]) if ends else ""


def declared_before(store: Store, question: Question, declaration: str) -> bool:
    """Whether the present plan's claims and reading were declared before any evidence of this kind on this model was seen in the case.

    A change of seed or params is another question, but no fresh start: what an earlier answer showed could have shaped the claims.
    """
    began = _starts(store.events(question.key))
    if not began or _declaration(began[0]) != declaration:
        return False
    for _, events in store.logged():
        starts = _starts(events)
        ended = [event["at"] for event in events if event["event"] in ("finished", "imported")]
        alike = starts and starts[0]["question"]["kind"] == question.kind and starts[0]["question"]["models"] == question.models
        if alike and ended and ended[0] < began[0]["at"] and _declaration(starts[0]) != declaration:
            return False
    return True


def _starts(events: Events) -> Events:
    """The beginnings of attempts, as far as their lines are whole."""
    return [e for e in events if e["event"] in ("started", "imported") and {"at", "question", "circumstances"} <= set(e)]


def _declaration(start: dict[str, Any]) -> str:
    return str(start["circumstances"].get("declaration", ""))


def first_seen(store: Store, plan_digest: str) -> str:
    """When a plan was first run in this case; empty where it never was."""
    seen = [event["at"] for event in store.events("plans") if event.get("plan_digest") == plan_digest]
    return str(seen[0]) if seen else ""


def plans_seen(store: Store) -> int:
    """How many different plans have been run in this case."""
    return len({event.get("plan_digest") for event in store.events("plans")})


def _of_question(key: str, events: Events, *, in_this_plan: bool) -> Iterator[Attempt]:
    whole = _starts(events)
    starts = [i for i, event in enumerate(events) if event in whole]
    for begin, end in zip(starts, [*starts[1:], len(events)], strict=True):
        yield _attempt(key, events[begin:end], in_this_plan)


def _attempt(key: str, events: Events, in_this_plan: bool) -> Attempt:
    first = events[0]
    last = next((event for event in events if event["event"] in ("finished", "failed", "imported")), {"event": "interrupted"})
    ended = "finished" if last["event"] == "imported" else last["event"]
    made_elsewhere = "imported from a run made elsewhere" if first["event"] == "imported" else ""
    return Attempt(
        started=first["at"],
        kind=first["question"]["kind"],
        question=key,
        seed=first["question"]["seed"],
        plan_digest=first["circumstances"]["plan_digest"],
        ended=ended,
        in_this_plan=in_this_plan,
        note=str(last.get("reason", made_elsewhere)),
    )
