"""Traces of random tiny models with random transcoders, on a few pairs of harmful and harmless prompts that share families."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from safetycase.evidence.kinds.circuit_trace.params import Ask
from safetycase.evidence.kinds.circuit_trace.selection import Node
from safetycase.evidence.kinds.circuit_trace.tables import TABLES
from safetycase.evidence.tables import Row, Table, decode_rows, encode_rows
from safetycase.lab.batches import Batches, batches_for
from safetycase.lab.dictionaries.dictionary import DictionarySet
from safetycase.lab.forward import tokenised
from safetycase.lab.model import LoadedModel
from safetycase.lab.observing import Event, Inputs, Rows
from safetycase.lab.shards import Shards
from safetycase.lab.tracing.functional import Functional
from safetycase.lab.tracing.prompt_pairs import Pair, Sampled
from safetycase.lab.tracing.study import AskedTokens, TraceStudy
from safetycase.sources.prompts import Prompt, Split
from tests.lab.attribution.cases import Kind
from tests.lab.small import texts

SPECS = {spec.name: spec for spec in TABLES}
PER_LAYER = Kind("jumprelu", "mlp_in", "mlp_out")
CROSS_LAYER = Kind("relu", "resid_mid", "mlp_out", cross_layer=True)
REFUSAL, COMPLIANCE = (20, 31), (44, 45, 46)
SMALL = Ask(random_subgraphs=19, node_threshold=0.95)
HALVES: Mapping[str, Split] = {"discovery": "train", "confirmation": "test"}


def sampled(pairs: int) -> Sampled:
    """So many pairs in each half, a family each; lengths differ."""
    halves = [
        tuple(
            Pair(*(Prompt(f"{side}-{half}-{i}", text, "all", f"family-{half}-{i}", split) for side, text in zip("ab", both, strict=True)))
            for i, both in enumerate(zip(texts(pairs, seed=seed), texts(pairs, seed=seed + 10), strict=True))
        )
        for seed, (half, split) in enumerate(HALVES.items())
    ]
    return Sampled(halves[0], halves[1], (), "family")


def study(
    model: LoadedModel,
    transcoders: DictionarySet,
    *,
    functional: Functional | None = None,
    ask: Ask = SMALL,
    batches: Batches | None = None,
    pairs: int = 3,
    **inputs: Any,
) -> TraceStudy:
    """A trace of refusal log-odds, unless another functional is given; `inputs` are further fields of `Inputs`."""
    chosen = sampled(pairs)
    prompts = {prompt.id: prompt for _, prompt in chosen.prompts}
    return TraceStudy(
        model=model,
        transcoders=transcoders,
        batches=batches or batches_for(model),
        shards=Shards(Inputs({}, **inputs)),
        ask=ask,
        seed=0,
        sampled=chosen,
        tokens=dict(zip(prompts, tokenised(model, [prompt.text for prompt in prompts.values()]), strict=True)),
        asked=AskedTokens(REFUSAL, COMPLIANCE, "declared"),
        functional=functional or Functional("log-odds", REFUSAL, COMPLIANCE),
        upstream={},
    )


def one_by_one(model: LoadedModel) -> Batches:
    """Every row in a pass of its own."""
    batches = batches_for(model)
    batches.positions = 1
    return batches


def stored(events: Sequence[Event]) -> dict[tuple[str, str], Table]:
    """The shards of rows as a store would keep them, by table and part."""
    return {
        (event.table, event.part): decode_rows(SPECS[event.table], [encode_rows(SPECS[event.table], event.rows)[0]])
        for event in events
        if isinstance(event, Rows)
    }


def rows_of(events: Sequence[Event], table: str) -> list[Row]:
    """All rows of a table."""
    return [row for event in events if isinstance(event, Rows) and event.table == table for row in event.rows]


def active_nodes(traced: TraceStudy, made: Any, item: str) -> list[Node]:
    """The features of a prompt's graph, by role, each once, those of the last layer first."""
    names, features = traced.roles_of(item), made.of(item).features.tolist()
    return sorted({(layer, feature, names[position]) for layer, position, feature in features}, reverse=True)


def in_float64(*numbers: float) -> torch.Tensor:
    """A tensor of doubles."""
    return torch.tensor(numbers, dtype=torch.float64)
