"""Records are closed and frozen, estimates hold their own value, and a key depends on the question alone."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from safetycase.evidence.record import Estimate, Record, Unit, digest_of
from tests.evidence.test_store import a_question

LEAVES = st.none() | st.booleans() | st.integers() | st.text()
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


class Pair(Record):
    one: float
    two: float = 0.0


def test_record_is_frozen_closed_and_finite() -> None:
    """No key that is not declared, no change after the fact, no NaN."""
    with pytest.raises(ValidationError):
        Pair.model_validate({"one": 1, "three": 3})
    with pytest.raises(ValidationError):
        Pair(one=float("nan"))
    with pytest.raises(ValidationError):
        setattr(Pair(one=1), "one", 2)  # noqa: B010  (a plain assignment would not type-check, which is the point)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"value": 0.5, "low": 0.6, "high": 0.7}, id="value outside its interval"),
        pytest.param({"value": 0.5, "low": 0.5, "high": 0.5}, id="interval of no width"),
        pytest.param({"value": 0.5, "low": 0.4, "high": 0.6, "n": 0}, id="no observations"),
    ],
)
def test_estimate_that_claims_too_much_cannot_be_made(fields: dict[str, float]) -> None:
    """A number travels with an interval that holds it."""
    with pytest.raises(ValidationError):
        Estimate.model_validate({"n": 10, "clusters": 5, "method": "t", "unit": Unit.FRACTION, **fields})


@given(JSON)
def test_digest_does_not_depend_on_the_order_of_keys(value: Any) -> None:
    """Canonical JSON: what is equal has one digest."""
    again = json.loads(json.dumps(value, sort_keys=True))

    assert digest_of(value) == digest_of(again)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"device_class": "cuda"},
        {"dtype": {"subject": "bfloat16"}},
        {"ask": {"n_train": 3}},
        {"inputs": {"prompts.harmful": "1" * 64}},
        {"formats": {"subject": "2" * 64}},
        {"observe_version": 2},
    ],
)
def test_everything_that_decides_the_answer_changes_the_key(change: dict[str, Any]) -> None:
    """Another seed, precision, device, prompt set or template is another question."""
    assert a_question(**change).key != a_question().key
    assert a_question().key == a_question().key
