"""Findings as tidy tables, one observation per row, in CSV or Parquet: what other tools compute with."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from safetycase.evidence.kinds.feature_documentation.findings import Card, Found
from safetycase.evidence.labelling import guarded
from safetycase.evidence.record import Findings

Rows = list[dict[str, Any]]


def csv_files(found: Findings, windows: Mapping[int, Sequence[str]]) -> dict[str, bytes]:
    """File name to bytes of every table as CSV (UTF-8, header in the first line).

    A text that a spreadsheet would run as a formula gets an apostrophe in front, as in the sheets that people label.
    """
    return {f"{name}.csv": _csv(table) for name, table in _tables(found, windows).items()}


def parquet_files(found: Findings, windows: Mapping[int, Sequence[str]]) -> dict[str, bytes]:
    """The same as Parquet."""
    return {f"{name}.parquet": _parquet(table) for name, table in _tables(found, windows).items()}


def _tables(found: Findings, windows: Mapping[int, Sequence[str]]) -> dict[str, pa.Table]:
    """`estimates`, `nulls` and `absent` of any kind; of features also their cards. Empty tables are left out."""
    rows: dict[str, Rows] = {
        "estimates": list(_estimates(found)),
        "nulls": list(_nulls(found)),
        "absent": [{"estimate": name, "reason": reason} for name, reason in sorted(found.absent.items())],
    }
    if isinstance(found, Found):
        rows |= {name: [row for card in found.cards for row in of(card)] for name, of in _OF_CARDS.items()}
        rows["contexts"] = [row for card in found.cards for row in _contexts(card, windows)]
    return {name: pa.Table.from_pylist(listed) for name, listed in rows.items() if listed}


def _estimates(found: Findings) -> Iterator[dict[str, Any]]:
    for name, each in found.estimates.items():
        yield {
            "estimate": name, **_parts(name), "value": each.value, "low": each.low, "high": each.high, "level": each.level, "n": each.n,
            "clusters": each.clusters, "unit": each.unit.value, "method": each.method, "rederivable": each.rederivable.value,
        }  # fmt: skip


def _nulls(found: Findings) -> Iterator[dict[str, Any]]:
    for name, each in found.estimates.items():
        for null in each.nulls:
            quantiles = {f"quantile_{quantile}": value for quantile, value in sorted(null.quantiles.items())}
            yield {"estimate": name, "null": null.what, "n": null.n, "p": null.p, **quantiles}


def _parts(name: str) -> dict[str, str | None]:
    """Quantity, population, condition, judge and item of a name; what it does not have is empty."""
    stem, _, item = name.partition("#")
    stem, _, judge = stem.partition("@")
    quantity, population, condition = (*stem.split(".", 2), None, None)[:3]
    return {"quantity": quantity, "population": population, "condition": condition, "judge": judge or None, "item": item or None}


def _features(card: Card) -> Iterator[dict[str, Any]]:
    yield {
        "feature": card.feature, "slots": " ".join(card.slots), "status": card.status, "density": card.density, "documents": card.documents,
        "maximum": card.maximum, "decoder_norm": card.decoder_norm, "encoder_bias": card.encoder_bias, "threshold": card.threshold,
    }  # fmt: skip


def _labels(card: Card) -> Iterator[dict[str, Any]]:
    for label in card.labels:
        yield {
            "feature": card.feature,
            "author": label.author,
            "label": label.text or None,
            "made_by": label.made_by,
            "scored": label.scored,
        }


def _logits(card: Card) -> Iterator[dict[str, Any]]:
    for end, effects in (("top", card.top_logits), ("bottom", card.bottom_logits)):
        for rank, effect in enumerate(effects, start=1):
            yield {"feature": card.feature, "end": end, "rank": rank, "token": effect.token, "text": effect.text, "value": effect.value}


def _relations(card: Card) -> Iterator[dict[str, Any]]:
    for relation, others in (("decoder", card.nearest), ("cofiring", card.cofiring)):
        for other in others:
            yield {"feature": card.feature, "relation": relation, "other": other.feature, "value": other.value, "together": other.together}


def _relevance(card: Card) -> Iterator[dict[str, Any]]:
    for each in card.relevance:
        yield {"feature": card.feature, **each.model_dump()}


def _gates(card: Card) -> Iterator[dict[str, Any]]:
    for gate in card.gates:
        yield {"feature": card.feature, **gate.model_dump(), "reasons": " ".join(gate.reasons)}


def _doses(card: Card) -> Iterator[dict[str, Any]]:
    for contrast, effects in card.dose_response.items():
        yield from ({"feature": card.feature, "contrast": contrast, **effect.model_dump()} for effect in effects)


_OF_CARDS: Mapping[str, Callable[[Card], Iterator[dict[str, Any]]]] = {
    "features": _features,
    "labels": _labels,
    "logits": _logits,
    "neighbours": _relations,
    "relevance": _relevance,
    "gates": _gates,
    "dose_response": _doses,
}


def _contexts(card: Card, windows: Mapping[int, Sequence[str]]) -> Iterator[dict[str, Any]]:
    """One row per token; texts of windows that are not given are empty."""
    for context in card.contexts:
        tokens = windows.get(context.window, ())
        for position, activation in enumerate(context.activations):
            yield {
                "feature": card.feature, "window": context.window, "bin": context.bin, "position": position, "activation": activation,
                "token": tokens[position] if position < len(tokens) else None,
            }  # fmt: skip


def _csv(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    rows = [{name: guarded(value) if isinstance(value, str) else value for name, value in row.items()} for row in table.to_pylist()]
    pyarrow.csv.write_csv(pa.Table.from_pylist(rows, schema=table.schema), buffer)
    return buffer.getvalue()


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
