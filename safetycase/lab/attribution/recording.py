"""What went into and came out of the modules of a model in one forward pass over one prompt."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from safetycase.lab.hooks import record_inputs, record_outputs
from safetycase.lab.model import LoadedModel


@dataclass(frozen=True)
class Recording:
    """Copies, without the batch dimension: [pos, width]."""

    inputs: dict[nn.Module, Tensor] = field(default_factory=dict)
    outputs: dict[nn.Module, Tensor] = field(default_factory=dict)


@contextmanager
def recorded(modules: Sequence[nn.Module]) -> Iterator[Recording]:
    """Yields what the modules read and put out in the last forward pass."""
    recording = Recording()

    def keep(into: dict[nn.Module, Tensor], module: nn.Module, x: Tensor) -> Tensor:
        # A copy, since a later module may change its input in place; one row, since mixture layers drop the batch dimension.
        into[module] = x.reshape(-1, x.shape[-1]).clone()
        return x.new_empty(0)

    with ExitStack() as stack:
        for module in dict.fromkeys(modules):
            stack.enter_context(record_inputs([module], keep=partial(keep, recording.inputs, module)))
            stack.enter_context(record_outputs([module], keep=partial(keep, recording.outputs, module)))
        yield recording


def run(model: LoadedModel, tokens: Int[Tensor, "pos"]) -> Tensor:
    """A forward pass of one prompt; the logits of its last position in the model's precision, [vocab]."""
    ids = tokens[None].to(model.device)
    accepted = inspect.signature(model.module.forward).parameters
    options: dict[str, Any] = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}
    output = model.module(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False, **options)
    logits: Tensor = output.logits[0, -1].detach()
    return logits


def leaves(module: nn.Module) -> list[nn.Module]:
    """The modules below (and the module itself) that hold a matrix of their own, and so may be a linear map."""
    return [child for child in module.modules() if isinstance(getattr(child, "weight", None), Tensor) and child.weight.ndim == 2]
