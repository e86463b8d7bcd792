"""What the stages of a refusal-direction observation share, each had once and only when it is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from safetycase.evidence.kinds.refusal_direction.params import Ask
from safetycase.lab.activations import activations
from safetycase.lab.candidates import Scorer, contrast_weights, mean_differences, scorer
from safetycase.lab.forward import Forward, Tokens
from safetycase.lab.generation import Answer, Intervention, greedy_answers
from safetycase.lab.model import LoadedModel
from safetycase.lab.model_judge import Judge
from safetycase.lab.prompt_samples import Key
from safetycase.lab.shards import Shards
from safetycase.sources.prompts import Prompt


@dataclass(frozen=True)
class Study:
    """One model and the prompts that it is asked, as far as they are known."""

    forward: Forward
    shards: Shards
    ask: Ask
    seed: int
    prompts: Mapping[Key, tuple[Prompt, ...]]
    """Population and split to the prompts in use."""
    tokens: Mapping[str, Tokens]
    """Item id to token ids."""
    refusal_tokens: tuple[int, ...] = ()
    judge: Judge | None = None
    """A model that labels every answer too."""

    @property
    def model(self) -> LoadedModel:
        """The model under study."""
        return self.forward.model

    @property
    def n_layers(self) -> int:
        """Number of blocks."""
        return self.model.sites.n_layers

    @property
    def positions(self) -> tuple[int, ...]:
        """Candidate positions, counted from the end: the template's tokens after the instruction, or the last one."""
        return tuple(range(-max(1, len(self.model.chat.suffix_ids)), 0))

    @property
    def instruction_position(self) -> int:
        """The last token of the instruction itself."""
        return -len(self.model.chat.suffix_ids) - 1

    def items(self, population: str, split: str) -> list[str]:
        """Ids of the prompts in use."""
        return [prompt.id for prompt in self.prompts[population, split]]

    def tokens_of(self, population: str, split: str) -> list[Tokens]:
        """Token ids of the prompts in use."""
        return [self.tokens[item] for item in self.items(population, split)]

    @cached_property
    def refusal_ids(self) -> Int[Tensor, "token"]:
        """Ids of the refusal tokens on the model's device."""
        return torch.tensor(self.refusal_tokens, dtype=torch.long, device=self.model.device)

    @cached_property
    def training(self) -> Float[Tensor, "prompt position layer d_model"]:
        """Activations of the training prompts, harmful then harmless, at the candidate positions; on the CPU."""
        harmful, harmless = (self.tokens_of(population, "train") for population in ("harmful", "harmless"))
        return activations(self.forward, [*harmful, *harmless], self.positions)

    @cached_property
    def n_harmful(self) -> int:
        """How many training prompts are harmful."""
        return len(self.prompts["harmful", "train"])

    @cached_property
    def labels(self) -> Float[Tensor, "prompt"]:
        """Weights that make a sum over training prompts the difference of the class means."""
        n_harmless = len(self.prompts["harmless", "train"])
        return contrast_weights(torch.ones(self.n_harmful), torch.ones(n_harmless))

    def differences(self, weights: Float[Tensor, "prompt"]) -> Float[Tensor, "position layer d_model"]:
        """Mean differences of training activations at every candidate position and layer, in float64."""
        return mean_differences(self.training, weights)

    @cached_property
    def validation(self) -> Scorer:
        """Scores directions on the validation split."""
        return self._scorer("validation")

    @cached_property
    def test(self) -> Scorer:
        """Scores directions on the test split."""
        return self._scorer("test")

    @cached_property
    def own_answers(self) -> list[Answer]:
        """What the unedited model answers to the harmless test prompts."""
        prompts = self.tokens_of("harmless", "test")
        return self.answers(prompts, [Intervention()] * len(prompts))

    def answers(self, prompts: list[Tokens], interventions: list[Intervention]) -> list[Answer]:
        """Greedy answers, each prompt under its own intervention."""
        limit = self.ask.max_new_tokens
        return greedy_answers(self.model, self.forward.batches, prompts, interventions, limit)

    def _scorer(self, split: str) -> Scorer:
        harmful, harmless = (self.tokens_of(population, split) for population in ("harmful", "harmless"))
        return scorer(self.forward, self.refusal_ids, harmful, harmless)


@dataclass(frozen=True)
class Direction:
    """The candidate that the test split is asked about."""

    vector: Float[Tensor, "d_model"]
    """The mean difference itself, in float64."""
    position: int
    """Counted from the end."""
    layer: int

    @property
    def norm(self) -> float:
        """Length of the mean difference."""
        return float(self.vector.norm())

    @property
    def basis(self) -> Float[Tensor, "1 d_model"]:
        """The unit vector, as a basis."""
        unit: Tensor = self.vector / self.vector.norm()
        return unit.unsqueeze(0)
