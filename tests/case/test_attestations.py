"""Facts that people state: typed, owned, dated."""

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetycase.case.attestations import Attestations, Attested, load_attestations, written
from safetycase.case.requirements.packs import Slot
from safetycase.errors import SourceError

TODAY = datetime.date(2026, 11, 21)


def slot(type: str, **more: object) -> Slot:
    return Slot.model_validate({"id": type.replace("-", "_"), "about": "x", "fill": "attestation", "type": type, **more})


FACTS = {
    each.id: each
    for each in (
        slot("text", least_length=10),
        slot("date"),
        slot("number", unit="MWh"),
        slot("url"),
        slot("choice", options=("open", "closed")),
        slot("yes-no"),
        slot("list"),
    )
}


def load(folder: Path, lines: str) -> Attestations:
    """The facts of a file, each given by Jo on a day."""
    path = folder / "attestations.yaml"
    path.write_text(f"schema_version: 1\nfacts:\n{lines}", encoding="utf-8")
    return load_attestations(path, FACTS, TODAY)


def stated(fact: str, value: str) -> str:
    return f"  {fact}: {{value: {value}, owner: Jo, date: 2026-01-31}}\n"


@pytest.mark.parametrize(
    ("fact", "value", "shown"),
    [
        ("text", "ten letters at least", "ten letters at least"),
        ("date", "2026-01-31", "2026-01-31"),
        ("number", "12", "12 MWh"),
        ("number", "1.2e+25", "1.2e+25 MWh"),
        ("url", "https://example.org/x", "https://example.org/x"),
        ("choice", "open", "open"),
        ("yes_no", "yes", "yes"),
        ("yes_no", "no", "no"),
        ("list", "[one, two]", "one, two"),
    ],
)
def test_a_fact_of_the_right_type_is_shown_as_given(tmp_path: Path, fact: str, value: str, shown: str) -> None:
    """Numbers wear their unit."""
    given_fact = load(tmp_path, stated(fact, value)).given(fact, TODAY)

    assert given_fact is not None
    assert given_fact.value is not None
    assert written(FACTS[fact], given_fact.value) == shown


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        pytest.param(stated("text", "short"), "expected a text of at least 10 characters", id="text too short"),
        pytest.param(stated("text", "7"), "found '7'; expected a text", id="number for a text"),
        pytest.param(stated("date", "soon"), "expected a date such as 2026-01-31", id="text for a date"),
        pytest.param(stated("number", "1e25"), "expected a number in MWh", id="a number that YAML reads as text"),
        pytest.param(stated("number", "yes"), "expected a number", id="yes for a number"),
        pytest.param(stated("number", ".nan"), "facts.number.value: found nan; input should be a finite number", id="NaN"),
        pytest.param(stated("url", "example.org"), "expected an address that begins with https://", id="address"),
        pytest.param(stated("url", "javascript:alert(1)"), "expected an address", id="script"),
        pytest.param(stated("choice", "opn"), "expected one of open, closed", id="choice"),
        pytest.param(stated("yes_no", "maybe"), "expected yes or no", id="yes or no"),
        pytest.param(stated("list", "one"), "expected a list", id="list"),
        pytest.param(stated("licence", "MIT"), "facts.licence: unknown fact", id="unknown fact"),
        pytest.param("  url: {value: https://x.org, date: 2026-01-31}\n", "owner: missing; expected who states this", id="nobody's"),
        pytest.param("  url: {value: https://x.org, owner: Jo}\n", "date: missing", id="undated"),
        pytest.param(
            "  url: {value: https://x.org, not_applicable: none, owner: Jo, date: 2026-01-31}\n", "expected one of them", id="both"
        ),
        pytest.param("  url: {value: https://x.org, owner: Jo, date: 2026-11-22}\n", "expected a day that has come", id="future"),
        pytest.param("  url: {value: https://x.org, owner: ' ', date: 2026-01-31}\n", "owner: missing", id="blank owner"),
        pytest.param(stated("number", "9" * 401), "expected a number", id="beyond all numbers"),
        pytest.param("  url: {valeu: https://x.org}\n", "unknown key; did you mean 'value'", id="misspelt"),
    ],
)
def test_a_fact_of_the_wrong_type_is_one_line(tmp_path: Path, lines: str, message: str) -> None:
    """File and line, what was found, what was expected."""
    with pytest.raises(SourceError) as raised:
        load(tmp_path, lines)

    assert message in str(raised.value)
    assert "attestations.yaml:3" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_is_left_empty_states_nothing(tmp_path: Path) -> None:
    """A file fresh from `init` is valid and attests no fact."""
    found = load(tmp_path, "  url:\n    value:\n    owner:\n    date:\n    source:\n")

    assert found.given("url", TODAY) is None


def test_an_attestation_ends_with_its_day() -> None:
    """What has expired is missing again."""
    fact = Attested(value="https://x.org", owner="Jo", date=TODAY, expires=TODAY)
    facts = Attestations(facts={"url": fact})

    assert facts.given("url", TODAY) is fact
    assert facts.given("url", TODAY + datetime.timedelta(days=1)) is None


@given(st.text())
def test_no_text_is_taken_for_another_type(value: str) -> None:
    """Whatever is written for a number, it is a number or an error of ours."""
    from safetycase.case.attestations import _wrong

    assert _wrong(FACTS["number"], value)
    assert _wrong(FACTS["yes_no"], value)
