"""Adds rows made by people to an observation, such as labels; the observation itself never changes."""

from collections.abc import Mapping, Sequence

from safetycase.evidence import kinds
from safetycase.evidence.record import Observation, Shard, TableRef
from safetycase.evidence.store import Store
from safetycase.evidence.tables import Row, encode_rows


def add_rows(store: Store, observation: Observation, table: str, rows: Sequence[Row], *, replacing: Mapping[str, object]) -> None:
    """Add rows to a table of annotations; earlier rows that have all the values of `replacing` give way."""
    asked = observation.question
    spec = next(spec for spec in kinds.load(asked.kind).TABLES if spec.name == table)
    tables = store.tables(observation)
    before = list(tables.table(table).rows()) if tables.has(table) else []
    kept = [row for row in before if any(row[name] != value for name, value in replacing.items())]
    data, n = encode_rows(spec, [*kept, *rows])
    shard = Shard(part="annotated", sha256=store.put_shard(data, spec), rows=n)
    store.annotate(asked.kind, asked.key, [TableRef(name=table, format=spec.format, restricted=spec.restricted, shards=(shard,))])
