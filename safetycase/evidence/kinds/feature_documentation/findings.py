"""What the documentation of features shows beyond its estimates: the cards, and what the figures need."""

from typing import Literal

from safetycase.evidence.record import Findings, Record


class TokenEffect(Record):
    """A token that a feature's direction raises or lowers."""

    token: int
    text: str
    value: float


class Relation(Record):
    """Another feature beside a documented one."""

    feature: int
    value: float
    together: int = 0


class Context(Record):
    """A window of the corpus as a card shows it; its tokens lie in the table of windows."""

    window: int
    bin: str
    activations: tuple[float, ...]


class Label(Record):
    """What is said of a feature, by whom; without a held-out score it is a hypothesis."""

    author: str
    text: str
    """Empty where it is made of text that the plan does not declare public: a table of restricted words holds it."""
    made_by: str
    scored: bool
    misses: tuple[int, ...] = ()
    """Held-out windows in which the feature fires and the label says that it does not."""


class Relevance(Record):
    """How a feature ranks for a contrast on discovery prompts."""

    contrast: str
    cosine: float
    auroc: float
    attribution: float
    rank: int


class Gate(Record):
    """Whether a tested feature passes the causal gate of a contrast, condition by condition."""

    contrast: str
    reads: bool
    """Its AUROC on confirmation prompts is bounded away from chance by the declared minimum."""
    ablation: bool
    """Ablating it moves the log-odds of present prompts by more than the declared minimum, and further than its nulls."""
    steering: bool
    """Steering along it moves those of absent prompts, at a dose that was chosen on discovery prompts and is coherent."""
    passes: bool
    """It reads the contrast and ablation or steering pass."""
    p_ablation: float | None
    p_steering: float | None
    """Adjusted by Holm's method over both edits of every tested feature of every contrast of the step."""
    dose: float | None
    """The dose of steering that was chosen on discovery prompts."""
    dose_index: int | None = None
    """Its place among the doses, from 1."""
    reasons: tuple[str, ...] = ()
    """Why it does not pass, one sentence each."""


class DoseEffect(Record):
    """A point of a dose-response curve."""

    dose: float
    change: float
    low: float
    high: float
    kl: float
    incoherent: float | None = None


class Card(Record):
    """One documented feature."""

    feature: int
    slots: tuple[str, ...]
    status: Literal["dead", "dense", "live", "unknown"]
    """unknown where nobody says of how many tokens it was counted: imports."""
    density: float | None
    documents: int
    maximum: float
    decoder_norm: float | None
    encoder_bias: float | None
    """None where the weights are not here: imports hold none."""
    threshold: float | None
    top_logits: tuple[TokenEffect, ...]
    bottom_logits: tuple[TokenEffect, ...]
    nearest: tuple[Relation, ...]
    cofiring: tuple[Relation, ...]
    contexts: tuple[Context, ...]
    """Of the bins top, decile-n and zero."""
    labels: tuple[Label, ...]
    relevance: tuple[Relevance, ...]
    gates: tuple[Gate, ...] = ()
    dose_response: dict[str, tuple[DoseEffect, ...]] = {}
    """By contrast."""


class NullEffects(Record):
    """Effects of the null features of a contrast under one edit, for the figure of effect against null."""

    contrast: str
    edit: Literal["ablated", "steered"]
    effects: tuple[float, ...]


class DictionaryFacts(Record):
    """The dictionary as it was read."""

    format: str
    trained_on: str
    same_model: bool | None
    """None where its files do not say."""
    activation: str
    n_features: int
    d_in: int
    d_out: int
    reads: str
    writes: tuple[str, ...]
    is_autoencoder: bool
    normalisation: str
    has_skip: bool
    facts: dict[str, str | int | float | bool] = {}


class CorpusFacts(Record):
    """The corpus as it was read."""

    source: str
    licence: str
    sensitivity: Literal["public", "restricted"]
    documents: int
    windows: int
    tokens: int
    quality_tokens: int
    splice_tokens: int
    context: int


class ContrastFacts(Record):
    """A contrast as it was asked."""

    name: str
    present: str
    absent: str
    token_texts: tuple[str, ...]
    tokens_from: str
    behaviour: str
    tested: tuple[int, ...]
    """Features that were intervened on, by rank."""
    nulls: int
    stopped: str = ""


class Found(Findings):
    """Findings of the documentation of features."""

    kind: Literal["feature_documentation"] = "feature_documentation"
    dictionary: DictionaryFacts
    corpus: CorpusFacts
    contrasts: tuple[ContrastFacts, ...]
    looked_at: int
    cards: tuple[Card, ...]
    density_histogram: tuple[tuple[float, float, int], ...]
    """Edges of log10 density and how many features lie between; the first bin holds those that never fired."""
    null_effects: tuple[NullEffects, ...]
    null_note: str
    methods: tuple[str, ...]
    """The dictionary and the baselines that stand beside it here."""
    doses: tuple[float, ...]
    clamps: tuple[float, ...]
    judge_versions: dict[str, int] = {}
