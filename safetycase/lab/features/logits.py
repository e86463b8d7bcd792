"""What features write to the output directly: the tokens whose logits their directions raise and lower most."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from safetycase.errors import ModelError
from safetycase.evidence.tables import Row
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.features.study import FeatureStudy, Stage
from safetycase.lab.features.token_texts import token_texts
from safetycase.lab.model import LoadedModel
from safetycase.lab.observing import Note
from safetycase.lab.site_access import path_to_stream

SHOWN = 10
"""Tokens at either end."""
VOCABULARY_CHUNK = 8192
"""Rows of the unembedding that are held in float32 at once."""
# A norm's own epsilon is nothing beside an input of this size.
NORM_INPUT_SCALE = 100.0
# Relative error of a norm's output, beside its largest element, in the precision that it computes in.
NORM_ROUNDING_STEPS = 32


def logits(study: FeatureStudy, documented: Sequence[int]) -> Stage[None]:
    """The table `logits`; without rows, but with a note, where no linear path leads from what the features write to the logits."""
    problem: list[str] = []

    def compute() -> list[Row]:
        if not documented:
            return []
        try:
            return list(_rows(study, documented, effects_of(study, documented, SHOWN)))
        except ModelError as error:
            problem.append(str(error))
            return []

    yield from study.shards.rows("logits", "all", compute)
    if problem:
        yield Note("no_logits", problem[0])


@dataclass(frozen=True)
class Effects:
    """Tokens at both ends of the direct effects of some features, strongest first."""

    top: Int[Tensor, "feature rank"]
    top_values: Float[Tensor, "feature rank"]
    """In logits, less the mean over the vocabulary."""
    bottom: Int[Tensor, "feature rank"]
    bottom_values: Float[Tensor, "feature rank"]


def effects_of(study: FeatureStudy, features: Sequence[int], count: int) -> Effects:
    """The direct effects of some features of the study's dictionary through the first site that they write; raises as `direct_effects`."""
    dictionary = study.dictionary
    directions = dictionary.directions(torch.tensor(features, device=dictionary.W_dec.device))
    return direct_effects(study.model, dictionary.writes[0], directions, count)


@torch.inference_mode()
def direct_effects(model: LoadedModel, site: Site, directions: Float[Tensor, "feature d_out"], count: int) -> Effects:
    """By how much a direction that is written at a site changes each logit, to first order and at a final residual stream of unit scale.

    direction, through the projection and the norm that may stand between the site and the stream, x the final norm's gain x unembedding
    (Elhage et al. 2021; a norm's scale is left out, its centring is not), less the mean over the vocabulary: what the softmax sees. A soft
    cap or a scale behind the unembedding keeps the order and is left out. The vocabulary is what the tokenizer knows, without the padding
    of the table.

    Raises ModelError where no linear path leads from the site to the stream, and where a norm is none that scales by a root mean square.
    """
    path = path_to_stream(model, site)
    if path is None:
        raise ModelError(f"site {site}: an MLP reads it, so that a direction there has no direct effect on the logits")
    written = directions.float()
    for module in (*path, model.sites.final_norm):
        written = _through_norm(module, written) if _is_norm(module) else _through_projection(module, written)
    unembedding: Any = model.sites.unembedding
    table: Tensor = unembedding.weight
    known = min(table.shape[0], len(model.tokenizer))
    return _ends(written, table[:known], min(count, known))


def _rows(study: FeatureStudy, documented: Sequence[int], effects: Effects) -> Iterator[Row]:
    ends = (("top", effects.top, effects.top_values), ("bottom", effects.bottom, effects.bottom_values))
    texts = token_texts(study.model.tokenizer, torch.cat([effects.top, effects.bottom]).flatten().tolist())
    for index, feature in enumerate(documented):
        for end, tokens, values in ends:
            for rank, (token, value) in enumerate(zip(tokens[index].tolist(), values[index].tolist(), strict=True), start=1):
                yield {"feature": feature, "end": end, "rank": rank, "token": token, "text": texts[token], "value": value}


