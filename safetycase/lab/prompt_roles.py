"""What part a token plays in a prompt, so that positions of prompts of different lengths can be compared."""

from safetycase.lab.chat import ChatFormat

INSTRUCTION = "instruction"


def roles(chat: ChatFormat, n_tokens: int) -> tuple[str, ...]:
    """Of every token: `start-1`, `start-2` … of the template before the instruction, `instruction`, and `end-1` for the last token of the
    prompt, `end-2` for the one before it … as far as the template goes on after the instruction.

    A model without template has `instruction` alone, but for a beginning-of-text token. The last token is `end-1` in any case, since what
    is asked of a model is asked there.
    """
    before = min(len(chat.prefix_ids), n_tokens - 1)
    behind = min(max(1, len(chat.suffix_ids)), n_tokens - before)
    middle = n_tokens - before - behind
    starts = [f"start-{index}" for index in range(1, before + 1)]
    ends = [f"end-{index}" for index in range(behind, 0, -1)]
    return (*starts, *[INSTRUCTION] * middle, *ends)
