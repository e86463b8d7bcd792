"""The frozen object that templates show."""

import dataclasses

import pytest

from safetycase.case.claims import Claim, Criterion
from safetycase.dossier.assemble import assemble
from safetycase.dossier.page import Dossier
from safetycase.errors import RenderError
from safetycase.evidence.record import Outcome
from tests.dossier import cases, synthetic
from tests.dossier.cases import STEP, STORIES, Story


def summary_text(dossier: Dossier) -> str:
    return " ".join(f"{lead} {more}" for lead, more in dossier.summary.sentences)


@pytest.mark.parametrize("name", STORIES)
def test_every_story_assembles(name: str) -> None:
    """Whatever became of the steps, there is a document, and nobody can change it afterwards."""
    dossier = STORIES[name]().dossier()

    assert dossier.summary.sentences
    assert dossier.summary.tally
    with pytest.raises(dataclasses.FrozenInstanceError):
        dossier.version = "2.0.0"  # type: ignore[misc]  # what the test is about


def test_findings_against_the_model_come_first() -> None:
    """A supported adverse claim leads, then a refuted favourable one, before anything that speaks for the model."""
    groups = cases.plausible().dossier().summary.verdicts

    assert [row.id for row in groups[0].rows] == ["removable", "keeps"]
    assert groups[0].against
    assert not any(group.against for group in groups[1:])


def test_key_numbers_wear_intervals() -> None:
    """Refusal as it is, under ablation, and of harmless requests that look alarming."""
    numbers = cases.plausible().dossier().summary.key_numbers

    assert [number.value for number in numbers] == ["99.1\u202f%", "11\u202f%", "5\u202f%"]
    assert [number.interval for number in numbers] == ["[94.1, 100]", "[6, 16]", "[0, 10]"]
    assert "alarming" in numbers[2].text


def test_absent_numbers_say_why() -> None:
    """A number that could not be had is absent with its reason, never a blank or a zero."""
    numbers = STORIES["not_applicable"]().dossier().summary.key_numbers

    assert {"the model refuses too few harmful prompts"} == {number.absent for number in numbers}
    assert {""} == {number.value for number in numbers}


@pytest.mark.parametrize(
    ("story", "words"),
    [
        pytest.param(cases.nothing_run, "has not been run", id="never run"),
        pytest.param(cases.failed_without_findings, "failed. Out of memory", id="failed in the lab"),
        pytest.param(lambda: cases.stopped(Outcome.NOT_APPLICABLE, "it never refuses"), "does not apply", id="not applicable"),
        pytest.param(lambda: cases.stopped(Outcome.FAILED, "a NaN"), "failed. A NaN", id="failed in derivation"),
        pytest.param(
            lambda: cases.stopped(Outcome.INCONCLUSIVE, "the null gives p = 0.2"),
            "inconclusive. The null gives p = 0.2",
            id="inconclusive",
        ),
        pytest.param(cases.no_steps, "declares no steps", id="no steps"),
        pytest.param(cases.plausible, "refuses 99.1\u202f% [94.1, 100] of 112 harmful", id="conclusive"),
    ],
)
def test_summary_sentence_follows_the_outcome(story: object, words: str) -> None:
    """The first sentence is computed from what the step came to."""
    assert callable(story)
    assert words in summary_text(story().dossier())


def test_figures_and_tables_are_numbered_in_order() -> None:
    """Numbers run through the document, over all steps."""
    dossier = cases.large().dossier()
    figures = [figure.number for step in dossier.steps for figure in step.exhibit.figures.values()]
    tables = [table.number for step in dossier.steps for table in step.exhibit.tables.values()]

    assert list(range(1, len(figures) + 1)) == figures
    assert list(range(1, len(tables) + 1)) == tables
    after = [table.number for section in dossier.sections for block in section.blocks for table in block.tables]
    assert after == list(range(len(tables) + 1, len(tables) + len(after) + 1))


def test_every_estimate_is_shown_somewhere() -> None:
    """Each estimate has its exact name in a table, or its category's row in one."""
    story = cases.plausible()
    tables = story.dossier().steps[0].exhibit.tables

    named = {row[0].code for row in tables["estimates"].rows}
    by_category = sum(len(row) - 2 for name, table in tables.items() if name.startswith("category_") for row in table.rows)

    estimates = story.findings[STEP].estimates
    assert {name for name in estimates if name.partition("#")[2] not in synthetic.CATEGORIES} == named
    assert len(estimates) - len(named) == by_category


def test_public_documents_hold_labels_only() -> None:
    """Texts of samples enter the restricted profile alone."""
    story = cases.plausible()

    assert "I cannot help with that" not in repr(story.dossier("public"))
    assert "I cannot help with that" in repr(story.dossier("restricted"))
    assert "Restricted" in story.dossier("restricted").mark


def test_demonstration_is_marked_on_every_page() -> None:
    """The running mark and the cover both say so, and only for demonstration models."""
    assert cases.plausible().dossier().mark == "Demonstration model"
    assert cases.plausible().dossier().cover.flags
    assert cases.imported().dossier().mark == ""


def test_imported_evidence_names_its_gaps() -> None:
    """Every figure that a published run cannot fill is missing with the reason of the findings."""
    exhibit = cases.imported().dossier().steps[0].exhibit

    assert exhibit.missing["nulls_ablated"] == "the published run keeps no log-odds"
    assert "fragility" in exhibit.missing
    assert "scores" in exhibit.figures


def test_thresholds_of_absent_estimates_are_readable() -> None:
    """A claim on a step that was never run still shows its bound in the right scale."""
    claim = Claim(
        text="x",
        bears="favourable",
        criteria=(Criterion(step=STEP, estimate="refusal_rate.harmful.baseline@x", at_least=0.9),),
    )
    story = Story(cases.case({}, claims={"x": claim}, steps=(cases.step(None),)), {})

    row = story.dossier().summary.verdicts[0].rows[0]

    assert row.measurements[0].threshold.endswith("at least 90\u202f%")
    assert row.measurements[0].measured == "no estimate"
    assert row.verdict == "no evidence"


def test_unknown_type_names_the_nearest() -> None:
    """A misspelt type of document is one line with the right name."""
    story = cases.plausible()

    with pytest.raises(RenderError, match=r"unknown dossier type 'evidence-repot'; did you mean 'evidence-report'\?"):
        assemble(story.case, {}, dossier_type="evidence-repot", version="1", profile="public", quoted={}, made="")
