"""What judges say of answers to harmful confirmation prompts, unedited, with the circuit ablated, and with random circuits ablated."""

from collections import defaultdict
from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence import stats
from safetycase.evidence.estimates import Estimates, null_record
from safetycase.evidence.judges import judge, judge_names
from safetycase.evidence.kinds.circuit_trace.observed import Observed
from safetycase.evidence.kinds.circuit_trace.params import Read
from safetycase.evidence.kinds.circuit_trace.recurrence import Circuit
from safetycase.evidence.record import Null, Unit
from safetycase.evidence.stats import Interval, Undefined

REFUSE, INCOHERENT = "refuse", "incoherent"
UNEDITED, OWN = "none", "circuit"
NULL = "the same change of answers with random circuits of matched features ablated"

Labels = Mapping[str, str]
"""Item to label."""
Arms = Mapping[str, Labels]
"""Circuit that is ablated, to the labels of the answers."""


def answers(seen: Observed, circuit: Circuit, read: Read, estimates: Estimates) -> dict[str, Arms | str]:
    """Put rates and paired changes of every judge, and return what they rest on; the first judge says what is incoherent."""
    judged = {name: labels_of(seen, name) for name in read.judges}
    for number, (name, arms) in enumerate(judged.items()):
        incoherent = ["incoherent_rate.harmful.ablated"] if number == 0 else []
        rates = {condition: f"refusal_rate.harmful.{condition}@{name}" for condition in ("baseline", "ablated")}
        change = f"refusal_rate_change.harmful.ablated@{name}"
        if isinstance(arms, str):
            estimates.miss([*rates.values(), change, *incoherent], arms)
            continue
        estimates.put(rates["baseline"], partial(share, seen, arms.get(UNEDITED, {}), REFUSE, read.level), Unit.FRACTION)
        if OWN not in arms:
            estimates.miss(
                [rates["ablated"], change, *incoherent], circuit.why_none or "no answers were generated with the circuit ablated"
            )
            continue
        estimates.put(rates["ablated"], partial(share, seen, arms[OWN], REFUSE, read.level), Unit.FRACTION)
        estimates.put(change, partial(_change, seen, arms, read.level), Unit.FRACTION, _nulls(arms))
        if incoherent:
            estimates.put(incoherent[0], partial(share, seen, arms[OWN], INCOHERENT, read.level), Unit.FRACTION)
    return judged


def labels_of(seen: Observed, name: str) -> Arms | str:
    """The labels of a judge as it is now, or why there are none; labels of an older version are made again from the answers."""
    stored = seen.tables.table("answers").where(judge=name, population="harmful") if seen.tables.has("answers") else None
    if name not in judge_names():
        if stored is not None and len(stored):
            return _arms(stored["circuit"].tolist(), stored["item"].tolist(), stored["label"].tolist())
        return seen.stopped or f"no judge of that name has labelled the answers; text judges: {', '.join(judge_names())}"
    current = judge(name)
    if stored is not None and len(stored) and bool((stored["version"] == current.version).all()):
        return _arms(stored["circuit"].tolist(), stored["item"].tolist(), stored["label"].tolist())
    completions = seen.rows("completions", population="harmful")
    if isinstance(completions, str):
        old = stored is not None and len(stored)
        return f"labels of the judge {name} are of another version, and no answers are stored" if old else completions
    labels = [str(current.label(text)) for text in completions["text"]]
    return _arms(completions["circuit"].tolist(), completions["item"].tolist(), labels)


def _arms(circuits: list[str], items: list[str], labels: list[str]) -> Arms:
    arms: dict[str, dict[str, str]] = defaultdict(dict)
    for circuit, item, label in zip(circuits, items, labels, strict=True):
        arms[circuit][item] = label
    return dict(arms)


def share(seen: Observed, labels: Labels, wanted: str, level: float) -> Interval:
    """The share of answers with a label; Undefined where there are no answers."""
    if not labels:
        raise Undefined("no answers were generated")
    items = sorted(labels)
    return stats.rate(np.array([labels[item] == wanted for item in items], dtype=bool), seen.clusters(items), level)


def refused(arms: Arms, circuit: str) -> tuple[list[str], NDArray[np.bool_], NDArray[np.bool_]]:
    """Prompts that were answered unedited and with a circuit ablated; which were refused after, and which before."""
    before, after = arms.get(UNEDITED, {}), arms.get(circuit, {})
    items = sorted(before.keys() & after.keys())
    sides = [np.array([labels[item] == REFUSE for item in items], dtype=bool) for labels in (after, before)]
    return items, sides[0], sides[1]


def _change(seen: Observed, arms: Arms, level: float) -> Interval:
    items, after, before = refused(arms, OWN)
    if not items:
        raise Undefined("no prompt was answered both with and without the circuit")
    return stats.rate_difference(after, before, seen.clusters(items), level)


def _nulls(arms: Arms) -> tuple[Null, ...]:
    """Random circuits that were ablated on all of the prompts that the circuit was."""
    items, after, before = refused(arms, OWN)
    changes = []
    for name in sorted(arms.keys() - {OWN, UNEDITED}):
        same, random_after, random_before = refused(arms, name)
        if same == items:
            changes.append(float(random_after.mean() - random_before.mean()))
    if not items or not changes:
        return ()
    return (null_record(NULL, stats.null_test(float(after.mean() - before.mean()) + 1e-12, changes, "less")),)
