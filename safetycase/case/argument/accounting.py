"""All that was planned and tried, in one element: nothing that was asked of these weights is left out of the argument unseen."""

from collections.abc import Collection

from safetycase.case.goals import Account, Node
from safetycase.case.judged import JudgedCase, JudgedStep

ACCOUNT = "C0"
"""Id of the context that accounts for the plan and its attempts."""


def account_of(case: JudgedCase, used_claims: Collection[str]) -> Account:
    """Steps, attempts and claims in numbers."""
    return Account(
        planned=len(case.steps),
        answered=sum(_answered(step) for step in case.steps),
        attempts=len(case.attempts),
        abandoned=sum(each.ended != "finished" or not each.in_this_plan for each in case.attempts),
        unused_claims=tuple(each.id for each in case.judgements if each.id not in used_claims),
    )


def account_node(case: JudgedCase, account: Account) -> Node:
    """The account in words."""
    steps = f"{account.answered} of {_counted(account.planned, 'planned step')} answered"
    tried = f"{_counted(account.attempts, 'attempt')} on these weights, {account.abandoned} of them abandoned"
    listed = [f"{step.id}: {_ended(step)}" for step in case.steps]
    unused = [f"Claims that no element rests on: {', '.join(account.unused_claims)}."] if account.unused_claims else []
    plans = f"{_counted(case.plans_seen, 'plan')} run"
    sentences = [f"Accounted for: {steps}; {tried}; {plans}.", *([f"{'; '.join(listed)}."] if listed else []), *unused]
    return Node(id=ACCOUNT, text=" ".join(sentences))


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _answered(step: JudgedStep) -> bool:
    return step.findings_sha256 is not None


def _ended(step: JudgedStep) -> str:
    return step.outcome.value.replace("_", " ") if step.outcome else "not run"
