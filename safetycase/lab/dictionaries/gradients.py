"""The loss of a sparse dictionary in training and its gradient, written out, since it touches only the few latents that fire."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag

Sparsity = Literal["topk", "batchtopk"]

# On a CPU, products with the firing latents alone beat dense ones once so many latents stand behind each that fires.
SPARSE_PAYS = 12
# Rows by which the bound of BatchTopK's candidates is guessed, and by how much it is guessed low.
SAMPLED_ROWS = 32
SPARE = 1.3
ROWS_AT_ONCE = 512


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
    chosen = _largest_positive(pre.detach(), min(k * n_rows, pre.numel()))
    return Firing(chosen // n_features, chosen % n_features, pre.flatten()[chosen])


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


def _largest_positive(pre: Float[Tensor, "batch feature"], count: int) -> Int[Tensor, "entry"]:
    """Places, in the flattened tensor, of the `count` largest entries that are positive.

    A bound read off a few rows leaves few candidates; where it leaves too few, all are looked at.
    """
    flat = pre.flatten()
    sample = pre[:: max(1, len(pre) // SAMPLED_ROWS)].flatten()
    above = min(len(sample) - 1, int(SPARE * count * len(sample) / len(flat)) + 1)
    bound = float(sample.kthvalue(len(sample) - above).values.clamp_min(0))
    candidates = (flat > bound).nonzero().squeeze(1)
    if len(candidates) < count and bound > 0:
        candidates = (flat > 0).nonzero().squeeze(1)
    if len(candidates) <= count:
        return candidates
    return candidates[flat[candidates].topk(count, sorted=False).indices]


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
    error = _weighted_sums(fired.rows, len(x), fired.values, weights.W_dec, fired.features) + (weights.b_dec - y)
    if weights.W_skip is not None:
        error += x @ weights.W_skip.mT
    upstream = error * (2 / len(x))
    by_name = _without_latents(weights, x, upstream)
    d_values = _row_products(upstream, fired.rows, weights.W_dec, fired.features) * (fired.values > 0)
    by_name["W_dec"] = _weighted_sums(fired.features, n_features, fired.values, upstream, fired.rows)
    by_name["W_enc"] = _weighted_sums(fired.features, n_features, d_values, x, fired.rows)
    by_name["b_enc"] = x.new_zeros(n_features).index_add_(0, fired.features, d_values)
    return by_name, error


def _weighted_sums(
    groups: Int[Tensor, "entry"],
    n_groups: int,
    values: Float[Tensor, "entry"],
    table: Float[Tensor, "row width"],
    rows: Int[Tensor, "entry"],
) -> Float[Tensor, "group width"]:
    """By group, the sum over its entries of value times row of the table."""
    order = groups.argsort(stable=True)
    ends = torch.bincount(groups, minlength=n_groups).cumsum(0)
    starts = torch.cat((ends.new_zeros(1), ends[:-1]))
    return embedding_bag(rows[order], table, starts, per_sample_weights=values[order], mode="sum")


def _row_products(
    a: Float[Tensor, "a_row width"], a_rows: Int[Tensor, "entry"], b: Float[Tensor, "b_row width"], b_rows: Int[Tensor, "entry"]
) -> Float[Tensor, "entry"]:
    """The scalar product of one row of each per entry, in pieces that stay in a processor's cache."""
    products = a.new_empty(len(a_rows))
    for start in range(0, len(a_rows), ROWS_AT_ONCE):
        piece = slice(start, start + ROWS_AT_ONCE)
        torch.sum(a.index_select(0, a_rows[piece]).mul_(b.index_select(0, b_rows[piece])), dim=-1, out=products[piece])
    return products


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
