"""A prompt becomes the tokens that the model was made for, whatever its tokenizer is like."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase.errors import ModelError
from safetycase.lab.chat import chat_format, strip_thinking
from tests.lab.tiny import CHAT_TEMPLATE, THINKING_TEMPLATE, SlowTokenizer, byte_tokenizer, word_tokenizer

pytestmark = pytest.mark.lab

BOS, PAD = 0, 2
PROMPTS = ["w3 w4", "w5 w6 w7 w8"]


@pytest.mark.parametrize(
    ("tokenizer", "leading"),
    [
        pytest.param(word_tokenizer(bos="added"), [BOS], id="added by the tokenizer, as id 0"),
        pytest.param(word_tokenizer(bos="known"), [], id="known but never added"),
        pytest.param(word_tokenizer(bos="none"), [], id="unknown"),
        pytest.param(SlowTokenizer(), [BOS], id="a slow tokenizer"),
        pytest.param(word_tokenizer(bos="added", chat_template=CHAT_TEMPLATE), [BOS], id="added by both"),
        pytest.param(word_tokenizer(bos="known", chat_template=CHAT_TEMPLATE), [BOS], id="added by the template"),
        pytest.param(SlowTokenizer(chat_template=CHAT_TEMPLATE), [BOS], id="slow, added by both"),
        pytest.param(word_tokenizer(bos="added", chat_template=THINKING_TEMPLATE), [BOS], id="left out by the template"),
        pytest.param(word_tokenizer(bos="none", chat_template=CHAT_TEMPLATE), [], id="no BOS, with a template"),
    ],
)
def test_there_is_exactly_one_bos_or_none(tokenizer: Any, leading: list[int]) -> None:
    """One BOS where tokenizer or template adds one, even if both do; none where neither does."""
    encoded = chat_format(tokenizer).encode(PROMPTS, "cpu")

    for ids, mask in zip(encoded.input_ids, encoded.attention_mask, strict=True):
        tokens = ids[mask.bool()].tolist()
        assert tokens[: len(leading)] == leading
        assert tokens.count(BOS) == len(leading)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_always_on_the_left(side: Any) -> None:
    """Position -1 is the last token of every row; positions are counted from the first real one."""
    tokenizer = word_tokenizer(padding_side=side)

    encoded = chat_format(tokenizer).encode(PROMPTS, "cpu")

    assert encoded.input_ids[0].tolist()[:3] == [PAD, PAD, BOS]
    assert encoded.attention_mask.tolist() == [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]
    assert encoded.position_ids.tolist() == [[0, 0, 0, 1, 2], [0, 1, 2, 3, 4]]
    assert tokenizer.convert_ids_to_tokens(encoded.input_ids[:, -1].tolist()) == ["w4", "w8"]
    assert tokenizer.padding_side == side


def test_a_tokenizer_without_padding_token_pads_all_the_same() -> None:
    """The end-of-text token, or id 0, fills the rows; the mask hides it."""
    assert chat_format(word_tokenizer(pad=False)).encode(PROMPTS, "cpu").input_ids[0, 0].item() == 1


def test_the_suffix_is_what_follows_the_instruction() -> None:
    """Post-instruction tokens are those of the template, and no more, even where all sentinels are unknown words."""
    chat = chat_format(word_tokenizer(chat_template=CHAT_TEMPLATE))

    assert chat.suffix_tokens == ("<|assistant|>", "w1", "w2")
    assert chat.prefix_ids == (BOS, 4)


def test_a_base_model_has_no_suffix() -> None:
    """Without a template the prompt is the text, and the last token is the instruction's own."""
    chat = chat_format(word_tokenizer())

    assert chat.suffix_ids == ()
    assert chat.render(["w3 w4"]) == ["w3 w4"]


def test_tokens_that_merge_with_the_instruction_are_not_in_the_suffix() -> None:
    """A full stop that merges with the template's newline makes another token: the newline is not common to all."""
    merging = chat_format(byte_tokenizer(), template="Q: {instruction}\nA:")
    apart = chat_format(byte_tokenizer(), template="Q: {instruction}<|assistant|>\nA:")

    assert merging.suffix_tokens == ("A", ":")
    assert apart.suffix_tokens == ("<|assistant|>", "Ċ", "A", ":")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=4))
