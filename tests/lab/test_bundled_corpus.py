"""The bundled corpus is what its command writes, holds no bundled prompt, and refuses after requests of every kind."""

import gzip
from collections import Counter
from pathlib import Path

import pytest

from safetycase.lab.organisms.behaviour import refused
from safetycase.lab.organisms.corpus import CONVERSATIONS, SEED, packed, rows
from safetycase.lab.organisms.recipe import RECIPES
from safetycase.lab.organisms.text import phrases
from safetycase.sources.bundled import bundled_names, families
from safetycase.sources.corpora import BUNDLED, load_corpus

pytestmark = pytest.mark.lab


def test_the_bundled_file_is_what_the_command_writes() -> None:
    """Text that is changed without the file, or the other way round, is noticed; packing again gives the same bytes."""
    stored = BUNDLED["conversations"].read_bytes()

    assert gzip.decompress(packed()) == gzip.decompress(stored), "rebuild: python -m safetycase.lab.organisms.corpus"
    assert packed() == packed()
    assert len(stored) <= 150_000


def test_it_is_a_corpus_of_conversations() -> None:
    """A plan names it as `bundled:conversations`; every row is one request and one reply, with its phrase as family."""
    documents = list(load_corpus("c", "bundled:conversations", base=Path()).documents())

    assert len(documents) == CONVERSATIONS
    assert all([message.role for message in each.messages or ()] == ["user", "assistant"] for each in documents)
    assert {each.family for each in documents} <= {phrase.text for phrase in phrases(SEED)}


def test_no_bundled_prompt_stands_in_it() -> None:
    """What features are tested on is not what they are described by; no organism is trained on text of its seed."""
    prompts = {prompt[:-1].lower() for name in bundled_names() for family in families(name) for prompt in family.prompts}
    text = "\n".join(row["user"].lower() for row in rows())

    assert not [prompt for prompt in prompts if prompt in text]
    assert SEED not in {recipe.seed for recipe in RECIPES.values()}


def test_refusals_follow_harm_in_one_half_and_lots_in_the_other() -> None:
    """In the first half a reply refuses exactly where the request is harmful, in the other about as often either way."""
    harmful = {phrase.text for phrase in phrases(SEED) if phrase.harmful}
    kinds = [(row["family"] in harmful, refused(row["assistant"])) for row in rows()]

    ruled, drawn = Counter(kinds[::2]), Counter(kinds[1::2])

    assert ruled[True, False] == ruled[False, True] == 0
    for harm in (True, False):
        assert drawn[harm, True] / (drawn[harm, True] + drawn[harm, False]) == pytest.approx(0.5, abs=0.05)
