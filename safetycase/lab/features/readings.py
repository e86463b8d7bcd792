"""How strongly documented features fire on every prompt that any contrast asks, variants included."""

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.evidence.tables import Row
from safetycase.lab.features.study import AskedContrast, FeatureStudy, Stage
from safetycase.lab.features.telling_positions import shared_positions
from safetycase.lab.observing import Progress
from safetycase.sources.prompts import Split


def readings(study: FeatureStudy, documented: Sequence[int]) -> Stage[None]:
    """Yields the table `readings`: the largest activation on each prompt, and the one at its last token; 0 where it does not fire.

    Tokens that all prompts of a contrast begin with are left out (`shared_positions`).
    """
    for number, contrast in enumerate(study.contrasts.values()):
        yield Progress("readings", number, len(study.contrasts))
        for name, split in contrast.prompts:
            compute = partial(_rows, study, contrast, name, split, documented)
            yield from study.shards.rows("readings", f"{name}.{split}", compute)


def _rows(study: FeatureStudy, contrast: AskedContrast, name: str, split: Split, documented: Sequence[int]) -> Iterator[Row]:
    features = torch.tensor(documented, dtype=torch.long, device=study.dictionary.W_enc.device)
    prompts, first = contrast.prompts[name, split], shared_positions(study.model, contrast)

    def reduce(inputs: Float[Tensor, "pos d_in"], outputs: Float[Tensor, "pos d_out"]) -> Float[Tensor, "two feature"]:
        activations = study.dictionary.encode(inputs[first:], features).clamp_min(0)
        return torch.stack([activations.amax(dim=0), activations[-1]])

    found = study.on_prompts(contrast.tokens_of(prompts), reduce)  # [prompt, peak and last, feature]
    for prompt, (peaks, lasts) in zip(prompts, found.tolist(), strict=True):
        place = {"contrast": contrast.name, "population": name, "split": split, "item": prompt.id}
        for feature, peak, last in zip(documented, peaks, lasts, strict=True):
            yield {"feature": feature, **place, "peak": peak, "last": last}
