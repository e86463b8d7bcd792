"""A direction is taken out of the whole site, of its reconstruction or of the error, and the parts sum to the whole."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from safetycase.lab.batches import batches_for
from safetycase.lab.dictionaries.dictionary import Dictionary
from safetycase.lab.dictionaries.site import Site, parse_site
from safetycase.lab.features.direction_capture import PARTS, capture, without_direction
from safetycase.lab.features.study import FeatureStudy
from safetycase.lab.forward import left_padded
from safetycase.lab.hooks import ablation
from safetycase.lab.model import LoadedModel, last_logits
from safetycase.lab.observing import Note
from safetycase.lab.scores import refusal_log_odds
from safetycase.lab.site_access import edit_site, record_sites
from tests.lab.features.feature_studies import finished, random_dictionary, study, tables
from tests.lab.small import loaded

pytestmark = pytest.mark.lab

TOKENS = torch.arange(6, 15)
DIRECTION = torch.linspace(-1, 2, 32)
SITES = [("resid_post.1", "resid_post.1"), ("mlp_in.1", "mlp_out.1")]


def written(model: LoadedModel, dictionary: Dictionary, parts: list[str], direction: Tensor = DIRECTION) -> Tensor:
    """The next block's input with a direction taken out, one row for every part."""
    after = Site("resid_pre", dictionary.writes[0].layer + 1)
    with without_direction(model, dictionary, direction, parts), record_sites(model, [after]) as at:
        last_logits(model, left_padded([TOKENS] * len(parts), model.device))
        return at[after].clone()


@pytest.mark.parametrize(("reads", "writes"), SITES)
@pytest.mark.parametrize("skip", [False, True])
def test_reconstruction_and_error_sum_to_the_whole(reads: str, writes: str, skip: bool) -> None:
    """What the three rows of a batch lose, each along the direction alone, and the reconstruction of what is read loses its share."""
    model = loaded()
    dictionary = random_dictionary(model, parse_site(reads), parse_site(writes), skip=skip)
    plain = written(model, dictionary, ["whole"], torch.zeros(32))

    whole, reconstruction, error = plain - written(model, dictionary, list(PARTS))

    torch.testing.assert_close(reconstruction + error, whole, atol=1e-5, rtol=1e-5)
    assert min(float(part.norm()) for part in (whole, reconstruction, error)) > 0.1
    unit = DIRECTION / DIRECTION.norm()
    for part in (whole, reconstruction, error):
        torch.testing.assert_close((part @ unit)[:, None] * unit, part, atol=1e-5, rtol=1e-5)
    with record_sites(model, [dictionary.reads]) as at:
        last_logits(model, left_padded([TOKENS], model.device))
        rebuilt = dictionary.reconstruct(at[dictionary.reads][0])
    torch.testing.assert_close(reconstruction @ unit, rebuilt @ unit, atol=1e-4, rtol=1e-4)


def some_study(reads: str, writes: str) -> FeatureStudy:
    """A random dictionary on a random model."""
    model = loaded()
    return study(model, random_dictionary(model, parse_site(reads), parse_site(writes)))


@pytest.mark.parametrize(("reads", "writes"), [*SITES, ("resid_mid.2", "mlp_out.2")])
def test_log_odds_are_those_of_whole_passes(reads: str, writes: str) -> None:
    """Against the ablation of the site by hand for the whole, and each prompt alone for the parts."""
    of = some_study(reads, writes)
    model, contrast = of.model, of.contrasts["toy"]
    target = torch.tensor(contrast.target)

    rows = tables(finished(capture(of, contrast, {"own": DIRECTION}))[0])["capture"]

    assert len(rows) == 3 * len(contrast.confirmation()[0])
    assert set(rows["population"]) == {"toy-present"}
    for row in rows.rows():
        batch = left_padded([contrast.tokens[row["item"]]], model.device)
        assert batch.input_ids[0, 0] == model.tokenizer.bos_token_id
        by_hand = edit_site(model, of.dictionary.writes[0], lambda x: torch.cat([x[:, :1], ablation(DIRECTION)(x[:, 1:])], dim=1))
        with by_hand if row["part"] == "whole" else without_direction(model, of.dictionary, DIRECTION, [row["part"]]):
            logits = last_logits(model, batch)
        assert row["log_odds"] == pytest.approx(refusal_log_odds(logits, target).item(), abs=1e-3)


def test_a_dictionary_without_error_holds_all_of_every_direction() -> None:
    """One that gives back what it reads: its reconstruction loses what the whole does, its error nothing."""
    model = loaded()
    site = parse_site("resid_post.1")
    both = torch.cat([torch.eye(32), -torch.eye(32)])
    blank = random_dictionary(model, site, site, features=64)
    perfect = replace(blank, W_enc=both, W_dec=both.unsqueeze(1), b_enc=torch.zeros(64), b_dec=torch.zeros(32))
    of = study(model, perfect)

    rows = tables(finished(capture(of, of.contrasts["toy"], {"own": DIRECTION, "none": torch.zeros(32)}))[0])["capture"]

    parts = {part: rows.where(part=part, direction="own")["log_odds"] for part in PARTS}
    unedited = rows.where(part="whole", direction="none")["log_odds"]
    assert np.allclose(parts["whole"], parts["reconstruction"], atol=1e-4)
    assert np.allclose(parts["error"], unedited, atol=1e-4)
    assert np.abs(parts["whole"] - unedited).max() > 0.02


def test_a_direction_of_another_space_is_passed_over() -> None:
    """With a note."""
    of = some_study("mlp_neurons.1", "mlp_neurons.1")
    contrast = of.contrasts["toy"]

    events, _ = finished(capture(of, contrast, {"own": torch.ones(48), "refusal": DIRECTION}))

    assert set(tables(events)["capture"]["direction"]) == {"own"}
    assert [event.value for event in events if isinstance(event, Note)] == ["direction refusal is 32 wide, the site mlp_neurons.1 48"]


def test_results_do_not_depend_on_the_batches() -> None:
    """One row at a time."""
    of = some_study("mlp_in.1", "mlp_out.1")
    few = batches_for(of.model)
    few.positions = 1

    together, apart = (
        tables(finished(capture(each, of.contrasts["toy"], {"own": DIRECTION}))[0])["capture"] for each in (of, replace(of, batches=few))
    )

    assert np.allclose(together["log_odds"], apart["log_odds"], atol=1e-4)
