"""Random dictionaries on the random tiny models, and studies of them with prompts of their own words."""

from collections.abc import Generator, Mapping
from typing import Any, TypeVar

import torch

from safetycase.evidence.kinds.feature_documentation.params import Ask, Contrast
from safetycase.evidence.kinds.feature_documentation.tables import TABLES
from safetycase.evidence.tables import Table, decode_rows, encode_rows
from safetycase.lab.batches import Batches, batches_for
from safetycase.lab.dictionaries.dictionary import Activation, Dictionary, Relu
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.features.contrast_targets import asked_contrasts
from safetycase.lab.features.study import FeatureStudy
from safetycase.lab.model import LoadedModel
from safetycase.lab.observing import Event, Inputs, Rows
from safetycase.lab.shards import Shards
from safetycase.lab.site_access import site_width
from safetycase.sources.corpora import Corpus
from safetycase.sources.prompts import PromptSet
from tests.lab.small import prompt_set

Value = TypeVar("Value")

SPECS = {spec.name: spec for spec in TABLES}
NO_CORPUS = Corpus(id="none", source="made for this test", licence="", sensitivity="public", column=None, files=())
SETS: dict[str, PromptSet] = {
    "toy-present": prompt_set("present", {"train": 8, "validation": 5, "test": 6}, last=30),
    "toy-absent": prompt_set("absent", {"train": 8, "validation": 5, "test": 6}, first=30),
    "toy-spoken": prompt_set("spoken", {"train": 3, "validation": 2, "test": 3}, last=30),
}
SMALL = Ask(
    contrasts={"toy": Contrast(present="p", absent="a", tokens=tuple(range(20, 40)), variants={"spoken": "s"})},
    n_discovery=12,
    n_confirmation=5,
    causal_features=2,
    per_contrast=4,
    null_features=6,
    doses=(0.25, 0.5, 1.0, 2.0, 4.0),
    clamps=(2.0,),
    behaviour_prompts=3,
    max_new_tokens=4,
)


def random_dictionary(
    model: LoadedModel,
    reads: Site,
    writes: Site,
    *,
    features: int = 24,
    seed: int = 0,
    activation: Activation | None = None,
    skip: bool = False,
    **fields: Any,
) -> Dictionary:
    """Gaussian rows of about unit norm; biases that leave features silent about as often as not."""
    generator = torch.Generator().manual_seed(seed)
    d_in, d_out = site_width(model, reads), site_width(model, writes)

    def gaussian(*shape: int) -> torch.Tensor:
        scaled: torch.Tensor = torch.randn(*shape, generator=generator) * shape[-1] ** -0.5
        return scaled

    return Dictionary(
        W_enc=gaussian(features, d_in),
        b_enc=0.1 * gaussian(features),
        W_dec=gaussian(features, 1, d_out),
        b_dec=0.1 * gaussian(d_out),
        activation=activation or Relu(),
        reads=reads,
        writes=(writes,),
        W_skip=gaussian(d_out, d_in) if skip else None,
        **fields,
    )


def study(
    model: LoadedModel,
    dictionary: Dictionary,
    *,
    ask: Ask = SMALL,
    sets: Mapping[str, PromptSet] = SETS,
    batches: Batches | None = None,
    seed: int = 0,
    **inputs: Any,
) -> FeatureStudy:
    """A study of one dictionary whose contrasts have been asked; `inputs` are further fields of `Inputs`."""
    shards = Shards(Inputs(sets, **inputs))
    used = batches or batches_for(model)
    _, contrasts = finished(asked_contrasts(model, shards, ask, seed, used))
    return FeatureStudy(model, dictionary, NO_CORPUS, used, shards, ask, seed, contrasts, shards.inputs.upstream, {})


def finished(stage: Generator[Event, None, Value]) -> tuple[list[Event], Value]:
    """All events of a stage and what it returns."""
    events: list[Event] = []
    while True:
        try:
            events.append(next(stage))
        except StopIteration as end:
            return events, end.value


def tables(events: list[Event]) -> dict[str, Table]:
    """The tables of rows as a store would keep them and `derive` reads them."""
    shards: dict[str, list[bytes]] = {}
    for event in events:
        if isinstance(event, Rows):
            shards.setdefault(event.table, []).append(encode_rows(SPECS[event.table], event.rows)[0])
    return {name: decode_rows(SPECS[name], data) for name, data in shards.items()}
