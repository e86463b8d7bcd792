"""The claims of a plan as elements of an argument: what is supported backs a goal, and what speaks against the model challenges one."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from safetycase.case.argument.binding import Bench
from safetycase.case.argument.pattern import Pattern
from safetycase.case.argument.written import ANY, ClaimsOf
from safetycase.case.claims import Judgement, Verdict
from safetycase.case.goals import EvidenceRef, Node, Reply

NO_ROBUSTNESS = "That an attack of this kind fails shows no robustness: a stronger one may succeed."


@dataclass(frozen=True)
class Elements:
    """What claims become, and where it hangs."""

    nodes: tuple[Node, ...] = ()
    supported_by: tuple[str, ...] = ()
    in_context_of: tuple[str, ...] = ()


@dataclass
class Claims:
    """The claims of a case on their way into an argument; remembers which were used, so that nothing adverse is left out."""

    pattern: Pattern
    bench: Bench
    used: set[str] = field(default_factory=set)
    _numbers: Counter[str] = field(default_factory=Counter)

    def below(self, parent: str, wanted: Sequence[ClaimsOf]) -> Elements:
        """Elements for every claim that a goal or strategy asks for and no other has used; adverse ones challenge the goal."""
        found = list(dict.fromkeys(each.id for spec in wanted for each in self._matching(spec)))
        self.used.update(found)
        made = [self._element(parent, each) for each in self.bench.case.judgements if each.id in found]
        return Elements(
            tuple(node for each in made for node in each.nodes),
            tuple(key for each in made for key in each.supported_by),
            tuple(key for each in made for key in each.in_context_of),
        )

    def left_over(self, root: str) -> tuple[Node, ...]:
        """What speaks against the model though no element of the pattern asked for it: it challenges the top goal."""
        rest = [each for each in self.bench.case.judgements if each.id not in self.used and each.against_the_model]
        self.used.update(each.id for each in rest)
        return tuple(self._counter_solution(root, judgement, self._number(root)) for judgement in rest)

    def _matching(self, spec: ClaimsOf) -> Iterator[Judgement]:
        for judgement in self.bench.case.judgements:
            populations = {_population(each.criterion.estimate) for each in judgement.criteria}
            kinds = self.bench.kinds(judgement)
            if (
                judgement.claim.bears == spec.bears
                and kinds
                and spec.kind in (ANY, *kinds)
                and (not spec.populations or populations & set(spec.populations))
                and judgement.id not in self.used
            ):
                yield judgement

    def _number(self, parent: str) -> str:
        digits = parent.lstrip("CSnGAJ")
        self._numbers[digits] += 1
        return f"{digits}.{self._numbers[digits]}"

    def _element(self, parent: str, judgement: Judgement) -> Elements:
        number = self._number(parent)
        if judgement.claim.bears == "adverse":
            made = self._counter_solution if judgement.adverse_finding else self._counter_goal
            return Elements((made(self.pattern.goal_above(parent), judgement, number),))
        if judgement.verdict is not Verdict.SUPPORTED:
            goal = Node(id=f"G{number}", text=judgement.claim.text, undeveloped=True)
            measured = any(each.estimate is not None for each in judgement.criteria)
            against = (self._counter_solution(goal.id, judgement, number),) if measured else ()
            return Elements((goal, *against), (goal.id,))
        return self._supported(judgement, number)

    def _supported(self, judgement: Judgement, number: str) -> Elements:
        """A supported claim backs a goal only in a way that the pattern admits for its kind of evidence, and never by an edited model."""
        kinds, unedited = sorted(self.bench.kinds(judgement)), self.bench.unedited(judgement)
        if unedited and all(self.pattern.admits(kind, "support") for kind in kinds):
            return self._backed(judgement, number, "support", "Judged on the findings of")
        if unedited and all(self.pattern.admits(kind, "lower-bound") for kind in kinds):
            return self._backed(judgement, number, "lower-bound", "Without any attack; a lower bound on attack success. Findings of")
        beside = Node(
            id=f"C{number}",
            text=f"Measured beside it, and no support for it: {', '.join(kinds)} cannot carry this goal. {NO_ROBUSTNESS}",
            evidence=self.bench.judged_on(judgement, "lower-bound"),
        )
        goal = Node(id=f"G{number}", text=judgement.claim.text, undeveloped=True, in_context_of=(beside.id,))
        return Elements((goal, beside), (goal.id,))

    def _backed(self, judgement: Judgement, number: str, enters: str, words: str) -> Elements:
        evidence = self.bench.judged_on(judgement, enters)
        solution = Node(id=f"Sn{number}", text=f"{words} {_steps(evidence)}.", evidence=evidence)
        goal = Node(id=f"G{number}", text=judgement.claim.text, supported_by=(solution.id,))
        return Elements((goal, solution), (goal.id,))

    def _counter_solution(self, target: str, judgement: Judgement, number: str) -> Node:
        evidence = self.bench.judged_on(judgement, "defeater")
        reasons = "; ".join(dict.fromkeys(each.reason for each in judgement.criteria if each.reason))
        if judgement.claim.bears == "adverse":
            text = f"Supported, and against the model: {judgement.claim.text}"
        else:
            text = f"Counter-evidence: the claim is {judgement.verdict.value}{f' ({reasons})' if reasons else ''}."
            # Below its own goal the claim need not be said again.
            text = f"{text} The claim: {judgement.claim.text}" if target == self.pattern.root else text
        reply = Reply(status="open", owner=self.bench.case.provider.name)
        return Node(id=f"CSn{number}", text=text, challenges=(target,), evidence=evidence, reply=reply)

    def _counter_goal(self, target: str, judgement: Judgement, number: str) -> Node:
        """An adverse claim that is not supported: open, unless the unedited model was measured and refutes it."""
        owner = self.bench.case.provider.name
        if judgement.verdict is Verdict.REFUTED and self.bench.unedited(judgement):
            reply = Reply(status="resolved", owner=owner, reason="refuted: the interval lies outside the declared bound")
        elif judgement.verdict is Verdict.REFUTED:
            reply = Reply(status="open", owner=owner, reason=f"refuted for this instrument. {NO_ROBUSTNESS}")
        else:
            reply = Reply(status="open", owner=owner, reason=judgement.verdict.value)
        return Node(
            id=f"CG{number}",
            text=judgement.claim.text,
            challenges=(target,),
            reply=reply,
            evidence=self.bench.judged_on(judgement, "defeater"),
        )


def _population(estimate: str) -> str:
    return estimate.split("#")[0].split("@")[0].split(".")[1] if "." in estimate else ""


def _steps(evidence: Sequence[EvidenceRef]) -> str:
    names = ", ".join(each.step for each in evidence)
    return f"step {names}" if len(evidence) == 1 else f"steps {names}"
