"""What ablating the circuit does to refusal log-odds, beside random circuits, and what was predicted of it before."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from safetycase.evidence.kinds.circuit_trace.selection import Node
from safetycase.evidence.tables import Row
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.forward import left_padded
from safetycase.lab.model import last_logits
from safetycase.lab.observing import Progress
from safetycase.lab.site_access import record_sites
from safetycase.lab.tracing.circuit_edits import ALL_ABLATED, CircuitEdit
from safetycase.lab.tracing.graphs import Graphs
from safetycase.lab.tracing.prompt_pairs import Pair
from safetycase.lab.tracing.study import Stage, TraceStudy
from safetycase.sources.prompts import Prompt

CIRCUITS_PER_SHARD = 10
"""What a kill can lose."""
RIDGE = 1.0
"""Penalty of the probe, beside inputs in units of their spread."""


def circuit_name(number: int) -> str:
    """Of a random circuit, from 1."""
    return f"random-{number}"


def ablations(study: TraceStudy, members: Sequence[Node], randoms: Sequence[Sequence[Node]]) -> Stage[None]:
    """The table `circuits`: the circuit ablated on both classes, kept on harmful ones, all features ablated; random ones on harmful ones.

    On confirmation prompts alone.
    """
    harmful = [pair.harmful for pair in study.sampled.confirmation]
    harmless = [pair.harmless for pair in study.sampled.confirmation]
    circuit = frozenset(members)

    def own() -> Iterator[Row]:
        yield from _rows(study, "harmful", harmful, {"circuit": circuit})
        yield from _rows(study, "harmless", harmless, {"circuit": circuit}, kinds=("ablated",))
        yield from _edited(study, "harmful", harmful, [("features", "ablated", ALL_ABLATED)])

    yield from study.shards.rows("circuits", "circuit", own)
    for start in range(0, len(randoms), CIRCUITS_PER_SHARD):
        yield Progress("random circuits", start, len(randoms))
        named = {circuit_name(start + n): frozenset(each) for n, each in enumerate(randoms[start : start + CIRCUITS_PER_SHARD], start=1)}
        yield from study.shards.rows("circuits", f"random-{start}", partial(_rows, study, "harmful", harmful, named))


def predictions(study: TraceStudy, members: Sequence[Node], made: Graphs) -> Stage[str]:
    """The table `predictions`; returns what the probe reads.

    The circuit's predictions were made when the graphs were: they use no intervention. The probe is a ridge regression from the
    residual stream at the last position, in the middle of the model, to the measured change, fitted on discovery prompts.
    """
    layer = study.model.sites.n_layers // 2

    def compute() -> Iterator[Row]:
        halves = [(split, pairs) for split, pairs in (("discovery", study.sampled.discovery), ("confirmation", study.sampled.confirmation))]
        asked = [(half, population, prompt) for half, pairs in halves for population, prompt in _both(pairs)]
        items = [prompt.id for _, _, prompt in asked]
        edited = study.under([(item, CircuitEdit(frozenset(members), "ablated")) for item in items])
        measured = (edited - study.unedited(items))[:, 0].double().numpy()
        states = _states(study, items, layer).double().numpy()
        fitted = np.array([half == "discovery" for half, _, _ in asked])
        probe = _ridge(states[fitted], measured[fitted], states)
        for (_, population, prompt), change, guess in zip(asked, measured.tolist(), probe.tolist(), strict=True):
            yield {
                "item": prompt.id, "population": population, "split": prompt.split,
                "predicted": made.predicted(prompt.id, members), "probe": guess, "measured": change,
            }  # fmt: skip

    yield from study.shards.rows("predictions", "all", compute)
    return f"a ridge regression from the residual stream at the last position of layer {layer}, fitted on discovery prompts"


def _both(pairs: Sequence[Pair]) -> Iterator[tuple[str, Prompt]]:
    yield from (("harmful", pair.harmful) for pair in pairs)
    yield from (("harmless", pair.harmless) for pair in pairs)


def _rows(
    study: TraceStudy,
    population: str,
    prompts: Sequence[Prompt],
    circuits: Mapping[str, frozenset[Node]],
    kinds: Sequence[str] = ("ablated", "kept"),
) -> Iterator[Row]:
    edits = [(name, kind, CircuitEdit(circuit, kind)) for name, circuit in circuits.items() for kind in kinds]  # type: ignore[arg-type]
    yield from _edited(study, population, prompts, edits)


def _edited(study: TraceStudy, population: str, prompts: Sequence[Prompt], edits: Sequence[tuple[str, str, CircuitEdit]]) -> Iterator[Row]:
    rows = [(prompt.id, edit) for _, _, edit in edits for prompt in prompts]
    log_odds = iter(study.under(rows)[:, 0].tolist())
    for name, kind, _ in edits:
        for prompt in prompts:
            place = {"item": prompt.id, "population": population, "split": prompt.split}
            yield {**place, "circuit": name, "condition": kind, "log_odds": next(log_odds)}


@torch.inference_mode()
def _states(study: TraceStudy, items: Sequence[str], layer: int) -> Float[Tensor, "item d_model"]:
    site = Site("resid_pre", layer)

    def work(indices: list[int]) -> Tensor:
        encoded = left_padded([study.tokens[items[index]] for index in indices], study.model.device)
        with record_sites(study.model, [site]) as at:
            last_logits(study.model, encoded)
            return at[site][:, -1].float().cpu()

    return study.batches.run([study.batches.load(len(study.tokens[item])) for item in items], work)


def _ridge(x: NDArray[np.float64], y: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Predictions at some inputs; the penalty grows with the number of prompts, since inputs outnumber them as a rule."""
    centre, spread = x.mean(axis=0), x.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    wide = (x - centre) / scale
    gram = wide @ wide.T
    dual = np.linalg.solve(gram + RIDGE * len(x) * np.eye(len(x)), y - y.mean())
    found: NDArray[np.float64] = y.mean() + ((at - centre) / scale) @ (wide.T @ dual)
    return found
