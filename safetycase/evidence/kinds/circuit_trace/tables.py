"""The tables of an observation of circuits; texts and tokens of prompts lie in tables of their own."""

from safetycase.evidence.record import Unit
from safetycase.evidence.tables import Column, ColumnType, Sensitivity, TableSpec

PUBLIC, RESTRICTED = Sensitivity.PUBLIC, Sensitivity.RESTRICTED


def _column(name: str, kind: ColumnType, about: str, unit: Unit | None = None, *, public: bool = True) -> Column:
    return Column(name=name, type=kind, about=about, unit=unit, sensitivity=PUBLIC if public else Sensitivity.INTERNAL)


_ITEM = Column(name="item", type="string", about="Item id: SHA-256 of prompt set and normalised text.")
_POPULATION = _column("population", "string", "harmful, harmless or paraphrase.")
_SPLIT = _column("split", "string", "train, validation or test: the first two are discovery, the last is confirmation.")
_LAYER = _column("layer", "int", "Layer whose MLP input the feature reads.")
_FEATURE = _column("feature", "int", "Index in the dictionary of its layer.")
_ROLE = _column(
    "role",
    "string",
    "What part the token plays: start-n (template before the instruction), instruction, end-n (counted from the prompt's end).",
)
_MEMBER = _column("member", "int", "Number of a member of the circuit, from 1.")
_LOG_ODDS = _column("log_odds", "float", "Log-odds of the refusal tokens as first token: log P - log(1 - P).", Unit.NATS, public=False)

