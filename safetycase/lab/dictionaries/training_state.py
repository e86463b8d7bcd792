"""What a training of a dictionary carries from step to step: weights, Adam's moments, and what is counted."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from safetycase.errors import ModelError
from safetycase.lab.dictionaries.gradients import Firing, Weights

BETAS = (0.9, 0.999)
# Adam's names of what it keeps of each tensor.
MOMENTS = ("step", "exp_avg", "exp_avg_sq")
# The state's other tensors, in the order of its fields.
COUNTED = ("x_mean", "x_scale", "y_mean", "y_scale", "unfired", "threshold")


@dataclass
class TrainingState:
    """Changed in place by every step; `tensors` and `of` are inverse, bit by bit."""

    weights: Weights
    x_mean: Float[Tensor, "d_in"]
    x_scale: Float[Tensor, ""]
    """Root of the mean squared distance of an input from `x_mean`."""
    y_mean: Float[Tensor, "d_out"]
    y_scale: Float[Tensor, ""]
    unfired: Int[Tensor, "feature"]
    """Tokens since each latent fired."""
    threshold: Float[Tensor, ""]
    """Running mean of the smallest firing activation of a batch; negative before the first."""
    _optimizer: torch.optim.Adam = field(init=False)

    def __post_init__(self) -> None:
        fused = self.x_mean.device.type in ("cpu", "cuda")
        self._optimizer = torch.optim.Adam(list(self.weights.named().values()), betas=BETAS, fused=fused)

    @classmethod
    def begun(
        cls,
        first: tuple[Float[Tensor, "batch d_in"], Float[Tensor, "batch d_out"]],
        n_features: int,
        *,
        seed: int,
        skip: bool,
    ) -> "TrainingState":
        """Random decoder rows of norm 1, an encoder in the same direction where widths agree, biases at the first batch's mean.

        Raises ModelError where an activation is not finite.
        """
        x, y = (tensor.float() for tensor in first)
        for tensor in (x, y):
            if not bool(torch.isfinite(tensor).all()):
                raise ModelError("the first activations hold NaN or infinity, expected finite numbers")
        (x_mean, x_scale), (y_mean, y_scale) = _centre(x), _centre(y)
        source = torch.Generator().manual_seed(seed)
        W_dec = _unit_rows(torch.randn(n_features, y.shape[1], generator=source)).to(x.device)
        same = x.shape == y.shape and torch.equal(x, y)
        W_enc = W_dec.clone() if same else _unit_rows(torch.randn(n_features, x.shape[1], generator=source)).to(x.device)
        weights = Weights(
            W_enc=W_enc,
            b_enc=x.new_zeros(n_features),
            W_dec=W_dec,
            b_dec=y.new_zeros(y.shape[1]),
            W_skip=x.new_zeros(y.shape[1], x.shape[1]) if skip else None,
        )
        unfired = torch.zeros(n_features, dtype=torch.long, device=x.device)
        return cls(weights, x_mean, x_scale, y_mean, y_scale, unfired, x.new_tensor(-1.0))

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "TrainingState":
        """The state of these tensors; raises KeyError where one is missing."""
        weights = Weights(tensors["W_enc"], tensors["b_enc"], tensors["W_dec"], tensors["b_dec"], tensors.get("W_skip"))
        state = cls(weights, *(tensors[name] for name in COUNTED))
        for name, tensor in weights.named().items():
            state._optimizer.state[tensor] = {part: tensors[f"adam.{name}.{part}"] for part in MOMENTS}
        return state

    def tensors(self) -> dict[str, Tensor]:
        """Everything by name, Adam's moments included."""
        kept = self.weights.named() | {name: getattr(self, name) for name in COUNTED}
        for name, tensor in self.weights.named().items():
            kept |= {f"adam.{name}.{part}": self._optimizer.state[tensor][part] for part in MOMENTS}
        return kept

    def normalised(
        self, batch: tuple[Float[Tensor, "batch d_in"], Float[Tensor, "batch d_out"]]
    ) -> tuple[Float[Tensor, "batch d_in"], Float[Tensor, "batch d_out"]]:
        """Inputs and targets, centred and scaled, on the weights' device."""
        device = self.x_mean.device
        x = (batch[0].to(device, torch.float32) - self.x_mean) / self.x_scale
        if batch[1] is batch[0]:
            return x, x
        return x, (batch[1].to(device, torch.float32) - self.y_mean) / self.y_scale

    def step(self, learning_rate: float) -> None:
        """Adam on the gradients that lie at the weights."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()

    def count(self, firing: Firing, n_tokens: int) -> None:
        """How long each latent has been silent."""
        self.unfired += n_tokens
        self.unfired[firing.features[firing.values > 0]] = 0

    def follow_threshold(self, firing: Firing, decay: float) -> None:
        """The running mean of the smallest firing activation: above it a latent fires when there is no batch to compare with."""
        values = firing.values[firing.values > 0]
        if len(values):
            least = values.min()
            self.threshold = least if bool(self.threshold < 0) else torch.lerp(least, self.threshold, decay)


def _centre(x: Float[Tensor, "batch width"]) -> tuple[Float[Tensor, "width"], Float[Tensor, ""]]:
    mean = x.mean(0)
    scale = (x - mean).square().sum(-1).mean().sqrt()
    return mean, torch.where(scale > 0, scale, torch.ones_like(scale))


def _unit_rows(x: Float[Tensor, "row width"]) -> Float[Tensor, "row width"]:
    unit: Tensor = x / x.norm(dim=-1, keepdim=True)
    return unit
