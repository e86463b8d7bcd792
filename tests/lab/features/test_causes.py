"""What features do is asked of the prompts and doses that the contract names, and comes out as whole passes under each edit say."""

import itertools
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from safetycase.evidence.kinds.feature_documentation.params import Ask
from safetycase.evidence.tables import Table
from safetycase.lab.batches import batches_for
from safetycase.lab.dictionaries.site import parse_site
from safetycase.lab.features.causes import causes, off_target_divergence
from safetycase.lab.features.edits import FeatureEdit, edited
from safetycase.lab.features.null_features import NullFeatures
from safetycase.lab.features.relevance import relevance
from safetycase.lab.features.study import FeatureStudy
from safetycase.lab.forward import left_padded
from safetycase.lab.model import last_logits, load_model
from safetycase.lab.observing import Event, Rows
from safetycase.lab.scores import refusal_log_odds
from safetycase.sources.prompts import Columns, load_prompt_set
from tests.lab.features.feature_studies import SMALL, finished, random_dictionary, study, tables
from tests.lab.small import loaded

pytestmark = pytest.mark.lab

RANKING = tuple(range(24))
MAXIMUM = torch.linspace(1, 3, 24)
NORM = 4.0


@cache
def transcoder() -> FeatureStudy:
    """A random transcoder on a random model."""
    model = loaded()
    return study(model, random_dictionary(model, parse_site("mlp_in.1"), parse_site("mlp_out.1")))


@cache
def whole() -> tuple[list[Event], str]:
    """One complete run, shared by the tests that only read it."""
    of = transcoder()
    return finished(causes(of, of.contrasts["toy"], RANKING, MAXIMUM, NORM))


def test_every_edit_is_tried_where_the_contract_says() -> None:
    """Ablation on present and steering at every dose on absent prompts of validation and test, clamps of tested features on absent test."""
    rows = tables(whole()[0])["causes"]
    contrast = transcoder().contrasts["toy"]
    tested = {0, 1}
    nulls = set(rows.where(role="null")["feature"].tolist())

    assert set(rows.where(role="tested")["feature"].tolist()) == tested
    assert len(nulls) == SMALL.null_features
    assert not nulls & tested
    expected = set()
    for feature in tested | nulls:
        for split in ("validation", "test"):
            present, absent = (contrast.of(side, split) for side in ("present", "absent"))
            expected |= {(feature, "ablate", 0.0, "toy-present", split, prompt.id) for prompt in present}
            expected |= {(feature, "steer", dose, "toy-absent", split, p.id) for dose, p in itertools.product(SMALL.doses, absent)}
    expected |= {(f, "clamp", 2.0, "toy-absent", "test", p.id) for f, p in itertools.product(tested, contrast.of("absent", "test"))}
    columns = [rows[name].tolist() for name in ("feature", "edit", "dose", "population", "split", "item")]
    found = list(zip(*columns, strict=True))
    assert len(found) == len(expected)
    assert set(found) == expected


