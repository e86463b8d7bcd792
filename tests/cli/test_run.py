"""`run` resumes, repeats nothing, and loses at most the shard in flight."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Run

pytestmark = pytest.mark.lab


def observations(case: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (case / "observations").iterdir()}


def log(case: Path) -> list[dict[str, object]]:
    (path,) = (path for path in (case / "runs").glob("*.jsonl") if path.stem != "plans")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_killed_run_goes_on_from_its_last_shard_and_ends_alike(safetycase: Run, quick_plan: Path, tmp_path: Path) -> None:
    """After `kill -9` the answer is the same bytes as without it, and finished shards are not made again."""
    command = [sys.executable, "-m", "safetycase", "run", str(quick_plan), "--out", str(tmp_path / "killed")]
    killed = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while killed.poll() is None and time.monotonic() < deadline:
        if list((tmp_path / "killed").glob("runs/*.jsonl")) and _shards(tmp_path / "killed") >= 4:
            break
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    made = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "killed" / "tables").glob("[!.]*")}

    resumed = safetycase("run", quick_plan, "--out", tmp_path / "killed")
    whole = safetycase("run", quick_plan, "--out", tmp_path / "whole")

    assert (resumed.code, whole.code) == (0, 0)
    assert "resumed after" in resumed.err
    assert observations(tmp_path / "killed") == observations(tmp_path / "whole")
    assert all((tmp_path / "killed" / "tables" / name).stat().st_mtime_ns == when for name, when in made.items())
    assert [event["event"] for event in log(tmp_path / "killed")].count("started") == 2


def test_answered_question_is_not_asked_again(safetycase: Run, quick_plan: Path, tmp_path: Path) -> None:
    """The same plan twice is one run; a change that only concerns reading is none either."""
    first = safetycase("run", quick_plan)
    quick_plan.write_text(quick_plan.read_text().replace("resamples: 200", "resamples: 300, minimum_effect_ablated: 3.0"))

    second = safetycase("run", quick_plan, "--json")

    case = tmp_path / "cases" / "quick"
    assert first.out.strip() == str(case)
    assert "answered before" in second.err
    assert [event["event"] for event in log(case)].count("started") == 1
    found = json.loads(second.out)["refusal"]
    assert set(found) >= {"outcome", "selected", "survivors", "estimates"}
    assert set(found["selected"]) == {"position", "layer"}


def test_other_seed_is_another_question(safetycase: Run, quick_plan: Path, tmp_path: Path) -> None:
    """Repeats over seeds stand side by side in one case."""
    safetycase("run", quick_plan)
    quick_plan.write_text(quick_plan.read_text().replace("    params:", "    seed: 1\n    params:"))

    safetycase("run", quick_plan)

    assert len(observations(tmp_path / "cases" / "quick")) == 2


def test_weights_other_than_the_attested_are_refused(safetycase: Run, quick_plan: Path) -> None:
    """A run on weights that are not the deployed ones does not start."""
    text = quick_plan.read_text().replace("independence: none", f"independence: none, artefact: {{weights_sha256: '{'0' * 64}'}}")
    quick_plan.write_text(text)

    ran = safetycase("run", quick_plan)

    assert ran.code == 1
    assert "expected the attested 0000" in ran.err


def _shards(case: Path) -> int:
    return sum(path.read_text().count('"event": "shard"') for path in (case / "runs").glob("*.jsonl"))


def test_interrupted_run_says_so_and_goes_on(safetycase: Run, quick_plan: Path, tmp_path: Path) -> None:
    """Ctrl-C leaves a case that the same command finishes, and the attempt is in the log."""
    case = tmp_path / "case"
    command = [sys.executable, "-m", "safetycase", "run", str(quick_plan), "--out", str(case)]
    # A shell that runs the suite in the background leaves SIGINT ignored, and children inherit that.
    stopped = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    deadline = time.monotonic() + 120
    while stopped.poll() is None and time.monotonic() < deadline and not (list(case.glob("runs/*.jsonl")) and _shards(case) >= 2):
        time.sleep(0.01)
    stopped.send_signal(signal.SIGINT)
    _, said = stopped.communicate()

    resumed = safetycase("run", quick_plan, "--out", case)

    assert stopped.returncode == 130
    assert "Traceback" not in said
    assert "interrupted: what was finished is kept" in said
    assert resumed.code == 0
    assert [event["event"] for event in log(case) if event["event"] in ("started", "interrupted", "finished")] == [
        "started",
        "interrupted",
        "started",
        "finished",
    ]