def _ends(written: Float[Tensor, "feature d_model"], table: Float[Tensor, "vocab d_model"], count: int) -> Effects:
    """Streams over the vocabulary: of all logits only the best at either end are kept, and their mean."""
    written = written.to(table.device)
    best: tuple[Tensor, Tensor] | None = None
    worst: tuple[Tensor, Tensor] | None = None
    total = torch.zeros(table.shape[1], dtype=torch.float64, device=_host_of_doubles(table))
    for start in range(0, table.shape[0], VOCABULARY_CHUNK):
        rows = table[start : start + VOCABULARY_CHUNK].float()
        total += rows.sum(dim=0, dtype=torch.float64).to(total.device)
        values = written @ rows.mT
        tokens = torch.arange(start, start + len(rows), device=values.device).expand(len(values), -1)
        best = _largest(best, values, tokens, count)
        worst = _largest(worst, -values, tokens, count)
    assert best is not None, "an empty vocabulary"
    assert worst is not None, "an empty vocabulary"
    mean = (written.to(total) @ total / table.shape[0]).unsqueeze(-1)
    return Effects(best[1].cpu(), (best[0].to(mean) - mean).cpu(), worst[1].cpu(), (-worst[0].to(mean) - mean).cpu())


def _largest(kept: tuple[Tensor, Tensor] | None, values: Tensor, tokens: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest of what was kept and what comes, of equal ones the earlier token first."""
    if kept is not None:
        values, tokens = torch.cat([kept[0], values], dim=-1), torch.cat([kept[1], tokens], dim=-1)
    chosen = values.topk(min(count, values.shape[-1]), dim=-1, sorted=False).indices.sort(dim=-1).values
    values, tokens = values.gather(-1, chosen), tokens.gather(-1, chosen)
    order = values.sort(dim=-1, descending=True, stable=True).indices
    return values.gather(-1, order), tokens.gather(-1, order)


def _host_of_doubles(table: Tensor) -> torch.device:
    """Where float64 exists: not on Apple's GPUs."""
    return torch.device("cpu") if table.device.type == "mps" else table.device


def _is_norm(module: nn.Module) -> bool:
    return all(parameter.ndim < 2 for parameter in module.parameters())


def _through_projection(module: nn.Module, x: Float[Tensor, "feature width"]) -> Float[Tensor, "feature d_model"]:
    """What a projection makes of x without its bias, whichever way round it stores its matrix."""
    weight = next(parameter for parameter in module.parameters() if parameter.ndim == 2)
    inputs = x.to(weight)
    out: Tensor = module(inputs).float() - module(torch.zeros_like(inputs[:1])).float()
    return out


def _through_norm(norm: nn.Module, x: Float[Tensor, "feature d_model"]) -> Float[Tensor, "feature d_model"]:
    """x times the norm's gain, centred where the norm centres: its linear part at an input of unit root mean square.

    Gain and centring are measured, since a weight may count from 0 or from 1 (Gemma).
    """
    place = next(norm.parameters(), x)
    probe = _spread(x.shape[-1]).to(place)

    def of(vector: Tensor) -> Tensor:
        out: Tensor = norm((vector * NORM_INPUT_SCALE)[None, None])[0, 0]
        return out.float()

    plus, minus = of(probe), of(-probe)
    gain, bias = (plus - minus) / 2 / probe.float(), (plus + minus) / 2
    centres = _same(of(probe + 1), plus, place.dtype)
    noise = torch.randn(x.shape[-1], generator=torch.Generator().manual_seed(0)).to(place)
    wide = noise.float() - noise.float().mean() if centres else noise.float()
    expected = wide * wide.pow(2).mean().rsqrt() * gain + bias
    if not _same(of(noise), expected, place.dtype):
        raise ModelError(f"{type(norm).__name__}: not a norm that scales by a root mean square; no gain can be read off it")
    moved = x.to(gain)
    return (moved - moved.mean(dim=-1, keepdim=True) if centres else moved) * gain


def _spread(width: int) -> Float[Tensor, "width"]:
    """A vector without zeros, of mean 0 and root mean square 1."""
    signs = torch.ones(width)
    signs[1::2] = -1
    if width % 2:
        signs[-3:] = torch.tensor([2.0, -1.0, -1.0])
    unit: Tensor = signs / signs.pow(2).mean().sqrt()
    return unit


def _same(x: Tensor, reference: Tensor, dtype: Any) -> bool:
    allowed = NORM_ROUNDING_STEPS * torch.finfo(dtype).eps * reference.abs().amax()
    return bool((x - reference).abs().amax() <= allowed)
