"""What a refusal-direction observation shows, beyond its estimates: what the figures need."""

from typing import Literal

from safetycase.evidence.kinds.refusal_direction.params import Candidate
from safetycase.evidence.record import Findings, Record


class CandidateScore(Record):
    """One candidate on the validation split."""

    position: int
    layer: int
    refusal_score: float
    steering_score: float
    kl: float
    survives: bool
    on_pareto_front: bool
    """Among survivors: no other has both a lower refusal score and a lower KL."""
    picked_share: float | None = None
    """Share of bootstrap resamples of training and validation prompts that pick it."""


class NullSample(Record):
    """The mean effect of every null direction of one family, for the figure of effect against null."""

    family: Literal["random", "shuffle", "contrast"]
    condition: Literal["ablated", "added"]
    names: tuple[str, ...]
    effects: tuple[float, ...]


class Sample(Record):
    """An answer drawn at random, by label; the text stays in the restricted table."""

    arm: str
    population: str
    item: str
    label: str


class TokenCount(Record):
    """A first token and how often it begins a refusal."""

    token: int
    text: str
    refusals: int
    answers: int


class Found(Findings):
    """Findings of a refusal direction."""

    kind: Literal["refusal_direction"] = "refusal_direction"
    selected: Candidate | None
    """What the selection rule as read picks."""
    evaluated: Candidate | None
    """What the test split was asked about."""
    survivors: int
    candidates: tuple[CandidateScore, ...]
    positions: tuple[int, ...]
    position_tokens: tuple[str, ...]
    n_layers: int
    refusal_tokens: tuple[TokenCount, ...]
    filter_note: str
    null_samples: tuple[NullSample, ...]
    categories: tuple[str, ...]
    fragility_ks: tuple[int, ...]
    """Numbers of directions of the fragility curve: 0 is the condition `baseline`, 1 is `ablated`, k is `ablated-k`."""
    samples: tuple[Sample, ...]
    sample_seed: int
    judge_versions: dict[str, int] = {}
    """Text judge to the version whose labels these are; findings of older versions do not say."""
