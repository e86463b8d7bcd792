"""A step whose params do not fit what they are about fails alone."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from safetycase.errors import PlanError
from safetycase.evidence.store import Store
from safetycase.lab.dictionaries.dictionary import DictionarySet
from safetycase.lab.observing import Inputs
from safetycase.lab.run import StepFailed, StepFinished, run
from safetycase.plan import load_plan
from tests.plan import small_kind
from tests.source import ROOT

pytestmark = pytest.mark.lab

PLAN = """\
schema_version: 1
case: {id: given, title: What a step is given}
provider: {name: Example Lab, role: demo}
engagement: {commissioned_by: nobody, evaluator: a test, independence: none}
models:
  subject: {source: "organism:refuser", dtype: float32, device: cpu}
dictionaries:
  set: {source: set}
  one: {source: set, layer: 1}
corpora:
  talk: {source: talk.txt}
steps:
  all: {kind: small_kind, params: {dictionary: set}}
  layer: {kind: small_kind, params: {dictionary: one}}
  after: {kind: small_kind, needs: [all], params: {dictionary: one}}
"""


def test_params_that_the_analysis_refuses_fail_their_step_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logged, in one line, also for the step that needs it; the other is answered."""
    small_kind.install(monkeypatch, lab=True)
    observe = small_kind.observe

    def refusing(models: Any, inputs: Inputs, ask: small_kind.Ask, seed: int) -> Iterator[Any]:
        if isinstance(inputs.dictionaries["documented"], DictionarySet):
            raise PlanError(f"dictionaries.{ask.dictionary}: name it with `layer:`")
        yield from observe(models, inputs, ask, seed)

    monkeypatch.setattr(small_kind, "observe", refusing)
    shutil.copytree(ROOT / "tests" / "data" / "dictionaries" / "circuit-tracer-relu" / "dictionary", tmp_path / "set")
    (tmp_path / "talk.txt").write_text("one\ntwo\n", encoding="utf-8")
    (tmp_path / "plan.yaml").write_text(PLAN, encoding="utf-8")
    store = Store(tmp_path / "case")

    events = list(run(load_plan(tmp_path / "plan.yaml"), store))

    assert [(event.step, event.reason) for event in events if isinstance(event, StepFailed)] == [
        ("all", "dictionaries.set: name it with `layer:`"),
        ("after", "it needs step 'all', which failed"),
    ]
    finished = [event for event in events if isinstance(event, StepFinished)]
    assert [event.step for event in finished] == ["layer"]
    asked = {path.stem for path in (tmp_path / "case" / "runs").glob("*.jsonl")} - {"plans", finished[0].observation.question.key}
    assert [[event["event"] for event in store.events(key)] for key in asked] == [["started", "failed"]]
