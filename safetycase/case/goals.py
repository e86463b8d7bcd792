"""An argument in goal structuring notation (GSN v3) as records: elements, their relations, and what a reviewer would miss."""

import datetime
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from safetycase.evidence.record import Digest, Estimate, Record

NodeId = Annotated[str, Field(pattern=r"^(CSn|CG|Sn|G|S|C|A|J)\d{1,4}(\.\d{1,4})*$")]
"""The letters say the type; a dot leads to what was generated from a pattern's element."""
Enters = Literal["support", "lower-bound", "defeater"]
"""How evidence enters: it carries a goal, bounds the success of an attack from below, or counts against a goal."""
DefeaterStatus = Literal["open", "resolved", "accepted residual"]


class NodeType(StrEnum):
    """The elements of GSN; a defeater is a counter-goal, or a counter-solution where it rests on evidence."""

    GOAL = "goal"
    STRATEGY = "strategy"
    SOLUTION = "solution"
    CONTEXT = "context"
    ASSUMPTION = "assumption"
    JUSTIFICATION = "justification"
    DEFEATER = "defeater"


PREFIXES = {
    "CSn": NodeType.DEFEATER,
    "CG": NodeType.DEFEATER,
    "Sn": NodeType.SOLUTION,
    "G": NodeType.GOAL,
    "S": NodeType.STRATEGY,
    "C": NodeType.CONTEXT,
    "A": NodeType.ASSUMPTION,
    "J": NodeType.JUSTIFICATION,
}
"""Letters of an id to the type of its element; longer ones first, as gsn2x reads them."""
DEVELOPED = (NodeType.GOAL, NodeType.STRATEGY)
"""What needs support, or says that it has none."""
CONTEXTUAL = (NodeType.CONTEXT, NodeType.ASSUMPTION, NodeType.JUSTIFICATION)


class Confidence(StrEnum):
    """How sure one may be of a goal, in words: a number would claim more than anybody can justify (Barrett et al. 2025)."""

    NONE = "none"
    LOW = "low"
    MODERATE = "moderate"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """For comparison: none is 0."""
        return list(Confidence).index(self)


class Assured(Record):
    """A confidence with its reasons."""

    word: Confidence
    rationale: str


class Reply(Record):
    """What became of a defeater."""

    status: DefeaterStatus
    owner: str
    """Who has to answer it."""
    reason: str = ""


class Measured(Record):
    """An estimate by its name, as an element rests on it."""

    name: str
    estimate: Estimate


class EvidenceRef(Record):
    """The findings that an element rests on."""

    step: str
    kind: str
    findings_sha256: Digest
    enters: Enters
    claims: tuple[str, ...] = ()
    """Ids of the plan's claims that were judged on it."""
    standing: tuple[str, ...] = ()
    """What weakens it, in the words of the judgements."""
    measured: tuple[Measured, ...] = ()


class Node(Record):
    """An element of the argument."""

    id: NodeId
    text: str
    supported_by: tuple[str, ...] = ()
    in_context_of: tuple[str, ...] = ()
    challenges: tuple[str, ...] = ()
    undeveloped: bool = False
    defeated: bool = False
    """What was measured speaks against it."""
    reply: Reply | None = None
    """Of a defeater."""
    confidence: Assured | None = None
    """Of a goal."""
    evidence: tuple[EvidenceRef, ...] = ()
    requirements: tuple[str, ...] = ()
    """Ids of clauses that ask for it."""

    @property
    def type(self) -> NodeType:
        """By the letters of the id."""
        return type_of(self.id)

    @property
    def counts_against(self) -> bool:
        """Whether it is a counter-solution: a defeater that rests on evidence."""
        return self.id.startswith("CSn")


class Relation(Record):
    """An arrow between two elements; a challenge leads from the defeater to what it challenges."""

    source: str
    target: str
    kind: Literal["supported by", "in context of", "challenges"]


class Breach(Record):
    """Something that a reviewer expects and does not find."""

    rule: Annotated[int, Field(ge=1, le=10)]
    words: str
    node: str
    """Id of the element; empty where the whole argument is meant."""
    missing: str


class Scope(Record):
    """What the top goal is about; an empty part is one that nobody declared."""

    system: str = ""
    version: str = ""
    context: str = ""
    risk: str = ""
    threshold: str = ""
    access: str = ""
    tools: str = ""
    users: str = ""
    release: str = ""


class Account(Record):
    """All that was planned and tried, so that nothing can be left out unseen."""

    planned: int
    answered: int
    attempts: int
    abandoned: int
    """Attempts that failed, were interrupted, or whose question the plan no longer asks."""
    unused_claims: tuple[str, ...] = ()
    """Claims of the plan that no element rests on."""


class SignOff(Record):
    """Who stands behind the argument."""

    author: str
    reviewer: str = ""
    independence: str
    date: datetime.date | None
    """Of the newest evidence; None without any."""
    history: tuple[str, ...] = ()


class Argument(Record):
    """A pattern, instantiated on a judged case."""

    pattern: str
    pattern_sha256: Digest
    title: str
    about: str
    scope: Scope
    nodes: tuple[Node, ...]
    """In the order of the pattern; what was generated follows what it was generated for."""
    account: Account
    expired: bool = False
    """Its day has passed, on the day of judging."""
    invalidated_by: tuple[str, ...]
    expires_after_months: int | None
    expires: datetime.date | None
    sign_off: SignOff
    breaches: tuple[Breach, ...] = ()

    @property
    def root(self) -> Node:
        """The top goal: the first element that supports no other."""
        supporting = {each for node in self.nodes for each in node.supported_by}
        return next(node for node in self.nodes if node.type is NodeType.GOAL and node.id not in supporting)

    def node(self, key: str) -> Node:
        """The element of that id."""
        return next(node for node in self.nodes if node.id == key)

    def relations(self) -> Iterator[Relation]:
        """Every arrow, in the order of the elements that they leave."""
        for node in self.nodes:
            yield from (Relation(source=node.id, target=each, kind="supported by") for each in node.supported_by)
            yield from (Relation(source=node.id, target=each, kind="in context of") for each in node.in_context_of)
            yield from (Relation(source=node.id, target=each, kind="challenges") for each in node.challenges)


def type_of(key: str) -> NodeType:
    """The type that the letters of an id name; asserts that they name one."""
    found = next((kind for prefix, kind in PREFIXES.items() if key.startswith(prefix)), None)
    assert found is not None, key
    return found
