"""Answers are given under every treatment of every tested feature, and each is labelled by the judges of its contrast."""

from dataclasses import replace
from functools import cache

import pytest

from safetycase.evidence.judges import judge, judge_names
from safetycase.evidence.kinds.feature_documentation.params import ABSENT, PRESENT, Behaviour
from safetycase.evidence.tables import Table
from safetycase.lab.dictionaries.site import parse_site
from safetycase.lab.features.answers import answers, phrases_label
from safetycase.lab.features.edits import FeatureEdit, edited
from safetycase.lab.features.study import FeatureStudy
from safetycase.lab.features.treatments import Treatment
from safetycase.lab.forward import left_padded
from safetycase.lab.model import last_logits
from tests.lab.features.feature_studies import SMALL, finished, random_dictionary, study, tables
from tests.lab.small import loaded

pytestmark = pytest.mark.lab

TREATED = {
    3: [Treatment(PRESENT, FeatureEdit("ablate", 3), 0.0), Treatment(ABSENT, FeatureEdit("steer", 3, 20.0), 1.0)],
    8: [Treatment(ABSENT, FeatureEdit("clamp", 8, 30.0), 2.0)],
}


@cache
def of() -> FeatureStudy:
    """A random autoencoder on a random model."""
    model = loaded()
    site = parse_site("resid_post.1")
    return study(model, random_dictionary(model, site, site))


@cache
def made() -> dict[str, Table]:
    """Tables of one run."""
    return tables(finished(answers(of(), of().contrasts["toy"], TREATED))[0])


def test_each_treatment_answers_its_class_and_the_unedited_model_both() -> None:
    """As many confirmation prompts as the plan asks, first by first; under steering as many of validation, where the dose is chosen."""
    contrast = of().contrasts["toy"]
    present, absent = ([prompt.id for prompt in side[:3]] for side in contrast.confirmation())
    validation = [prompt.id for prompt in contrast.of(ABSENT, "validation")[:3]]
    columns = [made()["completions"][name].tolist() for name in ("feature", "edit", "dose", "population", "item")]

    assert list(zip(*columns, strict=True)) == [
        *((-1, "none", 0.0, "toy-present", item) for item in present),
        *((-1, "none", 0.0, "toy-absent", item) for item in absent),
        *((3, "ablate", 0.0, "toy-present", item) for item in present),
        *((3, "steer", 1.0, "toy-absent", item) for item in (*absent, *validation)),
        *((8, "clamp", 2.0, "toy-absent", item) for item in absent),
    ]


def test_an_answer_is_what_the_edited_model_says_token_by_token() -> None:
    """Each token is the most probable one after all before it, under the same edit and without a cache."""
    contrast = of().contrasts["toy"]
    model = of().model
    steered = made()["completions"].where(edit="steer")

    for item, text in zip(steered["item"], steered["text"], strict=True):
        tokens = contrast.tokens[item]
        for token in model.tokenizer(text, add_special_tokens=False)["input_ids"]:
            with edited(model, of().dictionary, [[TREATED[3][1].edit]]):
                likely = last_logits(model, left_padded([tokens], model.device))[0].argmax()
            assert likely == token
            tokens = tokens.new_tensor([*tokens.tolist(), token])
    plain = made()["completions"].where(edit="none", population="toy-absent")
    assert steered["text"].tolist()[: len(plain)] != plain["text"].tolist()


def test_every_text_judge_labels_every_answer() -> None:
    """As it would label the text alone."""
    texts = {(row["feature"], row["edit"], row["item"]): row["text"] for row in made()["completions"].rows()}
    labels = list(made()["answers"].rows())

    assert len(labels) == len(texts) * len(judge_names())
    for row in labels:
        judging = judge(row["judge"])
        assert (row["version"], row["label"]) == (judging.version, judging.label(texts[row["feature"], row["edit"], row["item"]]))


def test_declared_phrases_judge_alone() -> None:
    """Any phrase in any case; an answer that says nothing shows nothing, whatever it holds."""
    behaviour = Behaviour(name="boasting", phrases=("the best",))
    contrast = of().contrasts["toy"]
    boasting = replace(contrast, declared=contrast.declared.model_copy(update={"behaviour": behaviour}))

    found = tables(finished(answers(of(), boasting, {}))[0])["answers"]

    assert set(found["judge"]) == {"phrases"}
    assert set(found["label"]) <= {"not-shown", "incoherent"}
    assert phrases_label(behaviour, "I am The Best of them") == "shown"
    assert phrases_label(behaviour, "There are better ones") == "not-shown"
    assert phrases_label(behaviour, "the best the best the best the best the best") == "incoherent"


def test_a_dose_is_judged_on_few_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that asks for many answers does not pay for as many under every dose."""
    monkeypatch.setattr("safetycase.lab.features.answers.DOSE_ANSWERS", 2)
    contrast = of().contrasts["toy"]

    found = tables(finished(answers(of(), contrast, {3: TREATED[3]}))[0])["answers"].where(edit="steer", judge=judge_names()[0])

    assert found["item"].tolist()[3:] == [prompt.id for prompt in contrast.of(ABSENT, "validation")[:2]]


def test_no_prompt_no_answer() -> None:
    """A plan may do without."""
    silent = replace(of(), ask=SMALL.model_copy(update={"behaviour_prompts": 0}))

    assert finished(answers(silent, of().contrasts["toy"], TREATED))[0] == []
