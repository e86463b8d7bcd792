"""Pairs are of one family, differ as little as the prompts allow, and know where the template's tokens are."""

import pytest

from safetycase.lab.circuits.pairs import matched_pairs
from safetycase.sources.prompts import Prompt
from tests.lab.small import loaded

pytestmark = pytest.mark.lab


def prompts(kind: str, *texts: tuple[str, str]) -> list[Prompt]:
    """Prompts by (family, text)."""
    return [Prompt(f"{kind}-{number}", text, "topic", family, "train") for number, (family, text) in enumerate(texts)]


def test_a_match_is_of_the_family_and_as_like_as_can_be() -> None:
    """Equal length goes first, then most tokens in common; none is used twice, and other families are left alone."""
    model = loaded()
    harmful = prompts("harmful", ("a", "w3 w4 w5"), ("a", "w3 w9 w8"), ("b", "w3 w4 w5"))
    harmless = prompts("harmless", ("a", "w3 w9 w7"), ("a", "w3 w4 w6"), ("a", "w3 w4 w5 w5"), ("c", "w3 w4 w5"))

    pairs = matched_pairs(model, harmful, harmless, [7], equal_length=True)

    decoded = {pair.item: model.tokenizer.decode(pair.corrupted[pair.before : len(pair.corrupted) - pair.after]) for pair in pairs}
    assert decoded == {"harmful-0": "w3 w4 w6", "harmful-1": "w3 w9 w7"}
    assert all(pair.equal_length and pair.target == (7,) for pair in pairs)


def test_without_equal_lengths_the_nearest_is_taken() -> None:
    """A pair of unequal prompts is found where it is allowed, and left out where it is not."""
    model = loaded()
    harmful, harmless = prompts("harmful", ("a", "w3 w4 w5")), prompts("harmless", ("a", "w3 w4"), ("a", "w3 w4 w5 w6 w7 w8"))

    (pair,) = matched_pairs(model, harmful, harmless, [7], equal_length=False)

    assert len(pair.clean) - len(pair.corrupted) == 1
    assert matched_pairs(model, harmful, harmless, [7], equal_length=True) == []


def test_the_templates_tokens_are_counted_off() -> None:
    """BOS and `<|user|>` stand before the instruction, `<|assistant|> w1 w2` after it."""
    model = loaded()

    (pair,) = matched_pairs(model, prompts("x", ("a", "w3 w4")), prompts("y", ("a", "w5 w6")), [7], equal_length=True)

    assert (pair.before, pair.after) == (2, 3)
    assert model.tokenizer.decode(pair.clean[pair.before : -pair.after]) == "w3 w4"
