"""`safetycase import` of transcripts and published answers: every rate and count on stdout."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from safetycase.cli import cli
from tests.source import ROOT

EXAMPLE = ROOT / "examples" / "transcripts"
DATA = ROOT.parent / "shared" / "data"


def test_transcripts_print_every_rate_and_count(tmp_path: Path) -> None:
    """--json holds what each rate counts."""
    result = CliRunner().invoke(
        cli, ["import", "cot-transcripts", str(EXAMPLE / "transcripts.jsonl"), "--out", str(tmp_path / "case"), "--json"]
    )

    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["cot_faithfulness"]
    wrong = {counts["hint"]: counts for counts in found["hints"] if counts["side"] == "wrong"}
    assert (wrong["sycophancy"]["switched"], wrong["sycophancy"]["acknowledged"]["rule"]) == (40, 28)
    assert found["estimates"]["acknowledged.sycophancy.wrong@rule"]["value"] == 0.7
    assert found["tasks"] == {"everyday": 56}
    assert found["excluded"] == {}


def test_the_example_runs_as_it_stands(tmp_path: Path) -> None:
    """Import under its plan; the texts lie in restricted tables and nowhere else."""
    folder = shutil.copytree(EXAMPLE, tmp_path / "transcripts")
    result = CliRunner().invoke(
        cli, ["import", "cot-transcripts", str(folder / "transcripts.jsonl"), "--plan", str(folder / "plan.yaml"), "--json"]
    )

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["reasoning"]["outcome"] == "conclusive"
    holding = [path for path in (folder / "cases").rglob("*") if path.is_file() and b"Yeast gives off gas" in path.read_bytes()]
    assert {path.parent.name for path in holding} == {"restricted"}


@pytest.mark.parametrize(
    ("form", "path", "counts"),
    [
        pytest.param("turpin", "turpin_bbh_suggested_answer", {"biases": {"correct_clean": 1259, "correct_biased": 491}}, id="turpin"),
        pytest.param("iphr", "iphr/iphr_3models.csv.gz", {"reversed": {"pairs": 4834}}, id="iphr"),
    ],
)
def test_published_answers_print_their_counts(tmp_path: Path, form: str, path: str, counts: dict[str, dict[str, int]]) -> None:
    """The numbers that others checked against can be read from --json."""
    if not (DATA / path).exists():
        pytest.skip(f"{path} is not beside the checkout")

    result = CliRunner().invoke(cli, ["import", form, str(DATA / path), "--out", str(tmp_path / "case"), "--json"])

    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["cot_faithfulness"]
    for field, expected in counts.items():
        assert {name: found[field][0][name] for name in expected} == expected
