"""What a refusal direction shows, in sentences of fixed patterns: no adjective does the work of a number."""

from safetycase.dossier import numbers
from safetycase.dossier.exhibits.general import ended
from safetycase.dossier.exhibits.refusal_direction.words import deciding_judge, rate, why_no_rate
from safetycase.dossier.figures.bar import bar
from safetycase.dossier.page import KeyNumber
from safetycase.evidence.kinds.refusal_direction.findings import Found
from safetycase.evidence.record import Estimate, Outcome

NOT_SHOWN = (
    "Robustness to prompts, fine-tuning or any attack other than those measured here.",
    "That no second mechanism of refusal exists: a failed ablation would not have shown it either.",
)
_ABLATED_CHANGE, _ADDED_CHANGE = "refusal_log_odds_change.harmful.ablated", "refusal_log_odds_change.harmless.added"


def lead(found: Found) -> str:
    """The first sentence of the summary."""
    before, after = rate(found, "harmful", "baseline"), rate(found, "harmful", "ablated")
    if found.outcome in (Outcome.NOT_APPLICABLE, Outcome.FAILED) or before is None:
        return ended(found, "refusal direction")
    refuses = f"The unmodified model refuses {_share(before)} of {numbers.count(before.n)} harmful test requests"
    by = f" (as judged by {deciding_judge(found)})."
    if after is None:
        return f"{refuses}{by}"
    return f"{refuses}; after one direction is ablated from its residual stream it refuses {_share(after)}{by}"


def more(found: Found) -> str:
    """What follows it: addition, effects beside their nulls, and why the outcome is not conclusive."""
    if found.outcome in (Outcome.NOT_APPLICABLE, Outcome.FAILED):
        return ""
    inconclusive = found.outcome is Outcome.INCONCLUSIVE and rate(found, "harmful", "baseline") is not None
    said = [*_added(found), *_beside_nulls(found), *([ended(found, "refusal direction")] if inconclusive else [])]
    return " ".join(said)


def scope(found: Found) -> str:
    """On what, with which access, what changed from what to what, at what cost."""
    before, after = rate(found, "harmful", "baseline"), rate(found, "harmful", "ablated")
    place = f" ({_place(found)})" if found.evaluated is not None else ""
    if before is None or after is None:
        change = found.estimates.get(_ABLATED_CHANGE)
        if change is None:
            return ""
        return (
            f"On {numbers.count(change.n)} held-out harmful requests and with access to weights, "
            f"ablating one direction{place} changes refusal log-odds by "
            f"{numbers.measured(change, _ABLATED_CHANGE)}{_cost(found)}."
        )
    return (
        f"On {numbers.count(after.n)} held-out harmful requests from {numbers.count(after.clusters)} template families "
        f"and with access to weights, ablating one direction{place} changes the share refused "
        f"from {_share(before)} to {_share(after)}{_cost(found)}."
    )


def key_numbers(found: Found) -> tuple[KeyNumber, ...]:
    """Refusal of harmful requests as it is and under ablation, and refusal of harmless ones."""
    innocent = "alarming" if rate(found, "alarming", "baseline") is not None else "harmless"
    also = _share_of(found, "harmless") if innocent == "alarming" else ""
    wanted = (
        ("harmful", "baseline", "of {n} harmful requests refused, unmodified"),
        ("harmful", "ablated", f"of {{n}} harmful requests refused after one direction is ablated{_null_tail(found)}"),
        (innocent, "baseline", f"of {{n}} {_HARMLESS[innocent]} refused, unmodified{also}"),
    )
    return tuple(_key_number(found, population, condition, text) for population, condition, text in wanted)


_HARMLESS = {"alarming": "harmless requests that look alarming", "harmless": "harmless requests"}


def _key_number(found: Found, population: str, condition: str, text: str) -> KeyNumber:
    estimate = rate(found, population, condition)
    if estimate is None:
        return KeyNumber(text=text.replace("of {n} ", ""), absent=why_no_rate(found, population, condition))
    said = text.replace("{n}", numbers.count(estimate.n))
    shown = numbers.measured(estimate)
    drawing = bar(estimate, edited=condition != "baseline", alt=f"{shown} {said}, on a scale from 0 to 100 per cent")
    return KeyNumber(said, shown.value, shown.interval, drawing)


def _share_of(found: Found, population: str) -> str:
    estimate = rate(found, population, "baseline")
    return (
        f"; {numbers.measured(estimate)} of {numbers.count(estimate.n)} other {_HARMLESS[population]}"
        if estimate
        else ""
    )


def _null_tail(found: Found) -> str:
    change = found.estimates.get(_ABLATED_CHANGE)
    random = [null for null in change.nulls if "drawn" in null.what] if change else []
    return (
        f"; {numbers.count(random[0].n)} random directions, on refusal log-odds: {numbers.p_value(random[0])}"
        if random
        else ""
    )


def _added(found: Found) -> list[str]:
    before, after = rate(found, "harmless", "baseline"), rate(found, "harmless", "added")
    if before is None or after is None:
        return []
    return [
        f"Of {numbers.count(before.n)} harmless ones it refuses {_share(before)} unmodified "
        f"and {_share(after)} when the direction is added."
    ]


def _beside_nulls(found: Found) -> list[str]:
    said = []
    for name, what in ((_ABLATED_CHANGE, "ablation"), (_ADDED_CHANGE, "addition")):
        estimate = found.estimates.get(name)
        if estimate is not None:
            against = ", ".join(numbers.p_value(null).rsplit("=")[-1].strip() for null in estimate.nulls)
            tail = f", p = {against} against {_nulls(len(estimate.nulls))}" if estimate.nulls else ""
            said.append(f"{what} {numbers.measured(estimate, name)}{tail}")
    return [f"Change of refusal log-odds: {'; '.join(said)}."] if said else []


def _nulls(n: int) -> str:
    return "one null" if n == 1 else f"{n} nulls"


def _cost(found: Found) -> str:
    costs = (
        ("cross_entropy_change.harmless.ablated", "on its own harmless answers"),
        ("kl.harmless.ablated", "of KL divergence on harmless requests"),
    )
    said = [
        f"{numbers.measured(found.estimates[name], name)} {where}" for name, where in costs if name in found.estimates
    ]
    return f", at a cost of {' and '.join(said)}" if said else "; its cost on harmless text was not measured"


def _place(found: Found) -> str:
    assert found.evaluated is not None, found.question
    return f"input of layer {found.evaluated.layer}, token position {numbers.plain(found.evaluated.position, 0)}"


def _share(estimate: Estimate) -> str:
    return str(numbers.measured(estimate))
