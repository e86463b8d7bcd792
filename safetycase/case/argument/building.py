"""From a pattern and a judged case to an argument: evidence bound, claims unfolded, gaps left open, everything accounted for."""

import datetime
from collections.abc import Mapping, Sequence

from safetycase.case.argument.accounting import account_node, account_of
from safetycase.case.argument.binding import Bench
from safetycase.case.argument.claimed import Claims
from safetycase.case.argument.confidence import assured
from safetycase.case.argument.pattern import Pattern
from safetycase.case.argument.rules import breaches
from safetycase.case.argument.scope import filled, scope_of, values
from safetycase.case.argument.written import PatternNode
from safetycase.case.claims import Verdict
from safetycase.case.goals import DEVELOPED, Argument, Node, Reply, SignOff, type_of
from safetycase.case.judged import JudgedCase
from safetycase.evidence.record import Findings


def build_argument(
    pattern: Pattern,
    case: JudgedCase,
    findings: Mapping[str, Findings],
    *,
    scope: Mapping[str, str] | None = None,
    reviewer: str = "",
    history: Sequence[str] = (),
) -> Argument:
    """The pattern on a judged case: `findings` by step, at the level that the pages show.

    `scope` fills parts of the scope that the case cannot know (tools, users, release …); `history` names the changes of the argument.
    """
    written = pattern.written
    about = scope_of(written, case, scope or {})
    known = values(case, about, written.expires_after_months)
    bench = Bench(case, findings)
    claims = Claims(pattern, bench)
    nodes = _instantiated(pattern, bench, claims, known)
    account = account_of(case, claims.used)
    accounting = account_node(case, account)
    root = nodes[pattern.root]
    nodes[root.id] = root.model_copy(update={"in_context_of": (*root.in_context_of, accounting.id)})
    nodes |= {accounting.id: accounting}
    made = _newest(case)
    argument = Argument(
        pattern=pattern.name,
        pattern_sha256=pattern.sha256,
        title=filled(written.title, known),
        about=filled(written.about, known),
        scope=about,
        nodes=tuple(assured(_defeated(nodes, case), pattern).values()),
        account=account,
        invalidated_by=tuple(filled(each, known) for each in written.invalidated_by),
        expires_after_months=written.expires_after_months,
        expires=_months_later(made, written.expires_after_months) if made and written.expires_after_months else None,
        sign_off=SignOff(
            author=case.engagement.evaluator,
            reviewer=reviewer,
            independence=case.engagement.independence.replace("-", " "),
            date=made,
            history=tuple(history),
        ),
    )
    return argument.model_copy(update={"breaches": breaches(argument, case)})


def _instantiated(pattern: Pattern, bench: Bench, claims: Claims, known: Mapping[str, str]) -> dict[str, Node]:
    """Every element of the pattern that the case can fill, each followed by what its claims became."""
    nodes: dict[str, Node] = {}
    absent = {key for key, each in pattern.nodes.items() if each.evidence and not bench.bound(each.evidence)}
    for key, element in pattern.nodes.items():
        if key in absent:
            continue
        below = claims.below(key, element.claims)
        support = (*(each for each in element.supported_by if each not in absent), *below.supported_by)
        nodes[key] = Node(
            id=key,
            text=filled(element.text, known),
            supported_by=support,
            in_context_of=(*element.in_context_of, *below.in_context_of),
            challenges=_challenged(pattern, element, absent),
            undeveloped=type_of(key) in DEVELOPED and not support,
            reply=_reply(element, bench.case, known),
            evidence=bench.bound(element.evidence) if element.evidence else (),
            requirements=element.requirements,
        )
        nodes |= {node.id: node for node in below.nodes}
    return nodes | {node.id: node for node in claims.left_over(pattern.root)}


def _challenged(pattern: Pattern, element: PatternNode, absent: set[str]) -> tuple[str, ...]:
    """What a defeater stands against; where the case lacks a solution, the goal that it would have supported."""
    above = {child: key for key, each in reversed(tuple(pattern.nodes.items())) for child in each.supported_by}
    return tuple(dict.fromkeys(above[each] if each in absent else each for each in element.challenges))


def _reply(element: PatternNode, case: JudgedCase, known: Mapping[str, str]) -> Reply | None:
    if element.status is None:
        return None
    reply = Reply(status=element.status, owner=filled(element.owner, known), reason=filled(element.reason, known))
    judged = [each for each in case.judgements if any(c.estimate is not None for c in each.criteria)]
    if element.open_while is None or not judged or any(element.open_while in each.standing for each in judged):
        return reply
    return reply.model_copy(update={"status": "resolved", "reason": f"No judgement of this case stands as {element.open_while}."})


def _defeated(nodes: Mapping[str, Node], case: JudgedCase) -> dict[str, Node]:
    """The elements, with those marked that a supported adverse claim or a refutation speaks against."""
    against = {each.id for each in case.judgements if each.adverse_finding or each.verdict is Verdict.REFUTED}
    hit = {
        target
        for node in nodes.values()
        if node.counts_against and any(against & set(each.claims) for each in node.evidence)
        for target in node.challenges
    }
    return {key: node.model_copy(update={"defeated": key in hit}) for key, node in nodes.items()}


def _newest(case: JudgedCase) -> datetime.date | None:
    """When the newest evidence was begun: the argument has no clock of its own."""
    begun = [step.circumstances.started for step in case.steps if step.circumstances]
    begun += [each.started for each in case.attempts if each.ended == "finished" and each.in_this_plan]
    dates = [datetime.datetime.fromisoformat(each).date() for each in begun if each]
    return max(dates, default=None)


def _months_later(day: datetime.date, months: int) -> datetime.date:
    """The same day of a later month, or that month's last."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    first_after = datetime.date(year + month // 11, (month + 1) % 12 + 1, 1)
    last = (first_after - datetime.timedelta(days=1)).day
    return datetime.date(year, month + 1, min(day.day, last))
