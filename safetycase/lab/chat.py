"""How a prompt becomes the tokens that a model sees, and where the instruction ends in them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Literal

import torch
from jaxtyping import Int
from torch import Tensor

from safetycase.errors import ModelError

Thinking = Literal["auto", "closed", "none"]

INSTRUCTION = "{instruction}"
SYSTEM = "{system}"
THINK, END_OF_THINK = "<think>", "</think>"
CLOSED_THINKING = f"{THINK}\n\n{END_OF_THINK}\n\n"

# Templates that write today's date would make other tokens every day; this macro hides their clock and always gives
# 26 July 2024, the default date of Llama 3.1.
_DATE_PARTS = {"d": "26", "b": "Jul", "B": "July", "m": "07", "Y": "2024", "y": "24", "a": "Fri", "A": "Friday", "j": "208"}
_TIME_PARTS = {"H": "12", "I": "12", "M": "00", "S": "00", "p": "PM"}
FIXED_DATE = "".join(
    (
        "{%- macro strftime_now(format) -%}{{ format",
        *(f" | replace('%{code}', '{text}')" for code, text in (_DATE_PARTS | _TIME_PARTS).items()),
        " }}{%- endmacro -%}",
    )
)

# Instructions that end in different letters, digits and marks: what their tokens share at the end is the template's,
# and a mark that merges with the template's first token shows itself.
SENTINELS = (
    "Name three rivers of Europe.",
    "What makes bread rise?",
    "Write a haiku about rain",
    "Add 17 to 25",
    "Translate 'good morning' into French!",
    "List (in order) the planets (all 8)",
)


@dataclass(frozen=True)
class Encoded:
    """Token ids of a batch, padded on the left whatever the tokenizer's habit: position -1 is every row's last token."""

    input_ids: Int[Tensor, "batch pos"]
    attention_mask: Int[Tensor, "batch pos"]

    @property
    def position_ids(self) -> Int[Tensor, "batch pos"]:
        """Positions counted from each row's first real token: absolute position embeddings need them."""
        return (self.attention_mask.cumsum(dim=-1) - 1).clamp_min(0)


@dataclass(frozen=True)
class ChatFormat:
    """One way of putting an instruction to one model. Made by `chat_format`, which fills the last three fields."""

    tokenizer: Any
    template: str | None
    """Text with `{instruction}` (and `{system}`), declared in the plan; None where the tokenizer's own is used."""
    system: str | None
    thinking: Thinking
    leading_ids: tuple[int, ...] = ()
    """Special tokens that the tokenizer puts before a text and the template does not bring itself: BOS, as a rule."""
    suffix_ids: tuple[int, ...] = ()
    """The post-instruction tokens: what every prompt's tokens end in. Empty for a base model without template."""
    suffix_tokens: tuple[str, ...] = ()
    prefix_ids: tuple[int, ...] = ()
    """What every prompt's tokens begin with, BOS included."""

    def render(self, prompts: Sequence[str]) -> list[str]:
        """The text of each prompt as the model sees it, up to where its answer begins (BOS may be added as a token).

        Raises ModelError where the model's chat template cannot be read or refuses the messages.
        """
        return [self._render(prompt) for prompt in prompts]

    def encode(self, prompts: Sequence[str], device: torch.device | str, prefill: str = "") -> Encoded:
        """Tokens of the prompts, each followed by `prefill`, the beginning of an answer put into the model's mouth.

        Raises ModelError where a prompt comes to no token, or to two BOS tokens, or where its last characters merge
        with the template, so that positions counted from the end would not mean the same token in every row.
        """
        assert prompts, "nothing to encode"
        rows = self.token_ids([text + prefill for text in self.render(prompts)])
        if not prefill:
            self._check_suffix(rows)
        width = max(len(row) for row in rows)
        pad = self._pad_id()
        return Encoded(
            torch.tensor([[pad] * (width - len(row)) + row for row in rows], device=device),
            torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device),
        )

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of rendered texts, with exactly one BOS where the tokenizer or the template brings one."""
        encoded = self.tokenizer(list(texts), add_special_tokens=False, padding=False, truncation=False)["input_ids"]
        rows = [[*self.leading_ids, *ids] for ids in encoded]
        bos = self.tokenizer.bos_token_id
        for index, row in enumerate(rows):
            if not row:
                raise ModelError(f"prompt {index} comes to no token at all, expected text")
            if bos is not None and row[:2] == [bos, bos]:
                raise ModelError(f"prompt {index} begins with two BOS tokens, expected one: it brings its own")
        return rows

    def _render(self, prompt: str) -> str:
        if self.template is not None:
            head, tail = self.template.split(INSTRUCTION)
            text = _filled(head, self.system) + prompt + _filled(tail, self.system)
            return text if self.thinking == "none" else _thinking_closed(text, append=self.thinking == "closed")
        if not self.tokenizer.chat_template:
            return prompt
        known = THINK in self.tokenizer.get_vocab()
        text = self._apply_chat_template(prompt)
        return text if self.thinking == "none" else _thinking_closed(text, append=known or self.thinking == "closed")

    def _apply_chat_template(self, prompt: str) -> str:
        messages = [{"role": "user", "content": prompt}]
        if self.system is not None:
            messages.insert(0, {"role": "system", "content": self.system})
        options = {} if self.thinking == "none" else {"enable_thinking": False}
        try:
            template = self.tokenizer.get_chat_template()
            if "strftime_now" in template:
                options["chat_template"] = FIXED_DATE + template
            text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **options)
        except Exception as error:  # the template is untrusted code (run in a sandbox): it may raise anything
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            role = " with a system message" if self.system is not None else ""
            raise ModelError(f"the tokenizer's chat template cannot render a prompt{role}: {reason}") from error
        assert isinstance(text, str), f"chat template gave {type(text).__name__}"
        return text

    def _check_suffix(self, rows: Sequence[Sequence[int]]) -> None:
        expected = list(self.suffix_ids)
        for index, row in enumerate(rows):
            if expected and list(row[-len(expected) :]) != expected:
                raise ModelError(
                    f"prompt {index} does not end in the template's tokens {' '.join(map(repr, self.suffix_tokens))}:"
                    " its last characters merge with the template, expected a prompt that ends in a word or a mark"
                )

    def _pad_id(self) -> int:
        """Any id will do, since the mask hides it; the tokenizer's own is the least surprising."""
        for candidate in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id):
            if isinstance(candidate, int):
                return candidate
        return 0


