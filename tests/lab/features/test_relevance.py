"""Features are ranked for a contrast by what they point at, when they fire and what they do, each against the obvious computation."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from safetycase.evidence.stats.ranks import auroc
from safetycase.lab.batches import batches_for
from safetycase.lab.dictionaries.dictionary import TopK
from safetycase.lab.dictionaries.site import parse_site
from safetycase.lab.features.relevance import area_under_curve, attribution, ranking, relevance
from safetycase.lab.features.study import FeatureStudy, counted_positions
from safetycase.lab.forward import left_padded
from safetycase.lab.model import last_logits
from safetycase.lab.observing import Rows
from safetycase.lab.scores import refusal_log_odds
from safetycase.lab.site_access import edit_site, record_sites
from tests.lab.features.feature_studies import SMALL, finished, random_dictionary, study, tables
from tests.lab.small import loaded

pytestmark = pytest.mark.lab

scores = st.lists(st.lists(st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.0]), min_size=3, max_size=3), min_size=2, max_size=6)


@given(scores, scores)
@settings(max_examples=40)
def test_the_area_is_the_share_of_pairs_in_order(present: list[list[float]], absent: list[list[float]]) -> None:
    """Against all pairs, ties as a half, and against the room that derives."""
    found = area_under_curve(torch.tensor(present), torch.tensor(absent))

    for feature in range(3):
        above, below = [row[feature] for row in present], [row[feature] for row in absent]
        pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in itertools.product(above, below)]
        assert found[feature].item() == pytest.approx(np.mean(pairs))
        assert found[feature].item() == pytest.approx(auroc(above, below).value)


def test_features_are_ranked_by_their_mean_rank_and_then_by_index() -> None:
    """Those that do not fire have no place; of two alike the first comes first."""
    cosine = np.array([0.9, 0.1, 0.5, 0.5, 1.0])
    area = np.array([0.9, 0.2, 0.6, 0.6, 1.0])
    fires = np.array([True, True, True, True, False])

    assert ranking([cosine, area], fires).tolist() == [0, 2, 3, 1]
    assert ranking([cosine, -2 * area], fires).tolist() == [0, 1, 2, 3]
    assert ranking([cosine], np.zeros(5, dtype=bool)).tolist() == []


def some_study(reads: str = "resid_post.1", writes: str = "resid_post.1", **fields: object) -> FeatureStudy:
    """A random dictionary on a random model."""
    model = loaded()
    return study(model, random_dictionary(model, parse_site(reads), parse_site(writes), **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reads", "writes", "normalisation"),
    [
        ("resid_post.1", "resid_post.1", "none"),
        ("resid_post.1", "resid_post.1", "layer_norm"),
        ("mlp_in.1", "mlp_out.1", "none"),
        ("resid_mid.1", "resid_mid.1", "none"),
        ("resid_post.2", "resid_post.2", "none"),
    ],
)
def test_attribution_is_the_slope_of_the_log_odds(reads: str, writes: str, normalisation: str) -> None:
    """A finite difference along what each feature writes at the counted positions gives the same number, prompt by prompt."""
    of = some_study(reads, writes, normalisation=normalisation)
    model, dictionary, contrast = of.model, of.dictionary, of.contrasts["toy"]
    prompts = contrast.tokens_of(contrast.discovery()[0])[:3]
    features = range(6)

    with torch.inference_mode():  # whoever calls may be in it
        found = attribution(of, contrast.target, prompts)

    def log_odds(tokens: Tensor, feature: int, by: float) -> float:
        def add(x: Tensor) -> Tensor:
            read = x if dictionary.is_autoencoder else at[dictionary.reads]
            wrote = dictionary.encode(read, torch.tensor([feature])) * dictionary.write_scale(read) * dictionary.W_dec[feature, 0]
            counted = torch.zeros(len(tokens), 1).index_fill(0, counted_positions(model, tokens), 1.0)
            return x + by * counted * wrote

        with record_sites(model, [dictionary.reads]) as at, edit_site(model, dictionary.writes[0], add):
            logits = last_logits(model, left_padded([tokens], model.device))
        return refusal_log_odds(logits, torch.tensor(contrast.target)).item()

    for feature in features:
        slopes = [(log_odds(t, feature, 0.02) - log_odds(t, feature, -0.02)) / 0.04 for t in prompts]
        assert found[feature].item() == pytest.approx(np.mean(slopes), abs=2e-3, rel=2e-2)
    assert found.abs().max() > 0.01


def test_attribution_asks_a_model_only_for_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """An architecture without positions and without a choice of logits gives the same number for a prompt without padding."""
    of = some_study()
    prompt = of.contrasts["toy"].tokens_of(of.contrasts["toy"].discovery()[0])[:1]
    expected = attribution(of, of.contrasts["toy"].target, prompt)
    module: Any = of.model.module
    whole = module.forward

    def forward(input_ids: Tensor, attention_mask: Tensor, use_cache: bool) -> Any:
        return whole(input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache)

    monkeypatch.setattr(module, "forward", forward)

    assert torch.allclose(attribution(of, of.contrasts["toy"].target, prompt), expected, atol=1e-6)


def test_relevance_is_what_its_columns_say() -> None:
    """Cosine, area, shares of firing and ranks of every feature, recomputed prompt by prompt; log-odds of every class and split."""
    of = some_study(activation=TopK(6))
    contrast = of.contrasts["toy"]
    events, found = finished(relevance(of, contrast))
    made = tables(events)
    rows = made["relevance"]

    peaks, last = [], []
    for side in contrast.discovery():
        per_prompt = [whole(of, tokens) for tokens in contrast.tokens_of(side)]
        peaks.append(torch.stack([each[0] for each in per_prompt]))
        last.append(torch.stack([each[1] for each in per_prompt]))
    direction = last[0].mean(dim=0) - last[1].mean(dim=0)
    torch.testing.assert_close(found.direction, direction, atol=1e-4, rtol=1e-4)
    cosine = torch.nn.functional.cosine_similarity(of.dictionary.W_dec[:, 0], direction[None])
    assert np.allclose(rows["cosine"], cosine, atol=1e-4)
    assert np.allclose(rows["auroc"], area_under_curve(*peaks), atol=1e-6)
    assert np.allclose(rows["firing_present"], (peaks[0] > 0).double().mean(dim=0))
    assert np.allclose(rows["firing_absent"], (peaks[1] > 0).double().mean(dim=0))
    fires = (rows["firing_present"] > 0) | (rows["firing_absent"] > 0)
    assert not fires.all()
    assert (rows["rank"] > 0).tolist() == fires.tolist()
    assert found.ranking == tuple(rows["feature"][np.argsort(rows["rank"], kind="stable")][(~fires).sum() :])
    assert found.ranking == tuple(ranking([rows["cosine"], rows["auroc"], rows["attribution"]], fires))
    assert set(made["baseline"]["item"]) == {
        p.id for side in ("present", "absent") for p in contrast.of(side, "train", "validation", "test")
    }


def whole(of: FeatureStudy, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Largest activations of one prompt without the two tokens that all begin with, and what stands at its last."""
    assert of.model.tokenizer.convert_ids_to_tokens(tokens[:2].tolist()) == ["<s>", "<|user|>"]
    site = of.dictionary.reads
    with record_sites(of.model, [site]) as at:
        last_logits(of.model, left_padded([tokens], of.model.device))
        x = at[site][0]
    return of.dictionary.encode(x[2:]).amax(dim=0), x[-1]


