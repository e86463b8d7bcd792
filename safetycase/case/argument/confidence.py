"""How sure one may be of each goal, in words: as sure as of its weakest support, and no surer than the evidence's standing allows."""

from collections.abc import Iterator, Mapping

from safetycase.case.argument.pattern import Pattern
from safetycase.case.claims import Standing
from safetycase.case.goals import Assured, Confidence, Node, NodeType

CAPS = {
    Standing.EXPLORATORY: Confidence.MODERATE,
    Standing.IMPORTED: Confidence.MODERATE,
    Standing.INDICATIVE: Confidence.MODERATE,
    Standing.UNCALIBRATED: Confidence.LOW,
    Standing.SUSPECT: Confidence.LOW,
    Standing.EXPIRED: Confidence.LOW,
}
"""The most that evidence of a standing may lend."""
_DEFAULT = Confidence.MODERATE
"""Ceiling of a goal for which the pattern grants nothing in particular."""


def assured(nodes: Mapping[str, Node], pattern: Pattern) -> dict[str, Node]:
    """The elements, every goal with its confidence and the reasons for it."""
    weigh = _Weighing(nodes, pattern)
    return {
        key: node.model_copy(update={"confidence": weigh.goal(key)}) if node.type is NodeType.GOAL else node for key, node in nodes.items()
    }


class _Weighing:
    """From solutions upwards; each goal once."""

    def __init__(self, nodes: Mapping[str, Node], pattern: Pattern) -> None:
        self.nodes, self.pattern = nodes, pattern
        self.known: dict[str, Assured] = {}

    def goal(self, key: str) -> Assured:
        if key not in self.known:
            self.known[key] = self._goal(self.nodes[key])
        return self.known[key]

    def _goal(self, node: Node) -> Assured:
        if node.defeated:
            return Assured(word=Confidence.NONE, rationale=f"{self._against(node)} speaks against it.")
        if node.undeveloped:
            against = self._against(node)
            seen = f" {against} shows what was measured." if against else ""
            return Assured(word=Confidence.NONE, rationale=f"Undeveloped: nothing supports it.{seen}")
        caps = [*self._from_support(node), *self._from_doubts(node)]
        written = self.pattern.nodes.get(node.id)
        ceiling = written.confidence if written and written.confidence else None
        caps.append((ceiling.word, ceiling.rationale) if ceiling else (_DEFAULT, ""))
        word = min((cap for cap, _ in caps), key=lambda each: each.rank)
        reasons = [reason for cap, reason in sorted(caps, key=lambda each: each[0].rank) if reason]
        return Assured(word=word, rationale=" ".join(dict.fromkeys(reasons)))

    def _against(self, node: Node) -> str:
        """Ids of the counter-solutions that challenge it, with what weakens them."""
        found = [each for each in self.nodes.values() if each.counts_against and node.id in each.challenges]
        words = sorted({word for each in found for ref in each.evidence for word in ref.standing})
        return ", ".join(each.id for each in found) + (f" ({', '.join(words)})" if words and found else "")

    def _from_support(self, node: Node) -> Iterator[tuple[Confidence, str]]:
        strategies, below = self._reached(node)
        for child in (self.nodes[each] for each in below):
            if child.type is NodeType.SOLUTION:
                yield from _from_evidence(child)
        weakest = [(self.goal(key).word, key) for key in below if self.nodes[key].type is NodeType.GOAL]
        if weakest:
            word = min((each for each, _ in weakest), key=lambda each: each.rank)
            ids = [key for each, key in weakest if each is word]
            yield word, f"No surer than its weakest support: {', '.join(ids)} ({word.value})."
        if any(self.nodes[key].undeveloped for key in strategies):
            yield Confidence.NONE, "A strategy below it is undeveloped."

    def _from_doubts(self, node: Node) -> Iterator[tuple[Confidence, str]]:
        """Open counter-goals against the goal, what it rests on through strategies, or the context of any of these."""
        strategies, below = self._reached(node)
        contexts = (each for key in (node.id, *strategies) for each in self.nodes[key].in_context_of)
        touched = {node.id, *strategies, *below, *contexts}
        doubts = [
            each.id
            for each in self.nodes.values()
            if each.type is NodeType.DEFEATER and each.reply and each.reply.status == "open" and touched & set(each.challenges)
        ]
        if doubts:
            yield Confidence.LOW, f"Open: {', '.join(doubts)}."

    def _reached(self, node: Node) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The strategies below a goal, and what it rests on through them; each once, however many ways lead to it."""
        strategies: dict[str, None] = {}
        below: dict[str, None] = {}
        waiting = list(node.supported_by)
        while waiting:
            key = waiting.pop(0)
            if self.nodes[key].type is not NodeType.STRATEGY:
                below[key] = None
            elif key not in strategies:
                strategies[key] = None
                waiting += self.nodes[key].supported_by
        return tuple(strategies), tuple(below)


def _from_evidence(solution: Node) -> Iterator[tuple[Confidence, str]]:
    words = sorted({word for each in solution.evidence for word in each.standing})
    for word in words:
        yield CAPS[Standing(word)], f"{solution.id} stands as {', '.join(words)}."
    if any(each.enters == "lower-bound" for each in solution.evidence):
        yield Confidence.MODERATE, f"{solution.id} is a lower bound."
    if not words:
        yield Confidence.HIGH, ""
