"""What a circuit trace shows beyond its estimates: the circuit hypothesis, the example graphs, and what the figures need."""

from typing import Literal

from safetycase.evidence.record import Findings, Record


class TranscoderFacts(Record):
    """The transcoders as they were read."""

    format: str
    trained_on: str
    same_model: bool | None
    """None where their files do not say."""
    activation: str
    layers: tuple[int, ...]
    n_features: int
    """Of all layers together."""
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    cross_layer: bool
    has_skip: bool


class TargetFacts(Record):
    """What graphs were traced from."""

    kind: str
    label: str
    site: str
    role: str


class Member(Record):
    """A feature at a role that recurs more on harmful prompts than on the harmless ones matched to them."""

    slot: str
    layer: int
    feature: int
    role: str
    label: str
    """Of the step that documents it; empty where none does, or may."""
    raises: tuple[str, ...]
    lowers: tuple[str, ...]
    p: float
    """Share of swaps of labels that give any candidate as large a difference."""
    recurs: float
    recurs_harmless: float
    effect: float
    """Mean signed total effect on the target where it stands in the graph of a harmful prompt."""
    stability: float
    """Share of resamples of discovery families in which it is a member again."""


class Supernode(Record):
    """Members that write alike, aim alike and appear together."""

    name: str
    members: tuple[str, ...]
    """Slots."""


class CircuitEdge(Record):
    """An edge of the hypothesis, between members or to the target."""

    source: str
    target: str
    """A slot, or `target`."""
    weight: float
    """Mean over harmful discovery prompts on which both ends are active."""
    share: float
    """Of these prompts, in how many the pruned graph keeps it."""


class Test(Record):
    """One of the three tests of the circuit on confirmation prompts."""

    name: Literal["necessity", "sufficiency", "completeness"]
    percentile: float
    """Share of random circuits that do worse."""
    p: float
    adjusted: float
    """By Holm's method over the three."""
    passes: bool
    nulls: tuple[float, ...]
    """What the random circuits give, for the figure."""
    untested: str = ""
    """Why it could not be tested, in words; empty where it was. Percentile and p then say nothing, and are 0 and 1."""


class HeatCell(Record):
    """A cell of activation patching: mean over pairs, with its interval."""

    layer: int
    role: str
    direction: Literal["denoise", "noise"]
    split: Literal["discovery", "confirmation"]
    value: float
    low: float | None
    high: float | None
    """None where no interval can be had."""


class ScoredEdge(Record):
    """An edge between components, by attribution."""

    source: str
    target: str
    score: float


class CurvePoint(Record):
    """A point of the faithfulness curve, beside random circuits of as many edges."""

    share: float
    edges: int
    faithfulness: float
    completeness: float
    random_low: float
    random_middle: float
    random_high: float
    """Quantiles .05, .5 and .95 of random circuits."""
    p: float


class ExampleNode(Record):
    """A node of an example graph."""

    kind: Literal["feature", "error", "token", "target"]
    layer: int
    position: int
    feature: int | None
    influence: float
    cumulative: float
    activation: float | None


class ExampleGraph(Record):
    """The pruned graph of one confirmation prompt, drawn by lot."""

    item: str
    population: str
    target: str
    roles: tuple[str, ...]
    nodes: tuple[ExampleNode, ...]
    edges: tuple[tuple[int, int, float], ...]
    """Source and target by place among the nodes, and the signed weight."""


class Found(Findings):
    """Findings of a circuit trace."""

    kind: Literal["circuit_trace"] = "circuit_trace"
    transcoders: TranscoderFacts | None
    target: TargetFacts | None
    refusal_texts: tuple[str, ...]
    compliance_texts: tuple[str, ...]
    tokens_from: str
    n_layers: int
    matched_by: str
    looked_at: int
    candidates: int
    members: tuple[Member, ...] = ()
    supernodes: tuple[Supernode, ...] = ()
    edges: tuple[CircuitEdge, ...] = ()
    tests: tuple[Test, ...] = ()
    holds: bool = False
    """Whether there are members, all three tests pass and the effect is at least the declared minimum: the hypothesis stands so far."""
    exactness: float | None = None
    """Largest relative residual of the edge-sum identity over all graphs."""
    frozen_residual: float | None = None
    """Largest relative residual of the edges under frozen intervention."""
    frozen_edges: int = 0
    null_note: str = ""
    prediction_note: str = ""
    edge_nodes: str = ""
    ablation: str = ""
    cards_note: str = ""
    patching: tuple[HeatCell, ...] = ()
    top_edges: tuple[ScoredEdge, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    examples: tuple[ExampleGraph, ...] = ()
    predicted_measured: tuple[tuple[float, float], ...] = ()
    """(predicted, measured) change of the target over members and confirmation prompts, for the figure."""
    judge_versions: dict[str, int] = {}
