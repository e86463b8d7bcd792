"""Attribution graphs of all prompts of a trace, reduced to scores and to the features that their pruned graphs keep."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from safetycase.evidence.graphs.effects import changes_by_removal, onto_targets, total_effects
from safetycase.evidence.graphs.graph import AttributionGraph
from safetycase.evidence.graphs.pruning import Pruned, prune
from safetycase.evidence.graphs.random_subgraphs import RandomSubgraphs, random_subgraph_scores
from safetycase.evidence.graphs.scores import Influence, influence, scores
from safetycase.evidence.kinds.circuit_trace.selection import Node
from safetycase.evidence.tables import Row
from safetycase.lab.attribution.attribute import attribute_pass
from safetycase.lab.attribution.frozen_pass import frozen_pass
from safetycase.lab.attribution.reconstructed import reconstructed
from safetycase.lab.observing import Progress
from safetycase.lab.tracing.study import Stage, TraceStudy
from safetycase.sources.prompts import Prompt

PROMPTS_PER_SHARD = 8
"""What a kill can lose."""
KEPT_BYTES = 2**30
"""Graphs beyond this many bytes are traced again when they are needed again."""


@dataclass
class Graphs:
    """The graphs of a trace's prompts, each made when it is first asked for; the one last asked for is held in any case."""

    study: TraceStudy
    _held: dict[str, AttributionGraph] = field(default_factory=dict)
    _reconstructed: dict[str, float | None] = field(default_factory=dict)
    _bytes: int = 0
    _last: tuple[str, AttributionGraph] | None = None

    def of(self, item: str) -> AttributionGraph:
        """The whole graph of a prompt; raises ModelError as `attribute`."""
        if item in self._held:
            return self._held[item]
        if self._last is not None and self._last[0] == item:
            return self._last[1]
        self._last = None  # its memory is free before the next one is made
        study, tokens = self.study, self.study.tokens[item]
        pass_ = frozen_pass(study.model, study.transcoders, tokens)
        self._reconstructed[item] = reconstructed(pass_).total
        graph = attribute_pass(pass_, [study.functional.target(pass_)], max_features=study.ask.max_features)
        if self._bytes + graph.adjacency.n_bytes <= KEPT_BYTES:
            self._held[item] = graph
            self._bytes += graph.adjacency.n_bytes
        else:
            self._last = (item, graph)
        return graph

    def reconstructed(self, item: str) -> float | None:
        """Share of the variance of what MLPs write on a prompt that the transcoders give back; None where nothing varies."""
        self.of(item)
        return self._reconstructed[item]

    def nodes(self, item: str, nodes: Sequence[Node]) -> dict[Node, list[int]]:
        """Feature nodes of a prompt's graph by (layer, feature, role); those that are not active have none."""
        wanted = set(nodes)
        found: dict[Node, list[int]] = {}
        names = self.study.roles_of(item)
        for place, (layer, position, feature) in enumerate(self.of(item).features.tolist()):
            node = (layer, feature, names[position])
            if node in wanted:
                found.setdefault(node, []).append(place)
        return found

    def predicted(self, item: str, circuit: Sequence[Node]) -> float:
        """Change of the target that the graph predicts where a circuit is ablated."""
        graph = self.of(item)
        removed = [place for places in self.nodes(item, circuit).values() for place in places]
        return float(changes_by_removal(graph, removed)[graph.target_nodes] @ graph.target_weights)


def graphs(study: TraceStudy, made: Graphs) -> Stage[Mapping[str, tuple[Row, ...]]]:
    """Yields `graphs`, `graph_nulls` and `graph_nodes`; returns the rows of the latter by item."""
    prompts = study.sampled.prompts
    kept: dict[str, tuple[Row, ...]] = {prompt.id: () for _, prompt in prompts}
    for start in range(0, len(prompts), PROMPTS_PER_SHARD):
        yield Progress("attribution graphs", start, len(prompts))
        shard = prompts[start : start + PROMPTS_PER_SHARD]
        part = f"prompts-{start}"
        reduced = _Reduced(study, made, shard)
        yield from study.shards.rows("graphs", part, reduced.scores)
        yield from study.shards.rows("graph_nulls", part, reduced.nulls)
        nodes = yield from study.shards.rows("graph_nodes", part, reduced.nodes)
        for _, prompt in shard:
            kept[prompt.id] = tuple(row for row in nodes if row["item"] == prompt.id)
    return kept


