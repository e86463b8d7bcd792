"""The loss of a sparse dictionary in training and its gradient, written out, since it touches only the few latents that fire."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Sparsity = Literal["topk", "batchtopk"]

# On a CPU, products with the firing latents alone beat dense ones once so many latents stand behind each that fires.
SPARSE_PAYS = 48


@dataclass
class Weights:
    """What is trained, for inputs and targets of mean zero and mean squared norm 1; changed in place."""

    W_enc: Float[Tensor, "feature d_in"]
    b_enc: Float[Tensor, "feature"]
    W_dec: Float[Tensor, "feature d_out"]
    b_dec: Float[Tensor, "d_out"]
    W_skip: Float[Tensor, "d_out d_in"] | None

    def named(self) -> dict[str, Tensor]:
        """Every trained tensor by name."""
        tensors = {"W_enc": self.W_enc, "b_enc": self.b_enc, "W_dec": self.W_dec, "b_dec": self.b_dec}
        return tensors if self.W_skip is None else {**tensors, "W_skip": self.W_skip}


@dataclass(frozen=True)
class Firing:
    """Which latents fire on which row and how strongly; entries of one row need not stand together."""

    rows: Int[Tensor, "entry"]
    features: Int[Tensor, "entry"]
    values: Float[Tensor, "entry"]
    """Non-negative; an entry of 0 does not fire and passes no gradient."""


@dataclass(frozen=True)
class Gradient:
    """One batch: the gradient by name, and what was measured on the way."""

    by_name: dict[str, Tensor]
    loss: float
    """Mean squared error over mean squared norm of the targets: the fraction of variance unexplained, in normalised units."""
    aux_loss: float
    firing: Firing
    error: Float[Tensor, "batch d_out"]
    """Reconstruction minus target."""


def firing(pre: Float[Tensor, "batch feature"], k: int, sparsity: Sparsity) -> Firing:
    """The k largest pre-activations of each row (Gao et al. 2024), or the k times batch largest of all (Bussmann et al. 2024)."""
    n_rows, n_features = pre.shape
    if sparsity == "topk":
        top = pre.topk(k, dim=-1, sorted=False)
        rows = torch.arange(n_rows, device=pre.device).repeat_interleave(k)
        return Firing(rows, top.indices.flatten(), top.values.flatten().relu())
    flat = pre.flatten().topk(min(k * n_rows, pre.numel()), sorted=False)
    return Firing(flat.indices // n_features, flat.indices % n_features, flat.values.relu())


def gradient(
    weights: Weights,
    x: Float[Tensor, "batch d_in"],
    y: Float[Tensor, "batch d_out"],
    *,
    k: int,
    sparsity: Sparsity,
    dead: Bool[Tensor, "feature"],
    aux_weight: float,
) -> Gradient:
    """Gradient of ‖ŷ - y‖² averaged over the batch, plus AuxK where latents are dead.

    AuxK (Gao et al. 2024, appendix A.2): the d_out / 2 strongest dead latents of each row reconstruct the residual; the error of
    that, over the residual's variance, is weighed by `aux_weight`.
    """
    pre = torch.addmm(weights.b_enc, x, weights.W_enc.mT)
    fired = firing(pre, k, sparsity)
    products = _sparse_products if _is_sparse(pre, fired) else _dense_products
    by_name, error = products(weights, x, y, fired)
    aux_loss = _add_aux(by_name, weights, x, pre, -error, dead, aux_weight) if aux_weight > 0 and bool(dead.any()) else 0.0
    return Gradient(by_name, float(error.square().sum() / len(x)), aux_loss, fired, error)


def _is_sparse(pre: Tensor, fired: Firing) -> bool:
    return pre.device.type == "cpu" and pre.numel() >= SPARSE_PAYS * len(fired.values)


def _dense_products(
    weights: Weights, x: Float[Tensor, "batch d_in"], y: Float[Tensor, "batch d_out"], fired: Firing
) -> tuple[dict[str, Tensor], Float[Tensor, "batch d_out"]]:
    """Gradient and error by products of whole matrices."""
    activations = x.new_zeros(len(x), len(weights.W_enc))
    activations[fired.rows, fired.features] = fired.values
    error = torch.addmm(weights.b_dec, activations, weights.W_dec) - y
    if weights.W_skip is not None:
        error += x @ weights.W_skip.mT
    upstream = error * (2 / len(x))
    by_name = _without_latents(weights, x, upstream)
    by_name["W_dec"] = activations.mT @ upstream
    d_pre = (upstream @ weights.W_dec.mT).mul_(activations > 0)
    by_name["W_enc"] = d_pre.mT @ x
    by_name["b_enc"] = d_pre.sum(0)
    return by_name, error


def _sparse_products(
    weights: Weights, x: Float[Tensor, "batch d_in"], y: Float[Tensor, "batch d_out"], fired: Firing
) -> tuple[dict[str, Tensor], Float[Tensor, "batch d_out"]]:
    """Gradient and error by visiting the entries alone: k of the features of each row."""
    n_features = len(weights.W_enc)

    def matrix(rows: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
        return torch.sparse_coo_tensor(torch.stack((rows, columns)), values, shape, check_invariants=False)

    by_row = matrix(fired.rows, fired.features, fired.values, (len(x), n_features))
    error = torch.sparse.addmm(weights.b_dec.expand_as(y), by_row, weights.W_dec) - y
    if weights.W_skip is not None:
        error += x @ weights.W_skip.mT
    upstream = error * (2 / len(x))
    by_name = _without_latents(weights, x, upstream)
    d_values = (upstream[fired.rows] * weights.W_dec[fired.features]).sum(-1) * (fired.values > 0)
    by_name["W_dec"] = matrix(fired.features, fired.rows, fired.values, (n_features, len(x))) @ upstream
    by_name["W_enc"] = matrix(fired.features, fired.rows, d_values, (n_features, len(x))) @ x
    by_name["b_enc"] = x.new_zeros(n_features).index_add_(0, fired.features, d_values)
    return by_name, error


def _without_latents(weights: Weights, x: Float[Tensor, "batch d_in"], upstream: Float[Tensor, "batch d_out"]) -> dict[str, Tensor]:
    by_name = {"b_dec": upstream.sum(0)}
    return by_name if weights.W_skip is None else {**by_name, "W_skip": upstream.mT @ x}


def _add_aux(
    by_name: dict[str, Tensor],
    weights: Weights,
    x: Float[Tensor, "batch d_in"],
    pre: Float[Tensor, "batch feature"],
    residual: Float[Tensor, "batch d_out"],
    dead: Bool[Tensor, "feature"],
    aux_weight: float,
) -> float:
    """Adds AuxK's gradient for the dead latents; the residual is its target and passes none."""
    chosen = dead.nonzero().flatten()
    top = pre[:, chosen].topk(min(max(1, residual.shape[1] // 2), len(chosen)), dim=-1, sorted=False)
    activations = x.new_zeros(len(x), len(chosen)).scatter_(1, top.indices, top.values.relu())
    W_dec = weights.W_dec[chosen]
    error = activations @ W_dec - residual
    variance = (residual - residual.mean(0)).square().sum() / len(x)
    if not float(variance) > 0:
        return 0.0
    upstream = error * (2 * aux_weight / (len(x) * variance))
    by_name["W_dec"].index_add_(0, chosen, activations.mT @ upstream)
    d_pre = (upstream @ W_dec.mT).mul_(activations > 0)
    by_name["W_enc"].index_add_(0, chosen, d_pre.mT @ x)
    by_name["b_enc"].index_add_(0, chosen, d_pre.sum(0))
    return float(error.square().sum() / len(x) / variance)
