"""The example that documents features, as a person runs it, in small: built, exported, and rendered again from the case alone."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Run
from tests.source import ROOT

pytestmark = pytest.mark.lab

SMALLER = {
    "n_discovery": 48, "n_confirmation": 48, "per_contrast": 2, "random_features": 1, "causal_features": 1, "null_features": 40,
    "max_tokens": 4000, "quality_tokens": 2000, "splice_tokens": 800, "held_out": 10, "behaviour_prompts": 4, "max_new_tokens": 8,
    "top_contexts": 4, "per_decile": 1, "label_shuffles": 2, "resamples": 200,
}  # fmt: skip


@pytest.fixture(scope="module")
def small_plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with fewer of everything."""
    plan = yaml.safe_load((ROOT / "examples" / "features" / "plan.yaml").read_text(encoding="utf-8"))
    plan["steps"]["features"]["params"] |= SMALLER
    plan["models"]["subject"] |= {"dtype": "float32", "device": "cpu"}
    plan["dossiers"] = [{"type": "evidence-report", "formats": ["html"]}]
    path = tmp_path_factory.mktemp("features") / "plan.yaml"
    path.write_text(yaml.safe_dump(plan, sort_keys=False), encoding="utf-8")
    return path


def test_the_example_builds_exports_and_renders_again(safetycase: Run, small_plan: Path, tmp_path: Path) -> None:
    """Exit code 3: one feature of the organism moves its refusals, which counts against it; the corpus is public, so tokens are shown."""
    built = safetycase("build", small_plan)
    exported = safetycase("export", "neuronpedia", small_plan, "--to", tmp_path / "json")
    tables = safetycase("export", "parquet", small_plan, "--to", tmp_path / "tables")
    again = safetycase("render", small_plan.parent / "cases" / "features", "--out", small_plan.parent / "cases" / "features")

    assert built.code == 3, built.err
    assert "supported (adverse): Ablating the one feature that ranks highest" in built.err
    assert exported.code == tables.code == 0, exported.err + tables.err
    indices = json.loads((tmp_path / "json" / "index.json").read_text(encoding="utf-8"))["feature_indices"]
    assert len(indices) == 3
    feature = json.loads((tmp_path / "json" / f"{indices[0]}.json").read_text(encoding="utf-8"))
    assert feature["examples_quantiles"][0]["examples"][0]["tokens"]
    assert (tmp_path / "tables" / "estimates.parquet").is_file()
    assert again.code == 3, again.err
    sealed = (small_plan.parent / "cases" / "features" / "versions" / "1.0.0" / "evidence-report.html").read_text(encoding="utf-8")
    drafted = (small_plan.parent / "cases" / "features" / "drafts" / "evidence-report.html").read_text(encoding="utf-8")
    assert f"Feature {indices[0]}" in sealed
    assert _cards(drafted) == _cards(sealed)


def _cards(html: str) -> list[str]:
    """What the page says of features, wherever the version stands."""
    return re.findall(r"Feature \d+", html)
