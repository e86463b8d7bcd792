"""How much of what a direction does the dictionary holds: taken out of the output site, of its reconstruction, of the error."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.evidence.kinds.feature_documentation.params import PRESENT, population
from safetycase.evidence.tables import Row
from safetycase.lab.dictionaries.dictionary import Dictionary
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.features.edited_passes import EditedPasses, edited_passes
from safetycase.lab.features.edits import edited_positions
from safetycase.lab.features.study import AskedContrast, FeatureStudy, Stage
from safetycase.lab.forward import forward_for
from safetycase.lab.model import LoadedModel
from safetycase.lab.observing import Note, Progress
from safetycase.lab.scores import refusal_log_odds
from safetycase.lab.site_access import edit_site, record_sites

PARTS = {"whole": (1.0, 0.0), "reconstruction": (0.0, 1.0), "error": (1.0, -1.0)}
"""Part to what it is made of: so much of the output site and so much of its reconstruction."""


def capture(study: FeatureStudy, contrast: AskedContrast, directions: Mapping[str, Float[Tensor, "d_out"]]) -> Stage[None]:
    """Yields the table `capture`: log-odds of present confirmation prompts without each direction, part by part.

    A direction of another width than the output site lies in another space and is passed over with a note. The contrast has
    target tokens.
    """
    width = study.dictionary.d_out
    for number, (name, direction) in enumerate(directions.items()):
        yield Progress(f"capture for {contrast.name}", number, len(directions))
        if direction.shape != (width,):
            yield Note("capture", f"direction {name} is {direction.shape[-1]} wide, the site {study.dictionary.writes[0]} {width}")
            continue
        yield from study.shards.rows("capture", f"{contrast.name}.{name}", partial(_rows, study, contrast, name, direction))


@contextmanager
def without_direction(
    model: LoadedModel, dictionary: Dictionary, direction: Float[Tensor, "d_out"], parts: Sequence[str]
) -> Iterator[None]:
    """While open, each row of a batch loses the direction in its own part of what stands at the first written site.

    At every position but that of a beginning-of-text token, as edits of features.

    With x the site, x̂ its reconstruction, e = x - x̂ the error and r the unit direction: x - (x·r) r, x - (x̂·r) r or
    x - (e·r) r. What the last two remove sums to what the first does. A zero direction removes nothing.
    """
    reads, writes = dictionary.reads, dictionary.writes[0]
    unit = torch.nn.functional.normalize(direction.to(dictionary.W_dec), dim=0)
    weights = torch.tensor([PARTS[part] for part in parts]).to(unit)[:, None]  # [row, 1, of site and of reconstruction]

    def edit(x: Float[Tensor, "row pos d_out"]) -> Float[Tensor, "row pos d_out"]:
        wide = x.to(unit)
        read = wide if reads == writes else at[reads].to(unit)
        along = torch.stack([wide @ unit, dictionary.reconstruct(read) @ unit], dim=-1)  # [row, pos, of site and of reconstruction]
        removed = (along * weights).sum(dim=-1, keepdim=True) * unit * counted(wide)
        return (x.to(torch.promote_types(x.dtype, unit.dtype)) - removed.to(x.device)).to(x.dtype)

    with ExitStack() as stack:
        counted = stack.enter_context(edited_positions(model))
        at: Mapping[Site, Tensor] = {} if reads == writes else stack.enter_context(record_sites(model, [reads]))
        stack.enter_context(edit_site(model, writes, edit))
        yield


def _rows(study: FeatureStudy, contrast: AskedContrast, name: str, direction: Float[Tensor, "d_out"]) -> Iterator[Row]:
    prompts = contrast.confirmation()[0]
    tokens = contrast.tokens_of(prompts)
    passes: EditedPasses = edited_passes(forward_for(study.model, study.batches, tokens), study.dictionary, tokens)
    target, parts = torch.tensor(contrast.target), list(PARTS)
    found = passes.variants(
        len(parts),
        lambda which: without_direction(study.model, passes.dictionary, direction, [parts[variant] for variant in which]),
        lambda logits, _: refusal_log_odds(logits, target),
    )
    for part, scores in zip(parts, found.tolist(), strict=True):
        place = {"contrast": contrast.name, "direction": name, "part": part, "population": population(contrast.name, PRESENT)}
        yield from ({**place, "item": prompt.id, "log_odds": score} for prompt, score in zip(prompts, scores, strict=True))
