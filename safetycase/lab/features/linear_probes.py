"""Linear probes of two classes: logistic regression that is small enough to be solved exactly, hence the same every time."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

RIDGE = 1.0
"""Times half the squared norm of the weights of standardised inputs, beside a sum of losses over examples (scikit-learn's C = 1)."""
ROUNDING = 1e-6
"""A column that varies less than this, beside its largest value, is rounding in float32: it counts as constant."""
STEPS = 200
# Of the gradient's norm per example, and of the improvement that still counts.
CONVERGED = 1e-10


@dataclass(frozen=True)
class Probe:
    """A fitted probe; its decision value is above 0 where it says present."""

    weight: Float64[Tensor, "d"]
    """In the space of the inputs, not of the standardised ones."""
    bias: float

    def score(self, x: Float[Tensor, "row d"]) -> Float64[Tensor, "row"]:
        """Decision values: log-odds of present."""
        return x.double() @ self.weight + self.bias

    @property
    def direction(self) -> Float64[Tensor, "d"]:
        """The unit vector along which the decision value grows fastest; zeros where nothing tells the classes apart."""
        norm = self.weight.norm()
        return self.weight / norm if norm > 0 else self.weight


def fit_probe(x: Float[Tensor, "row d"], present: Bool[Tensor, "row"]) -> Probe:
    """L2-regularised logistic regression on standardised inputs, the classes weighted to equal shares, in float64.

    Without a column (no feature fires) every score is 0. Both classes must occur.
    """
    return Examples(x).probe(present) if x.shape[1] else Probe(x.new_zeros(0, dtype=torch.float64), 0.0)


class Examples:
    """Inputs, of one column at least, that probes of one or many labellings are fitted on: standardised and factored once.

    The minimum lies in the span of the examples (representer theorem), so that Newton's method solves it in at most as many dimensions
    as there are examples.
    """

    def __init__(self, x: Float[Tensor, "row d"]) -> None:
        wide = x.double()
        self._mean = wide.mean(dim=0)
        spread = wide.std(dim=0, correction=0)
        varies = spread > ROUNDING * wide.abs().amax(dim=0)
        self._scale = torch.where(varies, spread, torch.full_like(spread, torch.inf))
        standardised = (wide - self._mean) / self._scale
        self._basis = torch.linalg.svd(standardised, full_matrices=False)[2]
        self._reduced = standardised @ self._basis.mT

    def probe(self, present: Bool[Tensor, "row"]) -> Probe:
        """The probe of these labels, of which there must be both."""
        assert 0 < int(present.sum()) < len(present), (int(present.sum()), len(present))
        theta = _newton(self._reduced, present)
        weight = self._basis.mT @ theta[:-1] / self._scale
        return Probe(weight, float(theta[-1] - self._mean @ weight))


def f1(score: Float[Tensor, "row"], present: Bool[Tensor, "row"]) -> float:
    """Harmonic mean of precision and recall of "score above 0" for present; 0 where nothing is found."""
    said = score > 0
    found = int((said & present).sum())
    return 2 * found / max(1, int(said.sum()) + int(present.sum()))


def _newton(z: Float64[Tensor, "row r"], present: Bool[Tensor, "row"]) -> Float64[Tensor, "r_1"]:
    """Weights and, last, the intercept, which is not penalised. The loss is strictly convex: damped steps reach its one minimum."""
    rows = torch.cat([z, torch.ones_like(z[:, :1])], dim=-1)
    sign = torch.where(present, 1.0, -1.0).double()
    share = torch.where(present, 1 / present.sum(), 1 / (~present).sum()).double() * len(present) / 2
    ridge = torch.full((rows.shape[1],), RIDGE, dtype=torch.float64)
    ridge[-1] = 0

    def loss(theta: Tensor) -> Tensor:
        value: Tensor = (share * torch.nn.functional.softplus(-sign * (rows @ theta))).sum() + (ridge * theta.square()).sum() / 2
        return value

    theta = torch.zeros(rows.shape[1], dtype=torch.float64)
    value = loss(theta)
    for _ in range(STEPS):
        wrong = torch.sigmoid(-sign * (rows @ theta))
        gradient = ridge * theta - rows.mT @ (share * sign * wrong)
        if gradient.norm() <= CONVERGED * len(rows):
            break
        hessian = (rows * (share * wrong * (1 - wrong)).unsqueeze(-1)).mT @ rows + torch.diag(ridge + CONVERGED)
        step = torch.linalg.solve(hessian, gradient)
        size = 1.0
        while loss(theta - size * step) > value and size > CONVERGED:
            size /= 2
        theta = theta - size * step
        value = loss(theta)
    return theta
