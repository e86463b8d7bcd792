"""Passes that resume below a dictionary's sites give what whole passes under the same edits give, however they are divided."""

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from safetycase.lab.batches import batches_for
from safetycase.lab.dictionaries.site import parse_site
from safetycase.lab.features.edited_passes import edited_passes
from safetycase.lab.features.edits import FeatureEdit, edited
from safetycase.lab.forward import forward_for, left_padded, tokenised
from safetycase.lab.model import last_logits
from tests.lab.features.feature_studies import random_dictionary
from tests.lab.small import loaded, texts

pytestmark = pytest.mark.lab

EDITS: list[list[FeatureEdit]] = [
    [],
    [FeatureEdit("ablate", feature) for feature in range(10)],
    [FeatureEdit("clamp", 4, 2.0)],
    [FeatureEdit("steer", 5, 6.0), FeatureEdit("ablate", 2)],
]


known = cache(loaded)
"""Models by architecture, loaded once."""


def logits_of(logits: Tensor, prompt: Tensor) -> Tensor:
    """Keep them all."""
    return logits


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2", "gpt_neox"])
@pytest.mark.parametrize(
    ("reads", "writes"),
    [("resid_post.0", "resid_post.0"), ("resid_post.2", "resid_post.2"), ("mlp_in.1", "mlp_out.1"), ("mlp_in.2", "mlp_out.2")],
)
def test_resuming_changes_nothing(architecture: str, reads: str, writes: str) -> None:
    """Against a whole pass of every prompt alone, at every site, on architectures of each kind."""
    model = known(architecture)
    dictionary = random_dictionary(model, parse_site(reads), parse_site(writes))
    prompts = tokenised(model, texts(4, seed=3))
    passes = edited_passes(forward_for(model, batches_for(model), prompts), dictionary, prompts)

    found = passes.under(EDITS, logits_of)

    for number, edits in enumerate(EDITS):
        for index, tokens in enumerate(prompts):
            with edited(model, dictionary, [edits]):
                whole = last_logits(model, left_padded([tokens], model.device))[0]
            torch.testing.assert_close(found[number, index], whole, atol=2e-4, rtol=2e-4)
    assert (found[1:] - found[0]).abs().amax(dim=(1, 2)).gt(1e-2).all()
    torch.testing.assert_close(passes.plain(logits_of), found[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("normalisation", ["constant_norm_rescale", "layer_norm"])
@pytest.mark.parametrize("positions", [1, 40, 2048])
def test_results_do_not_depend_on_how_rows_are_divided(positions: int, normalisation: Any) -> None:
    """One row at a time, a few, or all at once: the same, also for dictionaries that would make NaN of padding."""
    model = loaded()
    site = parse_site("resid_post.1")
    dictionary = random_dictionary(model, site, site, normalisation=normalisation)
    prompts = tokenised(model, texts(9, seed=3))
    batches = batches_for(model)
    whole = edited_passes(forward_for(model, batches, prompts), dictionary, prompts).under(EDITS, logits_of)
    batches.positions = positions

    divided = edited_passes(forward_for(model, batches, prompts), dictionary, prompts).under(EDITS, logits_of)

    assert torch.isfinite(divided).all()
    torch.testing.assert_close(divided, whole, atol=1e-4, rtol=1e-4)


def test_blocks_below_the_site_do_not_run_again() -> None:
    """What costs nothing is not computed: an autoencoder after block 0 lets it run once, however many edits are tried."""
    model = loaded()
    site = parse_site("resid_post.0")
    prompts = tokenised(model, texts(9, seed=3))
    passes = edited_passes(forward_for(model, batches_for(model), prompts), random_dictionary(model, site, site), prompts)
    runs = [0, 0]
    for layer in range(2):
        attention = model.sites.blocks[layer].attention

        def count(*_: Any, layer: int = layer) -> None:
            runs[layer] += 1

        attention.register_forward_hook(count)

    passes.under(EDITS, logits_of)

    assert runs[0] == 0
    assert runs[1] > 0
