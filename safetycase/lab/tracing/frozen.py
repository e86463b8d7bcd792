"""Edges checked by intervention with attention patterns and norm scales frozen: what a graph says must then hold but for rounding."""

from collections.abc import Iterator

import numpy as np
import torch

from safetycase.evidence.graphs.graph import AttributionGraph
from safetycase.evidence.graphs.pruning import prune
from safetycase.evidence.tables import Row
from safetycase.lab.attribution.attribute import attribute_pass
from safetycase.lab.attribution.frozen_change import Addition, frozen_change
from safetycase.lab.attribution.frozen_pass import FrozenPass, frozen_pass
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.observing import Progress
from safetycase.lab.prompt_samples import take
from safetycase.lab.tracing.study import Stage, TraceStudy
from safetycase.sources.prompts import Prompt

PROMPTS = 4
"""Per class."""
NODES = 32
"""Source nodes of a graph that are added once more, drawn by lot among those that pruning keeps."""


def frozen(study: TraceStudy) -> Stage[None]:
    """The table `frozen`, on a few confirmation prompts of either class.

    Each source node's vector is added to the stream a second time, in a pass of the model itself whose attention patterns, norm scales and
    MLP outputs are those of the recorded pass: the pre-activation of every feature of the graph and the target must change by the edge
    (Ameisen et al. 2025; what circuit-tracer tests of itself).
    """
    yield Progress("frozen interventions", 0, 1)
    pairs = {pair.harmful.id: pair for pair in study.sampled.confirmation}
    drawn = take([pair.harmful for pair in pairs.values()], PROMPTS, study.seed).taken
    asked = [("harmful", prompt) for prompt in drawn] + [("harmless", pairs[prompt.id].harmless) for prompt in drawn]
    yield from study.shards.rows("frozen", "all", lambda: (_row(study, population, prompt) for population, prompt in asked))


def _row(study: TraceStudy, population: str, prompt: Prompt) -> Row:
    pass_ = frozen_pass(study.model, study.transcoders, study.tokens[prompt.id])
    target = study.functional.target(pass_)
    graph = attribute_pass(pass_, [target], max_features=study.ask.max_features)
    nodes = _drawn(graph, study, prompt.id)
    found = frozen_change(pass_, [list(additions(pass_, graph, node)) for node in nodes.tolist()], [target])
    chosen = torch.from_numpy(graph.selected_features).to(found.features.device)
    measured = torch.cat([found.features[:, chosen], found.targets], dim=1).double().cpu().numpy()
    rows = np.concatenate([np.arange(graph.n_features), np.arange(graph.target_nodes.start, graph.size)])
    order = np.sort(nodes)
    predicted = graph.adjacency.part(rows, order)[:, np.searchsorted(order, nodes)].astype(np.float64).T
    return {
        "item": prompt.id,
        "population": population,
        "split": prompt.split,
        "nodes": len(nodes),
        "edges": int(np.count_nonzero(predicted)),
        "residual": float(np.abs(measured - predicted).max() / np.abs(predicted).max()),
    }


def _drawn(graph: AttributionGraph, study: TraceStudy, item: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    kept = np.flatnonzero(prune(graph, study.ask.node_threshold, study.ask.edge_threshold).node_mask[: graph.target_nodes.start])
    return np.random.default_rng(study.seed_of(item)).permutation(kept)[:NODES]


def additions(pass_: FrozenPass, graph: AttributionGraph, node: int) -> Iterator[Addition]:
    """What a node writes, at every site that it writes to."""
    if node < graph.n_features:
        layer, position, feature = graph.features[node].tolist()
        dictionary = pass_.transcoders[layer]
        value = float(graph.activation_values[graph.selected_features[node]])
        for site, row in zip(dictionary.writes, dictionary.W_dec[feature], strict=True):
            yield Addition(site, position, value * row)
    elif node < graph.errors.stop:
        layer, position = divmod(node - graph.errors.start, graph.n_positions)
        yield Addition(Site(pass_.transcoders[0].writes[0].name, layer), position, pass_.errors[layer, position])
    else:
        position = node - graph.tokens.start
        yield Addition(Site("resid_pre", 0), position, pass_.layers[0].pre[position])
