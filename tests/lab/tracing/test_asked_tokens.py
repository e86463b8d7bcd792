"""Refusal and compliance tokens: declared, of an upstream step, or of what the model answers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from safetycase.errors import ModelError, PlanError
from safetycase.evidence.kinds.circuit_trace.params import Ask
from safetycase.evidence.tables import Table, Tables
from safetycase.lab.batches import batches_for
from safetycase.lab.generation import Answer
from safetycase.lab.model import LoadedModel
from safetycase.lab.tracing import asked_tokens as module
from safetycase.lab.tracing.asked_tokens import asked_tokens
from safetycase.lab.tracing.study import AskedTokens
from tests.lab.small import loaded

pytestmark = pytest.mark.lab

REFUSING, RARE = "w10", "w11"
"""Words with which the model below begins its refusals."""


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    """A random model of words; what it answers is put into its mouth."""
    return loaded()


def word(model: LoadedModel, text: str) -> int:
    tokenizer: Any = model.tokenizer
    return int(tokenizer.convert_tokens_to_ids(text))


def asked(monkeypatch: pytest.MonkeyPatch, model: LoadedModel, said: Sequence[str] | None, ask: Ask, **upstream: Tables) -> AskedTokens:
    """Tokens where the model's answers begin with these words; None where it must not be asked."""

    def answered(*_: Any) -> list[Answer]:
        assert said is not None, "the model was asked"
        return [Answer(torch.tensor([word(model, text), 30]), True) for text in said]

    monkeypatch.setattr(module, "greedy_answers", answered)
    monkeypatch.setattr(module, "is_refusal", lambda text: text.split()[0] in (REFUSING, RARE))
    return asked_tokens(model, batches_for(model), [torch.tensor([0, 9])] * len(said or ()), ask, upstream)


def upstream(tokens: Sequence[int], stopped: str = "") -> Tables:
    """The setup of a step that knows refusal tokens."""
    listed = np.empty(1, dtype=object)
    listed[0] = list(tokens)
    return Tables("0" * 64, 0, {"setup": Table({"refusal_tokens": listed, "stopped": np.array([stopped], dtype=object)})})


def test_declared_tokens_ask_the_model_nothing(monkeypatch: pytest.MonkeyPatch, model: LoadedModel) -> None:
    """By id or by text, each once."""
    found = asked(monkeypatch, model, None, Ask(refusal_tokens=("w20", 21, 21), compliance_tokens=("w30",)))

    assert found == AskedTokens((word(model, "w20"), 21), (word(model, "w30"),), "declared")


def test_tokens_are_discovered_from_answers(monkeypatch: pytest.MonkeyPatch, model: LoadedModel) -> None:
    """What begins refusals and little else; and what begins at least one in twenty other answers, the most frequent first."""
    said = [REFUSING] * 20 + ["w40"] * 9 + ["w41"] * 12 + ["w42"]

    found = asked(monkeypatch, model, said, Ask())

    assert found == AskedTokens((word(model, REFUSING),), (word(model, "w41"), word(model, "w40")), "discovered")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param(["w40"] * 9, "of 9 answers to discovery prompts, none is a refusal", id="none refused"),
        pytest.param(
            [RARE, *["w40"] * 9],
            "of 10 answers to discovery prompts, 1 is a refusal, but no first token tells refusals from the others",
            id="too few refused",
        ),
    ],
)
def test_where_no_token_tells_refusals_the_trace_stops(
    monkeypatch: pytest.MonkeyPatch, model: LoadedModel, said: list[str], expected: str
) -> None:
    """With the reason."""
    found = asked(monkeypatch, model, said, Ask())

    assert (found.refusal, found.source, found.stopped) == ((), "none", expected)


def test_an_upstream_step_gives_its_tokens_or_its_reason(monkeypatch: pytest.MonkeyPatch, model: LoadedModel) -> None:
    """Its refusal tokens are taken over; where it found none, nothing is asked and its reason stands."""
    ask = Ask(direction="direction", compliance_tokens=("w30",))

    found = asked(monkeypatch, model, None, ask, direction=upstream([20, 22]))
    none = asked(monkeypatch, model, None, ask, direction=upstream([], "no answer is a refusal"))

    assert found == AskedTokens((20, 22), (word(model, "w30"),), "direction")
    assert none.stopped == "step direction found no refusal tokens: no answer is a refusal"
    with pytest.raises(PlanError, match="direction: step 'direction' knows no refusal tokens"):
        asked(monkeypatch, model, None, ask, direction=Tables("0" * 64, 0, {}))


def test_a_token_that_is_both_is_refused(monkeypatch: pytest.MonkeyPatch, model: LoadedModel) -> None:
    """Declared on both sides, or declared as the one and discovered as the other."""
    for said, ask in ((None, Ask(refusal_tokens=(20,), compliance_tokens=(20,))), ([REFUSING] * 20, Ask(compliance_tokens=(REFUSING,)))):
        with pytest.raises(ModelError, match=r"compliance_tokens: token \d+ is a refusal token too, expected tokens that tell"):
            asked(monkeypatch, model, said, ask)


def test_a_declared_text_of_two_tokens_names_its_parameter(monkeypatch: pytest.MonkeyPatch, model: LoadedModel) -> None:
    """One line, beginning with the parameter."""
    with pytest.raises(ModelError, match=r"^compliance_tokens: .*'w3 w4'.*found 2 tokens"):
        asked(monkeypatch, model, None, Ask(refusal_tokens=(20,), compliance_tokens=("w3 w4",)))