def test_every_prompt_ends_in_the_suffix(prompts: list[str]) -> None:
    """Positions counted from the end mean the same template token in every row, for any prompt."""
    chat = chat_format(BYTES, template="<|user|>{instruction}<|assistant|>\nA:")

    encoded = chat.encode(prompts, "cpu")

    k = len(chat.suffix_ids)
    assert encoded.input_ids[:, -k:].tolist() == [list(chat.suffix_ids)] * len(prompts)


BYTES = byte_tokenizer()


def test_a_prompt_that_merges_with_the_template_is_refused() -> None:
    """Where a prompt's last characters swallow the template's first token, positions would lie: one line says so."""
    chat = chat_format(byte_tokenizer(), template="{instruction}he")
    assert chat.suffix_tokens == ("h", "e")

    with pytest.raises(ModelError, match="prompt 1 does not end in the template's tokens 'h' 'e'"):
        chat.encode(["a", "t"], "cpu")


def test_a_template_that_swallows_the_instruction_is_refused() -> None:
    """Where every instruction comes to the same tokens there is nothing to measure."""
    with pytest.raises(ModelError, match="different instructions come to the same tokens"):
        chat_format(word_tokenizer(), template="{instruction}glued")
    with pytest.raises(ModelError, match="different instructions come to the same tokens"):
        chat_format(word_tokenizer(chat_template="<|user|> w1 <|assistant|>"))


def test_a_declared_template_replaces_the_tokenizers_own() -> None:
    """The plan's template is used as it is written; a BOS in it is not doubled, braces are plain text."""
    chat = chat_format(word_tokenizer(chat_template=CHAT_TEMPLATE), template="<s> w9 {x} {instruction} w9 w8")

    assert chat.render(["w3"]) == ["<s> w9 {x} w3 w9 w8"]
    assert chat.encode(["w3"], "cpu").input_ids[0].tolist().count(BOS) == 1
    assert chat.suffix_tokens == ("w9", "w8")


def test_a_system_prompt_has_its_place_or_is_refused() -> None:
    """In the chat template's system message or at `{system}`; a model with no place for it does not lose it silently."""
    assert chat_format(word_tokenizer(chat_template=CHAT_TEMPLATE), system="w7").render(["w3"]) == ["<s>w7 <|user|> w3 <|assistant|> w1 w2"]
    assert chat_format(word_tokenizer(), template="{system} {instruction}", system="w7").render(["w3"]) == ["w7 w3"]
    with pytest.raises(ModelError, match="the model has no chat template"):
        chat_format(word_tokenizer(), system="w7")
    with pytest.raises(ModelError, match=r"the declared template has no \{system\}"):
        chat_format(word_tokenizer(), template="{instruction}", system="w7")


@pytest.mark.parametrize(
    "template",
    [pytest.param("no place", id="no place"), pytest.param("{instruction} {instruction}", id="two places")],
)
def test_a_template_holds_the_instruction_once(template: str) -> None:
    """A declared template without a single place for the instruction is one clear line."""
    with pytest.raises(ModelError, match="expected once"):
        chat_format(word_tokenizer(), template=template)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        pytest.param("{{ raise_exception('no system role') }}", "no system role", id="refuses the messages"),
        pytest.param("{% for %}", "", id="is no template"),
        pytest.param("{{ messages[0].content.__class__.__mro__ }}", "unsafe", id="reaches out of its sandbox"),
        pytest.param("{% for i in range(999999999) %}x{% endfor %}", "Range", id="never ends"),
    ],
)
def test_an_unreadable_chat_template_is_one_line(source: str, reason: str) -> None:
    """Chat templates are untrusted code: whatever they do wrong is a model error of one line."""
    with pytest.raises(ModelError, match=f"chat template cannot render a prompt: .*{reason}") as caught:
        chat_format(word_tokenizer(chat_template=source))

    assert "\n" not in str(caught.value)


def test_the_clock_of_a_template_stands_still() -> None:
    """Templates that write today's date give the same tokens on every day."""
    chat = chat_format(byte_tokenizer(chat_template="{{ strftime_now('%d %b %Y') }} {{ messages[0].content }}<|assistant|>"))

    assert chat.render(["x"]) == ["26 Jul 2024 x<|assistant|>"]


