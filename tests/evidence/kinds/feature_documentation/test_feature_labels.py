"""Labels on held-out windows and answers under edits: what is counted, what is left out, and what is judged again."""

from dataclasses import replace

import numpy as np
import pytest

from safetycase.evidence.kinds.feature_documentation import Found, derive
from safetycase.evidence.tables import Row
from tests.evidence.kinds.feature_documentation.synthetic import READ, found, stored, tables

SMALL = {"nulls": 4, "tested": 1, "n_test": 6, "documents": 12, "named": (), "random": 0, "per_contrast": 2, "answers": 6}
TAIL = "@rule#refusal-1"


def test_a_good_label_stands_out_from_labels_of_other_features() -> None:
    """Every measure, beside as many shuffled labels as were scored."""
    estimates = found(**SMALL, sensitivity=1.0, false_positives=0.0, shuffles=19, held_out=40).estimates
    names = ("label_precision.corpus.natural", "label_recall.corpus.natural", "label_balanced_accuracy.corpus.zero")

    for name in names:
        estimate = estimates[name + TAIL]
        assert (estimate.value, estimate.nulls[0].n, estimate.nulls[0].p) == (1.0, 19, 1 / 20)
        assert estimate.low < 1.0


def test_a_label_that_says_yes_to_everything_has_the_precision_of_the_density() -> None:
    """Recall alone would flatter it; against silent windows it is right half the time."""
    what = found(**SMALL, sensitivity=1.0, false_positives=1.0)
    windows = next(row["windows"] for row in tables(**SMALL).table("density").rows() if row["feature"] == 0)

    assert what.estimates["label_recall.corpus.natural" + TAIL].value == 1.0
    assert what.estimates["label_balanced_accuracy.corpus.neighbour" + TAIL].value == 0.5
    assert what.estimates["label_precision.corpus.natural" + TAIL].value == pytest.approx(windows / what.corpus.windows)


def test_windows_of_one_document_do_not_count_as_many() -> None:
    """Firing that is gathered in few documents leaves the density, and with it the precision, open; without documents there is none."""
    truth = {**SMALL, "documents": 40, "held_out": 400}
    before = tables(**truth)
    stormy = next(row["document"] for row in before.table("firing").rows() if row["feature"] == 0)
    rows = [{**row, "fired": 1000 if row["document"] == stormy else row["fired"]} for row in before.table("firing").rows()]
    gathered = derive(replace(before, rows={**before.rows, "firing": stored("firing", rows)}), READ)
    name = "label_precision.corpus.natural" + TAIL
    spread, few = (what.estimates[name] for what in (derive(before, READ), gathered))

    assert few.value == spread.value
    assert few.high - few.low > 1.5 * (spread.high - spread.low)
    assert "in which documents" in found(**SMALL, without=frozenset({"firing"})).absent[name]


def test_a_label_that_never_says_yes_has_no_precision() -> None:
    """Absent with its reason, not zero and not one."""
    what = found(**SMALL, sensitivity=0.0, false_positives=0.0)

    assert what.absent["label_precision.corpus.natural" + TAIL] == "nothing is ever predicted: there is no precision"
    assert what.estimates["label_recall.corpus.natural" + TAIL].value == 0.0


def test_misses_are_the_firing_windows_that_the_label_denies() -> None:
    """As many as recall leaves, told by window."""
    what = found(**SMALL, sensitivity=0.5, held_out=20)
    recall = what.estimates["label_recall.corpus.natural" + TAIL]
    label = what.cards[0].labels[0]

    assert label.scored
    assert len(label.misses) == round((1 - recall.value) * 20) > 0


def test_windows_in_which_feature_and_neighbour_fire_are_no_negatives() -> None:
    """A label is not wrong to say yes where the feature fires beside its neighbour."""
    before = tables(**SMALL, sensitivity=1.0, false_positives=0.0)
    rows: list[Row] = []
    for number, row in enumerate(before.table("detection").rows()):
        both = row["set"] == "held-out-neighbour" and number % 2 == 0
        rows.append({**row, "fires": True, "predicted": True} if both and row["label_of"] == row["feature"] else row)
    what = derive(replace(before, rows={**before.rows, "detection": stored("detection", rows)}), READ)

    assert what.estimates["label_balanced_accuracy.corpus.neighbour" + TAIL].value == 1.0


def test_a_label_that_nothing_scored_is_a_hypothesis() -> None:
    """Shown as unscored, with the reason where its numbers would stand."""
    what = found(**SMALL, without=frozenset({"detection"}))

    assert not what.cards[0].labels[0].scored
    assert what.absent["label_recall.corpus.natural" + TAIL] == "detection was left out"
    assert any("2 of 2 labels were not scored" in each for each in what.limitations)


def rates(what: Found) -> dict[str, float]:
    return {name: estimate.value for name, estimate in what.estimates.items() if name.startswith("behaviour_rate.")}


def test_labels_of_an_older_judge_are_made_again_from_the_answers() -> None:
    """Where the answers are stored; without them the rates are absent with the reason."""
    before = tables(**SMALL)
    answers = before.table("answers")
    old = {**answers.columns, "version": np.zeros(len(answers), dtype=np.int64), "label": np.full(len(answers), "comply", dtype=object)}
    aged = replace(before, rows={**before.rows, "answers": type(answers)(old)})
    without = replace(aged, rows={name: rows for name, rows in aged.rows.items() if name != "completions"})

    assert rates(derive(aged, READ)) == rates(derive(before, READ))
    assert rates(derive(without, READ)) == {}
    assert "no answers are stored" in derive(without, READ).absent["behaviour_rate.refusal-present.baseline@substring"]


def test_declared_phrases_take_the_place_of_text_judges() -> None:
    """A behaviour with phrases is judged by them alone."""
    what = found(**SMALL, behaviour=("I was not told",))

    assert {name.split("@")[1].split("#")[0] for name in rates(what)} == {"phrases"}
    assert what.estimates["behaviour_rate.refusal-present.baseline@phrases"].value == 1.0
    assert what.estimates["behaviour_rate_change.refusal-present.ablated@phrases#refusal-1"].value == -1.0


def test_answers_at_another_dose_than_the_one_read_are_no_answers() -> None:
    """A dose that reading anew chooses differently has no rate until its answers are generated."""
    before = tables(**SMALL)
    answers = before.table("answers")
    kept = answers.take((answers["edit"] != "steer") | (answers["dose"] == 1.0))
    what = derive(replace(before, rows={**before.rows, "answers": kept}), READ)

    assert what.absent["behaviour_rate.refusal-absent.steered@substring#refusal-1"] == (
        "no answers were generated under this edit at dose 2"
    )
