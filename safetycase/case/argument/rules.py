"""What a reviewer expects of an argument: ten rules, each checked; what is missing is printed beside it, never hidden."""

from collections.abc import Callable, Iterator

from safetycase.case.goals import Argument, Breach, NodeType, Scope
from safetycase.case.judged import JudgedCase

RULES = {
    1: "One top claim that names system, version, context, risk and threshold",
    2: "Scope and operating context: access, tools, users, form of release",
    3: "Decomposition by an explicit strategy, with a reason why it is sufficient",
    4: "Every leaf is a solution bound to a hashed evidence record, or marked undeveloped",
    5: "Assumptions are stated and can be checked one by one",
    6: "Defeaters are listed, each open, resolved or accepted as residual, with an owner",
    7: "Counter-evidence is shown, and all planned runs are accounted for",
    8: "Every claim has a confidence with its rationale",
    9: "Conditions that invalidate the argument, and when it expires",
    10: "Author, reviewer, independence, date and change history",
}
Missing = Iterator[tuple[str, str]]
"""Id of an element (empty for the whole argument) and what it lacks."""


def breaches(argument: Argument, case: JudgedCase) -> tuple[Breach, ...]:
    """Every expectation that the argument does not meet, by rule; a breach is a finding to print, not an error."""
    checks: dict[int, Callable[[Argument, JudgedCase], Missing]] = {
        1: _top_claim,
        2: _operating_context,
        3: _strategies,
        4: _leaves,
        5: _assumptions,
        6: _defeaters,
        7: _counter_evidence,
        8: _confidence,
        9: _expiry,
        10: _signed,
    }
    assert checks.keys() == RULES.keys()
    return tuple(
        Breach(rule=rule, words=RULES[rule], node=node, missing=missing)
        for rule, check in checks.items()
        for node, missing in check(argument, case)
    )


def _top_claim(argument: Argument, case: JudgedCase) -> Missing:
    supporting = {each for node in argument.nodes for each in node.supported_by}
    tops = [node.id for node in argument.nodes if node.type is NodeType.GOAL and node.id not in supporting]
    for extra in tops[1:]:
        yield extra, "a second top goal"
    yield from _named(argument, ("system", "version", "context", "risk", "threshold"))


def _operating_context(argument: Argument, case: JudgedCase) -> Missing:
    yield from _named(argument, ("access", "tools", "users", "release"))


def _named(argument: Argument, parts: tuple[str, ...]) -> Missing:
    """Parts of the scope that nobody declared, or that neither the top goal nor its contexts name."""
    root = argument.root
    contexts = [argument.node(each).text for each in root.in_context_of]
    said = " ".join([root.text, *contexts])
    for part in parts:
        assert part in Scope.model_fields, part
        text = " ".join(getattr(argument.scope, part).split())
        if not text:
            yield root.id, f"{part} is not declared"
        elif text not in said:
            yield root.id, f"{part} is not named by the top goal or its context"


def _strategies(argument: Argument, case: JudgedCase) -> Missing:
    for node in argument.nodes:
        below = [argument.node(each).type for each in node.supported_by]
        if node.type is NodeType.GOAL and below.count(NodeType.GOAL) > 1:
            yield node.id, "several goals below it without a strategy"
        reasons = [each for each in node.in_context_of if argument.node(each).type is NodeType.JUSTIFICATION]
        if node.type is NodeType.STRATEGY and not reasons:
            yield node.id, "no justification says why the strategy is sufficient"


def _leaves(argument: Argument, case: JudgedCase) -> Missing:
    for node in argument.nodes:
        leaf = node.type in (NodeType.GOAL, NodeType.STRATEGY) and not node.supported_by
        if leaf and not node.undeveloped:
            yield node.id, "neither support nor the mark of being undeveloped"
        if (node.type is NodeType.SOLUTION or node.counts_against) and not node.evidence:
            yield node.id, "no hashed evidence record"


def _assumptions(argument: Argument, case: JudgedCase) -> Missing:
    stated = {node.id: " ".join(node.text.split()).casefold() for node in argument.nodes if node.type is NodeType.ASSUMPTION}
    if not stated:
        yield "", "no assumption is stated"
    for key, text in stated.items():
        if text in [other for before, other in stated.items() if before < key]:
            yield key, "says the same as another assumption"
        if not text:
            yield key, "empty"
        if not any(key in node.in_context_of for node in argument.nodes):
            yield key, "no goal or strategy rests on it"


def _defeaters(argument: Argument, case: JudgedCase) -> Missing:
    defeaters = [node for node in argument.nodes if node.type is NodeType.DEFEATER]
    if not defeaters:
        yield "", "no defeater is listed"
    for node in defeaters:
        if node.reply is None:
            yield node.id, "neither open, resolved nor accepted"
        elif not node.reply.owner.strip():
            yield node.id, "no owner"
        elif node.reply.status != "open" and not node.reply.reason.strip():
            yield node.id, f"{node.reply.status} without a reason"
        if not node.challenges:
            yield node.id, "challenges nothing"


def _counter_evidence(argument: Argument, case: JudgedCase) -> Missing:
    shown = {claim for node in argument.nodes if node.counts_against for each in node.evidence for claim in each.claims}
    for judgement in case.judgements:
        if judgement.against_the_model and judgement.id not in shown:
            yield "", f"claim {judgement.id} speaks against the model and is not shown"
    account = argument.account
    if (account.planned, account.attempts) != (len(case.steps), len(case.attempts)):
        yield "", f"{len(case.steps)} planned steps and {len(case.attempts)} attempts are not all accounted for"
    for step in case.steps:
        if step.findings_sha256 is None:
            yield "", f"planned step {step.id} has no answer"


def _confidence(argument: Argument, case: JudgedCase) -> Missing:
    for node in argument.nodes:
        if node.type is NodeType.GOAL and node.confidence is None:
            yield node.id, "no confidence"
        elif node.type is NodeType.GOAL and node.confidence and not node.confidence.rationale.strip():
            yield node.id, "a confidence without rationale"


def _expiry(argument: Argument, case: JudgedCase) -> Missing:
    if not argument.invalidated_by:
        yield "", "no condition that invalidates it"
    if argument.expires_after_months is None:
        yield "", "no expiry"
    elif argument.expires is None:
        yield "", "no date from which its expiry counts, as nothing is answered"


def _signed(argument: Argument, case: JudgedCase) -> Missing:
    signed = argument.sign_off
    for what, text in (("author", signed.author), ("reviewer", signed.reviewer), ("independence", signed.independence)):
        if not text.strip():
            yield "", f"no {what}"
    if signed.date is None:
        yield "", "no date"
    if not signed.history:
        yield "", "no change history"
