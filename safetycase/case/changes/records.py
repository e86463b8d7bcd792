"""Two versions of a case to compare, and the records of what differs between them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from safetycase.case.claims import Judgement
from safetycase.case.judged import Attempt, JudgedCase
from safetycase.evidence.kinds import ByItem
from safetycase.evidence.record import Estimate, Findings, Level, Record, Unit


def no_items(step: str) -> ByItem:
    """Of a version whose tables are not at hand."""
    return {}


@dataclass(frozen=True)
class Snapshot:
    """A case as it was judged at one moment, with what it rests on."""

    case: JudgedCase
    findings: Mapping[str, Findings]
    """By step, at the level that the pages show."""
    version: str = ""
    """Of a sealed version; empty for a draft."""
    by_item: Callable[[str], ByItem] = no_items
    """Step to what each prompt contributes to its estimates; asked only of steps whose observation differs."""


class Word(StrEnum):
    """What is said of an estimate that both versions have."""

    UP = "moved up"
    DOWN = "moved down"
    NONE_SEEN = "no change seen"
    """The interval of the difference holds 0, or what is numerical: which shows no difference, and does not show that there is none."""
    NOT_COMPARABLE = "not comparable"


class Difference(Record):
    """New minus old, with its interval."""

    value: float
    low: float
    high: float
    level: Level
    method: str
    n: Annotated[int, Field(ge=1)] | None
    """Prompts that both versions measured; None where the two intervals alone were compared."""
    clusters: Annotated[int, Field(ge=1)] | None
    """Families of these prompts."""
    unit: Unit


class EstimateChange(Record):
    """An estimate that both versions have, measured anew."""

    step: str
    name: str
    claims: tuple[str, ...]
    """Ids of the claims of either version that rest on it."""
    was: Estimate
    now: Estimate
    word: Word
    difference: Difference | None = None
    """None where the versions cannot be compared, or every shared prompt kept its value."""
    reason: str = ""
    """Why there is no difference."""


class EstimatePresence(Record):
    """An estimate that one version has and the other lacks."""

    step: str
    name: str
    estimate: Estimate
    reason: str
    """Why the other version lacks it."""


class ClaimEffect(StrEnum):
    """What a change of a claim means for the case."""

    LOST = "lost"
    """A favourable claim is no longer supported, or an adverse one now is."""
    GAINED = "gained"
    """A favourable claim is now supported, or an adverse one that was is refuted, by the same bounds."""
    OTHER = "other"


class ClaimDifference(StrEnum):
    """In what a claim differs."""

    ADDED = "added"
    REMOVED = "removed"
    REWORDED = "reworded"
    BEARING = "bears otherwise"
    BOUNDS = "bounds changed"
    VERDICT = "verdict changed"
    STANDING = "standing changed"
    SUSPECT = "became suspect"


class ClaimChange(Record):
    """A claim that differs between the versions, beside the evidence of both."""

    id: str
    effect: ClaimEffect
    differs: tuple[ClaimDifference, ...]
    was: Judgement | None
    now: Judgement | None


class FactChange(Record):
    """Anything else that differs: plan, models, prompt sets, params, tool, environment, packs, warnings, people."""

    path: tuple[str, ...]
    """Where it stands in the case, such as `models`, `subject`, `dtype`."""
    was: JsonValue
    """None where it was not there; of a list of texts, those that the other version lacks."""
    now: JsonValue

    @property
    def area(self) -> str:
        """The part of the case that it belongs to."""
        return self.path[0]


class Changes(Record):
    """What differs between two versions of a case."""

    schema_version: Literal[1] = 1
    old_version: str
    new_version: str
    claims: tuple[ClaimChange, ...]
    """Those that lost support first."""
    estimates: tuple[EstimateChange, ...]
    """Those that moved first."""
    appeared: tuple[EstimatePresence, ...]
    vanished: tuple[EstimatePresence, ...]
    comparisons: Annotated[int, Field(ge=0)]
    """Differences that have an interval."""
    family_level: Level
    """At which all these intervals hold together; each states its own, higher level."""
    facts: tuple[FactChange, ...]
    attempts: tuple[Attempt, ...]
    """Those in the log of the new version that the old one's lacks."""

    @property
    def worse(self) -> bool:
        """Whether a favourable claim lost support or an adverse one gained it."""
        return any(claim.effect is ClaimEffect.LOST for claim in self.claims)

    @property
    def moved(self) -> tuple[EstimateChange, ...]:
        """Estimates whose difference keeps clear of 0."""
        return tuple(each for each in self.estimates if each.word in (Word.UP, Word.DOWN))

    @property
    def summary(self) -> str:
        """What differs, in one line."""
        lost, gained = (sum(claim.effect is effect for claim in self.claims) for effect in (ClaimEffect.LOST, ClaimEffect.GAINED))
        counted = (
            (lost, "claim(s) lost"),
            (gained, "claim(s) gained"),
            (len(self.claims) - lost - gained, "claim(s) otherwise changed"),
            (self.comparisons, f"estimate(s) compared, of which {len(self.moved)} moved"),
            (len(self.estimates) - self.comparisons, "estimate(s) without a difference"),
            (len(self.appeared), "estimate(s) appeared"),
            (len(self.vanished), "estimate(s) vanished"),
            (len(self.facts), "fact(s) changed"),
            (len(self.attempts), "attempt(s) since"),
        )
        return "; ".join(f"{count} {what}" for count, what in counted if count) or "no difference"
