"""The standing warnings of one document: those of the case, and those that its own requirements call for."""

from collections.abc import Iterator, Sequence

from safetycase.case.judged import JudgedCase
from safetycase.case.requirements.covered import RequirementStatus
from safetycase.case.warnings import case_facts, standing_warnings
from safetycase.dossier.doctypes import DossierType
from safetycase.dossier.page import Ledger, WarningText

_OF_EVIDENCE = ("W04", "W07", "W09", "W10", "W12", "W14", "W17")
"""Warnings about measurements: they belong where something measured is shown."""


def document_warnings(
    case: JudgedCase, kind: DossierType, asked: Sequence[RequirementStatus], ledger: Ledger, audience: str | None
) -> tuple[WarningText, ...]:
    """All that apply, by id; no template and no plan can take one away."""
    measured = kind.shows_evidence or any(slot.evidence for each in asked for slot in each.slots)
    kept = {each.id: each.text for each in case.warnings if measured or not each.id.startswith(_OF_EVIDENCE)}
    facts = {
        **case_facts(case),
        "fields": ledger.sentence,
        "verified": ", ".join(sorted({each.last_verified.isoformat() for each in case.packs})),
        "stale": _stale(case),
        "withheld": f"facts that the instruments address to other readers than {audience}" if audience else "nothing for this reader",
    }
    added = {each.id: each.text for each in standing_warnings(_of_document(case, asked, audience), facts)}
    return tuple(WarningText(key, text) for key, text in sorted({**kept, **added}.items()))


def _of_document(case: JudgedCase, asked: Sequence[RequirementStatus], audience: str | None) -> Iterator[str]:
    if asked:
        yield from ("W03", "W06", "W11")
    if any(each.duty not in ("applies", "applies later") for each in asked):
        yield "W15"
    if any(each.expired for each in case.arguments):
        yield "W12"
    if audience is not None or case.engagement.redactions:
        yield "W13"


def _stale(case: JudgedCase) -> str:
    old = [each.name for each in case.packs if each.stale]
    if not old:
        return "They are not older than ninety days."
    return f"STALE: {', '.join(old)} {'is' if len(old) == 1 else 'are'} older than allowed; the law may have changed since."
