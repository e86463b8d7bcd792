"""The asking half of every kind: one module per kind of evidence, found by its name."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast

from safetycase.lab.model import LoadedModel
from safetycase.lab.model_judge import Classifier
from safetycase.lab.observing import Event, Inputs


class Analysis(Protocol):
    """What the module of a kind must offer."""

    def observe(self, models: Mapping[str, LoadedModel | Classifier], inputs: Inputs, ask: Any, seed: int) -> Iterator[Event]:
        """Ask the models; every shard is handed out as soon as it is finished.

        Knows no paths, no clock, no console and no global state: the same models, inputs, params and seed give the same events.
        """


def load(kind: str) -> Analysis:
    """The analysis of a kind whose name the caller has checked."""
    return cast(Analysis, importlib.import_module(f"{__name__}.{kind}"))
