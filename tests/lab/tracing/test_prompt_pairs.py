"""Pairs of prompts: of one family and split, each prompt once, whatever the order of the files."""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from safetycase.errors import SourceError
from safetycase.evidence.kinds.circuit_trace.params import Ask
from safetycase.lab.tracing import prompt_pairs
from safetycase.lab.tracing.prompt_pairs import Pair, item_rows, sample_pairs
from safetycase.sources.prompts import Prompt, PromptSet, assign_split
from tests.lab.tiny import WORDS

pytestmark = pytest.mark.lab

ASK = Ask(n_discovery=12, n_confirmation=10)
Sets = Mapping[str, PromptSet]


def made(population: str, families: int, per_family: int, *, seed: int = 0, own: str = "") -> PromptSet:
    """Prompts of random words; `own` sets families apart by population."""
    draw = random.Random(f"{population}{seed}")
    prompts = [
        Prompt(
            f"{population}-{i}", " ".join(draw.choices(WORDS, k=draw.randint(2, 9))), f"category-{i % 3}",
            f"{own}family-{i // per_family}", assign_split(f"family-{i // per_family}", 0),
        )
        for i in range(families * per_family)
    ]  # fmt: skip
    return PromptSet(population, "made for this test", "0" * 64, tuple(prompts))


def sets(families: int, per_family: tuple[int, int], seed: int = 0, own: tuple[str, str] = ("", "")) -> dict[str, PromptSet]:
    """Both classes."""
    sides = zip(("harmful", "harmless"), per_family, own, strict=True)
    return {side: made(side, families, each, seed=seed, own=mark) for side, each, mark in sides}


def group(pair: Pair, matched_by: str) -> list[str]:
    return [getattr(prompt, matched_by) for prompt in pair.prompts]


@settings(max_examples=25)
@given(
    families=st.integers(20, 40),
    per_family=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    seed=st.integers(0, 99),
    own=st.sampled_from([("", ""), ("a-", "b-")]),
    most_compared=st.sampled_from([2, 64]),
)
def test_pairs_share_family_and_split_and_every_prompt_is_used_once(
    families: int, per_family: tuple[int, int], seed: int, own: tuple[str, str], most_compared: int
) -> None:
    """By family where classes share families, by category where they do not; in large groups, too; from files in any order."""
    given_sets = sets(families, per_family, seed, own)
    assume(all(sum(p.split == split for p in each.prompts) >= 14 for each in given_sets.values() for split in ("train", "test")))
    shuffled = {
        side: replace(each, prompts=tuple(random.Random(seed).sample(each.prompts, len(each.prompts)))) for side, each in given_sets.items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompt_pairs, "MOST_COMPARED", most_compared)

        found = sample_pairs(given_sets, ASK, seed)

        assert sample_pairs(shuffled, ASK, seed) == found
    assert found.matched_by == ("category" if own[0] else "family")
    assert 8 <= len(found.discovery) <= 12
    assert 8 <= len(found.confirmation) <= 10
    used = [prompt.id for _, prompt in found.prompts]
    assert len(set(used)) == len(used)
    for half, splits in ((found.discovery, ("train", "validation")), (found.confirmation, ("test",))):
        for pair in half:
            assert pair.harmful.id.startswith("harmful-")
            assert pair.harmless.id.startswith("harmless-")
            assert len(set(group(pair, found.matched_by))) == 1
            assert pair.harmful.split == pair.harmless.split
            assert pair.harmful.split in splits


def test_the_most_alike_are_paired() -> None:
    """Of a family with several prompts on either side, those that share their words in order."""
    given_sets = sets(40, (2, 2))
    twins = {one.id: replace(one, id=f"twin-{one.id}", text=one.text + " indeed") for one in given_sets["harmful"].prompts}
    alike = PromptSet("harmless", "made for this test", "0" * 64, tuple(reversed(twins.values())))

    found = sample_pairs({**given_sets, "harmless": alike}, ASK, 0)

    assert all(pair.harmless == twins[pair.harmful.id] for pair in (*found.discovery, *found.confirmation))


def test_in_large_groups_prompts_are_compared_with_those_near_in_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few long prompts among many short ones find partners of their own length."""
    monkeypatch.setattr(prompt_pairs, "MOST_COMPARED", 4)
    short = [Prompt(f"harmful-{i}", " ".join(WORDS[: 1 + i]), "all", "family-0", "test") for i in range(60)]
    long = [Prompt(f"harmless-{i}", " ".join(WORDS[-40 - i :]), "all", "family-0", "test") for i in range(3)]

    for harmful, harmless in ((short, long), (long, short)):
        found = list(prompt_pairs._pairs(harmful, harmless))

        assert len(found) == 3
        assert all(abs(len(one.harmful.text.split()) - len(one.harmless.text.split())) <= 3 for one in found)


def test_every_prompt_of_a_set_is_accounted_for() -> None:
    """Used ones with their pair and length, the others with a reason."""
    given_sets = sets(30, (2, 3))
    found = sample_pairs(given_sets, ASK, 0)
    used = {prompt.id: number for number, (_, prompt) in enumerate(found.prompts, start=3)}

    rows = {row["item"]: row for row in item_rows(given_sets, found, used)}

    assert len(rows) == 150
    assert {item: row["length"] for item, row in rows.items() if row["used"]} == used
    assert all(bool(row["why_unused"]) != row["used"] and bool(row["pair"]) == row["used"] for row in rows.values())
    assert all(rows[prompt.id]["pair"] == pair.harmful.id for pair in found.discovery for prompt in pair.prompts)


def test_paraphrases_are_those_of_confirmation_prompts_where_there_are_enough() -> None:
    """Of the split test, up to as many as confirmation prompts."""
    found = sample_pairs({**sets(40, (2, 2)), "paraphrase": made("paraphrase", 40, 2)}, ASK, 0)

    assert {prompt.split for prompt in found.paraphrases} == {"test"}
    assert [population for population, _ in found.prompts].count("paraphrase") == len(found.paraphrases) == 10


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param(
            {"split": "validation"}, "test: 0 matched pairs, expected at least 8: prompts of both that share a category", id="no pairs"
        ),
        pytest.param({"family": "one", "category": "one"}, "all 12 pairs are of one family, expected at least 2", id="one family"),
    ],
)
def test_what_cannot_be_paired_is_an_error_of_one_line(changed: dict[str, Any], expected: str) -> None:
    """It names both sets and the splits, what was found and what was expected."""
    given_sets = {
        side: replace(each, prompts=tuple(replace(prompt, **changed) for prompt in each.prompts)) for side, each in sets(40, (2, 2)).items()
    }

    with pytest.raises(SourceError) as caught:
        sample_pairs(given_sets, ASK, 0)

    assert expected in str(caught.value)
    assert "prompt sets 'harmful' and 'harmless'" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
