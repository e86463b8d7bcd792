"""The edges of an attribution graph in dense blocks: a target's row holds only the sources that can reach it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
Nodes = NDArray[np.int64]
Weights = NDArray[np.float64]
Mask = NDArray[np.bool_]

CHUNK = 1 << 21
"""Edges that are looked at in float64 at a time: 16 MB."""


@dataclass(frozen=True)
class Block:
    """The edges into some targets, from every source that can reach any of them."""

    rows: Nodes
    """Target nodes, ascending."""
    columns: Nodes
    """Source nodes, ascending."""
    values: Values
    """[row, column]: the direct effect of the source on the target, signed."""


class Strengths(NamedTuple):
    """Some rows of a block without their signs, in float64."""

    rows: Nodes
    """Target nodes."""
    columns: Nodes
    """Source nodes."""
    values: Weights
    """[row, column]: absolute values."""
    signed: Values
    """[row, column]: a view of the block."""


@dataclass(frozen=True)
class Adjacency:
    """All edges of a graph; row = target, column = source, as in circuit-tracer. A node without a block has no inputs."""

    size: int
    """Nodes."""
    blocks: tuple[Block, ...]
    """Each target is a row of at most one block."""

    def dense(self) -> Values:
        """The whole matrix, [node, node]: for small graphs and tests."""
        whole = np.zeros((self.size, self.size), dtype=np.float32)
        for block in self.blocks:
            whole[np.ix_(block.rows, block.columns)] = block.values
        return whole

    def rows(self) -> Iterator[tuple[int, Values]]:
        """Every target that has inputs with its dense row, ascending by block."""
        for block in self.blocks:
            for node, values in zip(block.rows.tolist(), block.values, strict=True):
                row = np.zeros(self.size, dtype=np.float32)
                row[block.columns] = values
                yield node, row

    @property
    def n_bytes(self) -> int:
        """Memory that the blocks take."""
        return sum(block.values.nbytes + block.rows.nbytes + block.columns.nbytes for block in self.blocks)

    def part(self, rows: Nodes, columns: Nodes) -> Values:
        """The edges into `rows` from `columns`, [row, column], both ascending."""
        found = np.zeros((len(rows), len(columns)), dtype=np.float32)
        for block in self.blocks:
            to_row, from_row = _common(rows, block.rows)
            if len(to_row):
                to_column, from_column = _common(columns, block.columns)
                found[np.ix_(to_row, to_column)] = block.values[np.ix_(from_row, from_column)]
        return found

    def restricted(self, kept: Mask) -> "Adjacency":
        """The edges among the nodes of a mask, [node]; nodes keep their numbers."""
        blocks = []
        for block in self.blocks:
            rows, columns = kept[block.rows], kept[block.columns]
            values = block.values[np.ix_(rows, columns)]
            if values.size:
                blocks.append(Block(block.rows[rows], block.columns[columns], values))
        return Adjacency(self.size, tuple(blocks))

    def strengths(self, order: Nodes) -> Iterator[Strengths]:
        """Absolute values, a few rows at a time; rows of higher `order`, [node], come first."""
        parts = [(level, block, order[block.rows] == level) for block in self.blocks for level in np.unique(order[block.rows]).tolist()]
        for _, block, within in sorted(parts, key=lambda part: -part[0]):
            places = np.flatnonzero(within)
            step = max(1, CHUNK // max(1, len(block.columns)))
            for start in range(0, len(places), step):
                signed = _rows(block.values, places[start : start + step])
                yield Strengths(block.rows[places[start : start + step]], block.columns, np.abs(signed, dtype=np.float64), signed)

    def row_sums(self) -> Weights:
        """[node]: sums of absolute values."""
        sums = np.zeros(self.size)
        for part in self.strengths(np.zeros(self.size, dtype=np.int64)):
            sums[part.rows] = part.values.sum(axis=1)
        return sums


def row_ranges(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """First and last row, the last excluded, of parts of a square matrix of `size` that hold about CHUNK values each."""
    step = max(1, CHUNK // max(1, size))
    for first in range(start, stop, step):
        yield first, min(first + step, stop)


def _rows(values: Values, places: Nodes) -> Values:
    """Rows of a block, as a view where they lie side by side."""
    first, last = int(places[0]), int(places[-1])
    return values[first : last + 1] if last - first + 1 == len(places) else values[places]


def _common(wanted: Nodes, held: Nodes) -> tuple[Nodes, Nodes]:
    """Places in both of the nodes that both have."""
    if not len(held):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    place = np.searchsorted(held, wanted)
    found = np.flatnonzero(held[np.minimum(place, len(held) - 1)] == wanted)
    return found, place[found]
