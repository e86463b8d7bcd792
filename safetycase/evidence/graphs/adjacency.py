"""The edges of an attribution graph in dense blocks: a target's row holds only the sources that can reach it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
Nodes = NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """The edges into some targets, from every source that can reach any of them."""

    rows: Nodes
    """Target nodes, ascending."""
    columns: Nodes
    """Source nodes, ascending."""
    values: Values
    """[row, column]: the direct effect of the source on the target, signed."""


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
