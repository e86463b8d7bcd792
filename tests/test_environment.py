"""What `make demo` and `make test` say on a machine that lacks something."""

import importlib
import sys
import tomllib
from pathlib import Path

import pytest

from tests.source import ROOT

sys.path.insert(0, str(ROOT / ".ci"))
environment = importlib.import_module("environment")
sys.path.pop(0)


def test_missing_pango_is_one_line_with_the_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is downloaded before it is known that PDF can be made."""
    monkeypatch.setattr(environment, "_loads", lambda library: "pangoft2" not in library)
    monkeypatch.setattr(sys, "argv", ["environment.py", str(tmp_path / "venv")])

    with pytest.raises(SystemExit) as stopped:
        environment.main()

    assert "apt-get install libpango-1.0-0 libpangoft2-1.0-0" in str(stopped.value.code)
    assert "\n" not in str(stopped.value.code)
    assert not (tmp_path / "venv").exists()


def test_an_old_python_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With what to type instead."""
    monkeypatch.setattr(sys, "version_info", (3, 10, 12))
    monkeypatch.setattr(sys, "argv", ["environment.py", str(tmp_path / "venv")])

    with pytest.raises(SystemExit, match=r"needs 3\.11 or newer: make PYTHON="):
        environment.main()


def test_lower_bounds_are_those_of_the_project() -> None:
    """`make test-oldest` runs with what `pyproject.toml` promises, for both halves."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    bounds = environment._lower_bounds()

    assert len(bounds) == len(project["dependencies"]) + len(project["optional-dependencies"]["lab"])
    assert "transformers==4.57.*" in bounds
