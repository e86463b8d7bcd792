"""Passes in which some positions cannot attend to others, in all layers and heads at once: attention knock-out (Geva et al. 2023)."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

from safetycase.errors import ModelError
from safetycase.lab.batches import Load
from safetycase.lab.cot.study import CotStudy
from safetycase.lab.forward import HALF_PRECISION_TOLERANCE, SHORTCUT_TOLERANCE, Tokens, left_padded
from safetycase.lab.model import LoadedModel, last_logits

IMPLEMENTATION = "safetycase_cut"
# Scores of one head, their softmax, and the copy that either is made from, in float32.
_BYTES_PER_SCORE = 12


@dataclass(frozen=True)
class CutRow:
    """A text in which some positions do not attend to others; positions are counted from its first token."""

    tokens: Tokens
    options: int
    """How many options its question has."""
    queries: tuple[int, ...] = ()
    """Positions that are kept from attending."""
    sources: tuple[int, ...] = ()
    """Positions that they are kept from; a position always attends to itself."""


@torch.inference_mode()
def cut_probabilities(study: CotStudy, rows: Sequence[CutRow]) -> Float[Tensor, "row letter"]:
    """Probability of each letter among those of a row's options, behind every text with its own cut; in float64.

    Raises ModelError where the architecture does not take its attention from the registry of transformers; `why_not_cut` asks first.
    """
    return _probabilities(study, rows, _Session())


def why_not_cut(study: CotStudy, rows: Sequence[CutRow]) -> str:
    """Why attention cannot be cut in this model; empty where it can.

    Tried on some rows in one batch: every layer takes its attention from the registry, a cut of nothing gives what a plain pass gives
    (to rounding), and no edge that is cut has any weight.
    """
    session = _Session(watched=True)
    whole = [CutRow(row.tokens, row.options) for row in rows]
    try:
        with torch.inference_mode():
            uncut = _probabilities(study, whole, session)
            _probabilities(study, rows, session)
    except (ModelError, RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        # Architectures refuse foreign attention in their own ways.
        return (str(error).splitlines() or [type(error).__name__])[0]
    if len(session.modules) != study.model.sites.n_layers:
        return f"{len(session.modules)} of {study.model.sites.n_layers} layers take their attention from the registry of transformers"
    if session.heaviest > 0:
        return f"an edge that is cut keeps a weight of {session.heaviest:.2g}"
    plain = study.letter_probabilities([row.tokens for row in rows], [row.options for row in rows])
    off = float((uncut - plain).abs().max())
    tolerance = SHORTCUT_TOLERANCE.get(study.model.dtype, HALF_PRECISION_TOLERANCE)
    if off <= tolerance:
        return ""
    return f"with nothing cut, a probability is {off:.2g} off that of a plain pass, expected at most {tolerance:.2g}"


@dataclass
class _Session:
    """What the registered attention reads, and what it notes."""

    watched: bool = False
    """Whether the two notes below are taken: they cost a pass over every pattern."""
    cut: Bool[Tensor, "row pos source"] | None = None
    modules: set[nn.Module] = field(default_factory=set)
    heaviest: float = 0.0
    """Most weight that an edge had which is cut."""


_CURRENT: ContextVar[_Session | None] = ContextVar("cut attention session", default=None)


def _probabilities(study: CotStudy, rows: Sequence[CutRow], session: _Session) -> Float[Tensor, "row letter"]:
    def work(indices: list[int]) -> Tensor:
        batch = [rows[index] for index in indices]
        encoded = left_padded([row.tokens for row in batch], study.model.device)
        session.cut = _cuts(batch, encoded.input_ids.shape[1]).to(study.model.device)
        return study.among_options(last_logits(study.model, encoded), [row.options for row in batch])

    if not rows:
        return torch.zeros(0, len(study.sequences.letter_ids), dtype=torch.float64)
    with _registered(study.model, session):
        return study.batches.run([_load(study, len(row.tokens)) for row in rows], work)


def _load(study: CotStudy, length: int) -> Load:
    """Unlike fused attention, this one holds the scores of all heads of a layer."""
    load = study.batches.load(length)
    config: Any = study.model.module.config.get_text_config()
    return Load(load.positions, load.memory + config.num_attention_heads * length**2 * _BYTES_PER_SCORE)


def _cuts(rows: Sequence[CutRow], width: int) -> Bool[Tensor, "row pos source"]:
    """Which edges are cut, in rows padded on the left to a width."""
    cut = torch.zeros(len(rows), width, width, dtype=torch.bool)
    for index, row in enumerate(rows):
        padding = width - len(row.tokens)
        queries = torch.tensor(row.queries, dtype=torch.long) + padding
        sources = torch.tensor(row.sources, dtype=torch.long) + padding
        cut[index, queries[:, None], sources[None, :]] = True
    return cut & ~torch.eye(width, dtype=torch.bool)


@contextmanager
def _registered(model: LoadedModel, session: _Session) -> Iterator[None]:
    """While open, the model's attention is the one below."""
    module: Any = model.module
    before = module.config._attn_implementation
    try:
        module.set_attn_implementation(IMPLEMENTATION)
    except (ValueError, ImportError) as error:
        raise ModelError(
            f"{model.source}: attention cannot be cut, expected one from the registry of transformers ({str(error).splitlines()[0]})"
        ) from None
    token = _CURRENT.set(session)
    try:
        yield
    finally:
        _CURRENT.reset(token)
        module.set_attn_implementation(before)


def _attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, Tensor]:
    """The module's own eager attention (softcaps, sinks, windows and all) under a mask that hides what is cut."""
    session = _CURRENT.get()
    assert session is not None, f"{IMPLEMENTATION} is in use outside of its context"
    assert session.cut is not None, "no cut was laid down for this batch"
    eager: Any = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    shape = (len(session.cut), query.shape[-2], key.shape[-2])
    if eager is None or attention_mask is None or session.cut.shape != shape:
        raise ModelError(f"{type(module).__name__}: its attention takes no mask of ours, expected the eager one of transformers")
    cut = session.cut.to(attention_mask.device).unsqueeze(1)
    mask = attention_mask.masked_fill(cut, torch.finfo(attention_mask.dtype).min)
    output, pattern = eager(module, query, key, value, mask, **options)
    if session.watched:
        session.modules.add(module)
        session.heaviest = max(session.heaviest, float((pattern * cut.to(pattern)).max()))
    return output, pattern


_registry: Any = AttentionInterface  # its classmethods are untyped
_registry.register(IMPLEMENTATION, _attention)
_masks: Any = AttentionMaskInterface
_masks.register(IMPLEMENTATION, ALL_MASK_ATTENTION_FUNCTIONS["eager"])
