"""A corpus is read as the model would read it: nothing lost, nothing across documents, no token out of scale."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from safetycase.errors import ModelError
from safetycase.lab.chat import chat_format
from safetycase.lab.features.corpus_windows import conversation_text, half, windows
from safetycase.lab.features.token_texts import token_texts
from safetycase.lab.model import LoadedModel
from safetycase.sources.corpora import Message
from tests.lab.features.texts import texts as corpus_of
from tests.lab.small import loaded
from tests.lab.tiny import CHAT_TEMPLATE, WORDS, byte_tokenizer, word_tokenizer

BOS = 0
documents_of_words = st.lists(st.lists(st.sampled_from([*WORDS[:20], "<s>"]), max_size=40).map(" ".join), max_size=6)


def cut(model: LoadedModel, documents: Sequence[str | tuple[Message, ...]], *, context: int = 8, max_tokens: int = 10**6) -> list[Any]:
    """All windows of a corpus in memory."""
    return list(windows(model, corpus_of(documents), context=context, max_tokens=max_tokens))


@cache
def model_with(bos: Any = "added", chat_template: str | None = None, template: str | None = None) -> LoadedModel:
    """A tiny model behind a tokenizer of this kind."""
    tokenizer = word_tokenizer(bos=bos, chat_template=chat_template)
    return replace(loaded(), tokenizer=tokenizer, chat=chat_format(tokenizer, template=template))


@given(documents=documents_of_words, context=st.integers(2, 12))
def test_windows_hold_every_token_of_every_document_once(documents: list[str], context: int) -> None:
    """Behind their first token, the windows of a document follow one another without gap or overlap, none longer than asked."""
    model = model_with()

    found = cut(model, documents, context=context)

    assert [window.number for window in found] == list(range(len(found)))
    assert all(len(window.tokens) <= context and window.tokens[0] == BOS and window.counted.any() for window in found)
    for text in dict.fromkeys(documents):
        expected = [id_ for id_ in model.tokenizer(text, add_special_tokens=False)["input_ids"] if id_ != BOS]
        own = [window for window in found if window.document == f"document {text!r}"]
        assert [id_ for window in own for id_ in window.tokens[window.counted].tolist()] == expected * documents.count(text)


@given(documents=documents_of_words, context=st.integers(2, 12), most=st.integers(1, 60))
def test_a_limit_of_tokens_cuts_the_same_windows_short(documents: list[str], context: int, most: int) -> None:
    """Exactly so many counted tokens are read, where the corpus has them, and they are the first ones."""
    model = model_with()
    whole = [id_ for window in cut(model, documents, context=context) for id_ in window.tokens[window.counted].tolist()]

    found = [id_ for window in cut(model, documents, context=context, max_tokens=most) for id_ in window.tokens[window.counted].tolist()]

    assert found == whole[:most]


def test_beginning_of_text_tokens_do_not_count_wherever_they_stand() -> None:
    """Activations on them are out of scale, be it at the start or where a text spells one."""
    (window,) = cut(model_with(), ["w1 <s> w2"])

    assert window.tokens.tolist() == model_with().tokenizer("w1 <s> w2")["input_ids"]
    assert window.counted.tolist() == [False, True, False, True]


@pytest.mark.parametrize(
    ("bos", "first"), [pytest.param("added", "<s>", id="put before texts"), ("known", "w1"), pytest.param("none", "w1", id="unknown")]
)
def test_a_window_begins_as_the_model_is_used_to(bos: str, first: str) -> None:
    """The beginning-of-text token stands there only where the tokenizer puts it."""
    model = model_with(bos)

    found = cut(model, [" ".join(["w1"] * 20)])

    assert {model.tokenizer.convert_ids_to_tokens(int(window.tokens[0])) for window in found} == {first}


def test_a_conversation_goes_through_the_models_chat_template() -> None:
    """Roles, answers and the beginning-of-text token that the template writes itself, which stands before later windows too."""
    model = model_with("known", CHAT_TEMPLATE)
    talk = (Message("system", "w9"), Message("user", "w10 w11"), Message("assistant", "w12 w13 w14"))

    found = cut(model, [talk], context=6)

    written = [model.tokenizer.convert_ids_to_tokens(window.tokens.tolist()) for window in found]
    assert written == [["<s>", "w9", "<|user|>", "w10", "w11", "<|user|>"], ["<s>", "w12", "w13", "w14"]]


def test_a_plans_template_stands_before_the_chat_template() -> None:
    """Requests are put as the plan says, answers follow at once; the plan's system prompt gives way to the conversation's own."""
    tokenizer = word_tokenizer(chat_template=CHAT_TEMPLATE)
    chat = chat_format(tokenizer, template="{system} U: {instruction} A: ", system="plan")

    own = conversation_text(chat, (Message("system", "S"), Message("user", "hi"), Message("assistant", "yes")))
    plans = conversation_text(chat, (Message("user", "hi"), Message("assistant", "yes")))

    assert (own, plans) == ("S U: hi A: yes", "plan U: hi A: yes")


def test_a_template_without_a_system_role_reads_it_in_the_first_request() -> None:
    """As is the custom with Gemma; other refusals are one line that names the document."""
    refuses = "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}{{ m['content'] }}|{% endfor %}"
    chat = replace(model_with().chat, tokenizer=word_tokenizer(chat_template=refuses), template=None)

    assert conversation_text(chat, (Message("system", "S"), Message("user", "hi"))) == "S\n\nhi|"
    with pytest.raises(ModelError, match=r"^document 1 of the corpus: .*chat template.*no$"):
        cut(replace(model_with(), chat=chat), [(Message("system", "S"), Message("assistant", "w1"))])


def test_a_model_without_a_template_reads_the_bare_texts() -> None:
    """A base model has no roles."""
    chat = replace(model_with().chat, template=None)

    assert conversation_text(chat, (Message("user", "w1"), Message("assistant", "w2"))) == "w1\n\nw2"


def test_a_window_longer_than_the_model_reads_is_refused() -> None:
    """In one line with what was found and expected, before any pass."""
    with pytest.raises(ModelError, match=r"^context: found 129 tokens, expected at most 128: random reads no more at once$"):
        cut(model_with(), ["w1"], context=129)


def test_a_split_of_documents_is_a_coin_of_their_own() -> None:
    """About half on each side, other ones for other purposes and seeds, the same ones each time."""
    names = [f"document {n}" for n in range(2000)]

    sides = torch.tensor([[half(name, seed, purpose) for name in names] for seed in (0, 1) for purpose in ("fit", "label")])

    assert ((sides.double().mean(dim=1) - 0.5).abs() < 0.05).all()
    assert all((a != b).double().mean() > 0.4 for i, a in enumerate(sides) for b in sides[i + 1 :])


def test_a_tokens_text_keeps_its_space_and_shows_broken_characters() -> None:
    """As it reads behind other text; a special token bare."""
    words, tokenizer = word_tokenizer(), byte_tokenizer()

    assert token_texts(words, words("<s> w1")["input_ids"]) == {0: "<s>", 7: " w1"}
    ids = tokenizer("the 日.\n")["input_ids"]
    assert [token_texts(tokenizer, ids)[id_] for id_ in ids] == ["the", " ", "\ufffd", "\ufffd", "\ufffd", ".\n"]
