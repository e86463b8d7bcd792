"""Finished shards: taken over from an earlier attempt at the same question, computed where there is none."""

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from safetycase.evidence.tables import Row, Table
from safetycase.lab.observing import Event, Inputs, Rows, Tensors


@dataclass(frozen=True)
class Shards:
    """Hands out every shard, old or new, in the order of the analysis: a resumed run yields what a whole one does."""

    inputs: Inputs

    def finished(self, table: str, part: str) -> bool:
        """Whether an earlier attempt stored this shard."""
        return self.inputs.finished(table, part) is not None

    def rows(
        self, table: str, part: str, compute: Callable[[], Iterable[Row]]
    ) -> Generator[Event, None, tuple[Row, ...]]:
        """Yields the shard and returns its rows."""
        stored = self.inputs.finished(table, part)
        rows = tuple(stored.rows()) if isinstance(stored, Table) else tuple(compute())
        yield Rows(table, part, rows)
        return rows

    def tensors(
        self, table: str, part: str, compute: Callable[[], Mapping[str, NDArray[Any]]]
    ) -> Generator[Event, None, Mapping[str, NDArray[Any]]]:
        """Yields the shard and returns its tensors."""
        stored = self.inputs.finished(table, part)
        tensors = compute() if stored is None or isinstance(stored, Table) else stored
        yield Tensors(table, part, tensors)
        return tensors