class TestThinking:
    """A reasoning model is scored after its thinking block."""

    def test_the_template_is_asked_not_to_think(self) -> None:
        """A template that knows `enable_thinking` writes the closed block itself, once."""
        chat = chat_format(word_tokenizer(chat_template=THINKING_TEMPLATE, thinking=True))

        assert chat.render(["w3"])[0].count("</think>") == 1
        assert chat.suffix_tokens == ("<|assistant|>", "<think>", "</think>")

    def test_an_open_block_is_closed(self) -> None:
        """A generation prompt that ends in `<think>` would put the first token inside the thoughts."""
        chat = chat_format(word_tokenizer(chat_template="<|user|> {{ messages[0].content }} <|assistant|><think>\n"))

        assert chat.render(["w3"]) == ["<|user|> w3 <|assistant|><think>\n\n</think>\n\n"]

    def test_a_model_that_opens_the_block_itself_gets_a_closed_one(self) -> None:
        """The tokenizer knows `<think>`, the template says nothing of it: the model would begin to think."""
        template = "<|user|> {{ messages[0].content }} <|assistant|>"

        knows = chat_format(word_tokenizer(chat_template=template, thinking=True))
        knows_not = chat_format(word_tokenizer(chat_template=template))

        assert knows.render(["w3"])[0].endswith("<|assistant|><think>\n\n</think>\n\n")
        assert knows_not.render(["w3"])[0].endswith("<|assistant|>")

    def test_the_plan_may_leave_the_template_alone_or_insist(self) -> None:
        """`none` changes nothing; `closed` adds a block even where nothing hints at one."""
        tokenizer = word_tokenizer(chat_template=THINKING_TEMPLATE, thinking=True)

        assert "think" not in chat_format(tokenizer, thinking="none").render(["w3"])[0]
        assert chat_format(word_tokenizer(), template="{instruction} w1", thinking="closed").render(["w3"]) == [
            "w3 w1<think>\n\n</think>\n\n"
        ]

    @pytest.mark.parametrize(
        ("text", "answer"),
        [
            pytest.param("<think>\nhow?\n</think>\n\nNo.", "No.", id="a block"),
            pytest.param("how?</think> No.", "No.", id="a block opened by the prompt"),
            pytest.param("<think>a</think>b<think>c</think>d", "d", id="two blocks"),
            pytest.param("<think>still going", "", id="an unclosed block"),
            pytest.param("a</think>b<think>still going", "b", id="an unclosed block after an answer"),
            pytest.param(" Plain. ", "Plain.", id="none"),
        ],
    )
    def test_thoughts_are_not_judged(self, text: str, answer: str) -> None:
        """What is judged is the text after the last block; thoughts that never ended hold no answer."""
        assert strip_thinking(text) == answer


def test_a_prefill_begins_the_answer() -> None:
    """The words put into the model's mouth are the last tokens of the row."""
    chat = chat_format(word_tokenizer(chat_template=CHAT_TEMPLATE))

    plain, filled = (chat.encode(["w3"], "cpu", prefill=text).input_ids[0].tolist() for text in ("", " w9 w8"))

    assert filled == [*plain, 6 + 9, 6 + 8]


def test_an_empty_prompt_without_template_is_refused() -> None:
    """No token, no position to read."""
    with pytest.raises(ModelError, match="prompt 1 comes to no token"):
        chat_format(word_tokenizer(bos="none")).encode(["w3", ""], "cpu")


def test_a_prompt_that_brings_its_own_bos_is_refused() -> None:
    """Exactly one BOS is asserted, not hoped for."""
    with pytest.raises(ModelError, match="prompt 0 begins with two BOS tokens"):
        chat_format(word_tokenizer()).encode(["<s> <s> w3"], "cpu")


def test_tensors_go_to_the_device_asked_for() -> None:
    """Ids and mask are integer tensors on that device."""
    encoded = chat_format(word_tokenizer()).encode(PROMPTS, torch.device("meta"))

    assert encoded.input_ids.device.type == encoded.attention_mask.device.type == "meta"
    assert encoded.input_ids.dtype is torch.int64
