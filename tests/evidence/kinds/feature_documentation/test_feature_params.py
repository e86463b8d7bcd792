"""What a plan may not ask of features is refused before anything runs, in words that name the key."""

from typing import Any

import pytest
from pydantic import ValidationError

from safetycase.evidence.kinds.feature_documentation.params import Ask, Behaviour, Contrast, Read, problems


def test_the_defaults_leave_no_problem() -> None:
    """A plan that says nothing more can pass its own gate."""
    assert problems(Ask(), Read()) == ()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"features": (7, 7)}, "features: found one twice", id="a feature twice"),
        pytest.param({"null_features": 10}, "null_features: 10", id="too few nulls"),
        pytest.param({"causal_features": 11}, "causal_features: 11", id="more tested than documented"),
        pytest.param({"doses": (0.5, 1.0)}, "doses: found 2", id="too few doses"),
        pytest.param({"quality_tokens": 2_000_000}, "quality_tokens: 2000000", id="more measured than read"),
        pytest.param({"explainer_model": "m"}, "scorer_model", id="nobody to score"),
        pytest.param({"contrasts": {"random": Contrast(present="a", absent="b")}}, "random", id="a name that is taken"),
        pytest.param({"contrasts": {"c": Contrast(present="a", absent="a")}}, "same prompt set", id="no contrast"),
    ],
)
def test_a_pointless_plan_is_told(changed: dict[str, Any], said: str) -> None:
    """One line for each, which begins with the key."""
    told = problems(Ask(**changed), Read())

    assert any(said in each for each in told), told


@pytest.mark.parametrize(
    "changed", [{"max_tokens": 10**30}, {"doses": (1e300,)}, {"clamps": (1e9,)}, {"features": (10**23,)}, {"features": (-1,)}], ids=str
)
def test_numbers_beyond_reason_are_refused(changed: dict[str, Any]) -> None:
    """They would run for ever or break the model."""
    with pytest.raises(ValidationError):
        Ask(**changed)


@pytest.mark.parametrize("phrase", ["", "  "])
def test_a_phrase_that_stands_in_every_answer_is_refused(phrase: str) -> None:
    """An empty one is in all of them."""
    with pytest.raises(ValidationError):
        Behaviour(phrases=(phrase,))
