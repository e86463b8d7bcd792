"""What is traced: linear functionals of the residual stream, from logits to a direction at any layer."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.errors import ModelError
from safetycase.evidence.graphs.graph import Target, TargetKind
from safetycase.lab.attribution.frozen_pass import FrozenPass
from safetycase.lab.attribution.unembedding import logit_gradient, logit_scale, unembedding_rows
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.features.token_texts import token_texts

FINAL_NORM = "final_norm"


@dataclass(frozen=True)
class TargetVector:
    """A functional: the inner product of `vector` with what stands at the target's site and position."""

    target: Target
    vector: Float[Tensor, "d_model"]


@dataclass(frozen=True)
class TopLogits:
    """The likeliest next tokens: the fewest that hold `mass` of the probability, `most` at most."""

    most: int = 10
    mass: float = 0.95


def top_logits(pass_: FrozenPass, most: int = 10, mass: float = 0.95) -> list[TargetVector]:
    """A target per token: its unembedding row less the mean row (circuit-tracer's), weighted by its probability."""
    probabilities = pass_.logits.softmax(dim=-1)
    top, ids = probabilities.topk(min(most, len(probabilities)))
    kept = int(torch.searchsorted(top.cumsum(0), mass)) + 1
    chosen = ids[:kept].tolist()
    rows = unembedding_rows(pass_.model, ids[:kept]) * logit_scale(pass_)
    texts = token_texts(pass_.model.tokenizer, chosen)
    return [
        _final(pass_, "logit", texts[token], row, weight=probability, token=token)
        for token, row, probability in zip(chosen, rows, top.tolist(), strict=False)
    ]


def logit_difference(pass_: FrozenPass, plus: Sequence[int], minus: Sequence[int], label: str = "") -> TargetVector:
    """Mean logit of some tokens less that of others, before any soft cap; at the last position."""
    if not plus or not minus:
        raise ModelError("a difference of logits needs tokens on both sides, found none on one")
    scale = logit_scale(pass_)
    sides = [unembedding_rows(pass_.model, torch.tensor(list(tokens), device=pass_.final.device)).mean(dim=0) for tokens in (plus, minus)]
    return _final(
        pass_, "logit-difference", label or f"logits {_listed(pass_, plus)} - {_listed(pass_, minus)}", (sides[0] - sides[1]) * scale
    )


def log_odds_gradient(pass_: FrozenPass, tokens: Sequence[int], label: str = "") -> TargetVector:
    """The gradient, at this prompt, of log P - log(1 - P), P the probability that one of the tokens comes next.

    A first-order account of a function that is not linear; the derivative of a soft cap is included.
    """
    if not tokens:
        raise ModelError("log-odds need at least one token, found none")
    chosen = torch.tensor(sorted(set(tokens)), device=pass_.logits.device)
    log_probabilities = pass_.logits.double().log_softmax(dim=-1)
    others = torch.ones(len(pass_.logits), dtype=torch.bool, device=chosen.device)
    others[chosen] = False
    # d(log P - log(1 - P))/dlogit_i is p_i / P inside the set and -p_i / (1 - P) outside.
    gradient = torch.where(
        others,
        -(log_probabilities - log_probabilities[others].logsumexp(0)).exp(),
        (log_probabilities - log_probabilities[chosen].logsumexp(0)).exp(),
    )
    vector = logit_gradient(pass_, gradient)
    return _final(pass_, "log-odds", label or f"log-odds of {_listed(pass_, tokens)} (first order)", vector)


def direction(
    pass_: FrozenPass,
    vector: Float[Tensor, "d_model"],
    site: Site | str,
    position: int = -1,
    *,
    label: str = "direction",
    kind: TargetKind = "direction",
    weight: float = 1.0,
) -> TargetVector:
    """Any vector at `final_norm` or at a site such as resid_pre.2; negative positions count from the end.

    Raises ModelError for a position outside of the prompt, another width than the model's, and (when it is traced) for a
    site that is no linear function of the stream.
    """
    n = pass_.n_positions
    if not -n <= position < n:
        raise ModelError(f"position {position}: outside of the prompt, expected {-n} to {n - 1}")
    if vector.shape != (pass_.final.shape[-1],):
        raise ModelError(f"{label}: a vector of shape {tuple(vector.shape)}, expected {pass_.final.shape[-1]} numbers")
    return TargetVector(Target(kind, label, weight, str(site), position % n), vector.to(pass_.final))


def _final(pass_: FrozenPass, kind: TargetKind, label: str, vector: Tensor, weight: float = 1.0, token: int | None = None) -> TargetVector:
    return TargetVector(Target(kind, label, weight, FINAL_NORM, pass_.n_positions - 1, token), vector)


def _listed(pass_: FrozenPass, tokens: Sequence[int]) -> str:
    texts = token_texts(pass_.model.tokenizer, tokens)
    return "/".join(texts[token].strip() for token in tokens)
