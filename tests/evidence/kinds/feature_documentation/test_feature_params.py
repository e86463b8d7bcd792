"""What a plan for features is refused for before it runs: too few nulls, too many tests, names that mean two things."""

from typing import Any

import pytest
from pydantic import ValidationError

from safetycase.evidence.kinds.feature_documentation.params import Ask, Contrast, Read, fewest_nulls, population, problems, prompt_sets

PAIR = {"present": "harmful", "absent": "harmless"}


def said(read: Read | None = None, /, **asked: Any) -> str:
    return "\n".join(problems(Ask.model_validate(asked), read or Read()))


def test_the_defaults_have_no_problem() -> None:
    """Five features with two edits each, and 200 null features: 20 per test."""
    assert said() == ""


@pytest.mark.parametrize(
    ("tests", "alpha", "least"), [(2, 0.05, 40), (4, 0.05, 80), (10, 0.05, 200), (6, 0.1, 60), (7, 0.05, 140), (0, 0.05, 0)]
)
def test_twenty_null_features_per_test(tests: int, alpha: float, least: int) -> None:
    """At 0.05; and the smallest p then passes Holm's correction over all of them."""
    assert fewest_nulls(tests, alpha) == least
    assert tests / (1 + least) <= alpha


def test_null_features_are_counted_over_all_contrasts() -> None:
    """Two contrasts double the tests, whichever of them a feature is tested for."""
    two = {"refusal": PAIR, "deceit": PAIR}

    assert said(contrasts={"refusal": PAIR}, causal_features=2, null_features=80) == ""
    assert "expected at least 80" in said(contrasts={"refusal": PAIR}, causal_features=2, null_features=79)
    assert "too few for 8 tests (two edits of 4 features)" in said(contrasts=two, causal_features=2, null_features=159)
    assert said(contrasts=two, causal_features=2, null_features=160) == ""


def test_a_step_tests_forty_features_at_most() -> None:
    """Over all contrasts together."""
    three = dict.fromkeys(("refusal", "deceit", "flattery"), PAIR)

    assert "42 over 3 contrasts; expected at most 40" in said(contrasts=three, causal_features=14, per_contrast=14, null_features=2000)
    assert said(contrasts=three, causal_features=13, per_contrast=13, null_features=2000) == ""


def test_alpha_is_a_tenth_at_most() -> None:
    """A gate that lets more by chance is none."""
    assert Read(alpha=0.1).alpha == 0.1
    with pytest.raises(ValidationError):
        Read(alpha=0.11)


@pytest.mark.parametrize("variant", ["b-present", "b-german", "b-absent"])
def test_a_variant_that_reads_as_another_contrasts_population_is_refused(variant: str) -> None:
    """`a` with a variant `b-…` and a contrast `a-b` would both be called `a-b-…`."""
    contrasts = {"a": {**PAIR, "variants": {variant: "other"}}, "a-b": {**PAIR, "variants": {"german": "german"}}}

    assert f"makes 'a-{variant}', which is taken for a population of the contrast 'a-b'" in said(contrasts=contrasts, null_features=400)


def test_populations_of_accepted_names_are_all_different() -> None:
    """A contrast whose name begins as another one's, and variants of both."""
    contrasts = {name: Contrast(**PAIR, variants={"german": "german"}) for name in ("a", "a-b", "ab")}
    ask = Ask(contrasts=contrasts, null_features=600)

    assert problems(ask, Read()) == ()
    assert len(prompt_sets(ask)) == 9
    assert population("a-b", "german") in prompt_sets(ask)


@pytest.mark.parametrize("name", ["feature", "random", "random-1", "feature-x"])
def test_a_contrast_is_not_named_as_drawn_or_named_features_are(name: str) -> None:
    """Cards find their place by these beginnings."""
    assert "the name stands for features that are named or drawn by lot" in said(contrasts={name: PAIR})
