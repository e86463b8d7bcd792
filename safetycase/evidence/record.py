"""The records that outlive the code: what was asked, what was observed, what was found, and how each number knows its own uncertainty."""

import hashlib
import json
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 in lower-case hex."""
Fraction = Annotated[float, Field(ge=0, le=1)]
Level = Annotated[float, Field(gt=0.5, lt=1)]
"""A two-sided confidence level."""


class Record(BaseModel):
    """Base of all stored data: immutable, closed, no unknown keys, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Unit(StrEnum):
    """What a number is counted in."""

    FRACTION = "fraction"
    NATS = "nats"
    NATS_PER_TOKEN = "nats per token"
    LOGIT = "logit"
    COUNT = "count"
    AUROC = "AUROC"
    COSINE = "cosine"
    CORRELATION = "correlation"
    STANDARD_DEVIATIONS = "standard deviations"


class Rederivable(StrEnum):
    """What it takes to compute a number again."""

    ROWS = "rows"
    """from stored rows"""
    REDUCED = "reduced"
    """from stored sufficient statistics"""
    REPLAY_ONLY = "replay_only"
    """only by asking the model again"""


class Null(Record):
    """What the same procedure gives where there is nothing to find."""

    what: str
    """In words: which directions, labels or models stand for 'nothing'."""
    n: Annotated[int, Field(ge=1)]
    quantiles: dict[str, float]
    """Quantile (as text, such as "0.95") to value, in the unit of the estimate."""
    p: Annotated[float, Field(gt=0, le=1)]
    """(1 + those at least as extreme) / (1 + n), one-sided."""


class Estimate(Record):
    """A number with its interval, the independent samples behind it and, where it claims an effect, its nulls."""

    value: float
    low: float
    high: float
    level: Level = 0.95
    n: Annotated[int, Field(ge=1)]
    clusters: Annotated[int, Field(ge=1)]
    """Independent groups of prompts (families); equal to n where every prompt stands alone."""
    method: str
    """Of the interval, in words."""
    unit: Unit
    rederivable: Rederivable = Rederivable.ROWS
    nulls: tuple[Null, ...] = ()

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"interval [{self.low}, {self.high}] does not hold its own value {self.value}")
        if self.low == self.high and self.n > 0 and self.unit is not Unit.COUNT:
            raise ValueError("an interval of zero width claims certainty")
        return self


class Question(Record):
    """Everything that decides the answer of an observation; its digest is the key under which the answer lies."""

    schema_version: Literal[1] = 1
    kind: str
    observe_version: int
    ask: dict[str, JsonValue]
    """The `Ask` params, complete with their defaults."""
    models: dict[str, Digest]
    """Role to digest of weights, tokenizer and configuration."""
    inputs: dict[str, Digest]
    """Prompt sets, dictionaries and the observations of upstream steps."""
    formats: dict[str, Digest]
    """Role to digest of how prompts become tokens where the plan overrides the tokenizer (template, system prompt, thinking)."""
    dtype: dict[str, str]
    device_class: str
    seed: int

    @property
    def key(self) -> str:
        """SHA-256 of the canonical JSON of this question."""
        return digest_of(self.model_dump(mode="json"))


class Shard(Record):
    """One finished piece of a table: written at once, never changed."""

    part: str
    """Which piece of the work it holds; the unit of resumption."""
    sha256: Digest
    rows: int


class TableRef(Record):
    """A table of an observation: its shards in order."""

    name: str
    format: Literal["parquet", "jsonl", "safetensors"]
    restricted: bool
    shards: tuple[Shard, ...]


class Imported(Record):
    """Where an observation came from when it was not made here."""

    format: str
    source: str
    """What the user called it; never an absolute path."""
    files: dict[str, Digest]
    """Name inside the source to digest, of every file that was read."""


class Observation(Record):
    """A question with the digests of what was seen: deterministic, without clock or machine."""

    schema_version: Literal[1] = 1
    question: Question
    tables: tuple[TableRef, ...]
    absent: dict[str, str] = {}
    """Optional tables that are not there, with the reason."""
    imported: Imported | None = None


class Outcome(StrEnum):
    """How a step ended."""

    CONCLUSIVE = "conclusive"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not_applicable"
    FAILED = "failed"


class Findings(Record):
    """What one observation shows; every kind adds its own fields to these."""

    schema_version: Literal[1] = 1
    kind: str
    derive_version: int
    question: Digest
    read: dict[str, JsonValue]
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    """Why the outcome is not conclusive, one sentence each; empty where it is."""
    estimates: dict[str, Estimate]
    """`quantity.population.condition[@judge][#item]` to estimate."""
    absent: dict[str, str] = {}
    """Estimate names (or their common beginning and `*`) that could not be had, with the reason."""
    limitations: tuple[str, ...]
    """Sentences that the dossier prints verbatim."""
    imported: Imported | None = None


class Circumstances(Record):
    """When, where and with what an observation was made: never part of the answer."""

    started: str
    tool_version: str
    packages: dict[str, str]
    device: str
    device_name: str
    threads: int
    plan_digest: Digest
    plan_path: str


def digest_of(value: Any) -> str:
    """SHA-256 of the canonical JSON (sorted keys, no spaces, UTF-8) of a JSON value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
