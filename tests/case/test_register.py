"""The register of findings: opened by verdicts, kept across versions, closed by people."""

import datetime
from pathlib import Path

import pytest

from safetycase.case.claims import Judgement
from safetycase.case.register import RegisterFile, appended, load_register, register
from safetycase.errors import SourceError
from tests.dossier import cases
from tests.dossier.synthetic import digest, found

TODAY = datetime.date(2026, 11, 21)
FINDINGS = {cases.STEP: found()}


def judged() -> tuple[Judgement, ...]:
    return cases.judgements(cases.CLAIMS, FINDINGS)


def evidence(word: str = "evidence") -> dict[str, str]:
    return {name: digest(word) for name in cases.CLAIMS}


def test_verdicts_against_the_model_open_findings() -> None:
    """A supported adverse claim and a refuted favourable one; nothing else."""
    opened = register(RegisterFile(), judged(), evidence(), TODAY)

    assert [each.finding.claim for each in opened] == [each.id for each in judged() if each.against_the_model] == ["keeps", "removable"]
    assert [each.finding.id for each in opened] == ["F1", "F2"]
    assert all(each.new and each.stands for each in opened)


def test_an_open_finding_opens_no_second_one(tmp_path: Path) -> None:
    """What is in the file stays, and the next judging adds nothing."""
    path = tmp_path / "findings.yaml"
    opened = register(RegisterFile(), judged(), evidence(), TODAY)
    path.write_text(appended("", [each.finding for each in opened]), encoding="utf-8")

    again = register(load_register(path), judged(), evidence("newer"), TODAY)

    assert [each.finding.id for each in again] == ["F1", "F2"]
    assert not any(each.new for each in again)


def test_what_people_wrote_survives_an_addition(tmp_path: Path) -> None:
    """New findings are added at the end of the file; its bytes before that stay."""
    path = tmp_path / "findings.yaml"
    opened = register(RegisterFile(), judged(), evidence(), TODAY)
    edited = appended("", [opened[0].finding]).replace("owner: ''", "owner: Ada # asked on Monday")
    path.write_text(edited, encoding="utf-8")

    path.write_text(appended(edited, [opened[1].finding]), encoding="utf-8")

    assert path.read_text(encoding="utf-8").startswith(edited)
    assert [each.owner for each in load_register(path).findings] == ["Ada", ""]


def test_a_closed_finding_is_opened_again_by_other_evidence(tmp_path: Path) -> None:
    """Closed with a reason it stays closed on the same evidence; on newer evidence that still counts against the model it does not."""
    path = tmp_path / "findings.yaml"
    opened = register(RegisterFile(), judged(), evidence(), TODAY)
    text = appended("", [opened[0].finding]).replace("closed: null", "closed: {date: 2026-11-21, by: Ada, reason: accepted for research}")
    path.write_text(text, encoding="utf-8")
    file = load_register(path)

    same = register(file, judged(), evidence(), TODAY)
    newer = register(file, judged(), evidence("newer"), TODAY)

    assert [each.finding.claim for each in same if each.new] == ["removable"]
    assert [each.finding.claim for each in newer if each.new] == ["keeps", "removable"]


def test_closing_needs_evidence_or_a_reason(tmp_path: Path) -> None:
    """Nobody closes a finding by wishing."""
    path = tmp_path / "findings.yaml"
    opened = register(RegisterFile(), judged(), evidence(), TODAY)
    text = appended("", [opened[0].finding]).replace("closed: null", "closed: {date: 2026-11-21, by: Ada}")
    path.write_text(text, encoding="utf-8")

    with pytest.raises(SourceError, match=r"findings\.yaml:\d+: findings\.0\.closed.*needs evidence"):
        load_register(path)


def test_a_due_date_passes(tmp_path: Path) -> None:
    """An open finding is overdue on the day after."""
    path = tmp_path / "findings.yaml"
    opened = register(RegisterFile(), judged(), evidence(), TODAY)
    path.write_text(appended("", [opened[0].finding]).replace("due: null", "due: 2026-11-21"), encoding="utf-8")
    file = load_register(path)

    assert not register(file, judged(), evidence(), TODAY)[0].overdue
    assert register(file, judged(), evidence(), TODAY + datetime.timedelta(days=1))[0].overdue


def test_no_digest_of_anything_closes_a_finding(tmp_path: Path) -> None:
    """By evidence alone it is closed only where the case holds that evidence and it no longer bears the finding out."""
    path = tmp_path / "findings.yaml"
    opened = register(RegisterFile(), judged(), evidence(), TODAY)
    text = appended("", [opened[0].finding])
    closing = "closed: {date: 2026-11-21, by: Ada, evidence: "

    path.write_text(text.replace("closed: null", f"{closing}{'a' * 64}}}"), encoding="utf-8")
    assert not register(load_register(path), judged(), evidence(), TODAY)[0].closed
    assert not register(load_register(path), (), {"keeps": digest("evidence")}, TODAY)[0].closed
    assert register(load_register(path), (), {"keeps": "a" * 64}, TODAY)[0].closed

    path.write_text(text.replace("closed: null", f"{closing}{opened[0].finding.opened_on}}}"), encoding="utf-8")
    with pytest.raises(SourceError, match="closed by the evidence that opened it"):
        load_register(path)


def test_an_id_is_never_used_twice(tmp_path: Path) -> None:
    """Also where somebody took a finding out of the file, or wrote its dashes elsewhere."""
    path = tmp_path / "findings.yaml"
    opened = register(RegisterFile(), judged(), evidence(), TODAY)
    text = appended("", [opened[1].finding]).replace("\n  ", "\n")
    path.write_text(text, encoding="utf-8")

    again = [each.finding for each in register(load_register(path), judged(), evidence(), TODAY) if each.new]
    path.write_text(appended(text, again), encoding="utf-8")

    assert [each.id for each in load_register(path).findings] == ["F2", "F3"]


def test_an_empty_register_can_be_added_to(tmp_path: Path) -> None:
    """Whoever emptied it."""
    path = tmp_path / "findings.yaml"
    opened = register(RegisterFile(), judged(), evidence(), TODAY)
    path.write_text(appended("schema_version: 1\nfindings: []\n", [opened[0].finding]), encoding="utf-8")

    assert len(load_register(path).findings) == 1