def test_without_target_tokens_attribution_stays_out_of_the_ranking() -> None:
    """Direction and activation are enough to rank by; log-odds are not asked."""
    of = some_study()
    contrast = replace(of.contrasts["toy"], target=(), stopped="none were found")

    events, found = finished(relevance(of, contrast))

    rows = tables(events)["relevance"]
    assert "baseline" not in tables(events)
    assert not rows["attribution"].any()
    fires = (rows["firing_present"] > 0) | (rows["firing_absent"] > 0)
    assert found.ranking == tuple(ranking([rows["cosine"], rows["auroc"]], fires))


def test_relevance_does_not_depend_on_the_batches() -> None:
    """One prompt at a time or all at once."""
    of = some_study("mlp_in.1", "mlp_out.1")
    alone = batches_for(of.model)
    alone.positions = 1

    _, together = finished(relevance(of, of.contrasts["toy"]))
    _, apart = finished(relevance(replace(of, batches=alone), of.contrasts["toy"]))

    assert together.ranking == apart.ranking


def test_a_resumed_stage_takes_its_ranking_from_what_was_stored() -> None:
    """What was written once is not made again."""
    of = some_study()
    events, _ = finished(relevance(of, of.contrasts["toy"]))
    made = tables(events)
    swapped = dict(made["relevance"].columns) | {"rank": made["relevance"]["rank"][::-1].copy()}
    stored = {(event.table, event.part): made[event.table] for event in events if isinstance(event, Rows)}
    stored["relevance", "toy"] = replace(made["relevance"], columns=swapped)

    resumed = study(of.model, of.dictionary, ask=SMALL, finished=lambda table, part: stored.get((table, part)))
    _, found = finished(relevance(resumed, resumed.contrasts["toy"]))

    order = np.argsort(swapped["rank"], kind="stable")
    assert found.ranking == tuple(order[swapped["rank"][order] > 0])
