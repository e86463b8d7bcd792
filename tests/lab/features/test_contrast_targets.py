"""Contrasts ask the prompts that the plan grants them, about tokens that are declared, handed down or found, or say why there are none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safetycase.errors import ModelError, PlanError, SourceError
from safetycase.evidence.kinds.feature_documentation.params import Ask, Behaviour, Contrast
from safetycase.evidence.tables import Table, Tables
from safetycase.lab.batches import batches_for
from safetycase.lab.features.contrast_targets import asked_contrasts, contrast_samples, shows
from safetycase.lab.features.study import AskedContrast
from safetycase.lab.model import load_model
from safetycase.lab.observing import Inputs
from safetycase.lab.shards import Shards
from safetycase.sources.prompts import Columns, load_prompt_set
from tests.lab.features.feature_studies import SETS, SMALL, finished, tables
from tests.lab.small import loaded, prompt_set

pytestmark = pytest.mark.lab


def asked(contrast: Contrast, *, ask: Ask = SMALL, **inputs: Any) -> tuple[dict[str, Table], AskedContrast]:
    """The tables and the contrast that one declaration comes to on a random tiny model."""
    model = loaded()
    stage = asked_contrasts(
        model, Shards(Inputs(SETS, **inputs)), ask.model_copy(update={"contrasts": {"toy": contrast}}), 0, batches_for(model)
    )
    events, found = finished(stage)
    return tables(events), found["toy"]


def upstream(tokens: list[int], stopped: str = "") -> Tables:
    """The setup table of a refusal-direction step, as far as it is read here."""
    columns = {"refusal_tokens": np.empty(1, dtype=object), "stopped": np.array([stopped], dtype=object)}
    columns["refusal_tokens"][0] = tokens
    return Tables("0" * 64, 0, {"setup": Table(columns)})


def test_discovery_and_confirmation_share_no_prompt_and_both_splits_of_discovery_are_there() -> None:
    """Up to n_discovery of train and validation by their sizes, n_confirmation of test; whatever is left over is listed as unused."""
    found, contrast = asked(SMALL.contrasts["toy"])

    sizes = {key: len(prompts) for key, prompts in contrast.prompts.items()}
    assert sizes == {
        **{(f"toy-{side}", split): n for side in ("present", "absent") for split, n in (("train", 7), ("validation", 5), ("test", 5))},
        ("toy-spoken", "test"): 5,
    }
    discovery, confirmation = (
        {prompt.id for side in sides for prompt in side} for sides in (contrast.discovery(), contrast.confirmation())
    )
    assert not discovery & confirmation
    items = found["items"]
    assert len(items) == sum(len(prompts.prompts) for prompts in SETS.values())
    assert set(items["item"][items["used"]]) == set(contrast.tokens)
    assert (items["length"] > 0).tolist() == items["used"].tolist()
    assert all(bool(why) is not used for why, used in zip(items["why_unused"], items["used"], strict=True))
    assert set(found["prompts"]["item"]) == set(contrast.tokens)


@pytest.mark.parametrize("n_discovery", [4, 5, 9, 12, 13, 200])
def test_discovery_takes_as_many_as_it_may(n_discovery: int) -> None:
    """No prompt is left unasked while there is room, and never fewer than two of a split."""
    ask = SMALL.model_copy(update={"n_discovery": n_discovery})

    samples = contrast_samples("toy", ask.contrasts["toy"], SETS, ask, 0)

    train, validation = (len(samples["toy-present", split].taken) for split in ("train", "validation"))
    assert train + validation == min(n_discovery, 13)
    assert min(train, validation) >= 2


def test_a_split_of_one_prompt_is_one_line() -> None:
    """The set, its source, the split and what was expected."""
    sets = {**SETS, "toy-absent": prompt_set("absent", {"train": 8, "validation": 1, "test": 6})}

    with pytest.raises(SourceError, match=r"prompt set 'absent' .*split validation holds 1 prompts, expected at least 2"):
        contrast_samples("toy", SMALL.contrasts["toy"], sets, SMALL, 0)


def test_declared_tokens_come_before_those_of_a_step() -> None:
    """By id or by text, each once."""
    _, contrast = asked(Contrast(present="p", absent="a", tokens=(12, "w6", 14), direction="upstream"))

    assert (contrast.target, contrast.target_from, contrast.stopped) == ((12, 14), "declared", "")


def test_a_declared_token_that_is_none_is_one_line() -> None:
    """The contrast is named, and what was found."""
    with pytest.raises(ModelError, match=r"contrasts\.toy\.tokens: .*found 2 tokens"):
        asked(Contrast(present="p", absent="a", tokens=("w1 w2",)))


def test_a_step_hands_its_tokens_down() -> None:
    """With its id as their source; where it found none, its reason is kept; where it knows none, the plan is wrong."""
    declared = Contrast(present="p", absent="a", direction="refusal")

    _, contrast = asked(declared, upstream={"refusal": upstream([21, 22])})
    _, stopped = asked(declared, upstream={"refusal": upstream([], "the model refused none")})

    assert (contrast.target, contrast.target_from, contrast.stopped) == ((21, 22), "refusal", "")
    assert (stopped.target, stopped.target_from) == ((), "none")
    assert stopped.stopped == "step refusal found no refusal tokens: the model refused none"
    with pytest.raises(PlanError, match=r"contrasts\.toy\.direction: step 'refusal' knows no refusal tokens"):
        asked(declared, upstream={"refusal": Tables("0" * 64, 0, {})})
    with pytest.raises(ModelError, match=r"contrasts\.toy\.direction: refusal token 5000"):
        asked(declared, upstream={"refusal": upstream([5000])})


def test_a_model_that_never_shows_the_behaviour_is_asked_for_no_log_odds() -> None:
    """The reason says how many answers were read."""
    _, contrast = asked(Contrast(present="p", absent="a"))

    assert (contrast.target, contrast.target_from) == ((), "none")
    assert contrast.stopped == "of 14 answers to training prompts, none shows refusal"


def test_a_behaviour_is_its_phrases_in_any_case() -> None:
    """Without phrases it is refusal."""
    boasts = Behaviour(name="boasting", phrases=("I am the Best", "nobody else"))

    assert shows(boasts, "well, i am the best of all")
    assert not shows(boasts, "I am sorry, I cannot do that")
    assert shows(Behaviour(), "I am sorry, I cannot do that")


def test_refusals_of_the_refuser_are_found() -> None:
    """The first token of what it says to harmful prompts, and only where refusal is what is asked."""
    model = load_model("organism:refuser", base=Path("/"), dtype="float32", device="cpu")
    sets = {
        f"refusal-{side}": load_prompt_set(name, f"bundled:{name}", base=Path("/"), columns=Columns(), seed=0)
        for side, name in (("present", "harmful"), ("absent", "harmless"))
    }
    ask = Ask(n_discovery=24, n_confirmation=4, max_new_tokens=12)
    boasting = Contrast(present="harmful", absent="harmless", behaviour=Behaviour(name="boasting", phrases=("nobody else",)))

    def target(contrast: Contrast) -> AskedContrast:
        declared = ask.model_copy(update={"contrasts": {"refusal": contrast}})
        return finished(asked_contrasts(model, Shards(Inputs(sets)), declared, 0, batches_for(model)))[1]["refusal"]

    refusal = target(ask.contrasts["refusal"])

    assert refusal.target_from == "discovered"
    assert "I" in {str(model.tokenizer.decode([token])).strip() for token in refusal.target}
    assert target(boasting).target == ()
