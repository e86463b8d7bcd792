"""Trains a sparse autoencoder or a transcoder on batches of activations: TopK or BatchTopK, resumable, the same bytes every time."""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.errors import ModelError
from safetycase.lab.dictionaries.checkpoints import read_checkpoint, write_checkpoint
from safetycase.lab.dictionaries.dictionary import Activation, Dictionary, JumpRelu, TopK
from safetycase.lab.dictionaries.gradients import Gradient, Sparsity, gradient
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.dictionaries.training_state import TrainingState

Batch = tuple[Float[Tensor, "batch d_in"], Float[Tensor, "batch d_out"]]
"""What a dictionary reads and what it is to write there: twice the same tensor for an autoencoder."""

Batches = Callable[[int], Iterator[Batch]]
"""Batches without end (or as many as there are steps) from the n-th on; every call gives the same ones, so that training can resume."""

CLIPPED_NORM = 1.0
LAST_MEAN = "last_mean"
"""In a checkpoint: the mean input of the batch before it, centred and scaled. By it a training knows its own activations again."""
SAME_MEAN = 1e-3
"""Two means this far apart are of one batch, computed on other hardware; of n other tokens they are about 1/sqrt(n) apart."""


@dataclass(frozen=True, slots=True)
class TrainingRecipe:
    """All that decides a training but its activations. Defaults as in dictionary_learning (Marks et al. 2024)."""

    n_features: int
    k: int
    """Latents that fire on a token; with `batchtopk` on average over a batch."""
    steps: int
    sparsity: Sparsity = "topk"
    skip: bool = False
    """A transcoder also has a linear path from input to output (Paulo et al. 2025)."""
    learning_rate: float | None = None
    """By default 2e-4 / sqrt(n_features / 2^14)."""
    warmup_steps: int = 1000
    decay_from: float = 0.8
    """Share of the steps after which the learning rate falls linearly to 0."""
    aux_weight: float = 1 / 32
    dead_after_tokens: int = 10_000_000
    """A latent that has not fired for so many tokens is dead and trained by AuxK alone."""
    threshold_decay: float = 0.999
    """Of the running mean of the smallest firing activation, from which a BatchTopK dictionary has its threshold."""
    threshold_from_step: int = 1000
    seed: int = 0

    @property
    def peak_learning_rate(self) -> float:
        """Reached after warm-up."""
        return self.learning_rate if self.learning_rate is not None else 2e-4 / (self.n_features / 2**14) ** 0.5

    def learning_rate_at(self, step: int) -> float:
        """Of a step, counted from 0."""
        rising = (step + 1) / self.warmup_steps if self.warmup_steps else 1.0
        tail = self.steps * (1 - self.decay_from)
        falling = (self.steps - step) / tail if tail > 0 else 1.0
        return self.peak_learning_rate * min(1.0, rising, falling)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training stands; numbers are means over the steps since the last of these."""

    step: int
    tokens: int
    loss: float
    """Mean squared error over the variance that the first batch had."""
    aux_loss: float
    l0: float
    """Latents that fire on a token."""
    dead: int
    """Latents that have not fired for `dead_after_tokens`."""
    explained_variance: float
    """1 - Σ‖ŷ - y‖² / Σ‖y - ȳ‖² over these steps' tokens."""


