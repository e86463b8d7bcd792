"""A random dictionary on a random tiny model, with prompts of two classes, for what documents features."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from safetycase.evidence.kinds.feature_documentation.params import SIDES, Ask, Contrast, population
from safetycase.evidence.kinds.feature_documentation.tables import TABLES
from safetycase.evidence.tables import Row, Tables, decode_rows, encode_rows
from safetycase.lab.batches import batches_for
from safetycase.lab.dictionaries.dictionary import Activation, Dictionary, Relu
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.features.study import AskedContrast, FeatureStudy, Stage
from safetycase.lab.forward import tokenised
from safetycase.lab.model import LoadedModel
from safetycase.lab.observing import Absent, Inputs, Note, Rows
from safetycase.lab.shards import Shards
from safetycase.lab.site_access import site_width
from safetycase.sources.corpora import Corpus
from safetycase.sources.prompts import Prompt, Split
from tests.lab.small import loaded
from tests.lab.tiny import WORDS

Value = TypeVar("Value")
SPECS = {spec.name: spec for spec in TABLES}
CORPUS = Corpus("corpus", "made for this test", "none", "public", None, (Path("/nowhere"),))
SITE = Site("resid_post", 1)


def random_dictionary(
    model: LoadedModel,
    *,
    features: int = 24,
    reads: Site = SITE,
    writes: Site | None = None,
    activation: Activation | None = None,
    seed: int = 0,
    **more: Any,
) -> Dictionary:
    """Gaussian encoder and decoder, fitted to nothing."""
    generator = torch.Generator().manual_seed(seed)
    d_in, d_out = site_width(model, reads), site_width(model, writes or reads)
    return Dictionary(
        W_enc=torch.randn(features, d_in, generator=generator) / d_in**0.5,
        b_enc=torch.randn(features, generator=generator) * 0.1,
        W_dec=torch.randn(features, 1, d_out, generator=generator) / d_out**0.5,
        b_dec=torch.randn(d_out, generator=generator) * 0.1,
        activation=activation or Relu(),
        reads=reads,
        writes=(writes or reads,),
        **more,
    )


def study(
    model: LoadedModel | None = None,
    dictionary: Dictionary | None = None,
    *,
    ask: Ask | None = None,
    seed: int = 0,
    stored: Mapping[tuple[str, str], Sequence[Row]] | None = None,
    upstream: Mapping[str, Tables] | None = None,
    others: Mapping[str, LoadedModel] | None = None,
) -> FeatureStudy:
    """A study without contrasts; `stored` holds the shards of an earlier attempt, as they come back from disk."""
    model = model or loaded()
    kept = stored or {}

    def finished(table: str, part: str) -> Any:
        if (table, part) not in kept:
            return None
        return decode_rows(SPECS[table], [encode_rows(SPECS[table], kept[table, part])[0]])

    return FeatureStudy(
        model=model,
        dictionary=dictionary or random_dictionary(model),
        corpus=CORPUS,
        batches=batches_for(model),
        shards=Shards(Inputs(prompts={}, finished=finished)),
        ask=ask or Ask(),
        seed=seed,
        contrasts={},
        upstream=upstream or {},
        others=others or {},
    )


def contrast(
    model: LoadedModel,
    *,
    sizes: Mapping[Split, int] | None = None,
    shared_families: bool = True,
    name: str = "refusal",
    marks: Mapping[str, str] | None = None,
    families: int = 4,
) -> AskedContrast:
    """Prompts of random words; a class is told by a word of its own (`marks`), which stands before each of its prompts."""
    marks = {"present": "w40", "absent": "w41"} if marks is None else marks
    prompts: dict[tuple[str, Split], tuple[Prompt, ...]] = {}
    for side in SIDES:
        for split, count in (sizes or {"train": 12, "validation": 4, "test": 12}).items():
            generator = torch.Generator().manual_seed(hash_of(f"{side} {split}"))
            made = []
            for i in range(count):
                words = torch.randint(12, 40, (3 + i % 4,), generator=generator).tolist()
                text = " ".join([marks.get(side, ""), *(WORDS[word] for word in words)]).strip()
                family = f"family-{i % families}" if shared_families else f"{side}-family-{i % families}"
                made.append(Prompt(f"{name}-{side}-{split}-{i}", text, f"topic-{i % 2}", family, split))
            prompts[population(name, side), split] = tuple(made)
    listed = [prompt for group in prompts.values() for prompt in group]
    tokens = dict(zip((prompt.id for prompt in listed), tokenised(model, [prompt.text for prompt in listed]), strict=True))
    return AskedContrast(name=name, declared=Contrast(present="harmful", absent="harmless"), prompts=prompts, tokens=tokens)


def hash_of(text: str) -> int:
    """A seed of a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


def run(stage: Stage[Value]) -> tuple[Value, dict[str, list[dict[str, Any]]], list[Absent | Note]]:
    """What a stage returns; its rows by table, as they come back from disk; what it says is absent, and its notes."""
    tables: dict[str, list[dict[str, Any]]] = {}
    said: list[Absent | Note] = []
    while True:
        try:
            event = next(stage)
        except StopIteration as end:
            return end.value, tables, said
        if isinstance(event, Rows):
            spec = SPECS[event.table]
            found = decode_rows(spec, [encode_rows(spec, event.rows)[0]])
            tables.setdefault(event.table, []).extend(found.rows())
        elif isinstance(event, Absent | Note):
            said.append(event)


def shards_of(stage: Stage[Any]) -> dict[tuple[str, str], list[Row]]:
    """The rows of every shard that a stage yields, by table and part."""
    return {(event.table, event.part): list(event.rows) for event in stage if isinstance(event, Rows)}


def with_dictionary(case: FeatureStudy, dictionary: Dictionary) -> FeatureStudy:
    """The same study of another dictionary."""
    return replace(case, dictionary=dictionary)
