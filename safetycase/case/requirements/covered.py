"""What a case answers of a requirement: computed by code, never typed by hand."""

import datetime
from typing import Literal

from safetycase.case.requirements.packs import Audience, Force, RequirementId
from safetycase.evidence.record import Digest, Record

SlotState = Literal[
    "evidenced", "partially_evidenced", "recorded", "attested", "prefilled", "missing", "not_applicable", "not_assessed", "not_assessable"
]
State = Literal[
    "evidenced", "partially_evidenced", "partly_answered", "recorded", "attested", "prefilled", "missing", "not_applicable",
    "not_assessable_by_tool",
]  # fmt: skip
Duty = Literal["applies", "applies later", "may apply", "commitment", "no duty under the declared role", "binds nobody"]
"""A commitment is one of those who signed a code; what may apply does so under a condition that the tool cannot check."""


class EvidenceState(Record):
    """One kind of evidence beside one slot."""

    kind: str
    relation: Literal["supports", "partial", "context"]
    state: Literal["counts", "below the minimum", "context", "not run", "not assessed by this version"]
    steps: tuple[str, ...] = ()
    """Steps of the plan that count, or that were found wanting."""
    unmet: tuple[str, ...] = ()
    """What the minimum asks for and these findings lack, one sentence each."""
    note: str = ""
    cannot_show: tuple[str, ...] = ()


class SlotStatus(Record):
    """One slot of a requirement and what fills it."""

    id: str
    about: str
    required: bool
    audience: tuple[Audience, ...]
    readers: tuple[str, ...] = ()
    """All to whom any instrument addresses the fact."""
    state: SlotState
    value: str = ""
    """Of a fact; empty for evidence."""
    owner: str = ""
    stated: datetime.date | None = None
    source: str = ""
    """Where the fact can be looked up, or which file it was read from."""
    evidence: tuple[EvidenceState, ...] = ()


class RequirementStatus(Record):
    """One requirement, whom it binds, and how far the case answers it."""

    id: RequirementId
    pack: str
    provision: str
    summary: str
    legal_force: Force
    duty: Duty
    only_if: str = ""
    """The condition of what may apply."""
    since: datetime.date | None
    legacy_since: datetime.date | None
    applies_note: str
    audience: tuple[Audience, ...]
    state: State
    slots: tuple[SlotStatus, ...]
    cannot_show: tuple[str, ...]
    source: str
    """Tag, confidence, reference and date of reading."""
    needs_footnote: bool


class PackUse(Record):
    """A requirement pack as it was used."""

    name: str
    title: str
    version: str
    sha256: Digest
    about: str = ""
    """What the force of the instrument means."""
    role_note: str = ""
    """What somebody in the declared role has to know first."""
    last_verified: datetime.date
    stale: bool
    """Older than it allows itself to be, on the day of judging."""
