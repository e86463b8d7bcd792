"""The one in-memory type of a sparse dictionary: a sparse autoencoder, a transcoder, or one layer of a cross-layer transcoder."""

from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from safetycase.errors import ModelError
from safetycase.lab.dictionaries.site import Site

LAYER_NORM_EPSILON = 1e-5
"""Added to the standard deviation by `layer_norm`, as SAELens does."""

Normalisation = Literal["none", "constant_norm_rescale", "layer_norm"]
"""What is done to each input vector before it is encoded. What does not depend on the vector, readers fold into the weights."""


@dataclass(frozen=True)
class Relu:
    """max(x, 0)."""

    def __call__(self, pre: Float[Tensor, "*tokens feature"]) -> Float[Tensor, "*tokens feature"]:
        return pre.relu()


@dataclass(frozen=True)
class JumpRelu:
    """x where x > threshold (strictly), else 0.

    Formats that rectify besides are read with their negative thresholds raised to 0, which is the same function.
    """

    threshold: Float[Tensor, "feature"]

    def __call__(self, pre: Float[Tensor, "*tokens feature"]) -> Float[Tensor, "*tokens feature"]:
        return pre * (pre > self.threshold)


@dataclass(frozen=True)
class TopK:
    """The k largest pre-activations of a token, negative ones among them as 0.

    With `signed` the k largest in absolute value, as they are; without `rectified` negative ones among the k largest
    stay, as circuit-tracer has it. Which of equal ones is kept is torch's choice, as in the reference implementations.
    """

    k: int
    signed: bool = False
    rectified: bool = True

    def __call__(self, pre: Float[Tensor, "*tokens feature"]) -> Float[Tensor, "*tokens feature"]:
        kept = (pre.abs() if self.signed else pre).topk(self.k, dim=-1).indices
        values = pre.gather(-1, kept)
        if self.rectified and not self.signed:
            values = values.relu()
        return torch.zeros_like(pre).scatter(-1, kept, values)


@dataclass(frozen=True)
class Gated:
    """relu(x W_enc e^r + b_mag) where the gate x W_enc + b_gate is positive (Rajamanoharan et al. 2024); `pre` is x W_enc."""

    gate_bias: Float[Tensor, "feature"]
    magnitude_scale: Float[Tensor, "feature"]
    magnitude_bias: Float[Tensor, "feature"]

    def __call__(self, pre: Float[Tensor, "*tokens feature"]) -> Float[Tensor, "*tokens feature"]:
        return (pre + self.gate_bias > 0) * (pre * self.magnitude_scale + self.magnitude_bias).relu()


Activation = Relu | JumpRelu | TopK | Gated


