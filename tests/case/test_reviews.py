"""Reviews: a claim whose evidence changed is suspect until somebody reviews it again."""

import datetime
from pathlib import Path

import pytest

from safetycase.case.reviews import FILE, ReviewFile, load_reviews, reviewed, with_reviews
from safetycase.errors import SourceError
from tests.dossier import cases
from tests.dossier.synthetic import found

TODAY = datetime.date(2026, 11, 21)
BEFORE = {cases.STEP: found()}
AFTER = {cases.STEP: found().model_copy(update={"survivors": found().survivors + 1})}


def write(folder: Path, *names: str) -> ReviewFile:
    data = with_reviews(ReviewFile(), names, cases.CLAIMS, BEFORE, reviewer="Ada", date=TODAY, note="read twice")
    (folder / FILE).write_bytes(data)
    return load_reviews(folder / FILE)


def test_a_review_holds_while_nothing_changes(tmp_path: Path) -> None:
    """The same claim on the same findings."""
    found_reviews = reviewed(write(tmp_path, "removable"), cases.CLAIMS, BEFORE)

    assert [(each.claim, each.reviewer, each.suspect) for each in found_reviews] == [("removable", "Ada", False)]


def test_changed_evidence_makes_a_claim_suspect(tmp_path: Path) -> None:
    """Until it is reviewed again, on the evidence as it stands then."""
    file = write(tmp_path, "removable")

    assert reviewed(file, cases.CLAIMS, AFTER)[0].suspect

    again = with_reviews(file, ["removable"], cases.CLAIMS, AFTER, reviewer="Bo", date=TODAY, note="")
    (tmp_path / FILE).write_bytes(again)
    assert not reviewed(load_reviews(tmp_path / FILE), cases.CLAIMS, AFTER)[0].suspect


def test_an_edited_claim_is_suspect(tmp_path: Path) -> None:
    """Another bound is another claim."""
    file = write(tmp_path, "removable")
    claim = cases.CLAIMS["removable"].model_copy(update={"text": "Something milder"})

    assert reviewed(file, {"removable": claim}, BEFORE)[0].suspect


def test_nobody_reviews_a_claim_that_is_not_there(tmp_path: Path) -> None:
    """One line with the nearest name."""
    with pytest.raises(SourceError, match="no claim 'removble'; did you mean 'removable'"):
        write(tmp_path, "removble")


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    """With file and line."""
    (tmp_path / FILE).write_text("schema_version: 1\nreviews:\n  x: {reviewer: Ada}\n", encoding="utf-8")

    with pytest.raises(SourceError, match=r"reviews\.yaml:3: reviews\.x\.\w+: missing"):
        load_reviews(tmp_path / FILE)
