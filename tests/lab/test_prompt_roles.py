"""Roles of tokens: as long as the prompt, as the template says, and the same for prompts of other lengths."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetycase.lab.chat import ChatFormat, chat_format
from safetycase.lab.forward import tokenised
from safetycase.lab.prompt_roles import roles
from tests.lab.small import loaded
from tests.lab.tiny import word_tokenizer

pytestmark = pytest.mark.lab

BARE = ChatFormat(None, None, None, "auto")


@given(before=st.integers(0, 5), after=st.integers(0, 5), n=st.integers(1, 20))
def test_every_token_has_a_role_and_the_last_is_always_the_end(before: int, after: int, n: int) -> None:
    """Whatever the template and however short the prompt, roles are counted from both ends and the instruction lies between."""
    found = roles(replace(BARE, prefix_ids=(7,) * before, suffix_ids=(8,) * after), n)

    assert len(found) == n
    assert found[-1] == "end-1"
    starts, ends = (sum(role.startswith(side) for role in found) for side in ("start-", "end-"))
    assert found[:starts] == tuple(f"start-{place}" for place in range(1, starts + 1))
    assert found[n - ends :] == tuple(f"end-{place}" for place in range(ends, 0, -1))
    assert set(found[starts : n - ends]) <= {"instruction"}
    if n >= before + max(1, after):
        assert (starts, ends) == (before, max(1, after))


def test_the_template_s_own_tokens_are_starts_and_ends() -> None:
    """Of a real format: begin-of-text and user mark, the words of the prompt, and what stands before the answer."""
    model = loaded()
    tokens = tokenised(model, ["w20 w21 w22"])[0]

    found = dict(zip(model.tokenizer.convert_ids_to_tokens(tokens.tolist()), roles(model.chat, len(tokens)), strict=True))

    assert found == {
        "<s>": "start-1", "<|user|>": "start-2", "w20": "instruction", "w21": "instruction", "w22": "instruction",
        "<|assistant|>": "end-3", "w1": "end-2", "w2": "end-1",
    }  # fmt: skip


def test_a_base_model_has_instruction_alone_but_for_both_ends() -> None:
    """Without template, its begin-of-text token starts and the last word is where the answer is asked."""
    assert roles(chat_format(word_tokenizer()), 4) == ("start-1", "instruction", "instruction", "end-1")
