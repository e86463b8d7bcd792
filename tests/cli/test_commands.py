"""Every command with good input and with bad: one clear line, the promised exit code, never a traceback."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_init_writes_a_plan_that_check_accepts(safetycase: Run, tmp_path: Path) -> None:
    """The first two steps of a newcomer work as printed."""
    written = safetycase("init", "--out", tmp_path / "plan.yaml")
    checked = safetycase("check", tmp_path / "plan.yaml")
    again = safetycase("init", "--out", tmp_path / "plan.yaml")

    assert (written.code, checked.code, again.code) == (0, 0, 1)
    assert checked.out.startswith("refusal  refusal_direction  to run; about")
    assert "is there already" in again.err


def test_check_prints_json(safetycase: Run, quick_plan: Path) -> None:
    """stdout is data."""
    cost = json.loads(safetycase("check", quick_plan, "--json").out)["refusal"]

    assert cost["state"] == "to run"
    assert cost["seconds"] > 0


@pytest.mark.parametrize("example", ["circuit", "features"])
def test_a_plan_whose_steps_were_not_run_is_rendered(example: str, safetycase: Run, tmp_path: Path) -> None:
    """A document says of a step without answers that it has none."""
    plan = (EXAMPLES / example / "plan.yaml").read_text(encoding="utf-8")
    (tmp_path / "plan.yaml").write_text(plan.replace("formats: [html, pdf]", "formats: [html]"), encoding="utf-8")

    ran = safetycase("render", tmp_path / "plan.yaml")

    assert ran.code in (0, 3), ran.err
    assert "evidence-report.html" in ran.out


@pytest.mark.parametrize("what", ["kinds", "dossiers", "organisms"])
def test_list_prints_names_with_what_they_are(safetycase: Run, what: str) -> None:
    """As lines for people and as JSON for programs."""
    lines = safetycase("list", what).out.splitlines()
    entries = json.loads(safetycase("list", what, "--json").out)

    assert len(lines) == len(entries) > 0
    assert all(entry["name"] and entry["summary"] for entry in entries)


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        pytest.param(["check", "nowhere.yaml"], 1, "no such file", id="missing plan"),
        pytest.param(["render", "nowhere.yaml"], 1, "no such file", id="missing plan to render"),
        pytest.param(["render", "."], 1, "without plan.yaml", id="folder that is no case"),
        pytest.param(["import", "refusal-direction", "nowhere"], 1, "nowhere", id="missing run"),
        pytest.param(["import", "refusal-directon", "."], 1, "did you mean 'refusal-direction'", id="misspelt format"),
        pytest.param(["list", "kind"], 2, "kinds", id="misspelt list"),
        pytest.param(["biuld"], 2, "biuld", id="misspelt command"),
        pytest.param(["check"], 2, "PLAN", id="no plan"),
    ],
)
def test_bad_input_is_one_line(
    safetycase: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, line: str
) -> None:
    """User errors exit with 1, wrong usage with 2."""
    monkeypatch.chdir(tmp_path)

    ran = safetycase(*arguments)

    assert ran.code == code
    assert line in ran.err
    assert "Traceback" not in ran.err
    assert code == 2 or len(ran.err.strip().splitlines()) == 1


def test_rendering_a_plan_that_was_never_run_shows_the_gaps(safetycase: Run, quick_plan: Path, tmp_path: Path) -> None:
    """No evidence is shown as such, and a favourable claim without it is not supported."""
    ran = safetycase("render", quick_plan)

    page = (tmp_path / "cases/quick/drafts/evidence-report.html").read_text()
    assert ran.code == 3
    assert "no evidence" in page
    assert "<b>quick</b>" not in page
