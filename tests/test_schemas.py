"""The published schemas are those of the code, and real files satisfy them."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from safetycase import resources
from safetycase.evidence import kinds
from safetycase.plan.schemas import main, schemas

ROOT = Path(__file__).resolve().parents[1]
PLANS = [*sorted((ROOT / "examples").glob("*/plan.yaml")), ROOT / "templates" / "plan.yaml"]


def test_schemas_are_fresh() -> None:
    """`schemas/v1/` holds exactly what the records generate; `make schemas` renews it."""
    folder = resources.directory("schemas") / "v1"

    on_disk = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.json")}

    assert on_disk == schemas()


def test_writing_removes_what_no_longer_exists(tmp_path: Path) -> None:
    """A schema of a kind that is gone does not linger as a contract."""
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds" / "gone.ask.json").write_text("{}")

    main(tmp_path)

    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json")) == sorted(schemas())


@pytest.mark.parametrize("name", sorted(schemas()))
def test_every_schema_is_valid(name: str) -> None:
    """What is published as JSON Schema is JSON Schema."""
    jsonschema.Draft202012Validator.check_schema(json.loads(schemas()[name]))


@pytest.mark.parametrize("name", kinds.names())
def test_every_kind_publishes_its_four_schemas(name: str) -> None:
    """Params that change the observation, params that change its reading, tables and findings."""
    parts = {file.removeprefix(f"kinds/{name}.") for file in schemas() if file.startswith(f"kinds/{name}.")}

    assert parts == {"ask.json", "read.json", "tables.json", "findings.json"}


@pytest.mark.parametrize("path", PLANS, ids=lambda path: str(path.parent.name))
def test_real_plans_satisfy_the_plan_schema(path: Path) -> None:
    """An editor or a pipeline that trusts the schema accepts what the tool accepts."""
    # Dates of YAML are texts in JSON.
    plan = json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")), default=str))

    jsonschema.validate(plan, json.loads(schemas()["plan.json"]))


def test_the_plan_schema_refuses_a_misspelt_key() -> None:
    """The contract is closed, as the records are."""
    plan = yaml.safe_load(PLANS[0].read_text(encoding="utf-8"))
    plan["engagement"]["independance"] = plan["engagement"].pop("independence")

    with pytest.raises(jsonschema.ValidationError, match="independance"):
        jsonschema.validate(plan, json.loads(schemas()["plan.json"]))
