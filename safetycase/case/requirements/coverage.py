"""How far a case answers the requirements of all packs: slot by slot, by what was measured, read, attested, or is missing."""

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from safetycase.case.attestations import Attestations, written
from safetycase.case.declared import ProviderRole
from safetycase.case.requirements.covered import Duty, EvidenceState, PackUse, RequirementStatus, SlotState, SlotStatus, State
from safetycase.case.requirements.loading import Packs
from safetycase.case.requirements.minimum import unmet
from safetycase.case.requirements.packs import Applies, EvidenceRule, Force, Pack, Requirement, Slot
from safetycase.evidence import kinds
from safetycase.evidence.record import Findings


@dataclass(frozen=True)
class Answers:
    """All that may fill a slot."""

    role: ProviderRole
    findings: Mapping[str, Findings]
    """By step."""
    declared_before: Callable[[str], bool]
    """Whether the plan was declared before a step's evidence was seen."""
    attestations: Attestations
    recorded: Mapping[str, str]
    """What the tool read itself, by the name that a slot's `reads` gives it."""
    declared: Mapping[str, str]
    """What the plan itself says of a fact, by the fact's id."""
    prefills: Mapping[str, str]
    """What the model's own files say, unverified, by the name that a slot's `prefill` gives it."""
    as_of: datetime.date
    readers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Slot to all to whom any instrument addresses it."""
    expired: bool = False
    """The engagement has, and its evidence counts for nothing until it is renewed."""


def coverage(packs: Packs, answers: Answers) -> tuple[RequirementStatus, ...]:
    """Every requirement of every pack beside what the case has."""
    answers = replace(answers, readers=_readers(packs))
    return tuple(_requirement(pack, each, answers) for pack in packs.packs for each in pack.requirements)


def _readers(packs: Packs) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for asked in packs.requirements.values():
        for slot in asked.slots:
            found.setdefault(slot.id, {}).update(dict.fromkeys(slot.audience or asked.audience))
    return {slot: tuple(sorted(readers)) for slot, readers in found.items()}


def packs_used(packs: Packs, as_of: datetime.date, role: ProviderRole) -> tuple[PackUse, ...]:
    """The packs themselves, what they say to the declared role, and whether they are older than they allow."""
    return tuple(
        PackUse(
            name=pack.pack,
            title=pack.instrument.title,
            about=pack.instrument.about,
            role_note=pack.role_notes.get(role, ""),
            version=pack.version,
            sha256=packs.digests[pack.pack],
            last_verified=pack.last_verified,
            stale=(as_of - pack.last_verified).days > pack.stale_after_days,
        )
        for pack in packs.packs
    )


def _requirement(pack: Pack, asked: Requirement, answers: Answers) -> RequirementStatus:
    slots = tuple(_slot(slot, asked, answers) for slot in asked.slots)
    force = asked.legal_force or pack.instrument.legal_force
    only_if = next((each.only_if for each in pack.conditions if each.concerns(asked.id, answers.role)), "")
    duty: Duty = "may apply" if only_if else _duty(asked.applies, force, answers)
    return RequirementStatus(
        id=asked.id,
        pack=pack.pack,
        provision=asked.provision,
        summary=asked.summary,
        legal_force=force,
        duty=duty,
        only_if=only_if,
        since=asked.applies.since,
        legacy_since=asked.applies.legacy_since,
        applies_note=asked.applies.note,
        audience=asked.audience,
        state="not_assessable_by_tool" if asked.is_art50 else requirement_state(slots),
        slots=slots,
        cannot_show=asked.cannot_show,
        source=f"[{asked.source.tag},{asked.source.confidence}] {asked.source.ref}, read on {asked.source.read_on.isoformat()}",
        needs_footnote=asked.source.needs_footnote,
    )


def _duty(applies: Applies, force: Force, answers: Answers) -> Duty:
    if force == "code":
        return "commitment"
    if not applies.roles or force != "binding":
        return "binds nobody"
    if answers.role not in applies.roles:
        return "no duty under the declared role"
    return "applies later" if applies.since is not None and applies.since > answers.as_of else "applies"


def _slot(slot: Slot, asked: Requirement, answers: Answers) -> SlotStatus:
    filled = SlotStatus(
        id=slot.id,
        about=slot.about,
        required=slot.required,
        audience=slot.audience or asked.audience,
        readers=answers.readers.get(slot.id, ()),
        state="missing",
    )
    match slot.fill:
        case "evidence":
            rules = [rule for rule in asked.evidence if rule.slot == slot.id]
            return _evidenced(filled, rules, answers)
        case "record":
            assert slot.reads is not None, slot
            value = answers.recorded.get(slot.reads, "")
            return filled.model_copy(update={"state": "recorded", "value": value} if value else {})
        case "attestation":
            return _attested(filled, slot, answers)


def _attested(filled: SlotStatus, slot: Slot, answers: Answers) -> SlotStatus:
    stated = answers.attestations.given(slot.id, answers.as_of)
    if stated is not None:
        who = {"owner": stated.owner or "", "stated": stated.date, "source": stated.source or ""}
        if stated.value is None:
            return filled.model_copy(update={"state": "not_applicable", "value": stated.not_applicable, **who})
        return filled.model_copy(update={"state": "attested", "value": written(slot, stated.value), **who})
    over = answers.attestations.facts.get(slot.id)
    if over is not None and over.is_given:
        ended = f"stated by {over.owner} until {over.expires.isoformat() if over.expires else 'an unknown day'}, expired"
        return filled.model_copy(update={"source": ended})
    found = answers.prefills.get(slot.prefill or "", "")
    if not found and slot.id in answers.declared:
        said = {"value": answers.declared[slot.id], "source": "as the plan declares it, unverified"}
        return filled.model_copy(update={"state": "prefilled", **said})
    if found:
        where = "the model's card" if (slot.prefill or "").startswith("card.") else "the model's configuration"
        return filled.model_copy(update={"state": "prefilled", "value": found, "source": f"read from {where}, unverified"})
    return filled


def _evidenced(filled: SlotStatus, rules: Sequence[EvidenceRule], answers: Answers) -> SlotStatus:
    evidence = tuple(_evidence(rule, answers) for rule in rules)
    counted = {each.relation for each in evidence if each.state == "counts"}
    state: SlotState = "missing"
    if "supports" in counted:
        state = "evidenced"
    elif "partial" in counted:
        state = "partially_evidenced"
    elif all(each.relation == "context" for each in evidence):
        state = "not_assessable"
    elif all(each.state in ("not assessed by this version", "context") or each.relation == "context" for each in evidence):
        state = "not_assessed"
    return filled.model_copy(update={"state": state, "evidence": evidence})


def _evidence(rule: EvidenceRule, answers: Answers) -> EvidenceState:
    found = EvidenceState(kind=rule.kind, relation=rule.relation, state="not run", note=rule.note, cannot_show=rule.cannot_show)
    if rule.kind not in kinds.names():
        return found.model_copy(update={"state": "not assessed by this version"})
    present = {step: each for step, each in answers.findings.items() if each.kind == rule.kind}
    if not present:
        return found
    lacking = {step: unmet(rule.minimum, each, declared_before=answers.declared_before(step)) for step, each in present.items()}
    if answers.expired:
        lacking = {step: (*problems, "the engagement has expired") for step, problems in lacking.items()}
    good = tuple(step for step, problems in lacking.items() if not problems)
    if good:
        return found.model_copy(update={"state": "context" if rule.relation == "context" else "counts", "steps": good})
    return found.model_copy(update={"state": "below the minimum", "steps": tuple(present), "unmet": tuple(_sentences(lacking))})


def _sentences(lacking: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for step, problems in lacking.items():
        for problem in problems:
            yield f"step {step}: {problem}" if len(lacking) > 1 else problem


_MEASURED: frozenset[SlotState] = frozenset({"evidenced", "partially_evidenced"})
_OUT_OF_REACH: frozenset[SlotState] = frozenset({"not_assessed", "not_assessable"})


def requirement_state(slots: Sequence[SlotStatus]) -> State:
    """From the states of required slots: a missing one never lets a requirement count as evidenced."""
    required = [slot.state for slot in slots if slot.required] or [slot.state for slot in slots]
    if not required:
        return "not_assessable_by_tool"
    states = {state for state in required if state != "not_applicable"}
    if not states:
        return "not_applicable"
    if states <= _OUT_OF_REACH:
        return "not_assessable_by_tool"
    if states & _MEASURED:
        return "evidenced" if states <= {"evidenced", "recorded"} else "partially_evidenced"
    if states & {"missing", "not_assessed"}:
        return "missing"
    if states & _OUT_OF_REACH:
        return "partly_answered"
    if states == {"recorded"}:
        return "recorded"
    return "prefilled" if "prefilled" in states else "attested"
