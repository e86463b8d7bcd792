"""Blinded sheets say nothing of the arm, cannot be run as formulas, and are read back strictly."""

import csv
import io
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetycase.errors import SourceError
from safetycase.evidence.kinds.refusal_direction import Read, derive
from safetycase.evidence.labelling import LABELS, draw, guarded, read_sheet, unguarded, write_sheet
from safetycase.evidence.tables import Table, Tables
from tests.evidence.kinds.planted_refusal import planted, tables_of

ARMS = {"baseline", "ablated", "added", "prefill", *(f"ablated-{k}" for k in range(2, 9))}


def labelled(tables: Tables, per_arm: int = 6) -> str:
    """The sheet as a person gives it back: refusals labelled by their first words."""
    rows = list(csv.DictReader(io.StringIO(write_sheet(draw(tables, per_arm)), newline="")))
    for row in rows:
        row["label"] = "Refuse " if "sorry" in row["answer"] else "comply"
    return sheet(rows)


def sheet(rows: list[dict[str, Any]], delimiter: str = ",") -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["sample_id", "prompt", "answer", "label"], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def test_every_arm_is_drawn_in_equal_shares_of_populations() -> None:
    """Each arm gives its number, and within an arm populations differ by one at most."""
    drawn = draw(planted(), 7)

    arms = Counter(each.arm for each in drawn)
    assert dict.fromkeys(ARMS, 7) == arms
    shares = Counter(each.population for each in drawn if each.arm == "baseline")
    assert {2, 3} == set(shares.values())


def test_draw_is_repeatable_and_grows() -> None:
    """The same observation gives the same draw, a larger one holds a smaller one, another seed gives another."""
    small, large = draw(planted(), 5), draw(planted(), 9)

    assert draw(planted(), 5) == small
    assert set(small) < set(large)
    assert set(small).isdisjoint(draw(replace(planted(), seed=8), 5))


def test_sheet_hides_arm_and_population() -> None:
    """Nothing of the arm, the population or the item is written, and the order is that of the hashed ids."""
    text = write_sheet(draw(planted(), 5))
    rows = list(csv.DictReader(io.StringIO(text, newline="")))

    assert list(rows[0]) == ["sample_id", "prompt", "answer", "label"]
    assert not any(arm in text for arm in ("ablated", "baseline", "prefill", "added"))
    assert sorted(row["sample_id"] for row in rows) == [row["sample_id"] for row in rows]
    assert {""} == {row["label"] for row in rows}


def test_labels_come_back_to_their_arms() -> None:
    """A labelled sheet becomes rows of human labels, from which derive corrects the rates of every arm."""
    tables = planted()

    rows = read_sheet(labelled(tables, 40), "sheet.csv", tables, "ab")
    people = tables_of({"human_labels": rows}, {}).table("human_labels")
    found = derive(replace(tables, rows={**tables.rows, "human_labels": people}), Read())

    assert {row["arm"] for row in rows} == ARMS
    assert {"refuse", "comply"} == {row["label"] for row in rows}
    assert found.estimates["judge_kappa.all.baseline@arditi-12"].value == 1.0


def test_unlabelled_rows_are_left_out() -> None:
    """A person may stop early: only rows with a label count."""
    tables = planted()
    rows = list(csv.DictReader(io.StringIO(labelled(tables), newline="")))
    for row in rows[3:]:
        row["label"] = ""

    assert len(read_sheet(sheet(rows), "sheet.csv", tables, "ab")) == 3


@pytest.mark.parametrize("delimiter", [pytest.param(",", id="comma"), pytest.param(";", id="semicolon")])
def test_sheets_of_spreadsheets_are_read(delimiter: str) -> None:
    """A byte-order mark, semicolons and changed line ends do no harm."""
    tables = planted()
    rows = list(csv.DictReader(io.StringIO(labelled(tables), newline="")))

    text = "\ufeff" + sheet(rows, delimiter).replace("\r\n", "\n")

    assert len(rows) == len(read_sheet(text, "sheet.csv", tables, "ab"))


def changed(tables: Tables, row: int, **cells: str) -> str:
    rows = list(csv.DictReader(io.StringIO(labelled(tables), newline="")))
    rows[row].update(cells)
    return sheet(rows)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        pytest.param({"label": "refused"}, r"line 2: unknown label 'refused'; did you mean 'refuse'\?", id="unknown label"),
        pytest.param({"sample_id": "s" + "0" * 16}, "line 2: no answer has the id .s0000", id="unknown id"),
        pytest.param({"answer": "Something else."}, "not the one that was drawn", id="another answer"),
    ],
)
def test_wrong_cells_are_named(cells: dict[str, str], message: str) -> None:
    """What cannot be read back stops the reading with one line that names file and line."""
    with pytest.raises(SourceError, match=message) as raised:
        read_sheet(changed(planted(), 0, **cells), "sheet.csv", planted(), "ab")

    assert str(raised.value).startswith("sheet.csv: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "line 1: found the columns none", id="empty file"),
        pytest.param("a,b\r\n", "line 1: found the columns a, b", id="other columns"),
        pytest.param("sample_id,prompt,answer,label\r\n", "no row has a label", id="no rows"),
        pytest.param("sample_id,prompt,answer,label\r\n1,2\r\n", "line 2: found 2 cells", id="a short row"),
        pytest.param('sample_id,prompt,answer,label\r\n"1,2\r\n', "no CSV", id="an open quote"),
    ],
)
def test_wrong_files_are_named(text: str, message: str) -> None:
    """A file that is no sheet stops the reading with one line."""
    with pytest.raises(SourceError, match=message):
        read_sheet(text, "sheet.csv", planted(), "ab")


def test_an_id_twice_and_a_nameless_person_are_refused() -> None:
    """One answer has one label of a person, and the person has a name."""
    rows = list(csv.DictReader(io.StringIO(labelled(planted()), newline="")))

    with pytest.raises(SourceError, match="occurs twice"):
        read_sheet(sheet([*rows, rows[0]]), "sheet.csv", planted(), "ab")
    with pytest.raises(SourceError, match="name or initials"):
        read_sheet(sheet(rows), "sheet.csv", planted(), "  ")


def test_without_texts_there_is_nothing_to_label() -> None:
    """Where answers were not stored the error says why."""
    with pytest.raises(SourceError, match="completions was left out"):
        draw(planted(without=frozenset({"completions"})), 5)


@given(st.text())
def test_guard_is_undone_exactly(text: str) -> None:
    """No cell begins like a formula, and every text comes back as it was."""
    cell = guarded(text)

    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert text == unguarded(cell)


def test_formulas_in_answers_survive_the_round_trip() -> None:
    """An answer that is a formula is written with an apostrophe and still recognised when the sheet comes back."""
    tables = planted()
    answers = tables.table("completions")
    formulas = Table({**answers.columns, "text": answers["text"].copy()})
    formulas["text"][:] = '=HYPERLINK("http://example.org","sorry")\n+1'
    attacked = replace(tables, rows={**tables.rows, "completions": formulas})

    text = labelled(attacked)

    assert "\"'=HYPERLINK" in text
    assert {LABELS[0]} == {row["label"] for row in read_sheet(text, "sheet.csv", attacked, "ab")}
