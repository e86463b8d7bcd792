"""What a graph will take, before it is made: bytes and seconds, from shapes and from how many features are active."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from safetycase.errors import ModelError
from safetycase.lab.batches import vocabulary_size
from safetycase.lab.dictionaries.dictionary import Dictionary, DictionarySet
from safetycase.lab.model import LoadedModel

TRIMMED = 0.55
"""Share of the sources below a target's layer that stand at or before its position, and of those of its whole chunk."""
COTANGENTS = {"cpu": 6 * 2**18, "cuda": 6 * 2**26}
"""Numbers of one chunk: cotangents, what goes to the heads, values, and their copies."""
PROBE = 512
"""Side of the matrices whose product tells how fast this device multiplies."""
OVERHEAD = 2.0
"""Measured seconds over those of the products alone: small matrices, copies and the forward pass."""


@dataclass(frozen=True)
class Preflight:
    """An estimate, to a factor of about two."""

    memory_bytes: int
    """Above model and transcoders, at the peak: on the model's device and, for the edges, in main memory."""
    seconds: float
    edges_bytes: int
    """Of the edges alone, which stay."""


def estimate(
    model: LoadedModel,
    transcoders: DictionarySet | Dictionary,
    n_positions: int,
    n_active: int | Sequence[int],
    max_features: int | None = None,
) -> Preflight:
    """Of a prompt of so many tokens on which so many features are active, in all or by layer."""
    sizes = _sizes(model, transcoders, n_positions, n_active, max_features)
    return Preflight(sizes.memory, OVERHEAD * sizes.operations / _rate(model), sizes.edges)


def refuse_beyond(
    limit: int | None,
    model: LoadedModel,
    transcoders: DictionarySet | Dictionary,
    n_positions: int,
    n_active: int | Sequence[int],
    max_features: int | None = None,
) -> None:
    """Raises ModelError where the estimate is above `limit` bytes; None for what is free now."""
    room = free_memory(model) if limit is None else limit
    if _sizes(model, transcoders, n_positions, n_active, max_features).memory > room:
        expected = estimate(model, transcoders, n_positions, n_active, max_features)
        raise ModelError(
            f"a graph of {n_positions} tokens would take about {bytes_words(expected.memory_bytes)} and {time_words(expected.seconds)},"
            f" expected at most {bytes_words(room)}; shorten the prompt or set max_features"
        )


@dataclass(frozen=True)
class _Sizes:
    memory: int
    edges: int
    operations: float


def _sizes(
    model: LoadedModel, transcoders: DictionarySet | Dictionary, n_positions: int, n_active: int | Sequence[int], max_features: int | None
) -> _Sizes:
    n_layers, d, size = model.sites.n_layers, model.sites.d_model, model.dtype.itemsize
    by_layer = [n_active / n_layers] * n_layers if isinstance(n_active, int) else [float(count) for count in n_active]
    active = sum(by_layer)
    share = 1.0 if max_features is None or active == 0 else min(1.0, max_features / active)
    below = [sum(by_layer[:layer]) + (layer + 1) * n_positions for layer in range(n_layers + 1)]
    edges = TRIMMED * share * sum(count * sources for count, sources in zip(by_layer, below, strict=False)) + 10 * below[-1]
    given = transcoders.dictionaries if isinstance(transcoders, DictionarySet) else (transcoders,)
    written = sum(len(each.writes) * count for each, count in zip(given, by_layer, strict=False)) * d
    heads, d_head = _heads(model)
    # What the forward pass keeps: scores, patterns and their transposes; the folded maps; the streams; activations of one layer.
    patterns = n_layers * heads * n_positions**2 * 2 + 2 * heads * n_positions**2
    maps = n_layers * 2 * d * heads * d_head
    stream = n_layers * n_positions * d * 12 + n_positions * max(each.n_features for each in given) * 3 + vocabulary_size(model) * 4
    chunk = COTANGENTS.get(model.device.type, COTANGENTS["cpu"]) if active else 0
    # Cutting rows down to the chosen features copies them once, block by block.
    memory = size * (written + patterns + maps + stream + chunk) + 4 * edges
    depth = sum(count * layer for layer, count in enumerate(by_layer)) * share
    per_layer = n_positions / 2 * (2 * 2 * d * heads * d_head + heads * d_head * n_positions)
    return _Sizes(int(memory), int(4 * edges), depth * per_layer + 2 * d * edges)


def free_memory(model: LoadedModel) -> int:
    """Bytes that are free on the model's device, with what torch holds of it without using it."""
    if model.device.type == "cuda":
        kept_back = torch.cuda.memory_reserved(model.device) - torch.cuda.memory_allocated(model.device)
        return int(torch.cuda.mem_get_info(model.device)[0]) + kept_back
    try:
        with open("/proc/meminfo") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _heads(model: LoadedModel) -> tuple[int, int]:
    config = model.module.config.get_text_config()
    heads = int(getattr(config, "num_attention_heads", 1))
    return heads, int(getattr(config, "head_dim", None) or model.sites.d_model // heads)


def _rate(model: LoadedModel) -> float:
    """Multiplications and additions per second of this device in the model's precision, timed now."""
    matrix = torch.ones(PROBE, PROBE, device=model.device, dtype=model.dtype)
    float((matrix @ matrix)[0, 0])
    start = time.perf_counter()
    float((matrix @ matrix)[0, 0])
    return 2 * PROBE**3 / max(time.perf_counter() - start, 1e-6)


def bytes_words(number: int) -> str:
    """In GiB, below one in MiB."""
    return f"{number / 2**30:.3g} GiB" if number >= 2**30 else f"{number / 2**20:.3g} MiB"


def time_words(seconds: float) -> str:
    """In hours, minutes or seconds."""
    if seconds >= 3600:
        return f"{seconds / 3600:.3g} h"
    return f"{seconds / 60:.3g} min" if seconds >= 60 else f"{seconds:.3g} s"
