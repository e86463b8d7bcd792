"""An argument as a tree to be drawn: every element once, with what hangs below it and what stands beside it."""

from dataclasses import dataclass
from functools import cached_property

from safetycase.case.goals import Argument, Node


@dataclass(frozen=True)
class Beside:
    """An element in the side column: a context or a defeater; a defeater may challenge the one above it there."""

    id: str
    under: str
    """Id of the side element that it challenges; empty where it belongs to the node itself."""
    challenges: bool


@dataclass(frozen=True)
class Tree:
    """Where each element is drawn; the second place that refers to it gets a reference."""

    argument: Argument

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """Elements by id."""
        return {node.id: node for node in self.argument.nodes}

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """The top goal, and whatever no path from it reaches."""
        return self._walked[0]

    @cached_property
    def place(self) -> dict[str, int]:
        """Where each element stands in reading order."""
        return {key: index for index, key in enumerate(self._walked[1])}

    def owner(self, key: str) -> str:
        """The element under or beside which another is drawn in full; empty for a root."""
        return self._walked[1][key]

    def children(self, key: str) -> tuple[str, ...]:
        """What supports an element, in its order."""
        return tuple(each for each in self.nodes[key].supported_by if each in self.nodes)

    def beside(self, key: str) -> tuple[Beside, ...]:
        """Contexts of an element, each followed by its defeaters, then the defeaters of the element itself."""
        found = []
        for each in self.nodes[key].in_context_of:
            if each in self.nodes:
                found.append(Beside(each, "", challenges=False))
                if self.owner(each) == key:
                    found += [Beside(doubt, each, challenges=True) for doubt in self._doubts.get(each, ())]
        return (*found, *(Beside(doubt, "", challenges=True) for doubt in self._doubts.get(key, ())))

    @cached_property
    def _doubts(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for node in self.argument.nodes:
            for each in node.challenges:
                found.setdefault(each, []).append(node.id)
        return found

    @cached_property
    def _walked(self) -> tuple[tuple[str, ...], dict[str, str]]:
        """Roots, and every element with its owner, in reading order."""
        owners: dict[str, str] = {}
        roots = []
        for start in (self.argument.root.id, *self.nodes):
            if start not in owners:
                roots.append(start)
                self._walk(start, owners)
        return tuple(roots), owners

    def _walk(self, start: str, owners: dict[str, str]) -> None:
        """Depth first, without recursion: arguments may be deeper than a stack."""
        waiting = [(start, "")]
        while waiting:
            key, owner = waiting.pop()
            if key in owners or key not in self.nodes:
                continue
            owners[key] = owner
            waiting += [(each, key) for each in reversed(self.nodes[key].supported_by)]
            waiting += [(doubt, key) for doubt in self._doubts.get(key, ())]
            waiting += [(each, key) for each in self.nodes[key].in_context_of]