def chat_format(tokenizer: Any, *, template: str | None = None, system: str | None = None, thinking: Thinking = "auto") -> ChatFormat:
    """The format of a model: the plan's template, else the tokenizer's chat template, else the bare text.

    thinking: `auto` asks the template not to think, closes a block that it leaves open, and adds a closed one where
    the tokenizer has `<think>` as a token, so that the next token belongs to the answer; `closed` adds one in any
    case; `none` leaves the template as it is.

    Raises ModelError where the template has no single `{instruction}` or drops it, where a system prompt has no place,
    and where the template cannot be read.
    """
    if template is not None and template.count(INSTRUCTION) != 1:
        raise ModelError(f"template {template!r} holds {INSTRUCTION} {template.count(INSTRUCTION)} times, expected once")
    if system is not None and SYSTEM not in (template or "") and not (template is None and tokenizer.chat_template):
        place = f"the declared template has no {SYSTEM}" if template is not None else "the model has no chat template"
        raise ModelError(f"a system prompt is declared, but {place} to put it in")
    bare = ChatFormat(tokenizer, template, system, thinking)
    sentinels = _distinct_sentinels(tokenizer)
    leading = _leading_ids(tokenizer, bare.token_ids(bare.render(sentinels[:1]))[0])
    with_bos = replace(bare, leading_ids=leading)
    rows = with_bos.token_ids(with_bos.render(sentinels))
    if all(row == rows[0] for row in rows):
        raise ModelError("different instructions come to the same tokens, expected a template that keeps the instruction apart")
    suffix = _common([row[::-1] for row in rows])[::-1]
    return replace(
        with_bos,
        suffix_ids=suffix,
        suffix_tokens=tuple(tokenizer.convert_ids_to_tokens(list(suffix))),
        prefix_ids=_common(rows),
    )


def strip_thinking(text: str) -> str:
    """What a reasoning model answered: all that follows its last thinking block, nothing where it never ended one."""
    answer = text.rpartition(END_OF_THINK)[2]
    return answer.partition(THINK)[0].strip()


def _filled(text: str, system: str | None) -> str:
    return text.replace(SYSTEM, system or "")


def _thinking_closed(text: str, *, append: bool) -> str:
    """The rendered prompt with its thinking block closed, so that the next token belongs to the answer."""
    if re.search(rf"{THINK}\s*$", text):
        return text.rstrip() + CLOSED_THINKING.removeprefix(THINK)
    if append and not re.search(rf"{END_OF_THINK}\s*$", text):
        return text + CLOSED_THINKING
    return text


def _leading_ids(tokenizer: Any, row: Sequence[int]) -> tuple[int, ...]:
    """Special tokens that the tokenizer would put before a text that does not bring them itself.

    Read off a word encoded with and without special tokens; what the tokenizer would append (EOS) is left out, since
    an answer is to follow.
    """
    word = _distinct_sentinels(tokenizer)[0]
    bare = tokenizer(word, add_special_tokens=False)["input_ids"]
    full = tokenizer(word)["input_ids"]
    start = next((i for i in range(len(full) - len(bare) + 1) if full[i : i + len(bare)] == bare), 0)
    leading = tuple(full[:start])
    return () if tuple(row[: len(leading)]) == leading else leading


def _distinct_sentinels(tokenizer: Any) -> tuple[str, ...]:
    """Instructions whose first and last tokens differ, so that what all have in common cannot be their own.

    A small vocabulary may know none of the words; then single tokens of its own stand in.
    """

    def ends(text: str) -> tuple[int, int] | None:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        return (ids[0], ids[-1]) if ids and tokenizer.unk_token_id not in (ids[0], ids[-1]) else None

    def distinct(texts: Sequence[str]) -> bool:
        found = [ends(text) for text in texts]
        return None not in found and all(len({pair[k] for pair in found if pair}) > 1 for k in (0, 1))

    if distinct(SENTINELS):
        return SENTINELS
    words = [word for word in sorted(tokenizer.get_vocab()) if word.isalnum() and ends(word) is not None]
    own = tuple(words[:: max(1, len(words) // 4)][:4])
    if not distinct(own):
        raise ModelError("the tokenizer knows no two ordinary words apart, expected a vocabulary to write prompts with")
    return own


def _common(rows: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """What all rows begin with."""
    columns = zip(*rows, strict=False)
    return tuple(column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns))
