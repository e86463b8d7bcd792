"""The names of every estimate of a circuit trace, known before any run: members are named by their number."""

from collections.abc import Iterator, Mapping, Sequence

from safetycase.evidence.kinds.circuit_trace.params import Ask, Read

SCORES = ("replacement", "completeness", "error_share", "unattributed_share", "reconstructed")
"""Of whole graphs; the last is no share of a graph, and may lie below 0."""
SUBGRAPH_SCORES = ("subgraph_replacement", "subgraph_completeness")
"""Of pruned graphs, beside random subgraphs."""
GRAPHED = ("harmful", "harmless")
PREDICTED = ("harmful", "harmless", "confirmation")
"""Prompts on which a change was predicted: one class, or both together."""
EDITED = {
    "ablated", "kept", "rest", "denoised", "noised", "circuit", "probe", "class-mean", "nodes", "edges", "edge-circuit", "edge-complement",
}  # fmt: skip
"""Conditions in which the model is edited, and those that tell what editing it changed."""


def estimate_names(ask: Ask, read: Read, categories: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """`quantity.population.condition[@judge][#item]`, sorted; an estimate of these may still be absent, with a reason."""
    names = {f"log_odds.{population}.baseline" for population in GRAPHED}
    if ask.transcoders is not None:
        names |= {*_graphs(ask), *_circuit(ask, read)}
    if ask.patching_pairs:
        names |= {"patched_change.harmless.denoised", "patched_change.harmful.noised"}
    if ask.edge_pairs:
        names |= {*_edges(ask)}
    return tuple(sorted(names))


def members(ask: Ask) -> tuple[str, ...]:
    """Slots of the circuit's members: those whose recurrence differs most come first."""
    return tuple(f"member-{number}" for number in range(1, ask.max_members + 1))


def edge_share(share: float) -> str:
    """The item of a point of the faithfulness curve."""
    return f"{share:g}"


def under_edit(estimate: str) -> bool:
    """Whether its condition is one of `EDITED`; scores of graphs need no edit."""
    condition = estimate.split("#")[0].split("@")[0].split(".")[-1]
    return condition in EDITED


def _graphs(ask: Ask) -> Iterator[str]:
    for population in GRAPHED:
        yield from (f"{score}.{population}.graph" for score in SCORES)
        yield from (f"{score}.{population}.pruned" for score in SUBGRAPH_SCORES)
        yield f"active_features.{population}.graph"
        yield f"kept_features.{population}.pruned"


def _circuit(ask: Ask, read: Read) -> Iterator[str]:
    for member in members(ask):
        yield from (f"recurrence.{population}.discovery#{member}" for population in GRAPHED)
        yield f"recurrence_difference.matched.discovery#{member}"
        yield f"recurrence_difference.matched.confirmation#{member}"
        if ask.paraphrase is not None:
            yield f"recurrence.paraphrase.confirmation#{member}"
    yield "members_recovered.discovery.reseeded"
    yield "node_prediction.harmful.nodes"
    yield "edge_prediction.harmful.edges"
    yield "log_odds_change.harmful.ablated"
    yield "log_odds_change.harmless.ablated"
    yield "faithfulness.harmful.kept"
    yield "faithfulness.harmful.rest"
    for judge in read.judges:
        yield from (f"refusal_rate.harmful.{condition}@{judge}" for condition in ("baseline", "ablated"))
        yield f"refusal_rate_change.harmful.ablated@{judge}"
    yield "incoherent_rate.harmful.ablated"
    yield from (f"explained_change.{prompts}.{condition}" for prompts in PREDICTED for condition in ("circuit", "probe"))
    yield "explained_change.confirmation.class-mean"


def _edges(ask: Ask) -> Iterator[str]:
    yield from (f"faithfulness.matched.edge-circuit#{edge_share(share)}" for share in ask.edge_shares)
    yield from (f"faithfulness.matched.edge-complement#{edge_share(share)}" for share in ask.edge_shares)
    yield "cpr.matched.edge-circuit"
    yield "cmd.matched.edge-circuit"
