"""Tokens read as they do in running text, whatever script they are of and however a tokenizer cuts it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase.lab.features.token_texts import BROKEN, running_texts, token_texts
from tests.lab.tiny import byte_tokenizer

TOKENIZER = byte_tokenizer()


def read(text: str) -> list[str]:
    """The texts of the tokens of a text."""
    ids = TOKENIZER(text, add_special_tokens=False)["input_ids"]
    return running_texts(TOKENIZER, ids, token_texts(TOKENIZER, ids))


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=20))
def test_any_text_reads_as_itself(text: str) -> None:
    """Bytes that only together are a character stand at its last token; nothing is lost and nothing is doubled."""
    assert "".join(read(text)) == text or BROKEN in text


def test_a_character_of_several_tokens_stands_at_the_last() -> None:
    """A byte-level tokenizer cuts 漢 into three."""
    assert read("a漢b") == ["a", "", "", "漢", "b"]


def test_a_piece_that_nothing_completes_stays_broken() -> None:
    """A window may end within a character."""
    ids = TOKENIZER("漢", add_special_tokens=False)["input_ids"][:2]

    assert running_texts(TOKENIZER, ids, token_texts(TOKENIZER, ids)) == [BROKEN, BROKEN]