class Training:
    """One training: `run` goes on from where it stands, `dictionary` is what it has come to.

    Inputs and targets are centred and scaled by the mean and the mean squared norm of the first batch; `dictionary` has this
    folded into its weights, so that it reads and writes activations as they are.
    """

    def __init__(
        self, recipe: TrainingRecipe, batches: Batches, *, reads: Site, writes: Site | None = None, checkpoint: Path | None = None
    ) -> None:
        """A training that resumes from `checkpoint` where that file exists.

        What is restored goes to the device of the activations. Raises ModelError where the checkpoint is of another recipe, other sites
        or other activations (of another model, corpus or seed), or damaged, and where a first activation is not finite.
        """
        self.recipe = recipe
        self.reads, self.writes = reads, writes or reads
        self._batches = batches
        self._checkpoint = checkpoint
        self._step = self._tokens = 0
        self._last_mean: Tensor | None = None
        if checkpoint is not None and checkpoint.exists():
            self._state = self._restored(checkpoint)
        else:
            self._state = TrainingState.begun(self._batch(0), recipe.n_features, seed=recipe.seed, skip=recipe.skip)

    @property
    def step(self) -> int:
        """How many steps are done."""
        return self._step

    def run(self, *, every: int = 100, checkpoint_every: int | None = None) -> Iterator[Progress]:
        """Trains to the end, telling how it stands every so many steps and at the last.

        A checkpoint is written at the first telling that is `checkpoint_every` steps (by default: a telling) after the last, and at the
        end. Raises ModelError where activations run out or are not finite.
        """
        state, recipe = self._state, self.recipe
        seen = _Seen()
        kept_at = self._step
        batches = self._batches(self._step)
        while self._step < recipe.steps:
            batch = next(batches, None)
            if batch is None:
                raise ModelError(f"activations end after {self._step} batches, expected {recipe.steps}")
            x, y = state.normalised(batch)
            dead = state.unfired >= recipe.dead_after_tokens
            found = gradient(state.weights, x, y, k=recipe.k, sparsity=recipe.sparsity, dead=dead, aux_weight=recipe.aux_weight)
            self._update(found.by_name)
            state.count(found.firing, len(x))
            if recipe.sparsity == "batchtopk" and self._step >= min(recipe.threshold_from_step, recipe.steps // 2):
                state.follow_threshold(found.firing, recipe.threshold_decay)
            self._step += 1
            self._tokens += len(x)
            self._last_mean = x.mean(0)
            seen.add(found, y)
            if self._step % every == 0 or self._step == recipe.steps:
                progress = seen.told(self._step, self._tokens, int((state.unfired >= recipe.dead_after_tokens).sum()))
                if self._step - kept_at >= (checkpoint_every or every) or self._step == recipe.steps:
                    self._keep()
                    kept_at = self._step
                seen = _Seen()
                yield progress

    def dictionary(self) -> Dictionary:
        """What has been trained so far, in float32; a BatchTopK dictionary as JumpReLU with its running threshold.

        An autoencoder subtracts b_dec from what it reads; a transcoder does not.
        """
        state = self._state
        y_scale = state.y_scale.double()
        ratio = y_scale / state.x_scale.double()
        weights = {name: tensor.double() for name, tensor in state.weights.named().items()}
        W_enc = weights["W_enc"] * ratio
        b_enc = weights["b_enc"] * y_scale
        b_dec = weights["b_dec"] * y_scale + state.y_mean.double()
        W_skip = weights["W_skip"] * ratio if "W_skip" in weights else None
        autoencoder = self.writes == self.reads
        b_enc = b_enc + W_enc @ ((b_dec if autoencoder else 0.0) - state.x_mean.double())
        if W_skip is not None:
            b_dec = b_dec - W_skip @ state.x_mean.double()
        activation: Activation = TopK(self.recipe.k)
        if self.recipe.sparsity == "batchtopk":
            activation = JumpRelu(torch.full_like(b_enc, float(state.threshold.clamp_min(0) * y_scale)).float())
        return Dictionary(
            W_enc=W_enc.float(),
            b_enc=b_enc.float(),
            W_dec=state.weights.W_dec.clone().unsqueeze(1),
            b_dec=b_dec.float(),
            activation=activation,
            reads=self.reads,
            writes=(self.writes,),
            W_skip=None if W_skip is None else W_skip.float(),
            subtracts_b_dec=autoencoder,
            facts={"training_tokens": self._tokens, "training_steps": self._step},
        )

    def _update(self, by_name: dict[str, Tensor]) -> None:
        """One step of Adam: without the part of the decoder's gradient along its rows, clipped, rows back to norm 1."""
        weights = self._state.weights
        W_dec = weights.W_dec
        along = (by_name["W_dec"] * W_dec).sum(-1, keepdim=True)
        by_name["W_dec"].addcmul_(along, W_dec, value=-1)
        norm = torch.stack([g.square().sum() for g in by_name.values()]).sum().sqrt()
        factor = (CLIPPED_NORM / norm.clamp_min(CLIPPED_NORM)).item()
        for name, tensor in weights.named().items():
            tensor.grad = by_name[name] if factor == 1 else by_name[name].mul_(factor)
        self._state.step(self.recipe.learning_rate_at(self._step))
        W_dec.div_(W_dec.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(W_dec.dtype).tiny))

    def _keep(self) -> None:
        if self._checkpoint is None:
            return
        assert self._last_mean is not None, "kept before a step was done"
        tensors = self._state.tensors() | {LAST_MEAN: self._last_mean}
        write_checkpoint(self._checkpoint, tensors, self._identity(), {"step": self._step, "tokens": self._tokens})

    def _restored(self, path: Path) -> TrainingState:
        tensors, counts = read_checkpoint(path, self._identity())
        self._step, self._tokens = counts["step"], counts["tokens"]
        batch = self._batch(self._step - 1)
        here = {name: tensor.to(batch[0].device) for name, tensor in tensors.items()}
        try:
            state, last_mean = TrainingState.of(here), here[LAST_MEAN]
        except KeyError as error:
            raise ModelError(f"{path}: holds no tensor {error}, expected a checkpoint of a training") from None
        self._last_mean = self._known_again(path, state, batch, last_mean)
        return state

    def _known_again(self, path: Path, state: TrainingState, batch: Batch, last_mean: Tensor) -> Tensor:
        """The mean of the batch before the checkpoint, where it is the one that was trained on."""
        fits = batch[0].shape[1:] == state.x_mean.shape and batch[1].shape[1:] == state.y_mean.shape
        mean = state.normalised(batch)[0].mean(0) if fits else None
        if mean is None or not bool((mean - last_mean).norm() <= SAME_MEAN):
            raise ModelError(
                f"{path}: is a checkpoint of a training on other activations: those of step {self._step} are not those it was made of, "
                "expected the same model, corpus and seed"
            )
        return mean

    def _identity(self) -> dict[str, Any]:
        return {"recipe": asdict(self.recipe), "reads": str(self.reads), "writes": str(self.writes)}

    def _batch(self, number: int) -> Batch:
        found = next(self._batches(number), None)
        if found is None:
            raise ModelError(f"site {self.reads}: there are no activations to train on" + (f" after {number} batches" if number else ""))
        return found


