"""A prompt's point is the mean over its own tokens, whatever else is in the batch."""

import pytest
import torch

from safetycase.lab.dictionaries.dictionary import TopK
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.features.prompt_pooling import pooled
from safetycase.lab.features.study import FeatureStudy
from safetycase.lab.hooks import record_outputs
from tests.lab.features import feature_case
from tests.lab.small import loaded

pytestmark = pytest.mark.lab

SHARED = 2
"""The template's first tokens, `<s> <|user|>`, of which the first is not counted in any case."""


def stream(case: FeatureStudy, tokens: torch.Tensor) -> torch.Tensor:
    """The site on the tokens in which prompts can differ, one prompt at a time."""
    with record_outputs([case.model.sites.blocks[1].module]) as recorded:
        case.model.module(input_ids=tokens[None])
    return recorded[0][0, SHARED:]


def test_points_are_means_over_the_tokens_in_which_prompts_can_differ() -> None:
    """Against one prompt at a time, without padding."""
    case = feature_case.study()
    contrast = feature_case.contrast(case.model, marks={})
    prompts = contrast.discovery()[0]

    found = pooled(case, contrast, prompts)

    for index, prompt in enumerate(prompts):
        x = stream(case, contrast.tokens[prompt.id])
        activations = case.dictionary.encode(x)
        assert torch.allclose(found.inputs[index], x.mean(0), atol=1e-5)
        assert torch.allclose(found.activations[index], activations.mean(0), atol=1e-5)
        assert float(found.active[index]) == pytest.approx(float((activations > 0).sum(-1).float().mean()), abs=1e-5)
    assert found.written is found.activations


def test_what_is_written_is_scaled_back_token_by_token() -> None:
    """Where inputs are normalised per token, features write in the units of the site: with the bias they add up to the reconstruction."""
    model = loaded()
    dictionary = feature_case.random_dictionary(model, activation=TopK(5), normalisation="constant_norm_rescale")
    dictionary.b_dec.zero_()
    case = feature_case.study(model, dictionary)
    contrast = feature_case.contrast(model, marks={})
    prompts = contrast.discovery()[1][:3]

    found = pooled(case, contrast, prompts)

    for index, prompt in enumerate(prompts):
        x = stream(case, contrast.tokens[prompt.id])
        assert torch.allclose(found.written[index] @ dictionary.directions(), dictionary.reconstruct(x).mean(0), atol=1e-4)
    assert torch.equal(found.active, torch.full((3,), 5.0))


def test_transcoders_read_one_site_and_write_another() -> None:
    """Inputs and outputs are those of their own sites."""
    model = loaded()
    dictionary = feature_case.random_dictionary(model, reads=Site("mlp_neurons", 0), writes=Site("resid_post", 1))
    case = feature_case.study(model, dictionary)
    contrast = feature_case.contrast(model)

    found = pooled(case, contrast, contrast.discovery()[0][:2])

    assert found.inputs.shape == (2, dictionary.d_in)
    assert found.outputs.shape == (2, dictionary.d_out)
