"""Positions whose features and errors are no nodes: those of the leading special token, whose activations are out of scale."""

from jaxtyping import Int
from torch import Tensor

from safetycase.lab.model import LoadedModel

GEMMA_3_PREFIX = (2, 105, 2364, 107)
"""`<bos><start_of_turn>user\\n`: circuit-tracer leaves all four out for Gemma 3 -it."""


def zeroed_positions(model: LoadedModel, tokens: Int[Tensor, "pos"]) -> tuple[int, ...]:
    """Position 0 where it holds a special token, the first four of a Gemma 3 conversation, else none."""
    ids: list[int] = tokens[: len(GEMMA_3_PREFIX)].tolist()
    if model.module.config.model_type.startswith("gemma3") and tuple(ids) == GEMMA_3_PREFIX:
        return tuple(range(len(GEMMA_3_PREFIX)))
    return (0,) if ids and ids[0] in set(model.tokenizer.all_special_ids) else ()
