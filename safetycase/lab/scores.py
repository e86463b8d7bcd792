"""What is read off logits: refusal log-odds, KL divergence, and the cross-entropy of an answer; all in float64 nats."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Arditi et al. 2024 keep logarithms finite with these.
LOG_ODDS_EPSILON = 1e-8
KL_EPSILON = 1e-6


def refusal_log_odds(
    logits: Float[Tensor, "row vocab"], refusal_tokens: Int[Tensor, "token"]
) -> Float[Tensor, "row"]:
    """log(P + 1e-8) - log(1 - P + 1e-8), P the probability of the refusal tokens (Arditi et al. 2024, appendix B)."""
    probability = _wide(logits).softmax(dim=-1)[:, refusal_tokens.to(_wide(logits[:0]).device)].sum(dim=-1)
    return (probability + LOG_ODDS_EPSILON).log() - (1 - probability + LOG_ODDS_EPSILON).log()


def kl_divergence(
    reference: Float[Tensor, "prompt vocab"], logits: Float[Tensor, "row vocab"], prompt: Int[Tensor, "row"]
) -> Float[Tensor, "row"]:
    """sum p (log(p + 1e-6) - log(q + 1e-6)), p of each row's prompt, q of the row (Arditi et al. 2024, their code).

    The sum of p log(p + 1e-6) is had once per prompt, however many rows share it.
    """
    p = _wide(reference).softmax(dim=-1)
    prompt = prompt.to(p.device)
    own = (p * (p + KL_EPSILON).log()).sum(dim=-1)
    cross = (p[prompt] * (_wide(logits).softmax(dim=-1) + KL_EPSILON).log()).sum(dim=-1)
    return own[prompt] - cross


def answer_cross_entropy(
    logits: Float[Tensor, "row pos vocab"], answer: Int[Tensor, "row pos"], mask: Int[Tensor, "row pos"]
) -> Float[Tensor, "row"]:
    """Mean over the answer's tokens (mask 1) of -log p(token), each predicted by the logits at the same index."""
    losses = torch.nn.functional.cross_entropy(logits.float().transpose(1, 2), answer, reduction="none")
    total: Tensor = (losses * mask).double().cpu().sum(dim=-1)
    return total / mask.cpu().sum(dim=-1)


def _wide(logits: Tensor) -> Tensor:
    """In float64, on the CPU where the device has none (Apple's GPUs)."""
    return logits.cpu().double() if logits.device.type == "mps" else logits.double()