SETUP = TableSpec(
    name="setup", format="jsonl", about="One row: transcoders, target, tokens, and how the observation was set up.",
    columns=(
        _column("transcoders", "json", "format, trained_on, layers, n_features by layer, activation, reads, writes, cross_layer, has_skip; null where none were named."),
        _column("same_model", "json", "true or false where the names tell whether the transcoders were trained on this model, else null."),
        _column("n_layers", "int", "Layers of the model.", Unit.COUNT),
        _column("target", "json", "kind, label, site, and role of the position: what graphs are traced from; null where nothing could be asked."),
        _column("refusal_tokens", "json", "Token ids of the log-odds."), _column("refusal_texts", "json", "Their texts."),
        _column("compliance_tokens", "json", "Token ids."), _column("compliance_texts", "json", "Their texts."),
        _column("tokens_from", "string", "declared, discovered, an upstream step, or none."),
        _column("stopped", "string", "Why nothing could be asked of refusals; empty where it could."),
        _column("matched_by", "string", "family or category: what pairs share."),
        _column("looked_at", "int", "Features of all layers together.", Unit.COUNT),
        _column("candidates", "int", "(layer, feature, role) that recur often enough to be tested for a difference.", Unit.COUNT),
        _column("null_note", "string", "How the features of random circuits were matched, and where they could not be."),
        _column("prediction_note", "string", "What the probe reads that the circuit's prediction is compared with."),
        _column("edge_nodes", "string", "What the nodes of the edge attribution are; why there was none, where there was none."),
        _column("ablation", "string", "What stands in the place of what is left out of an edge circuit."),
        _column("cards_note", "string", "Where labels of features come from; empty where none were asked for."),
        _column("asked", "json", "What was asked, complete with defaults."),
    ),
)  # fmt: skip
ITEMS = TableSpec(
    name="items", format="parquet", about="Every prompt that could be asked, and whether it was.",
    columns=(
        _ITEM, _POPULATION, _SPLIT, _column("category", "string", "Stratum."), _column("family", "string", "Template it was written from: the cluster."),
        _column("pair", "string", "Item id of the harmful prompt of its matched pair; empty where it is in none."),
        _column("length", "int", "Tokens of the prompt in the model's format; 0 where not asked.", Unit.COUNT),
        _column("used", "bool", "Whether it was asked."), _column("why_unused", "string", "Why not; empty where it was."),
    ),
)  # fmt: skip
PROMPTS = TableSpec(
    name="prompts", format="jsonl", optional=True, about="Text of every used prompt.",
    columns=(_ITEM, Column(name="text", type="string", about="The request.", sensitivity=RESTRICTED)),
)  # fmt: skip
BASELINE = TableSpec(
    name="baseline", format="parquet", optional=True, about="Refusal log-odds of the unedited model.", columns=(_ITEM, _POPULATION, _SPLIT, _LOG_ODDS),
)  # fmt: skip
GRAPHS = TableSpec(
    name="graphs", format="parquet", optional=True, about="Every attribution graph, reduced to its scores.",
    columns=(
        _ITEM, _POPULATION, _SPLIT,
        _column("active", "int", "Active features.", Unit.COUNT), _column("nodes", "int", "Feature nodes of the whole graph.", Unit.COUNT),
        _column("kept_features", "int", "Feature nodes after pruning.", Unit.COUNT), _column("kept_errors", "int", "Error nodes after pruning.", Unit.COUNT),
        _column("kept_edges", "int", "Edges after pruning.", Unit.COUNT),
        _column("target_value", "float", "What the target's functional was, in the model."),
        _column("replacement", "float", "Share of influence that comes from tokens rather than from errors, of the whole graph.", Unit.FRACTION),
        _column("completeness", "float", "Share of nodes' inputs, by influence, that are not errors, of the whole graph.", Unit.FRACTION),
        _column("error_share", "float", "Share of the influence on the target that enters through error nodes.", Unit.FRACTION),
        _column("unattributed_share", "float", "Share of what nodes and target read that no node carries: decoder biases, positions without nodes, model biases.", Unit.FRACTION),
        _column("reconstructed", "float", "Share of the variance of what MLPs write on the prompt that the transcoders give back; below 0 where they are worse than its mean, none where nothing varies.", Unit.FRACTION),
        _column("exactness", "float", "Largest residual of the edge-sum identity, relative to the size of the row.", Unit.FRACTION),
        _column("subgraph_replacement", "float", "Replacement score where features that were pruned count as errors.", Unit.FRACTION),
        _column("subgraph_completeness", "float", "Completeness score where features that were pruned count as errors.", Unit.FRACTION),
    ),
)  # fmt: skip
GRAPH_NULLS = TableSpec(
    name="graph_nulls", format="parquet", optional=True, about="Scores of random subgraphs with as many features per layer as the pruned graph.",
    columns=(
        _ITEM, _column("draw", "int", "Number of the random subgraph, from 1."),
        _column("replacement", "float", "As subgraph_replacement.", Unit.FRACTION), _column("completeness", "float", "As subgraph_completeness.", Unit.FRACTION),
    ),
)  # fmt: skip
GRAPH_NODES = TableSpec(
    name="graph_nodes", format="parquet", optional=True, about="Features of the pruned graph of every prompt, summed over positions of the same role.",
    columns=(
        _ITEM, _LAYER, _FEATURE, _ROLE, _column("influence", "float", "Influence on the target, of all 1."),
        _column("effect", "float", "Signed total effect on the target through the graph: what its removal is predicted to take away."),
        _column("activation", "float", "Largest activation at these positions."),
        _column("positions", "int", "Positions at which it stands in the pruned graph.", Unit.COUNT),
    ),
)  # fmt: skip
MEMBERS = TableSpec(
    name="members", format="jsonl", optional=True, about="The members of the circuit hypothesis: features, by role, that recur more on harmful prompts.",
    columns=(
        _MEMBER, _LAYER, _FEATURE, _ROLE,
        _column("decoder_norm", "float", "Norm of what a unit of it writes."), _column("label", "string", "Its label where a step documents it and may show it; else empty."),
        _column("logits_top", "json", "Texts of the tokens that its direction raises most."), _column("logits_bottom", "json", "Texts of those that it lowers most."),
    ),
)  # fmt: skip
MEMBER_EDGES = TableSpec(
    name="member_edges", format="parquet", optional=True, about="Edges among members, and from members to the target, in the whole graphs of harmful discovery prompts.",
    columns=(
        _ITEM, _column("source", "int", "Member."), _column("target", "int", "Member, or 0 for the target."),
        _column("weight", "float", "Direct effect, summed over positions of the roles: of a unit target's value, or of the other's pre-activation."),
        _column("kept", "bool", "Whether the pruned graph keeps any of it."),
    ),
)  # fmt: skip
LIKENESS = TableSpec(
    name="likeness", format="parquet", optional=True, about="How alike two members write.",
    columns=(_column("one", "int", "Member."), _column("other", "int", "A later member."), _column("decoders", "float", "Cosine of their decoders.", Unit.COSINE)),
)  # fmt: skip
FROZEN = TableSpec(
    name="frozen", format="parquet", optional=True, about="Edges checked by intervention with attention patterns and norm scales frozen: exact but for rounding.",
    columns=(
        _ITEM, _POPULATION, _SPLIT, _column("nodes", "int", "Source nodes that were added once more.", Unit.COUNT), _column("edges", "int", "Edges compared.", Unit.COUNT),
        _column("residual", "float", "Largest difference of predicted and measured change, relative to the largest predicted one.", Unit.FRACTION),
    ),
)  # fmt: skip
NODE_CHECKS = TableSpec(
    name="node_checks", format="parquet", optional=True, about="Members ablated one at a time in the free model: predicted and measured change of the target.",
    columns=(
        _ITEM, _POPULATION, _SPLIT, _MEMBER, _column("predicted", "float", "Change of the target that the graph of the prompt predicts."),
        _column("measured", "float", "Change of the target's functional in the model."),
        _column("log_odds_change", "float", "Change of the refusal log-odds.", Unit.NATS, public=False),
    ),
)  # fmt: skip
EDGE_CHECKS = TableSpec(
    name="edge_checks", format="parquet", optional=True, about="The same interventions: predicted and measured change of the pre-activations of other members.",
    columns=(
        _ITEM, _POPULATION, _SPLIT, _column("source", "int", "Member that is ablated."), _column("target", "int", "Member that is read."),
        _column("predicted", "float", "Change of its pre-activation that the graph predicts, summed over positions of its role where it is active."),
        _column("measured", "float", "Change in the free model, at the same positions."),
    ),
)  # fmt: skip
RANDOM_CIRCUITS = TableSpec(
    name="random_circuits", format="jsonl", optional=True, about="Circuits of features matched to the members.",
    columns=(_column("circuit", "string", "random-n."), _column("members", "json", "[layer, feature, role] of every feature.")),
)  # fmt: skip
CIRCUITS = TableSpec(
    name="circuits", format="parquet", optional=True, about="Refusal log-odds with features ablated: those of a circuit, or all others.",
    columns=(
        _ITEM, _POPULATION, _SPLIT, _column("circuit", "string", "circuit, random-n, or features (all of them)."),
        _column("condition", "string", "ablated (the circuit's features are), or kept (all other active features are)."), _LOG_ODDS,
    ),
)  # fmt: skip
COMPLETIONS = TableSpec(
    name="completions", format="jsonl", optional=True, about="Answers to harmful confirmation prompts: unedited, and with circuits ablated.",
    columns=(
        _column("circuit", "string", "none, circuit, or random-n."), _POPULATION, _ITEM, Column(name="text", type="string", about="The answer.", sensitivity=RESTRICTED),
        _column("finished", "bool", "Whether the answer ended by itself."),
    ),
)  # fmt: skip
ANSWERS = TableSpec(
    name="answers", format="parquet", optional=True, about="What each judge says of each answer.",
    columns=(
        _column("circuit", "string", "none, circuit, or random-n."), _POPULATION, _ITEM, _column("judge", "string", "Text judge."),
        _column("version", "int", "Of the judge."), _column("label", "string", "refuse, comply or incoherent.", public=False),
    ),
)  # fmt: skip
PREDICTIONS = TableSpec(
    name="predictions", format="parquet", optional=True, about="What ablating the circuit changes, prompt by prompt, and what was predicted before.",
    columns=(
        _ITEM, _POPULATION, _SPLIT, _column("predicted", "float", "Change of the target that the graph of the prompt predicts for the circuit's removal."),
        _column("probe", "float", "Change of the log-odds that a linear probe, fitted on discovery prompts, predicts from the residual stream.", Unit.NATS, public=False),
        _column("measured", "float", "Change of the refusal log-odds under ablation of the circuit.", Unit.NATS, public=False),
    ),
)  # fmt: skip
PATCHING = TableSpec(
    name="patching", format="parquet", optional=True, about="Activation patching of the residual stream between the prompts of a pair.",
    columns=(
        _column("pair", "string", "Item id of the harmful prompt."), _SPLIT, _column("layer", "int", "Block whose input is patched."), _ROLE,
        _column("direction", "string", "denoise (harmful state into the harmless run) or noise (harmless state into the harmful run)."),
        _column("clean", "float", "Log-odds of the run that the state comes from.", Unit.NATS, public=False),
        _column("corrupted", "float", "Log-odds of the run that is patched, unpatched.", Unit.NATS, public=False),
        _column("patched", "float", "Log-odds of the patched run.", Unit.NATS, public=False),
    ),
)  # fmt: skip
EDGES = TableSpec(
    name="edges", format="parquet", optional=True, about="Edge attribution with integrated gradients, mean over discovery pairs.",
    columns=(
        _column("source", "string", "Writer: embed, head.<layer>.<head> (attn.<layer> where heads are not told apart), or mlp.<layer>."),
        _column("target", "string", "Reader: head.<layer>.<head>.q, .k or .v (attn.<layer> where heads are not told apart), mlp.<layer>, or logits."),
        _column("score", "float", "Attributed change of the log-odds when the edge carries the other prompt's value.", Unit.NATS),
        _column("rank", "int", "Place by absolute score, from 1."),
    ),
)  # fmt: skip
EDGE_CURVE = TableSpec(
    name="edge_curve", format="parquet", optional=True, about="Exact edge patching on confirmation pairs: circuits by share of edges, and random ones of equal size.",
    columns=(
        _column("pair", "string", "Item id of the harmful prompt."), _column("circuit", "string", "circuit, complement, random-n, full or empty."),
        _column("share", "float", "Share of all edges.", Unit.FRACTION), _column("edges", "int", "How many.", Unit.COUNT), _LOG_ODDS,
    ),
)  # fmt: skip
EXAMPLES = TableSpec(
    name="examples", format="jsonl", optional=True, about="Pruned graphs of a few confirmation prompts, to be drawn; tokens lie apart.",
    columns=(
        _ITEM, _POPULATION, _column("target", "string", "What it was traced from."), _column("roles", "json", "Role of every position."),
        _column("nodes", "json", "kind, layer, position, feature, influence, cumulative, activation of every node that was kept, by name."),
        _column("edges", "json", "[source, target, weight] of every edge that was kept, by place among the nodes."),
    ),
)  # fmt: skip
EXAMPLE_TOKENS = TableSpec(
    name="example_tokens", format="jsonl", optional=True, about="Tokens of the prompts whose graphs are kept.",
    columns=(_ITEM, Column(name="tokens", type="json", about="Their texts.", sensitivity=RESTRICTED)),
)  # fmt: skip
GRAPHS_WHOLE = TableSpec(
    name="graphs_whole", format="safetensors", optional=True, about="The unpruned graphs of these prompts: <item>.<tensor>, named as in graph files.",
    columns=(Column(name="adjacency", type="tensor", about="[node, node], row = target.", sensitivity=RESTRICTED),),
)  # fmt: skip

TABLES = (
    SETUP, ITEMS, PROMPTS, BASELINE, GRAPHS, GRAPH_NULLS, GRAPH_NODES, MEMBERS, MEMBER_EDGES, LIKENESS, FROZEN, NODE_CHECKS, EDGE_CHECKS,
    RANDOM_CIRCUITS, CIRCUITS, COMPLETIONS, ANSWERS, PREDICTIONS, PATCHING, EDGES, EDGE_CURVE, EXAMPLES, EXAMPLE_TOKENS, GRAPHS_WHOLE,
)  # fmt: skip
