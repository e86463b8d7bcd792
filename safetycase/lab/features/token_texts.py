"""What single tokens read like in running text, as cards show them."""

from collections.abc import Iterable
from typing import Any


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
