"""The attribution graph of one prompt, straight on the model, with an explicit adjoint."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from safetycase.errors import ModelError
from safetycase.evidence.graphs.adjacency import Adjacency
from safetycase.evidence.graphs.graph import AttributionGraph, RowSums
from safetycase.lab.attribution.edge_rows import EdgeRows, edge_rows
from safetycase.lab.attribution.frozen_pass import FrozenPass, frozen_pass
from safetycase.lab.attribution.partial_influence import chosen_features
from safetycase.lab.attribution.preflight import refuse_beyond
from safetycase.lab.attribution.targets import TargetVector, TopLogits, top_logits
from safetycase.lab.dictionaries.dictionary import Dictionary, DictionarySet
from safetycase.lab.features.token_texts import token_texts
from safetycase.lab.model import LoadedModel

BATCH_SIZE = 512
"""circuit-tracer's: with a budget, features are ranked anew after update_interval times as many."""


def attribute(
    model: LoadedModel,
    transcoders: DictionarySet | Dictionary,
    tokens: Int[Tensor, "pos"],
    targets: Sequence[TargetVector] | TopLogits,
    *,
    max_features: int | None = None,
    zeroed: Sequence[int] | None = None,
    update_interval: int = 4,
    batch_size: int = BATCH_SIZE,
    memory_limit: int | None = None,
) -> AttributionGraph:
    """Direct effects between active features, errors, tokens and targets, attention patterns and norm scales frozen.

    Semantics of Ameisen et al. 2025 and circuit-tracer 0.5.0. With `max_features` below the active ones, features are added
    by their influence on the targets in the graph so far, ranked anew every update_interval * batch_size.

    Raises ModelError, in one line, as `frozen_pass` does; for targets that no linear map of the stream gives or that are zero; for a budget
    below one feature; where the estimate of memory is above `memory_limit` bytes (None: above what is free).
    """
    pass_ = frozen_pass(model, transcoders, tokens, zeroed, memory_limit=memory_limit)
    return attribute_pass(
        pass_, targets, max_features=max_features, update_interval=update_interval, batch_size=batch_size, memory_limit=memory_limit
    )


@torch.no_grad()
def attribute_pass(
    pass_: FrozenPass,
    targets: Sequence[TargetVector] | TopLogits,
    *,
    max_features: int | None = None,
    update_interval: int = 4,
    batch_size: int = BATCH_SIZE,
    memory_limit: int | None = None,
) -> AttributionGraph:
    """The same from a recorded pass, for targets that are made of it."""
    if max_features is not None and max_features < 1:
        raise ModelError(f"max_features is {max_features}, expected one feature or more")
    traced = top_logits(pass_, targets.most, targets.mass) if isinstance(targets, TopLogits) else list(targets)
    if not traced:
        raise ModelError("no targets to trace, expected one or more")
    for each in traced:
        if not bool(each.vector.isfinite().all()) or not bool(each.vector.any()):
            raise ModelError(f"target {each.target.label!r}: its vector is zero or not finite, so nothing leads to it")
    by_layer = [starts[-1] - starts[0] for starts in pass_.features.starts]
    refuse_beyond(memory_limit, pass_.model, DictionarySet(pass_.transcoders), pass_.n_positions, by_layer, max_features)
    rows = edge_rows(pass_)
    rows.add_targets(traced)
    active = len(pass_.features)
    if max_features is None or max_features >= active:
        selected = np.arange(active)
        rows.add_features(selected)
    else:
        selected = chosen_features(rows, np.array([each.target.weight for each in traced]), max_features, update_interval * batch_size)
    return _graph(pass_, traced, rows, selected)


def _graph(pass_: FrozenPass, traced: Sequence[TargetVector], rows: EdgeRows, selected: NDArray[np.int64]) -> AttributionGraph:
    ids: list[int] = pass_.tokens.tolist()
    tokenizer = pass_.model.tokenizer
    texts = token_texts(tokenizer, ids)
    blocks, sums = rows.finished(selected)
    size = len(selected) + (pass_.n_layers + 1) * pass_.n_positions + len(traced)
    return AttributionGraph(
        prompt=str(tokenizer.decode(ids)),
        input_tokens=np.array(ids, dtype=np.int64),
        token_texts=tuple(texts[token] for token in ids),
        n_layers=pass_.n_layers,
        active_features=pass_.features.indices.cpu().numpy(),
        activation_values=pass_.features.values.float().cpu().numpy(),
        selected_features=selected.astype(np.int64),
        targets=tuple(each.target for each in traced),
        adjacency=Adjacency(size, blocks),
        sums=RowSums(**sums),
        zeroed_positions=pass_.zeroed,
        vocabulary=len(pass_.logits),
        dtype=str(pass_.final.dtype).removeprefix("torch."),
    )