@dataclass(frozen=True)
class Dictionary:
    """W_dec act(W_enc x + b_enc) + b_dec [+ W_skip x], with what must be done to x first.

    A dictionary reads one site and writes one or, in a cross-layer transcoder, several; an autoencoder writes where it reads.
    Tensors are float32 unless the reader was told otherwise, on one device, frozen.
    """

    W_enc: Float[Tensor, "feature d_in"]
    b_enc: Float[Tensor, "feature"]
    W_dec: Float[Tensor, "feature target d_out"]
    """By feature and written site; `target` is 1 but for a cross-layer transcoder."""
    b_dec: Float[Tensor, "d_out"]
    """Of the first written site."""
    activation: Activation
    reads: Site
    writes: tuple[Site, ...]
    W_skip: Float[Tensor, "d_out d_in"] | None = None
    subtracts_b_dec: bool = False
    """x - b_dec is encoded, not x (SAELens: `apply_b_dec_to_input`)."""
    normalisation: Normalisation = "none"
    restores: bool = True
    """Whether the normalisation is undone on what is decoded; SAELens undoes it for autoencoders, not for transcoders."""
    format: str = ""
    """Name of the published format that it was read from."""
    trained_on: str = ""
    """The model that its files say it was trained on; empty where they do not say."""
    log_firing_rates: Float[Tensor, "feature"] | None = None
    """Base-10 logarithms of how often each feature fired in training, where its files say so, unverified."""
    facts: dict[str, str | int | float | bool] = field(default_factory=dict)
    """What else its files say, unverified: context size, training data, k, a library's id."""

    @property
    def n_features(self) -> int:
        """Width of the dictionary."""
        return self.W_enc.shape[0]

    @property
    def d_in(self) -> int:
        """Width of the site that it reads."""
        return self.W_enc.shape[1]

    @property
    def d_out(self) -> int:
        """Width of the sites that it writes."""
        return self.W_dec.shape[2]

    @property
    def is_autoencoder(self) -> bool:
        """Whether it reconstructs what it reads."""
        return self.writes == (self.reads,)

    def encode(self, x: Float[Tensor, "*tokens d_in"], features: Int[Tensor, "chosen"] | None = None) -> Float[Tensor, "*tokens feature"]:
        """Activations of all features, or of the chosen ones alone where no feature's activation depends on the others'."""
        centred = self._prepared(x)
        if features is None:
            return self._act(centred @ self.W_enc.mT, None)
        if isinstance(self.activation, TopK):
            return self._act(centred @ self.W_enc.mT, None)[..., features]
        return self._act(centred @ self.W_enc[features].mT, features)

    def decode(self, activations: Float[Tensor, "*tokens feature"], x: Float[Tensor, "*tokens d_in"]) -> Float[Tensor, "*tokens d_out"]:
        """What is written to the first site; `x` is needed where the output is scaled back to its input, and for the skip path."""
        return self._restored(activations @ self.W_dec[:, 0] + self.b_dec, x) + self.skip(x)

    def reconstruct(self, x: Float[Tensor, "*tokens d_in"]) -> Float[Tensor, "*tokens d_out"]:
        """decode(encode(x))."""
        return self.decode(self.encode(x), x)

    def skip(self, x: Float[Tensor, "*tokens d_in"]) -> Float[Tensor, "*tokens d_out"] | Float[Tensor, ""]:
        """What the skip path writes; zero without one."""
        return x.new_zeros(()) if self.W_skip is None else x @ self.W_skip.mT

    def write_scale(self, x: Float[Tensor, "*tokens d_in"]) -> Float[Tensor, "*tokens 1"]:
        """By what each token's decoder output is multiplied on its way back: 1 but for per-token normalisation.

        An activation a of feature i at this token writes a * write_scale * W_dec[i].
        """
        match self.normalisation:
            case "constant_norm_rescale" if self.restores:
                scale: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True) / self.d_in**0.5
                return scale
            case "layer_norm" if self.restores:
                return x.std(dim=-1, keepdim=True)
            case _:
                return torch.ones_like(x[..., :1])

    def directions(self, features: Int[Tensor, "chosen"] | None = None) -> Float[Tensor, "chosen d_out"]:
        """What a unit of each feature writes to the first site, before `write_scale`."""
        return self.W_dec[:, 0] if features is None else self.W_dec[features, 0]

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "Dictionary":
        """The same dictionary elsewhere, or in another precision."""

        def moved(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.to(device=device, dtype=dtype or tensor.dtype)

        def must(tensor: Tensor) -> Tensor:
            there: Tensor = tensor.to(device=device, dtype=dtype or tensor.dtype)
            return there

        activation: Activation = self.activation
        match activation:
            case JumpRelu(threshold):
                activation = JumpRelu(must(threshold))
            case Gated(gate, scale, bias):
                activation = Gated(must(gate), must(scale), must(bias))
            case Relu() | TopK():
                pass
        return replace(
            self,
            W_enc=must(self.W_enc),
            b_enc=must(self.b_enc),
            W_dec=must(self.W_dec),
            b_dec=must(self.b_dec),
            W_skip=moved(self.W_skip),
            log_firing_rates=moved(self.log_firing_rates),
            activation=activation,
        )

    def _prepared(self, x: Float[Tensor, "*tokens d_in"]) -> Float[Tensor, "*tokens d_in"]:
        match self.normalisation:
            case "constant_norm_rescale":
                x = x * (self.d_in**0.5 / torch.linalg.vector_norm(x, dim=-1, keepdim=True))
            case "layer_norm":
                centred = x - x.mean(dim=-1, keepdim=True)
                x = centred / (centred.std(dim=-1, keepdim=True) + LAYER_NORM_EPSILON)
            case "none":
                pass
        return x - self.b_dec if self.subtracts_b_dec else x

    def _act(self, pre: Float[Tensor, "*tokens chosen"], features: Int[Tensor, "chosen"] | None) -> Float[Tensor, "*tokens chosen"]:
        def of(tensor: Tensor) -> Tensor:
            return tensor if features is None else tensor[features]

        match self.activation:
            case JumpRelu(threshold):
                return JumpRelu(of(threshold))(pre + of(self.b_enc))
            case Gated(gate, scale, bias):
                return Gated(of(gate), of(scale), of(bias))(pre)
            case act:
                return act(pre + of(self.b_enc))

    def _restored(self, y: Float[Tensor, "*tokens d_out"], x: Float[Tensor, "*tokens d_in"]) -> Float[Tensor, "*tokens d_out"]:
        match self.normalisation:
            case "constant_norm_rescale" if self.restores:
                return y * self.write_scale(x)
            case "layer_norm" if self.restores:
                return y * self.write_scale(x) + x.mean(dim=-1, keepdim=True)
            case _:
                return y


@dataclass(frozen=True)
class DictionarySet:
    """Dictionaries of several layers that belong together: per-layer transcoders, or one cross-layer transcoder."""

    dictionaries: tuple[Dictionary, ...]
    """By layer that is read, ascending."""
    cross_layer: bool = False
    """Every one writes to its own layer and all above; what is written to a layer is the sum over those below, plus its own b_dec."""
    trained_on: str = ""

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers that are read."""
        return tuple(each.reads.layer for each in self.dictionaries)

    def at(self, layer: int) -> Dictionary:
        """The dictionary that reads a layer; raises ModelError."""
        for each in self.dictionaries:
            if each.reads.layer == layer:
                return each
        raise ModelError(f"layer {layer}: no dictionary reads it, expected one of {', '.join(map(str, self.layers))}")
