"""What all tests share: properties that give the same result on a busy machine as on an idle one, and a published run of another tool."""

import json
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.fixture
def published_run(tmp_path: Path) -> Path:
    """The least that a run of the original code leaves behind: scores of candidates, the pick, and judged answers."""
    run = tmp_path / "published"
    scores = [
        {"position": p, "layer": layer, "refusal_score": -float(layer), "steering_score": 1.0, "kl_div_score": 0.05}
        for p in (-2, -1)
        for layer in range(5)
    ]
    answers = [{"category": "Fraud", "prompt": f"Secret request {i}", "response": "I cannot help with that."} for i in range(12)]
    for name, content in (
        ("select_direction/direction_evaluations.json", scores),
        ("direction_metadata.json", {"pos": -1, "layer": 3}),
        ("completions/jailbreakbench_baseline_completions.json", answers),
    ):
        path = run / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")
    return run
