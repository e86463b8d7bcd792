"""The words that an analysis and the runner share: what an analysis is given, and what it yields."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from safetycase.evidence.tables import Row, Table
from safetycase.sources.prompts import PromptSet


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage is, in steps of the analysis's own choosing."""

    stage: str
    done: int
    of: int


@dataclass(frozen=True, slots=True)
class Rows:
    """A finished shard of a table: stored at once, and recalled instead of computed when the step is resumed."""

    table: str
    part: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Tensors:
    """A finished shard of a safetensors table."""

    table: str
    part: str
    tensors: Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Absent:
    """An optional table that this observation does not have, with the reason."""

    table: str
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """A circumstance worth keeping (a batch size after back-off, seconds per stage): for the log, never for the answer."""

    name: str
    value: str | int | float


Event = Progress | Rows | Tensors | Absent | Note


@dataclass(frozen=True)
class Inputs:
    """What a step is given besides models: prompts by population, evidence of upstream steps, and what a killed run had finished."""

    prompts: Mapping[str, PromptSet]
    """Population (as the kind names it) to prompt set."""
    upstream: Mapping[str, Mapping[str, Table]] = field(default_factory=dict)
    """Step id to the tables of its observation."""
    finished: Callable[[str, str], Table | Mapping[str, NDArray[Any]] | None] = lambda table, part: None
    """Content of a shard, by table and part, that an earlier attempt at the same question has stored; None where there is none."""



