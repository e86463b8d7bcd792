"""Candidate directions: mean differences at every position and layer, their scores, and the one that the rule picks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from safetycase.evidence.kinds.refusal_direction.selection import Rule, Selection, select
from safetycase.lab.activations import residual_streams
from safetycase.lab.forward import Forward, Tokens
from safetycase.lab.scores import kl_divergence, refusal_log_odds

# A mean difference this small beside the activations is the rounding of identical ones (the template's own tokens at
# the first layer), and counts as no direction at all.
VANISHING = 1e-6

PAPERS_RULE = Rule()


def mean_differences(
    activations: Float[Tensor, "prompt position layer d_model"], weights: Float[Tensor, "prompt"]
) -> Float[Tensor, "position layer d_model"]:
    """Sum over prompts of weight times activation, in float64, layer by layer to bound the memory.

    With weights 1/n on harmful and -1/m on harmless prompts (`contrast_weights`) this is the difference of their
    means (Arditi et al. 2024, eq. 1-3). Differences that vanish beside the activations are exactly zero.
    """
    wide = weights.double()
    layers = []
    for layer in activations.unbind(dim=2):
        difference = torch.einsum("n,npd->pd", wide, layer.double())
        size = layer.double().norm(dim=-1).amax(dim=0)
        vanishes = difference.norm(dim=-1) <= VANISHING * size
        layers.append(difference.masked_fill(vanishes.unsqueeze(-1), 0.0))
    return torch.stack(layers, dim=1)


def contrast_weights(
    harmful: Float[Tensor, "prompt"], harmless: Float[Tensor, "prompt"]
) -> Float[Tensor, "prompts"]:
    """Weights that sum to 1 over the first group and to -1 over the second, from how often each prompt counts."""
    return torch.cat([harmful.double() / harmful.sum(), -harmless.double() / harmless.sum()])


@dataclass(frozen=True)
class Scorer:
    """Scores directions on the harmful and harmless prompts of one split."""

    forward: Forward
    refusal_tokens: Int[Tensor, "token"]
    harmful: Sequence[Tokens]
    harmless: Sequence[Tokens]
    harmful_baseline: Float[Tensor, "harmful"]
    """Refusal log-odds of the unedited model."""
    harmless_baseline: Float[Tensor, "harmless"]
    harmless_logits: Float[Tensor, "harmless vocab"]
    harmful_counts: Float[Tensor, "harmful"]
    """How often each prompt counts in a mean: 1, or its draws in a bootstrap resample."""
    harmless_counts: Float[Tensor, "harmless"]
    _rows: Int[Tensor, "harmless"]
    """Place of each harmless prompt in the cached streams."""
    _all_harmless: Sequence[Tokens]
    _streams: dict[int, Tensor] = field(default_factory=dict)

    def resampled(self, harmful: Float[Tensor, "harmful"], harmless: Float[Tensor, "harmless"]) -> "Scorer":
        """The same prompts, counted so many times; those counted zero times are left out."""
        kept_harmful, kept_harmless = harmful.nonzero()[:, 0], harmless.nonzero()[:, 0]
        return replace(
            self,
            harmful=[self.harmful[index] for index in kept_harmful.tolist()],
            harmless=[self.harmless[index] for index in kept_harmless.tolist()],
            harmful_baseline=self.harmful_baseline[kept_harmful],
            harmless_baseline=self.harmless_baseline[kept_harmless],
            harmless_logits=self.harmless_logits[kept_harmless.to(self.harmless_logits.device)],
            harmful_counts=harmful[kept_harmful],
            harmless_counts=harmless[kept_harmless],
            _rows=self._rows[kept_harmless],
        )

    def ablated(self, directions: Float[Tensor, "direction d_model"]) -> Float[Tensor, "direction harmful"]:
        """Refusal log-odds of harmful prompts with each direction ablated everywhere."""
        scores = self.harmful_baseline.expand(len(directions), -1).clone()
        real = directions.norm(dim=-1) > 0
        if real.any():
            scores[real] = self.forward.ablated(self.harmful, _bases(directions[real]), self._log_odds).cpu()
        return scores

    def ablated_together(self, basis: Float[Tensor, "k d_model"]) -> Float[Tensor, "harmful"]:
        """Refusal log-odds of harmful prompts with all directions of an orthonormal basis ablated together."""
        return self.forward.ablated(self.harmful, basis.unsqueeze(0), self._log_odds).cpu()[0]

    def added(
        self, vectors: Float[Tensor, "direction d_model"], layer: int
    ) -> Float[Tensor, "direction harmless"]:
        """Refusal log-odds of harmless prompts with each vector added to the input of one block."""
        scores = self.harmless_baseline.expand(len(vectors), -1).clone()
        real = vectors.norm(dim=-1) > 0
        if real.any():
            if layer not in self._streams:
                self._streams.update(residual_streams(self.forward, self._all_harmless, layer))
            stream = self._streams[layer]
            rows = stream if len(self._rows) == len(stream) else stream[self._rows.to(stream.device)]
            added = self.forward.added(self.harmless, rows, vectors[real], layer, self._log_odds)
            scores[real] = added.cpu()
        return scores

    def divergence(self, directions: Float[Tensor, "direction d_model"]) -> Float[Tensor, "direction harmless"]:
        """KL divergence on harmless prompts of the unedited model from the model with each direction ablated."""
        scores = torch.zeros(len(directions), len(self.harmless), dtype=torch.float64)
        real = directions.norm(dim=-1) > 0
        if real.any():
            found = self.forward.ablated(self.harmless, _bases(directions[real]), self._divergence)
            scores[real] = found.cpu()
        return scores

    def ablated_and_divergence(
        self, directions: Float[Tensor, "direction d_model"]
    ) -> tuple[Float[Tensor, "direction harmful"], Float[Tensor, "direction harmless"]]:
        """`ablated` and `divergence` from shared batches."""
        n = len(self.harmful)
        scores = torch.cat([self.harmful_baseline, torch.zeros(len(self.harmless), dtype=torch.float64)])
        scores = scores.expand(len(directions), -1).clone()

        def either(logits: Tensor, prompt: Tensor) -> Tensor:
            harmful = prompt < n
            kept = torch.empty(len(prompt), dtype=torch.float64)
            kept[harmful] = self._log_odds(logits[harmful.to(logits.device)], prompt[harmful]).cpu()
            kept[~harmful] = self._divergence(logits[~harmful.to(logits.device)], prompt[~harmful] - n).cpu()
            return kept

        real = directions.norm(dim=-1) > 0
        if real.any():
            prompts = [*self.harmful, *self.harmless]
            scores[real] = self.forward.ablated(prompts, _bases(directions[real]), either)
        return scores[:, :n], scores[:, n:]

    def mean_over_harmful(self, scores: Float[Tensor, "direction harmful"]) -> NDArray[np.float64]:
        """Mean per direction, prompts weighted by their counts."""
        return _weighted_mean(scores, self.harmful_counts)

    def mean_over_harmless(self, scores: Float[Tensor, "direction harmless"]) -> NDArray[np.float64]:
        """Mean per direction, prompts weighted by their counts."""
        return _weighted_mean(scores, self.harmless_counts)

    def _log_odds(self, logits: Tensor, prompt: Tensor) -> Tensor:
        return refusal_log_odds(logits, self.refusal_tokens)

    def _divergence(self, logits: Tensor, prompt: Tensor) -> Tensor:
        used, place = torch.unique(prompt.to(self.harmless_logits.device), return_inverse=True)
        return kl_divergence(self.harmless_logits[used], logits, place)


def scorer(
    forward: Forward, refusal_tokens: Int[Tensor, "token"], harmful: Sequence[Tokens], harmless: Sequence[Tokens]
) -> Scorer:
    """A scorer of these prompts; what the unedited model says of them is asked once."""
    harmless_logits = forward.unedited(harmless, lambda logits, prompt: logits)
    return Scorer(
        forward=forward,
        refusal_tokens=refusal_tokens,
        harmful=harmful,
        harmless=harmless,
        harmful_baseline=baseline_log_odds(forward, refusal_tokens, harmful),
        harmless_baseline=refusal_log_odds(harmless_logits, refusal_tokens).cpu(),
        harmless_logits=harmless_logits,
        harmful_counts=torch.ones(len(harmful), dtype=torch.float64),
        harmless_counts=torch.ones(len(harmless), dtype=torch.float64),
        _rows=torch.arange(len(harmless)),
        _all_harmless=harmless,
    )


def baseline_log_odds(
    forward: Forward, refusal_tokens: Int[Tensor, "token"], prompts: Sequence[Tokens]
) -> Float[Tensor, "prompt"]:
    """Refusal log-odds of the unedited model."""
    return forward.unedited(prompts, lambda logits, prompt: refusal_log_odds(logits, refusal_tokens)).cpu()


@dataclass(frozen=True)
class Found:
    """What a selection found. Candidates are indexed position by position and, within each, layer by layer."""

    selection: Selection
    n_layers: int
    refusal_scores: NDArray[np.float64]
    """Per candidate; NaN where a cheaper filter had already turned it away, in this and in the next two."""
    steering_scores: NDArray[np.float64]
    kls: NDArray[np.float64]

    @property
    def index(self) -> int | None:
        """The candidate picked, or else the best of the layers in range; None where there is none."""
        picked = self.selection.picked
        return self.selection.fallback if picked is None else picked

    def place(self, index: int) -> tuple[int, int]:
        """Index of position and of layer."""
        return index // self.n_layers, index % self.n_layers


def select_lazily(
    scorer: Scorer,
    differences: Float[Tensor, "position layer d_model"],
    rule: Rule = PAPERS_RULE,
    *,
    with_fallback: bool = False,
) -> Found:
    """The pick of the full table, with the filters in order of cost: layer, addition, KL, and refusal scores last.

    Addition resumes at its layer and is asked first; only what passes is ablated on harmless prompts, and only
    survivors on harmful ones. With `with_fallback`, where none survives, the refusal scores of all layers in range
    are asked, so that `Selection.fallback` is that of the full table too.
    """
    n_positions, n_layers, _ = differences.shape
    flat = differences.flatten(0, 1)
    layers = np.tile(np.arange(n_layers), n_positions)
    steering, kls, refusal = (np.full(len(flat), np.nan) for _ in range(3))
    in_range = layers < int(rule.max_layer_fraction * n_layers)
    for layer in np.unique(layers[in_range]):
        at = np.flatnonzero(layers == layer)
        steering[at] = scorer.mean_over_harmless(scorer.added(flat[at], int(layer)))
    steers = np.flatnonzero(in_range & (steering >= rule.min_steering))
    kls[steers] = scorer.mean_over_harmless(scorer.divergence(flat[steers]))
    survivors = np.flatnonzero(kls <= rule.max_kl)
    refusal[survivors] = scorer.mean_over_harmful(scorer.ablated(flat[survivors]))
    found = select(layers, refusal, steering, kls, n_layers=n_layers, rule=rule)
    if found.picked is None and with_fallback:
        rest = np.flatnonzero(in_range & np.isfinite(steering) & ~np.isfinite(refusal))
        stand_ins = refusal.copy()
        stand_ins[rest] = scorer.mean_over_harmful(scorer.ablated(flat[rest]))
        # A KL that was not asked for counts as too large: the candidate had failed a cheaper filter.
        too_large = np.nan_to_num(kls, nan=np.finfo(np.float64).max)
        found = select(layers, stand_ins, steering, too_large, n_layers=n_layers, rule=rule)
    return Found(found, n_layers, refusal, steering, kls)


def _bases(directions: Float[Tensor, "direction d_model"]) -> Float[Tensor, "direction 1 d_model"]:
    """Unit vectors in float32, each a basis of its own."""
    units: Tensor = directions / directions.norm(dim=-1, keepdim=True)
    return units.float().unsqueeze(1)


def _weighted_mean(scores: Tensor, counts: Tensor) -> NDArray[np.float64]:
    means: NDArray[np.float64] = ((scores * counts).sum(dim=-1) / counts.sum()).numpy()
    return means
