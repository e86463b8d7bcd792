"""What one forward pass recorded, linearised: the layers, the active features, the errors and the vectors that every node writes."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from safetycase.errors import ModelError
from safetycase.lab.attribution.active_features import ActiveFeatures, active_features
from safetycase.lab.attribution.frozen_attention import AttentionCall, recorded_attention
from safetycase.lab.attribution.frozen_norm import FrozenNorm, frozen_norm
from safetycase.lab.attribution.linear_layers import LinearLayer, linear_layer, modules_to_record
from safetycase.lab.attribution.preflight import refuse_beyond
from safetycase.lab.attribution.recording import Recording, recorded, run
from safetycase.lab.attribution.transcoders import Reading, Writing, one_per_layer, reading, writing
from safetycase.lab.attribution.zeroed_positions import zeroed_positions
from safetycase.lab.dictionaries.dictionary import Dictionary, DictionarySet
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.model import LoadedModel
from safetycase.lab.site_access import record_sites


@dataclass(frozen=True)
class FrozenPass:
    """A prompt's forward pass with attention patterns and norm scales as they were; tensors on the model's device."""

    model: LoadedModel
    transcoders: tuple[Dictionary, ...]
    """By layer, on the model's device and in its precision."""
    tokens: Int[Tensor, "pos"]
    zeroed: tuple[int, ...]
    layers: tuple[LinearLayer, ...]
    readings: tuple[Reading, ...]
    """By layer: where its transcoder reads."""
    writings: tuple[Writing, ...]
    """By layer: where transcoders write."""
    final_norm: FrozenNorm
    final: Float[Tensor, "pos d_model"]
    """What the final norm puts out."""
    logits: Float[Tensor, "vocab"]
    """At the last position, as the model gives them: scaled and soft-capped where it does."""
    features: ActiveFeatures
    skips: tuple[Float[Tensor, "pos d_out"] | None, ...]
    """By layer: what the skip path writes."""
    errors: Float[Tensor, "layer pos d_out"]
    """At the written site; zero where zeroed."""
    calls: dict[nn.Module, AttentionCall]

    @property
    def n_positions(self) -> int:
        """Tokens of the prompt."""
        return len(self.tokens)

    @property
    def n_layers(self) -> int:
        """Blocks of the model."""
        return len(self.layers)


@torch.no_grad()
def frozen_pass(
    model: LoadedModel,
    transcoders: DictionarySet | Dictionary,
    tokens: Int[Tensor, "pos"],
    zeroed: Sequence[int] | None = None,
    *,
    memory_limit: int | None = None,
) -> FrozenPass:
    """One forward pass with a batch of one, held to its own affine maps.

    `zeroed` are positions where features and errors are no nodes; None for those of the leading special token.
    Raises ModelError: a model in half precision, a prompt of one token, transcoders of another model, blocks that are not
    affine in the stream once patterns and scales are frozen; a pass that would take more than `memory_limit` bytes (None:
    than are free).
    """
    if model.dtype not in (torch.float32, torch.float64):
        found = str(model.dtype).removeprefix("torch.")
        raise ModelError(f"{model.source}: is loaded in {found}, in which attribution does not repeat itself; expected dtype float32")
    places = {str(parameter.device) for parameter in model.module.parameters()}
    if len(places) > 1:
        raise ModelError(f"{model.source}: is spread over {', '.join(sorted(places))}, expected one device: set `device` in the plan")
    if len(tokens) < 2:
        raise ModelError(
            f"a prompt of {len(tokens)} token{'' if len(tokens) == 1 else 's'} has nothing to trace from, expected two or more"
        )
    per_layer = one_per_layer(model, transcoders)
    refuse_beyond(memory_limit, model, transcoders, len(tokens), 0)
    dictionaries = tuple(each.to(model.device, model.dtype) for each in per_layer)
    recording, calls, sites, logits = _recorded(model, dictionaries, tokens)
    layers = _layers(model, recording, calls)
    final_in, final = recording.inputs[model.sites.final_norm], recording.outputs[model.sites.final_norm]
    readings = tuple(reading(each.reads, layer, sites[each.reads]) for each, layer in zip(dictionaries, layers, strict=True))
    writings = tuple(writing(Site(dictionaries[0].writes[0].name, index), layer) for index, layer in enumerate(layers))
    without = zeroed_positions(model, tokens) if zeroed is None else tuple(sorted(set(zeroed)))
    features = active_features(dictionaries, [each.found for each in readings], without)
    skips = tuple(None if each.W_skip is None else each.skip(where.found) for each, where in zip(dictionaries, readings, strict=True))
    return FrozenPass(
        model=model,
        transcoders=dictionaries,
        tokens=tokens.to(model.device),
        zeroed=without,
        layers=layers,
        readings=readings,
        writings=writings,
        final_norm=frozen_norm(model.sites.final_norm, final_in, final, "the final norm"),
        final=final,
        logits=logits,
        features=features,
        skips=skips,
        errors=_errors(dictionaries, writings, features, skips, without),
        calls=calls,
    )


def _recorded(
    model: LoadedModel, dictionaries: Sequence[Dictionary], tokens: Tensor
) -> tuple[Recording, dict[nn.Module, AttentionCall], dict[Site, Tensor], Tensor]:
    """The forward pass itself."""
    modules = [module for block in model.sites.blocks for module in modules_to_record(block)] + [model.sites.final_norm]
    with ExitStack() as stack:
        sites = stack.enter_context(record_sites(model, [each.reads for each in dictionaries]))
        calls = stack.enter_context(recorded_attention(model))
        recording = stack.enter_context(recorded(modules))
        logits = run(model, tokens)
        return recording, dict(calls), {site: sites[site][0] for site in sites}, logits


def _layers(model: LoadedModel, recording: Recording, calls: dict[nn.Module, AttentionCall]) -> tuple[LinearLayer, ...]:
    blocks = model.sites.blocks
    states = [recording.inputs[block.module] for block in blocks] + [recording.inputs[model.sites.final_norm]]
    try:
        return tuple(
            linear_layer(index, block, calls.get(block.attention), recording, post)
            for index, (block, (_, post)) in enumerate(zip(blocks, pairwise(states), strict=True))
        )
    except ModelError as error:
        raise ModelError(f"{model.source}: cannot be linearised: {error}") from error


def _errors(
    dictionaries: Sequence[Dictionary],
    writings: Sequence[Writing],
    features: ActiveFeatures,
    skips: Sequence[Tensor | None],
    zeroed: Sequence[int],
) -> Float[Tensor, "layer pos d_out"]:
    """What stood at each written site less features, decoder bias and skip path."""
    left = []
    for layer, each in enumerate(dictionaries):
        rest = writings[layer].found - each.b_dec
        skip = skips[layer]
        if skip is not None:
            rest = rest - skip
        for source in range(layer + 1):
            rows = features.written(dictionaries, source, layer)
            if rows is not None:
                starts = torch.tensor(features.starts[source], device=rows.device)
                # Not index_add, whose order of summation on a GPU is another in every run.
                rest = rest - torch.segment_reduce(rows, "sum", lengths=starts.diff(), axis=0)
        rest[list(zeroed)] = 0
        left.append(rest)
    return torch.stack(left)