def test_log_odds_and_divergence_are_those_of_whole_passes() -> None:
    """Row by row, one prompt at a time, the probabilities without the target renormalised by hand."""
    of = transcoder()
    contrast = of.contrasts["toy"]
    target = torch.tensor(contrast.target)
    other = torch.ones(100, dtype=torch.bool).index_fill(0, target, False)
    rows = list(tables(whole()[0])["causes"].rows())

    for row in rows[:: len(rows) // 60]:
        batch = left_padded([contrast.tokens[row["item"]]], of.model.device)
        plain = last_logits(of.model, batch)
        unit = {"ablate": 0.0, "steer": NORM, "clamp": MAXIMUM[row["feature"]].item()}[row["edit"]]
        with edited(of.model, of.dictionary, [[FeatureEdit(row["edit"], row["feature"], row["dose"] * unit)]]):
            logits = last_logits(of.model, batch)
        p, q = (each.double().softmax(dim=-1)[0, other] for each in (plain, logits))
        p, q = p / p.sum(), q / q.sum()

        assert row["log_odds"] == pytest.approx(refusal_log_odds(logits, target).item(), abs=1e-3)
        assert row["kl"] == pytest.approx((p * (p / q).log()).sum().item(), abs=1e-4)
    assert max(row["kl"] for row in rows) > 0.1
    assert min(row["kl"] for row in rows) > -1e-6


def test_what_moves_the_target_alone_costs_nothing_off_target() -> None:
    """The divergence is among the other tokens."""
    logits = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    others = torch.tensor([True] * 6 + [False] * 2)
    moved = logits + torch.where(others, 0.0, 9.0)

    kl = off_target_divergence(logits[:, others].log_softmax(dim=-1), moved, others)

    assert kl.abs().max() < 1e-6
    assert (off_target_divergence(logits[:, others].log_softmax(dim=-1), logits.flip(1), others) > 0.1).all()


def test_a_killed_stage_resumes_with_the_same_rows() -> None:
    """Stored shards are handed on, whatever is missing is computed, and the note is the same."""
    events, note = whole()
    made = {(event.table, event.part): event.rows for event in events if isinstance(event, Rows)}
    kept = dict(itertools.islice(made.items(), 3))

    def recall(table: str, part: str) -> Table | None:
        rows = kept.get((table, part))
        return None if rows is None else tables([Rows(table, part, rows)])[table]

    of = transcoder()
    resumed = study(of.model, of.dictionary, finished=recall)
    again, same = finished(causes(resumed, resumed.contrasts["toy"], RANKING, MAXIMUM, NORM))

    assert same == note
    assert {(event.table, event.part): event.rows for event in again if isinstance(event, Rows)} == made


def test_null_features_that_were_tried_stay_though_others_would_be_chosen_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of an earlier attempt keep their features; the others hold none of these, and there are as many as were asked for."""
    monkeypatch.setattr("safetycase.lab.features.causes.NULLS_PER_SHARD", 2)
    of = transcoder()
    events, _ = finished(causes(of, of.contrasts["toy"], RANKING, MAXIMUM, NORM))
    made = {event.part: event.rows for event in events if isinstance(event, Rows) and event.table == "causes"}
    kept = made["toy.nulls-2"]
    tried = list(dict.fromkeys(row["feature"] for row in kept))
    before = list(dict.fromkeys(row["feature"] for part in made for row in made[part] if row["role"] == "null"))
    now = (tried[1], *[feature for feature in RANKING[2:] if feature not in before][:3], before[0], before[1])

    def recall(table: str, part: str) -> Table | None:
        return tables([Rows(table, part, kept)])[table] if part == "toy.nulls-2" else None

    monkeypatch.setattr("safetycase.lab.features.causes.matched_features", lambda *_: NullFeatures(now, "others"))
    resumed = study(of.model, of.dictionary, finished=recall)
    again, _ = finished(causes(resumed, resumed.contrasts["toy"], RANKING, MAXIMUM, NORM))

    parts = {event.part: event.rows for event in again if isinstance(event, Rows) and "nulls" in event.part}
    groups = {part: list(dict.fromkeys(row["feature"] for row in rows)) for part, rows in parts.items()}
    assert parts["toy.nulls-2"] == kept
    every = [feature for group in groups.values() for feature in group]
    assert len(every) == len(set(every)) == SMALL.null_features
    assert set(every) - set(tried) <= set(now)


def test_results_do_not_depend_on_the_batches() -> None:
    """A few rows at a time."""
    of = transcoder()
    few = batches_for(of.model)
    few.positions = 30

    events, _ = finished(causes(replace(of, batches=few), of.contrasts["toy"], RANKING, MAXIMUM, NORM))

    apart, together = tables(events)["causes"], tables(whole()[0])["causes"]
    assert apart["item"].tolist() == together["item"].tolist()
    assert np.allclose(apart["log_odds"], together["log_odds"], atol=1e-3)
    assert np.allclose(apart["kl"], together["kl"], atol=1e-4)


@pytest.mark.parametrize(
    ("ranking", "causal", "words"),
    [
        pytest.param((), 2, "no feature fires on discovery prompts", id="nothing fires"),
        pytest.param(RANKING, 0, "no feature was to be tested", id="none asked for"),
    ],
)
def test_without_anything_to_test_the_unedited_model_answers_alone(ranking: tuple[int, ...], causal: int, words: str) -> None:
    """The reason stands in place of how the nulls were matched."""
    of = replace(transcoder(), ask=SMALL.model_copy(update={"causal_features": causal}))

    events, note = finished(causes(of, of.contrasts["toy"], ranking, MAXIMUM, NORM))

    assert words in note
    found = tables(events)
    assert "causes" not in found
    assert set(found["completions"]["feature"].tolist()) == {-1}


def test_the_refusal_direction_planted_as_a_feature_refuses() -> None:
    """On the bundled refuser it ranks first; without it refusal falls, along it refusal rises, and more than along its nulls."""
    model = load_model("organism:refuser", base=Path("/"), dtype="float32", device="cpu")
    sets = {
        f"refusal-{side}": load_prompt_set(name, f"bundled:{name}", base=Path("/"), columns=Columns(), seed=0)
        for side, name in (("present", "harmful"), ("absent", "harmless"))
    }
    ask = Ask(n_discovery=24, n_confirmation=8, causal_features=1, null_features=19, behaviour_prompts=4, max_new_tokens=12)
    site = parse_site("resid_post.1")
    blank = study(model, random_dictionary(model, site, site, features=64), ask=ask, sets=sets)
    contrast = blank.contrasts["refusal"]
    direction = finished(relevance(blank, contrast))[1].direction
    unit = direction / direction.norm()
    last = blank.on_prompts(contrast.tokens_of(contrast.discovery()[1]), lambda _, x: x[-1] @ unit)
    dictionary = blank.dictionary
    planted = replace(dictionary, W_enc=dictionary.W_enc.clone(), W_dec=dictionary.W_dec.clone(), b_enc=dictionary.b_enc.clone())
    planted.W_enc[5], planted.W_dec[5, 0], planted.b_enc[5] = unit, unit, -last.mean()
    of = replace(blank, dictionary=planted)

    ranked, found = finished(relevance(of, contrast))
    norm = float(of.on_prompts(contrast.tokens_of(contrast.discovery()[0]), lambda _, x: x.norm(dim=-1).mean()).mean())
    events, _ = finished(causes(of, contrast, found.ranking, torch.full((64,), 4 * float(direction.norm())), norm))

    assert found.ranking[0] == 5
    baseline = {row["item"]: row["log_odds"] for row in tables(ranked)["baseline"].rows()}
    made = tables(events)
    rows = made["causes"].where(split="test")
    change = rows["log_odds"] - np.array([baseline[item] for item in rows["item"]])

    def mean(edit: str, dose: float, role: str) -> list[float]:
        chosen = (rows["edit"] == edit) & (rows["dose"] == dose) & (rows["role"] == role)
        return [change[chosen & (rows["feature"] == feature)].mean() for feature in set(rows["feature"][chosen].tolist())]

    assert mean("ablate", 0.0, "tested")[0] < min(-1.0, *mean("ablate", 0.0, "null"))
    assert mean("steer", 0.5, "tested")[0] > max(1.0, *mean("steer", 0.5, "null"))
    labels = made["answers"].where(judge="arditi-12", population="refusal-absent")
    unedited, steered = labels.where(edit="none"), labels.where(edit="steer", dose=0.5)
    assert (steered["label"] == "refuse").sum() > (unedited["label"] == "refuse").sum()