@dataclass
class _Seen:
    """Sums over the steps since the last telling."""

    steps: int = 0
    tokens: int = 0
    loss: float = 0.0
    aux_loss: float = 0.0
    fired: int = 0
    error: float = 0.0
    squares: float = 0.0
    total: Tensor | None = None

    def add(self, found: Gradient, y: Float[Tensor, "batch d_out"]) -> None:
        if not math.isfinite(found.loss):
            raise ModelError("the loss is not a finite number: the activations hold NaN or infinity, or the learning rate is too high")
        self.steps += 1
        self.tokens += len(y)
        self.loss += found.loss
        self.aux_loss += found.aux_loss
        self.fired += int((found.firing.values > 0).sum())
        self.error += found.loss * len(y)
        self.squares += float(y.square().sum())
        self.total = y.sum(0) if self.total is None else self.total + y.sum(0)

    def told(self, step: int, tokens: int, dead: int) -> Progress:
        assert self.total is not None, "told before a step was done"
        variance = self.squares - float(self.total.square().sum()) / self.tokens
        return Progress(
            step=step,
            tokens=tokens,
            loss=self.loss / self.steps,
            aux_loss=self.aux_loss / self.steps,
            l0=self.fired / self.tokens,
            dead=dead,
            explained_variance=1 - self.error / variance if variance > 0 else math.nan,
        )
