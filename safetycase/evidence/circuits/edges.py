"""The graph of a decoder's components: which write to the residual stream, which read it, and the edges between them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

EMBEDDING, LOGITS = "embed", "logits"
INPUTS = ("q", "k", "v")
"""What a head reads apart: for its queries, its keys and its values."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class EdgeGraph:
    """Writers, readers and edges; a circuit is a mask over the edges.

    Writers: `embed`, `head.<layer>.<head>` (or `attn.<layer>` where heads have no linear share of what is written), `mlp.<layer>`.
    Readers: `head.<layer>.<head>.<q|k|v>` (or `attn.<layer>`), `mlp.<layer>`, `logits`.
    """

    writers: tuple[str, ...]
    readers: tuple[str, ...]
    edges: NDArray[np.int64]
    """[edge, 2]: places of the writer and of the reader; ordered by reader, then by writer."""

    def __len__(self) -> int:
        return len(self.edges)

    @cached_property
    def names(self) -> tuple[tuple[str, str], ...]:
        """Of every edge, the writer and the reader."""
        return tuple((self.writers[writer], self.readers[reader]) for writer, reader in self.edges)

    @cached_property
    def strata(self) -> NDArray[np.int64]:
        """[edge]: edges of one number join the same kinds of component in the same layers (`head.0` -> `head.1.k`)."""
        groups = [(_group(writer), _group(reader)) for writer, reader in self.names]
        numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
        return np.array([numbers[group] for group in groups], dtype=np.int64)

    def mask(self, edges: Iterable[tuple[str, str]]) -> Mask:
        """The circuit of these (writer, reader) names; asserts that each is an edge."""
        places = {edge: place for place, edge in enumerate(self.names)}
        wanted = list(edges)
        assert set(wanted) <= set(places), f"no such edges: {sorted(set(wanted) - set(places))}"
        circuit = np.zeros(len(self), dtype=bool)
        circuit[[places[edge] for edge in wanted]] = True
        return circuit


def decoder_graph(n_layers: int, n_heads: int | None, *, sequential: bool = True) -> EdgeGraph:
    """All edges of a decoder, from every earlier writer to every later reader.

    `n_heads` None makes each attention one writer and one reader. `sequential` says that an MLP reads what the attention of its own layer
    has written; in parallel blocks (GPT-NeoX) it does not.
    """
    writers, readers = [EMBEDDING], list[str]()
    edges: list[tuple[int, int]] = []

    def read(reader: str, visible: int) -> None:
        edges.extend((writer, len(readers)) for writer in range(visible))
        readers.append(reader)

    for layer in range(n_layers):
        before = len(writers)
        heads = [f"attn.{layer}"] if n_heads is None else [f"head.{layer}.{head}" for head in range(n_heads)]
        for reader in heads if n_heads is None else [f"{head}.{each}" for each in INPUTS for head in heads]:
            read(reader, before)
        writers += heads
        read(f"mlp.{layer}", len(writers) if sequential else before)
        writers.append(f"mlp.{layer}")
    read(LOGITS, len(writers))
    return EdgeGraph(tuple(writers), tuple(readers), np.array(edges, dtype=np.int64))


def _group(name: str) -> str:
    """A component without the number of its head."""
    return re.sub(r"^(head\.\d+)\.\d+", r"\1", name)
