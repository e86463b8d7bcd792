"""Records outlive the code: a real file of every released schema version loads for ever."""

from pathlib import Path

import pytest

from safetycase.case.declared import Declared
from safetycase.case.judged import JudgedCase
from safetycase.errors import PlanError
from safetycase.evidence.kinds.refusal_direction import Found
from safetycase.evidence.record import Observation, Record
from safetycase.plan.questions import Resolved
from safetycase.sources.located_yaml import load_yaml, parse

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize(
    ("name", "record"),
    [
        pytest.param("observation.json", Observation, id="observation"),
        pytest.param("findings.json", Found, id="findings"),
        pytest.param("case.json", JudgedCase, id="case"),
        pytest.param("resolved.json", Resolved, id="resolved"),
    ],
)
@pytest.mark.parametrize("version", ["v1"])
def test_file_of_a_released_version_loads(version: str, name: str, record: type[Record]) -> None:
    """Nothing that was stored becomes unreadable."""
    loaded = record.model_validate_json((DATA / version / name).read_bytes())

    assert loaded.model_dump(mode="json")


@pytest.mark.parametrize("version", ["v1"])
def test_plan_of_a_released_version_loads(version: str) -> None:
    """A plan that was declared once can be declared again."""
    declared = parse(Declared, load_yaml(DATA / version / "plan.yaml", PlanError), PlanError)

    assert declared.steps
