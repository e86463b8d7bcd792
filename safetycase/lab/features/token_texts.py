"""What single tokens read like in running text, as cards show them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

BROKEN = "\N{REPLACEMENT CHARACTER}"
LONGEST = 8
"""Tokens that one character may be made of: four bytes, and marks that lean on it."""


def token_texts(tokenizer: Any, ids: Iterable[int]) -> dict[int, str]:
    """The text that each token adds to what stands before it, its leading space included.

    Read off behind another token, since some decoders drop the space at the start of a text. A token that holds a part of a
    character reads as the replacement character.
    """
    special = set(tokenizer.all_special_ids)
    before = tokenizer("a", add_special_tokens=False)["input_ids"][-1:]
    start = tokenizer.decode(before, clean_up_tokenization_spaces=False)
    texts = {}
    for token in sorted(set(ids)):
        text = tokenizer.decode([*before, token], clean_up_tokenization_spaces=False)
        behind = token not in special and text.startswith(start)
        texts[token] = text[len(start) :] if behind else tokenizer.decode([token], clean_up_tokenization_spaces=False)
    return texts


def running_texts(tokenizer: Any, ids: Sequence[int], texts: Mapping[int, str]) -> list[str]:
    """The texts of consecutive tokens, given those of each alone: a character that several tokens share stands at the last of them.

    The others then read as nothing. What no following token completes stays the replacement character.
    """
    found = [texts[token] for token in ids]
    place = 0
    while place < len(ids):
        whole = next(_completed(tokenizer, ids, place), None) if BROKEN in found[place] else None
        if whole is None:
            place += 1
            continue
        end, text = whole
        found[place:end] = [*[""] * (end - place - 1), text]
        place = end
    return found


def _completed(tokenizer: Any, ids: Sequence[int], start: int) -> Iterator[tuple[int, str]]:
    """Ends of pieces from `start` on that read without a broken character, shortest first, with their text."""
    for end in range(start + 2, min(start + LONGEST, len(ids)) + 1):
        text = tokenizer.decode(list(ids[start:end]), clean_up_tokenization_spaces=False)
        if BROKEN not in text:
            yield end, text
