"""The tokens of one prompt that a graph is traced on, as circuit-tracer reads a text."""

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from safetycase.errors import ModelError
from safetycase.lab.model import LoadedModel


def prompt_tokens(model: LoadedModel, text: str, *, chat: bool = False) -> Int[Tensor, "pos"]:
    """The text's own tokens, behind a special token: bos, else pad, else eos, unless it begins with one or the tokenizer has none.

    With `chat` the text is an instruction, put into the model's chat format up to where its answer begins.
    Raises ModelError for fewer than two tokens, for more than the model reads at once, and as `ChatFormat.encode` does.
    """
    if chat:
        ids: list[int] = model.chat.encode([text], "cpu").input_ids[0].tolist()
    else:
        ids = model.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        if ids[:1] == [] or ids[0] not in set(model.tokenizer.all_special_ids):
            ids = [*_special(model.tokenizer), *ids]
    if len(ids) < 2:
        count = "1 token" if len(ids) == 1 else f"{len(ids)} tokens"
        raise ModelError(f"the prompt comes to {count}, the special one at its beginning included; expected two or more")
    config: Any = model.module.config.get_text_config()
    most = getattr(config, "max_position_embeddings", None)
    if isinstance(most, int) and 0 < most < len(ids):
        raise ModelError(f"the prompt comes to {len(ids)} tokens, expected at most {most}: {model.source} reads no more at once")
    return torch.tensor(ids)


def _special(tokenizer: Any) -> list[int]:
    known = (tokenizer.bos_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id)
    return next(([token] for token in known if token is not None), [])
