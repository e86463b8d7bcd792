"""The cards: everything that is said of one documented feature, gathered from the tables and from what was derived."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from safetycase.evidence.kinds.feature_documentation.causes import Causes
from safetycase.evidence.kinds.feature_documentation.findings import Card, Context, Label, Relation, Relevance, TokenEffect
from safetycase.evidence.kinds.feature_documentation.gates import Gated
from safetycase.evidence.kinds.feature_documentation.labels_scored import HELD_OUT, Scored
from safetycase.evidence.kinds.feature_documentation.names import AUTHORS
from safetycase.evidence.kinds.feature_documentation.observed import Observed
from safetycase.evidence.kinds.feature_documentation.params import Read
from safetycase.evidence.tables import Table

BINS = ("top", *(f"decile-{n}" for n in range(10, 0, -1)), "zero")
"""Of the contexts that a card shows, strongest first."""


def cards(
    seen: Observed,
    scored: Mapping[tuple[int, str], Scored],
    causes: Mapping[str, Causes],
    gates: Mapping[str, Gated],
    read: Read,
) -> tuple[Card, ...]:
    """One card per documented feature: those of the contrasts by rank, then those named in the plan, then those drawn by lot."""
    tables = {
        name: _by_feature(seen, name) for name in ("logits", "neighbours", "contexts", "labels", "relevance", "density", "documented")
    }
    return tuple(_card(seen, feature, tables, scored, causes, gates, read) for feature in _in_order(seen))


def _in_order(seen: Observed) -> list[int]:
    """By contrast and rank, then those that the plan names by index, then by lot."""
    order: dict[int, None] = {}
    for contrast in seen.contrasts:
        order |= {feature: None for _, feature in seen.ranked(contrast)}
    lots = {feature for feature, slots in seen.slots.items() if slots[0].startswith("random-")}
    order |= {feature: None for feature in seen.slots if feature not in lots}
    order |= dict.fromkeys(sorted(lots, key=lambda each: int(seen.slots[each][0].removeprefix("random-"))))
    return list(order)


def _by_feature(seen: Observed, name: str) -> dict[int, Table]:
    if not seen.tables.has(name):
        return {}
    table = seen.tables.table(name)
    wanted = np.isin(table["feature"], list(seen.slots))
    return {key[0]: rows for key, rows in table.take(wanted).by("feature").items()}


def _card(
    seen: Observed, feature: int, tables: Mapping[str, Mapping[int, Table]], scored: Mapping[tuple[int, str], Scored],
    causes: Mapping[str, Causes], gates: Mapping[str, Gated], read: Read,
) -> Card:  # fmt: skip
    fired = _first(tables["density"][feature])
    documented = _first(tables["documented"][feature])
    density = fired["fired"] / seen.tokens if seen.tokens else None
    return Card(
        feature=feature,
        slots=seen.slots[feature],
        status=_status(density, read),
        density=density,
        documents=fired["documents"],
        maximum=fired["maximum"],
        decoder_norm=documented["decoder_norm"],
        encoder_bias=documented["encoder_bias"],
        threshold=documented["threshold"],
        top_logits=_logits(tables["logits"].get(feature), "top"),
        bottom_logits=_logits(tables["logits"].get(feature), "bottom"),
        nearest=_relations(tables["neighbours"].get(feature), "decoder"),
        cofiring=_relations(tables["neighbours"].get(feature), "cofiring"),
        contexts=_contexts(tables["contexts"].get(feature), _missed(feature, scored)),
        labels=tuple(_labels(feature, tables["labels"].get(feature), scored)),
        relevance=tuple(_relevance(seen.contrasts, tables["relevance"].get(feature))),
        gates=tuple(gates[contrast].gates[feature] for contrast in seen.contrasts if feature in gates[contrast].gates),
        dose_response={contrast: found.curves[feature] for contrast, found in causes.items() if found.curves.get(feature)},
    )


def _status(density: float | None, read: Read) -> Literal["dead", "dense", "live", "unknown"]:
    if density is None:
        return "unknown"
    return "dead" if not density else "dense" if density > read.dense else "live"


def _first(rows: Table) -> dict[str, Any]:
    return next(rows.rows())


def _rows(table: Table | None) -> list[dict[str, Any]]:
    return [] if table is None else list(table.rows())


def _logits(table: Table | None, end: str) -> tuple[TokenEffect, ...]:
    rows = sorted((row for row in _rows(table) if row["end"] == end), key=lambda row: row["rank"])
    return tuple(TokenEffect(token=row["token"], text=row["text"], value=row["value"]) for row in rows)


def _relations(table: Table | None, relation: str) -> tuple[Relation, ...]:
    rows = [row for row in _rows(table) if row["relation"] == relation]
    rows.sort(key=lambda row: (-row["value"], row["other"]))
    return tuple(Relation(feature=row["other"], value=row["value"], together=row["together"]) for row in rows)


def _contexts(table: Table | None, missed: frozenset[int]) -> tuple[Context, ...]:
    """Of the bins that a card shows, and the windows in which the feature fires, held out for scores, that a label misses."""
    rows = [row for row in _rows(table) if row["bin"] in BINS or (row["bin"] == HELD_OUT and row["window"] in missed)]
    rows.sort(key=lambda row: ((*BINS, HELD_OUT).index(row["bin"]), row["rank"]))
    return tuple(Context(window=row["window"], bin=row["bin"], activations=tuple(row["activations"])) for row in rows)


def _missed(feature: int, scored: Mapping[tuple[int, str], Scored]) -> frozenset[int]:
    return frozenset(window for (index, _), each in scored.items() if index == feature for window in each.misses())


def _labels(feature: int, table: Table | None, scored: Mapping[tuple[int, str], Scored]) -> Iterator[Label]:
    for row in sorted(
        _rows(table), key=lambda row: (AUTHORS.index(row["author"]) if row["author"] in AUTHORS else len(AUTHORS), row["author"])
    ):
        found = scored.get((feature, row["author"]))
        misses = () if found is None else found.misses()
        yield Label(author=row["author"], text=row["text"], made_by=row["made_by"], scored=found is not None, misses=misses)


def _relevance(contrasts: Sequence[str], table: Table | None) -> Iterator[Relevance]:
    by_contrast = {row["contrast"]: row for row in _rows(table)}
    for contrast in contrasts:
        if contrast in by_contrast:
            row = by_contrast[contrast]
            shown = {name: row[name] for name in ("cosine", "auroc", "attribution", "rank")}
            yield Relevance(contrast=contrast, **shown)
