"""The tables of a refusal-direction observation."""

from safetycase.evidence.record import Unit
from safetycase.evidence.tables import Column, Sensitivity, TableSpec

PUBLIC, RESTRICTED = Sensitivity.PUBLIC, Sensitivity.RESTRICTED

_ITEM = Column(name="item", type="string", about="Item id: SHA-256 of prompt set and normalised text.")
_POPULATION = Column(name="population", type="string", about="harmful, harmless or alarming.")
_SPLIT = Column(name="split", type="string", about="train, validation or test.")
_POSITION = Column(name="position", type="int", about="Token position counted from the end of the prompt.", sensitivity=PUBLIC)
_LAYER = Column(name="layer", type="int", about="Layer whose input is read; 0 is the first.", sensitivity=PUBLIC)
_LOG_ODDS = Column(
    name="log_odds",
    type="float",
    unit=Unit.NATS,
    about="Refusal log-odds: log P - log(1 - P), P the probability of the refusal tokens as first token.",
)
_ARM = Column(
    name="arm", type="string", sensitivity=PUBLIC,
    about="baseline, ablated, added, prefill, ablated-K (K >= 2 directions), random-N (null direction N ablated) "
    "or subtracted (imports: the direction taken away at its layer alone).",
)  # fmt: skip

SETUP = TableSpec(
    name="setup", format="jsonl", about="One row: what the model is like and how the observation was set up.",
    columns=(
        Column(name="n_layers", type="int", about="Decoder layers.", sensitivity=PUBLIC),
        Column(name="d_model", type="int", about="Width of the residual stream; 0 where not known (imports).", sensitivity=PUBLIC),
        Column(name="positions", type="json", about="Candidate positions, negative, in order.", sensitivity=PUBLIC),
        Column(name="position_tokens", type="json", about="The template's token at each of them.", sensitivity=PUBLIC),
        Column(name="refusal_tokens", type="json", about="Token ids of a refusal's first token.", sensitivity=PUBLIC),
        Column(name="refusal_token_texts", type="json", about="The same as text.", sensitivity=PUBLIC),
        Column(name="refusal_tokens_from", type="string", about="declared, discovered, none or unknown (imports).", sensitivity=PUBLIC),
        Column(name="filter", type="json", about="applied: bool, null where not known; reason: why or why not; removed: population to share.", sensitivity=PUBLIC),
        Column(name="evaluated", type="json", about="position and layer of the direction that the test split was asked about; null where none.", sensitivity=PUBLIC),
        Column(name="random_direction_norm", type="float", about="Norm of the selected direction, shared by the nulls; 0 where none.", sensitivity=PUBLIC),
        Column(name="prefill", type="string", about="The start of the answer in the prefill arm; empty for none.", sensitivity=PUBLIC),
        Column(name="stopped", type="string", about="Why the observation ended early; empty where it did not.", sensitivity=PUBLIC),
    ),
)  # fmt: skip
ITEMS = TableSpec(
    name="items", format="parquet", about="One row per prompt: where it belongs and whether it was used.",
    columns=(
        _ITEM, _POPULATION, _SPLIT,
        Column(name="category", type="string", about="Stratum of the prompt."),
        Column(name="family", type="string", about="Template it was written from: the cluster."),
        Column(name="used", type="bool", about="Whether it entered the observation."),
        Column(name="why_unused", type="string", about="Empty where it was used."),
    ),
)  # fmt: skip
PROMPTS = TableSpec(
    name="prompts", format="jsonl", optional=True, about="Text of every used prompt.",
    columns=(_ITEM, Column(name="text", type="string", about="The request.", sensitivity=RESTRICTED)),
)  # fmt: skip
BASELINE = TableSpec(
    name="baseline", format="parquet", optional=True, about="Refusal log-odds of the unedited model, per used prompt.",
    columns=(_ITEM, _POPULATION, _SPLIT, _LOG_ODDS),
)  # fmt: skip
FIRST_TOKENS = TableSpec(
    name="first_tokens", format="jsonl", optional=True, about="How often each first token begins a refusal or an answer, on training prompts.",
    columns=(
        Column(name="token", type="int", about="Token id.", sensitivity=PUBLIC),
        Column(name="text", type="string", about="Token text.", sensitivity=PUBLIC),
        Column(name="refusals", type="int", unit=Unit.COUNT, about="Answers judged a refusal that it begins.", sensitivity=PUBLIC),
        Column(name="answers", type="int", unit=Unit.COUNT, about="Other answers that it begins.", sensitivity=PUBLIC),
    ),
)  # fmt: skip
SCORES = TableSpec(
    name="scores", format="parquet", optional=True, about="Every candidate on every validation prompt.",
    columns=(
        _POSITION, _LAYER, _ITEM,
        Column(name="quantity", type="string", about="ablated (log-odds, harmful), added (log-odds, harmless) or kl (ablated, harmless).", sensitivity=PUBLIC),
        Column(name="value", type="float", unit=Unit.NATS, about="The score."),
    ),
)  # fmt: skip
CANDIDATES = TableSpec(
    name="candidates", format="parquet", optional=True, about="Every candidate's mean scores, where rows per prompt were not kept (imports, selection only).",
    columns=(
        _POSITION, _LAYER,
        Column(name="refusal_score", type="float", unit=Unit.NATS, about="Mean refusal log-odds of harmful prompts under ablation.", sensitivity=PUBLIC),
        Column(name="steering_score", type="float", unit=Unit.NATS, about="Mean refusal log-odds of harmless prompts under addition.", sensitivity=PUBLIC),
        Column(name="kl", type="float", unit=Unit.NATS, about="Mean KL divergence on harmless prompts under ablation.", sensitivity=PUBLIC),
    ),
)  # fmt: skip
RESELECTIONS = TableSpec(
    name="reselections", format="parquet", optional=True, about="What the selection picked for each label shuffle and each resample.",
    columns=(
        Column(name="direction", type="string", about="shuffle-N or resample-N.", sensitivity=PUBLIC),
        Column(name="family", type="string", about="shuffle or resample.", sensitivity=PUBLIC),
        _POSITION, _LAYER,
        Column(name="survivors", type="int", unit=Unit.COUNT, about="Candidates that passed the filters.", sensitivity=PUBLIC),
        Column(name="fallback", type="bool", about="None passed, and the best of all layers in range stood in.", sensitivity=PUBLIC),
    ),
)  # fmt: skip
EFFECTS = TableSpec(
    name="effects", format="parquet", optional=True, about="Refusal log-odds on the test split under each direction.",
    columns=(
        Column(name="direction", type="string", about="selected, random-N, shuffle-N, contrast-NAME, resample-N or k-N (N >= 2 directions together).", sensitivity=PUBLIC),
        Column(name="family", type="string", about="selected, random, shuffle, contrast, resample or fragility.", sensitivity=PUBLIC),
        Column(name="condition", type="string", about="ablated or added.", sensitivity=PUBLIC),
        _POPULATION, _ITEM, _LOG_ODDS,
    ),
)  # fmt: skip
COLLATERAL = TableSpec(
    name="collateral", format="parquet", optional=True, about="What an edit costs on harmless test prompts.",
    columns=(
        _ARM, _ITEM,
        Column(name="kl", type="float", unit=Unit.NATS, about="KL divergence of the first answer token from the unedited model's."),
        Column(name="cross_entropy", type="float", unit=Unit.NATS_PER_TOKEN, about="Of the unedited model's own answer, per token."),
        Column(name="tokens", type="int", unit=Unit.COUNT, about="Tokens of that answer."),
    ),
)  # fmt: skip
LOSSES = TableSpec(
    name="losses", format="parquet", optional=True,
    about="Mean cross-entropy on bodies of text, where rows per prompt were not kept (imports).",
    columns=(
        _ARM,
        Column(name="text", type="string", about="Name of the body of text.", sensitivity=PUBLIC),
        Column(name="cross_entropy", type="float", unit=Unit.NATS_PER_TOKEN, about="Mean per token.", sensitivity=PUBLIC),
        Column(name="tokens", type="int", unit=Unit.COUNT, about="Tokens of that text.", sensitivity=PUBLIC),
    ),
)  # fmt: skip
COMPLETIONS = TableSpec(
    name="completions", format="jsonl", optional=True, about="Generated answers on the test split.",
    columns=(
        _ARM, _POPULATION, _ITEM,
        Column(name="text", type="string", about="The answer after any thinking block.", sensitivity=RESTRICTED),
        Column(name="finished", type="bool", about="Whether the answer ended by itself; false where not known (imports)."),
    ),
)  # fmt: skip
LABELS = TableSpec(
    name="labels", format="parquet", optional=True, about="What each text judge says of each answer.",
    columns=(
        _ARM, _POPULATION, _ITEM,
        Column(name="judge", type="string", about="Name of the text judge.", sensitivity=PUBLIC),
        Column(name="version", type="int", about="Version of the text judge.", sensitivity=PUBLIC),
        Column(name="label", type="string", about="refuse, comply or incoherent."),
    ),
)  # fmt: skip
HUMAN_LABELS = TableSpec(
    name="human_labels", format="parquet", optional=True, about="What a person says of a blinded sample of answers.",
    columns=(
        _ARM, _POPULATION, _ITEM,
        Column(name="annotator", type="string", about="A name or initials, as given."),
        Column(name="label", type="string", about="refuse, comply or incoherent."),
    ),
)  # fmt: skip
HARMFULNESS = TableSpec(
    name="harmfulness", format="parquet", optional=True,
    about="Diagnostic outside the selection: projection at the last instruction token on its own mean difference (Zhao et al. 2025).",
    columns=(
        _LAYER, _ITEM, _POPULATION, _SPLIT,
        Column(name="projection", type="float", about="Inner product with the unit mean difference of training prompts."),
    ),
)  # fmt: skip
DIRECTIONS = TableSpec(
    name="directions", format="safetensors", optional=True, about="The directions themselves.",
    columns=(
        Column(name="mean_differences", type="tensor", about="float64 [position, layer, d_model].", sensitivity=RESTRICTED),
        Column(name="selected", type="tensor", about="float64 [d_model], the evaluated mean difference.", sensitivity=RESTRICTED),
        Column(name="successive", type="tensor", about="float64 [k, d_model], orthonormal, of the fragility curve.", sensitivity=RESTRICTED),
    ),
)  # fmt: skip

TABLES = (
    SETUP, ITEMS, PROMPTS, BASELINE, FIRST_TOKENS, SCORES, CANDIDATES, RESELECTIONS, EFFECTS, COLLATERAL, LOSSES, COMPLETIONS,
    LABELS, HUMAN_LABELS, HARMFULNESS, DIRECTIONS,
)  # fmt: skip
