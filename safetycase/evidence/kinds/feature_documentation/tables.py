"""The tables of an observation of features; texts of the corpus and of prompts lie in tables of their own."""

from safetycase.evidence.record import Unit
from safetycase.evidence.tables import Column, ColumnType, Sensitivity, TableSpec

PUBLIC, RESTRICTED = Sensitivity.PUBLIC, Sensitivity.RESTRICTED


def _column(name: str, kind: ColumnType, about: str, unit: Unit | None = None, *, public: bool = True) -> Column:
    return Column(name=name, type=kind, about=about, unit=unit, sensitivity=PUBLIC if public else Sensitivity.INTERNAL)


_ITEM = Column(name="item", type="string", about="Item id: SHA-256 of prompt set and normalised text.")
_FEATURE = _column("feature", "int", "Index in the dictionary.")
_CONTRAST = _column("contrast", "string", "Name of the contrast in the plan.")
_DOCUMENT = _column("document", "string", "Id of a document of the corpus: the independent unit.")
_METHOD = _column(
    "method",
    "string",
    "dictionary, or a baseline at equal L0: random, pca, neurons (autoencoders); linear, skip, top-neurons (transcoders).",
)
_TOKENS = _column("tokens", "int", "Tokens counted; positions that hold a beginning-of-text token are left out.", Unit.COUNT)
_WINDOW = _column("window", "int", "Running number of a window of the corpus.")
_LOG_ODDS = _column("log_odds", "float", "Log-odds of the contrast's tokens as first token: log P - log(1 - P).", Unit.NATS, public=False)
_EDIT = _column(
    "edit", "string", "ablate (activation to 0), clamp (to a multiple of its maximum) or steer (a multiple of the residual norm added)."
)
_DOSE = _column("dose", "float", "Of a clamp, multiple of the maximum; of steering, multiple of the mean residual norm; 0 for ablation.")

