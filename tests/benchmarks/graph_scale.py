"""What a large attribution graph costs once it is made: scores, pruning, files, random subgraphs; one thread.

    python -m tests.benchmarks.graph_scale                   11,400 nodes: pruning in 2 s, Neuronpedia's JSON in 10 s
    python -m tests.benchmarks.graph_scale --features 25000  more than twice as many

Edges are random, heavy-tailed, and dense wherever layers and positions allow one, which no graph of a model is: both bars are
held in the hardest case. Seconds are those of the processor; memory is the peak of the process less what stood before.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np

from safetycase.dossier.exports.neuronpedia_graph import GraphNames, write_neuronpedia_graph
from safetycase.evidence.graphs.files import write_graph
from safetycase.evidence.graphs.pruning import prune
from safetycase.evidence.graphs.random_subgraphs import random_subgraph_scores
from safetycase.evidence.graphs.reading import read_graph
from safetycase.evidence.graphs.scores import influence, scores
from tests.evidence.graphs.random_graphs import random_graph

PRUNING_BAR, JSON_BAR = 2.0, 10.0
DRAWS = 10


def main() -> None:
    """Measure each step once and print it beside its bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=11_200)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--positions", type=int, default=40)
    parser.add_argument("--threshold", type=float, default=0.8, help="of nodes; at 1 nearly all of them and their edges are kept")
    asked = parser.parse_args()
    shape = {"n_layers": asked.layers, "n_positions": asked.positions, "n_active": asked.features}
    graph = random_graph(0, **shape, n_targets=10, density=1.0, width=max(64, asked.features // 60))
    click.echo(f"{graph.size:,} nodes, {graph.adjacency.n_bytes / 1e6:.0f} MB of edges")
    with measured("influence and scores"):
        found = influence(graph)
        scored = scores(graph, found)
    with measured("pruning, influence included", PRUNING_BAR):
        pruned = prune(graph, node_threshold=asked.threshold)
    click.echo(f"kept {int(pruned.node_mask.sum()):,} nodes, {len(pruned.edges):,} edges; replacement {scored.replacement:.3f}")
    with tempfile.TemporaryDirectory() as folder:
        with measured("Neuronpedia's JSON", JSON_BAR):
            path = write_neuronpedia_graph(Path(folder), graph, pruned, GraphNames("graph", "synthetic"))
        click.echo(f"{path.stat().st_size / 1e6:.0f} MB")
        with measured("graph.safetensors, written"):
            path = write_graph(Path(folder) / "graph.safetensors", graph, pruned, scored)
        click.echo(f"{path.stat().st_size / 1e6:.0f} MB")
        with measured("graph.safetensors, read and checked"):
            stored = read_graph(path)
        assert np.array_equal(stored.pruned.node_mask, pruned.node_mask)
    with measured(f"{DRAWS} random subgraphs"):
        random_subgraph_scores(graph, pruned.node_mask[: graph.n_features], DRAWS, seed=0)


@contextmanager
def measured(what: str, bar: float | None = None) -> Iterator[None]:
    """Print seconds of the processor and by how much the peak of memory rose."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew from here
    start, before = time.process_time(), peak()
    yield
    seconds = time.process_time() - start
    verdict = "" if bar is None else f"  (bar {bar:.0f} s: {'held' if seconds <= bar else 'MISSED'})"
    click.echo(f"{what:38} {seconds:6.2f} s  peak +{peak() - before:,.0f} MB{verdict}")


def peak() -> float:
    """MB, of this process since it was last reset; Linux alone tells."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main()