@dataclass
class _Reduced:
    """Some prompts' graphs, reduced once for all three tables."""

    study: TraceStudy
    made: Graphs
    prompts: Sequence[tuple[str, Prompt]]
    _found: dict[str, "_OneGraph"] = field(default_factory=dict)

    def scores(self) -> Iterator[Row]:
        for population, prompt in self.prompts:
            yield {
                "item": prompt.id,
                "population": population,
                "split": prompt.split,
                **self._of(prompt).score_row(),
                **self._reconstructed(prompt),
            }

    def nulls(self) -> Iterator[Row]:
        for _, prompt in self.prompts:
            drawn = self._of(prompt).random
            for draw, (replacement, completeness) in enumerate(zip(drawn.replacement, drawn.completeness, strict=True), start=1):
                yield {"item": prompt.id, "draw": draw, "replacement": float(replacement), "completeness": float(completeness)}

    def nodes(self) -> Iterator[Row]:
        for _, prompt in self.prompts:
            yield from self._of(prompt).node_rows(prompt.id, self.study.roles_of(prompt.id))

    def _reconstructed(self, prompt: Prompt) -> Row:
        return {"reconstructed": self.made.reconstructed(prompt.id)}

    def _of(self, prompt: Prompt) -> "_OneGraph":
        if prompt.id not in self._found:
            self._found[prompt.id] = _OneGraph.of(self.made.of(prompt.id), self.study, prompt.id)
        return self._found[prompt.id]


@dataclass(frozen=True)
class _OneGraph:
    """A graph with what is read off it."""

    graph: AttributionGraph
    influence: Influence
    pruned: Pruned
    random: RandomSubgraphs

    @classmethod
    def of(cls, graph: AttributionGraph, study: TraceStudy, item: str) -> "_OneGraph":
        found = influence(graph)
        pruned = prune(graph, study.ask.node_threshold, study.ask.edge_threshold, found)
        kept = pruned.node_mask[: graph.n_features]
        return cls(graph, found, pruned, random_subgraph_scores(graph, kept, study.ask.random_subgraphs, study.seed_of(item)))

    def score_row(self) -> Row:
        graph, mask = self.graph, self.pruned.node_mask
        whole = scores(graph, self.influence)
        return {
            "active": len(graph.active_features),
            "nodes": graph.n_features,
            "kept_features": int(mask[: graph.n_features].sum()),
            "kept_errors": int(mask[graph.errors].sum()),
            "kept_edges": len(self.pruned.edges),
            "target_value": float(graph.sums.found[-len(graph.targets) :] @ graph.target_weights) if graph.sums else 0.0,
            "replacement": whole.replacement,
            "completeness": whole.completeness,
            "error_share": whole.error_share,
            "unattributed_share": whole.unattributed_share,
            "exactness": whole.exactness,
            "subgraph_replacement": self.random.chosen.replacement,
            "subgraph_completeness": self.random.chosen.completeness,
        }

    def node_rows(self, item: str, roles: Sequence[str]) -> Iterator[Row]:
        """The kept features, summed over positions of one role."""
        graph = self.graph
        effects = total_effects(graph, onto_targets(graph))
        whole = float(self.influence.nodes.sum()) or 1.0
        groups: dict[Node, list[int]] = {}
        for place in np.flatnonzero(self.pruned.node_mask[: graph.n_features]).tolist():
            layer, position, feature = graph.features[place].tolist()
            groups.setdefault((layer, feature, roles[position]), []).append(place)
        activations = graph.activation_values[graph.selected_features]
        for (layer, feature, role), places in sorted(groups.items()):
            yield {
                "item": item,
                "layer": layer,
                "feature": feature,
                "role": role,
                "influence": float(self.influence.nodes[places].sum()) / whole,
                "effect": float(effects[places].sum()),
                "activation": float(activations[places].max()),
                "positions": len(places),
            }