SETUP = TableSpec(
    name="setup", format="jsonl", about="One row: dictionary, site, corpus and contrasts, and how the observation was set up.",
    columns=(
        _column("dictionary", "json", "format, trained_on, activation, n_features, d_in, d_out, reads, writes, normalisation, has_skip, facts."),
        _column("same_model", "json", "true or false where the names tell whether the dictionary was trained on this model, else null; and the name that its files give."),
        _column("corpus", "json", "source, licence, sensitivity, documents, windows, tokens, quality_tokens, splice_tokens, context."),
        _column("contrasts", "json", "By name: tokens, token_texts, tokens_from, behaviour, direction_step, prompt sets, stopped (why nothing was asked, or empty)."),
        _column("residual_norm", "float", "Mean norm of the residual stream at the written layer on the corpus."),
        _column("spread_offset", "float", "Squared norm of (mean output - reference mean): taken off the mean spread, it is the variance of the output."),
        _column("looked_at", "int", "Features that were ranked.", Unit.COUNT),
        _column("ablation", "string", "mean or zero: what stands in the output's place for the worst loss."),
        _column("doses", "json", "Multiples of the residual norm, ascending."),
        _column("clamps", "json", "Multiples of the largest activation."),
        _column("null_note", "string", "How null features were matched, and how many could be had; by contrast where they differ."),
        _column("behaviour_judges", "json", "By contrast: `refusal` (text judges) or the name of the declared behaviour."),
        _column("asked", "json", "What was asked, complete with defaults, so that what is missing of it can be told; empty for imports."),
    ),
)  # fmt: skip
ITEMS = TableSpec(
    name="items", format="parquet", about="Every prompt that could be asked, and whether it was.",
    columns=(
        _ITEM,
        _column("population", "string", "<contrast>-present, <contrast>-absent, or <contrast>-<variant>."),
        _column("split", "string", "train, validation or test: the first two are discovery, the last is confirmation."),
        _column("category", "string", "Stratum."), _column("family", "string", "Template it was written from: the cluster."),
        _column("length", "int", "Tokens of the prompt in the model's format; 0 where not asked.", Unit.COUNT),
        _column("used", "bool", "Whether it was asked."), _column("why_unused", "string", "Why not; empty where it was."),
    ),
)  # fmt: skip
PROMPTS = TableSpec(
    name="prompts", format="jsonl", optional=True, about="Text of every used prompt.",
    columns=(_ITEM, Column(name="text", type="string", about="The request.", sensitivity=RESTRICTED)),
)  # fmt: skip
QUALITY = TableSpec(
    name="quality", format="parquet", optional=True, about="Reconstruction of the output site, summed per document of the corpus.",
    columns=(
        _DOCUMENT, _METHOD, _TOKENS,
        _column("active", "float", "Sum over tokens of how many features (or units) are not zero.", Unit.COUNT),
        _column("error", "float", "Sum of squared norms of output minus reconstruction."),
        _column("spread", "float", "Sum of squared norms of output minus the reference mean."),
        _column("power", "float", "Sum of squared norms of the output."),
        _column("cosine", "float", "Sum of cosines of output and reconstruction."),
        _column("legacy", "float", "Sum of 1 - error/spread per token: the older, per-token formula of explained variance."),
    ),
)  # fmt: skip
SPLICE = TableSpec(
    name="splice", format="parquet", optional=True, about="Next-token loss with something in the output's place, summed per document.",
    columns=(
        _DOCUMENT, _column("condition", "string", "clean, ablated, or a method whose reconstruction stands in the output's place."), _TOKENS,
        _column("cross_entropy", "float", "Sum over tokens.", Unit.NATS),
        _column("kl", "float", "Sum of KL divergences of the next-token distribution from the clean one.", Unit.NATS),
    ),
)  # fmt: skip
DENSITY = TableSpec(
    name="density", format="parquet", about="How often and how strongly every feature fires on the corpus.",
    columns=(
        _FEATURE,
        _column("fired", "int", "Tokens on which it fires.", Unit.COUNT), _column("documents", "int", "Documents in which it fires.", Unit.COUNT),
        _column("windows", "int", "Windows in which it fires.", Unit.COUNT),
        _column("total", "float", "Sum of its activations."), _column("squares", "float", "Sum of squared activations."),
        _column("maximum", "float", "Largest activation."),
    ),
)  # fmt: skip
FIRING = TableSpec(
    name="firing", format="parquet", optional=True, about="Per document of the corpus, on how many tokens a documented feature fires; documents without a row: none.",
    columns=(_FEATURE, _DOCUMENT, _column("fired", "int", "Tokens on which it fires.", Unit.COUNT)),
)  # fmt: skip
DOCUMENTS = TableSpec(
    name="documents", format="parquet", optional=True, about="Every document of the corpus that was read.",
    columns=(_DOCUMENT, _TOKENS),
)  # fmt: skip
RELEVANCE = TableSpec(
    name="relevance", format="parquet", optional=True, about="Every feature that was ranked for a contrast, on discovery prompts.",
    columns=(
        _CONTRAST, _FEATURE,
        _column("cosine", "float", "Of its direction with the mean difference of the output site at the last prompt token, present minus absent."),
        _column("auroc", "float", "Of its largest activation on a prompt, present against absent.", Unit.AUROC),
        _column("attribution", "float", "Mean over present prompts of activation x direction x gradient of the log-odds, summed over positions.", Unit.NATS),
        _column("firing_present", "float", "Share of present prompts on which it fires.", Unit.FRACTION),
        _column("firing_absent", "float", "Share of absent prompts on which it fires.", Unit.FRACTION),
        _column("rank", "int", "Place in the ranking, from 1; 0 where it fires on no discovery prompt."),
    ),
)  # fmt: skip
DOCUMENTED = TableSpec(
    name="documented", format="jsonl", about="Features that have a card, and why.",
    columns=(
        _FEATURE,
        _column("slots", "json", "Why it has a card: <contrast>-<rank>, feature-<index> (named in the plan), random-<n>."),
        _column("decoder_norm", "json", "Norm of its direction; null where it is not known (imports)."),
        _column("encoder_bias", "json", "Bias of its encoder; null where it is not known (imports)."),
        _column("threshold", "json", "Of its activation where it has one, else null."),
    ),
)  # fmt: skip
LOGITS = TableSpec(
    name="logits", format="jsonl", about="Tokens that a documented feature's direction raises and lowers most, through the final norm's weight and the unembedding.",
    columns=(
        _FEATURE, _column("end", "string", "top or bottom."), _column("rank", "int", "From 1."), _column("token", "int", "Token id."),
        _column("text", "string", "Token text."), _column("value", "float", "Direct effect on the logit, less the mean over the vocabulary.", Unit.LOGIT),
    ),
)  # fmt: skip
NEIGHBOURS = TableSpec(
    name="neighbours", format="parquet", about="Features whose directions are nearest to a documented one's, and those that fire with it.",
    columns=(
        _FEATURE, _column("other", "int", "The other feature."),
        _column("relation", "string", "decoder (nearest direction), cofiring, or correlation (imports)."),
        _column("value", "float", "decoder: cosine; cofiring: pointwise mutual information over tokens, in nats; correlation: Pearson's, as stated."),
        _column("together", "int", "Tokens on which both fire; 0 where not counted.", Unit.COUNT),
    ),
)  # fmt: skip
CONTEXTS = TableSpec(
    name="contexts", format="jsonl", about="Windows in which a documented feature fires most, in each decile, not at all; and those that labels are scored on.",
    columns=(
        _FEATURE, _WINDOW,
        _column("bin", "string", "top, decile-1 (weakest) ... decile-10, zero, held-out, held-out-zero or held-out-neighbour."),
        _column("rank", "int", "Within the bin, from 1."),
        _column("activations", "json", "Activation on every token of the window, rounded to five significant digits."),
    ),
)  # fmt: skip
_WINDOW_COLUMNS = (_WINDOW, _DOCUMENT)
WINDOWS = TableSpec(
    name="windows", format="jsonl", optional=True, about="Tokens of the windows, where the plan declares the corpus public.",
    columns=(*_WINDOW_COLUMNS, _column("tokens", "json", "Texts of its tokens, in order."), _column("token_ids", "json", "Their ids.")),
)  # fmt: skip
WINDOWS_RESTRICTED = TableSpec(
    name="windows_restricted", format="jsonl", optional=True, about="Tokens of the windows, where the plan does not declare the corpus public.",
    columns=(
        *_WINDOW_COLUMNS,
        Column(name="tokens", type="json", about="Texts of its tokens, in order.", sensitivity=RESTRICTED),
        Column(name="token_ids", type="json", about="Their ids.", sensitivity=RESTRICTED),
    ),
)  # fmt: skip
LABELS = TableSpec(
    name="labels", format="jsonl", about="What is said of a feature, by whom; made from windows that are not scored.",
    columns=(
        _FEATURE, _column("author", "string", "rule, explainer, or imported."), _column("text", "string", "The label; empty where it is withheld."),
        _column("made_by", "string", "How: the rule's form, the model's name, the import's source."),
        _column("rule", "json", "Of author rule: form (token, previous-token, position, none) and tokens (ids); else null."),
    ),
)  # fmt: skip
LABELS_RESTRICTED = TableSpec(
    name="labels_restricted", format="jsonl", optional=True,
    about="The same with the words of labels that are made of a corpus that the plan does not declare public; `labels` holds none of them.",
    columns=tuple(
        column.model_copy(update={"sensitivity": RESTRICTED}) if column.name in ("text", "rule") else column for column in LABELS.columns
    ),
)  # fmt: skip
DETECTION = TableSpec(
    name="detection", format="parquet", optional=True, about="What a label predicts on held-out windows, and whether the feature fires there.",
    columns=(
        _FEATURE, _column("author", "string", "Whose label."), _column("scorer", "string", "rule or scorer (a model)."),
        _column("label_of", "int", "Feature whose label it is: the feature itself, or another one (shuffled labels)."),
        _WINDOW, _DOCUMENT, _column("set", "string", "held-out, held-out-zero or held-out-neighbour."),
        _column("predicted", "bool", "The label says that it fires."), _column("fires", "bool", "It does."),
    ),
)  # fmt: skip
READINGS = TableSpec(
    name="readings", format="parquet", optional=True, about="Activation of documented features on prompts.",
    columns=(
        _FEATURE, _CONTRAST, _column("population", "string", "As in items."), _column("split", "string", "train, validation or test."), _ITEM,
        _column("peak", "float", "Largest activation on the prompt.", public=False), _column("last", "float", "Activation on the last prompt token.", public=False),
    ),
)  # fmt: skip
BASELINE = TableSpec(
    name="baseline", format="parquet", optional=True, about="Log-odds of the contrast's tokens in the unedited model.",
    columns=(_CONTRAST, _column("population", "string", "As in items."), _column("split", "string", "train, validation or test."), _ITEM, _LOG_ODDS),
)  # fmt: skip
CAUSES = TableSpec(
    name="causes", format="parquet", optional=True, about="Log-odds under edits of tested features and of null features.",
    columns=(
        _CONTRAST, _FEATURE, _column("role", "string", "tested or null."), _EDIT, _DOSE,
        _column("population", "string", "As in items."), _column("split", "string", "validation (discovery) or test (confirmation)."), _ITEM, _LOG_ODDS,
        _column(
            "kl", "float", "Off target: KL divergence of the first answer token from the unedited model's, among all tokens but the contrast's.",
            Unit.NATS, public=False,
        ),
    ),
)  # fmt: skip
COMPLETIONS = TableSpec(
    name="completions", format="jsonl", optional=True, about="Answers to confirmation prompts, unedited (feature -1, edit none) and under edits; steered, also to prompts of the split validation.",
    columns=(
        _CONTRAST, _FEATURE, _column("edit", "string", "none, ablate, clamp or steer."), _DOSE, _column("population", "string", "As in items."), _ITEM,
        Column(name="text", type="string", about="The answer.", sensitivity=RESTRICTED),
        _column("finished", "bool", "Whether the answer ended by itself."),
    ),
)  # fmt: skip
ANSWERS = TableSpec(
    name="answers", format="parquet", optional=True, about="What each judge says of each answer.",
    columns=(
        _CONTRAST, _FEATURE, _column("edit", "string", "none, ablate, clamp or steer."), _DOSE, _column("population", "string", "As in items."), _ITEM,
        _column("judge", "string", "Text judge, or `phrases` for a declared behaviour."), _column("version", "int", "Of the judge."),
        _column("label", "string", "refuse, comply, incoherent; of phrases: shown, not-shown, incoherent.", public=False),
    ),
)  # fmt: skip
CAPTURE = TableSpec(
    name="capture", format="parquet", optional=True,
    about="Log-odds on confirmation prompts with a direction taken out of the output site: out of all of it, of the reconstruction alone, of the error alone.",
    columns=(
        _CONTRAST, _column("direction", "string", "own (mean difference of the contrast), or the id of the upstream step."),
        _column("part", "string", "whole, reconstruction or error."), _column("population", "string", "As in items."), _ITEM, _LOG_ODDS,
    ),
)  # fmt: skip
PROBES = TableSpec(
    name="probes", format="parquet", optional=True, about="Scores of linear probes on confirmation prompts, fitted on discovery prompts.",
    columns=(
        _CONTRAST, _column("probe", "string", "k-<n> (so many features), dense (the site itself), random-k-<n> (features drawn by lot), shuffled-<n> (dense, permuted labels: each once)."),
        _column("population", "string", "As in items."), _ITEM, _column("score", "float", "Decision value; above 0 means present.", public=False),
    ),
)  # fmt: skip
ABSORPTION = TableSpec(
    name="absorption", format="parquet", optional=True, about="On present confirmation prompts: is the contrast's main feature silent where another one carries its direction?",
    columns=(
        _CONTRAST, _ITEM, _column("main_fires", "bool", "A main feature of the contrast fires."),
        _column("full", "bool", "All main features are silent and one other carries at least 0.4 of the probe's projection (SAEBench)."),
        _column("fraction", "float", "Share of the projection that up to three absorbing features carry (SAEBench).", Unit.FRACTION),
    ),
)  # fmt: skip
PAIRS = TableSpec(
    name="pairs", format="parquet", optional=True, about="Contrastive pairs by family (as CE-Bench, no language model): how far the most telling feature stands out.",
    columns=(
        _CONTRAST, _column("method", "string", "dictionary or random (a dictionary of random directions at equal L0)."),
        _column("family", "string", "The template that both classes share."),
        _column("contrastive", "float", "Largest standardised difference of mean activations between the classes."),
        _column("independent", "float", "Largest standardised difference between both classes and all other families."),
    ),
)  # fmt: skip

TABLES = (
    SETUP, ITEMS, PROMPTS, QUALITY, SPLICE, DENSITY, FIRING, DOCUMENTS, RELEVANCE, DOCUMENTED, LOGITS, NEIGHBOURS, CONTEXTS, WINDOWS,
    WINDOWS_RESTRICTED, LABELS, LABELS_RESTRICTED, DETECTION, READINGS, BASELINE, CAUSES, COMPLETIONS, ANSWERS, CAPTURE, PROBES, ABSORPTION, PAIRS,
)  # fmt: skip
