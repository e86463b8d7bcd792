"""What an edit costs on harmless prompts: the shift of the first answer token, and the surprise at the model's own answer."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.lab.forward import Forward, Tokens, left_padded
from safetycase.lab.scores import answer_cross_entropy, kl_divergence


@torch.inference_mode()
def collateral(
    forward: Forward,
    prompts: Sequence[Tokens],
    answers: Sequence[Tokens],
    unedited: Float[Tensor, "prompt vocab"],
    edit: AbstractContextManager[Any],
) -> Float[Tensor, "prompt 2"]:
    """Per prompt, under the edit: KL divergence of the first answer token, and cross-entropy per token of the answer.

    `answers` are the unedited model's own, `unedited` its logits after each prompt. Both numbers are in nats.
    """
    batches, model = forward.batches, forward.model
    loads = [
        batches.load(len(prompt) + len(answer), logits=len(answer)) for prompt, answer in zip(prompts, answers, strict=True)
    ]

    def work(indices: list[int]) -> Tensor:
        encoded = left_padded([torch.cat([prompts[i], answers[i]]) for i in indices], model.device)
        said = left_padded([answers[i] for i in indices], model.device)
        width = said.input_ids.shape[1]
        logits = model.module(
            input_ids=encoded.input_ids,
            attention_mask=encoded.attention_mask,
            position_ids=encoded.position_ids,
            use_cache=False,
            logits_to_keep=width + 1,
        ).logits[:, :-1]
        first = width - said.attention_mask.sum(dim=1)  # padding is on the left: the answer begins here
        after_prompt = logits[torch.arange(len(indices), device=first.device), first].float()
        kl = kl_divergence(unedited[torch.tensor(indices, device=unedited.device)], after_prompt, torch.arange(len(indices))).cpu()
        return torch.stack([kl, answer_cross_entropy(logits, said.input_ids, said.attention_mask)], dim=1)

    with edit:
        return batches.run(loads, work)
