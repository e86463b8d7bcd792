"""Readings hold, for every documented feature and asked prompt, what the feature does there and nothing of what all prompts share."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from safetycase.lab.batches import batches_for
from safetycase.lab.dictionaries.dictionary import TopK
from safetycase.lab.dictionaries.site import parse_site
from safetycase.lab.features.readings import readings
from safetycase.lab.features.telling_positions import shared_positions
from safetycase.lab.forward import left_padded
from safetycase.lab.model import last_logits
from safetycase.lab.site_access import record_sites
from tests.lab.features.feature_studies import finished, random_dictionary, study, tables
from tests.lab.small import LONG_TEMPLATE, loaded

pytestmark = pytest.mark.lab


def test_every_feature_is_read_on_every_prompt_of_every_population() -> None:
    """Largest and last activation, against each prompt alone and all features encoded; variants are there."""
    model = loaded()
    dictionary = random_dictionary(model, parse_site("mlp_in.1"), parse_site("mlp_out.1"), activation=TopK(6))
    of = study(model, dictionary)
    contrast = of.contrasts["toy"]

    found = tables(finished(readings(of, [3, 11]))[0])["readings"]

    expected = {}
    for (name, split), prompts in contrast.prompts.items():
        for prompt in prompts:
            tokens = contrast.tokens[prompt.id]
            with record_sites(model, [dictionary.reads]) as at:
                last_logits(model, left_padded([tokens], model.device))
                activations = dictionary.encode(at[dictionary.reads][0, 2:])
            for feature in (3, 11):
                values = activations[:, feature]
                expected[feature, name, split, prompt.id] = (values.max().item(), values[-1].item())
    keys = list(zip(found["feature"].tolist(), found["population"], found["split"], found["item"], strict=True))
    assert sorted(keys) == sorted(expected)
    assert "toy-spoken" in set(found["population"])
    assert np.allclose([found["peak"], found["last"]], np.array([expected[key] for key in keys]).T, atol=1e-4)
    assert (found["peak"] > 0).any()
    assert (found["peak"] != found["last"]).any()


def test_a_negative_activation_is_none() -> None:
    """A feature that is below 0 on all tokens of a prompt stands at 0, there and at the last token."""
    model = loaded()
    site = parse_site("resid_post.1")
    signed = random_dictionary(model, site, site, activation=TopK(24, signed=True))
    of = study(model, signed)

    found = tables(finished(readings(of, list(range(24))))[0])["readings"]

    assert found["peak"].min() == found["last"].min() == 0
    last = of.on_prompts(of.contrasts["toy"].tokens_of(of.contrasts["toy"].of("present", "test")), lambda x, _: signed.encode(x[-1]))
    assert (last < 0).any()
    rows = found.where(population="toy-present", split="test")
    assert np.allclose(rows["last"].reshape(-1, 24), last.clamp_min(0), atol=1e-4)


def test_a_feature_of_the_template_says_nothing() -> None:
    """A feature that fires on a leading token of the template alone is silent on every prompt, whatever the batches."""
    model = loaded(template=LONG_TEMPLATE)
    site = parse_site("resid_post.1")
    dictionary = random_dictionary(model, site, site)
    of = study(model, dictionary)
    contrast = of.contrasts["toy"]
    states = [of.on_prompts([tokens], lambda x, _: x)[0] for tokens in contrast.tokens.values()]
    of_template, behind = states[0][4], torch.cat([each[10:] for each in states])
    detector = torch.linalg.lstsq(torch.cat([behind, of_template[None]]), torch.eye(len(behind) + 1)[-1]).solution
    fires, highest = of_template @ detector, (behind @ detector).max()
    planted = replace(dictionary, W_enc=dictionary.W_enc.clone(), b_enc=dictionary.b_enc.clone())
    planted.W_enc[2], planted.b_enc[2] = detector, -(fires + highest) / 2
    assert fires > highest

    found = tables(finished(readings(replace(of, dictionary=planted), [2]))[0])["readings"]

    assert not found["peak"].any()


def test_shared_positions_leave_every_prompt_a_token_and_do_not_count_the_beginning() -> None:
    """The long template begins with eleven tokens of which one is the beginning-of-text; alike prompts keep their last."""
    model = loaded(template=LONG_TEMPLATE)
    site = parse_site("resid_post.1")
    contrast = study(model, random_dictionary(model, site, site)).contrasts["toy"]

    assert shared_positions(model, contrast) == 10
    alike = replace(contrast, tokens={"one": torch.tensor([0, 20, 21]), "two": torch.tensor([0, 20, 21])})
    assert shared_positions(model, alike) == 1
    shorter = replace(contrast, tokens={"one": torch.tensor([0, 20]), "two": torch.tensor([0, 20, 21])})
    assert shared_positions(model, shorter) == 0


def test_readings_do_not_depend_on_the_batches() -> None:
    """One prompt at a time gives the same numbers."""
    model = loaded()
    site = parse_site("resid_post.1")
    of = study(model, random_dictionary(model, site, site))
    alone = batches_for(model)
    alone.positions = 1

    together = tables(finished(readings(of, [1, 2]))[0])["readings"]
    apart = tables(finished(readings(replace(of, batches=alone), [1, 2]))[0])["readings"]

    assert together["item"].tolist() == apart["item"].tolist()
    assert np.allclose(together["peak"], apart["peak"], atol=1e-4)
