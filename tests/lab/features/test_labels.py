"""Labels are made of one side of the contexts and scored on the other, beside the labels of other features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch

from safetycase.errors import PlanError
from safetycase.evidence.kinds.feature_documentation.params import Ask
from safetycase.evidence.tables import Row, Table, Tables
from safetycase.lab.features.labels import HELD_OUT, labels, shuffled
from tests.lab.features import feature_case
from tests.lab.features.instructed import mark_reader, random_writer
from tests.lab.small import loaded

pytestmark = pytest.mark.lab

LENGTH = 10
MARKS = {0: 90, 1: 91, 2: 92}
"""Feature to the token that makes it fire: w84, w85 and w86."""


@dataclass
class Collection:
    """Contexts as the collection hands them on."""

    contexts: dict[int, list[Row]] = field(default_factory=dict)
    window_tokens: dict[int, list[int]] = field(default_factory=dict)
    window_documents: dict[int, str] = field(default_factory=dict)

    def add(self, feature: int, bin_: str, tokens: Sequence[int], activations: Sequence[float]) -> None:
        """One window of a document of its own."""
        window = len(self.window_tokens)
        self.window_tokens[window], self.window_documents[window] = list(tokens), f"document-{window}"
        rows = self.contexts.setdefault(feature, [])
        rank = 1 + sum(row["bin"] == bin_ for row in rows)
        rows.append({"feature": feature, "window": window, "bin": bin_, "rank": rank, "activations": list(activations)})


def collection(features: Mapping[int, int | None] = MARKS) -> Collection:
    """Features that fire at a token each (None: at chance), with windows of every bin; the neighbour's windows hold its token."""
    made = Collection()
    for feature, mark in features.items():
        generator = torch.Generator().manual_seed(feature)
        neighbour = next((m for m in features.values() if m not in (mark, None)), 93)
        for bin_, count in (("top", 6), ("decile-10", 2), ("decile-3", 2), ("decile-1", 2), ("zero", 3), *((b, 8) for b in HELD_OUT)):
            for n in range(count):
                words = torch.randint(12, 80, (LENGTH,), generator=generator).tolist()
                place = int(torch.randint(1, LENGTH, (1,), generator=generator))
                fires = bin_ not in ("zero", "held-out-zero", "held-out-neighbour")
                if fires and mark is not None:
                    words[place] = mark
                if bin_ == "held-out-neighbour":
                    words[place] = neighbour
                made.add(feature, bin_, words, [float(10 - n) if fires and i == place else 0.0 for i in range(LENGTH)])
    return made


def by_label(rows: Sequence[Mapping[str, Any]], feature: int, own: bool = True) -> list[Mapping[str, Any]]:
    """Detection rows of a feature, of its own label or of others'."""
    return [row for row in rows if row["feature"] == feature and (row["label_of"] == feature) == own]


def test_planted_rule_is_found_and_predicts_held_out_windows() -> None:
    """Its own label is right on every window, held out and silent; another feature's label is right nowhere it fires."""
    case = feature_case.study(ask=Ask(label_shuffles=5))

    _, tables, _ = feature_case.run(labels(case, list(MARKS), collection()))

    assert [row["rule"] for row in tables["labels"]] == [{"form": "token", "tokens": [mark]} for mark in MARKS.values()]
    assert tables["labels"][0]["text"].startswith("tokens: w84; raises: ")
    assert {(row["author"], row["made_by"]) for row in tables["labels"]} == {("rule", "token")}
    own = by_label(tables["detection"], 0)
    assert len(own) == 8 * len(HELD_OUT)
    assert all(row["predicted"] == row["fires"] == (row["set"] == "held-out") for row in own)
    others = by_label(tables["detection"], 0, own=False)
    assert {row["label_of"] for row in others} == {1, 2}
    assert not any(row["predicted"] for row in others if row["fires"])
    assert {row["document"] for row in own} == {f"document-{row['window']}" for row in own}


def test_label_is_made_without_the_windows_that_it_is_scored_on() -> None:
    """Where the feature fires at another token in held-out windows, the label stays; only its score changes."""
    case, first, other = feature_case.study(), collection(), collection()
    for rows in other.contexts.values():
        for row in rows:
            if row["bin"] == "held-out":
                peak = max(range(LENGTH), key=row["activations"].__getitem__)
                other.window_tokens[row["window"]][peak] = 11

    _, before, _ = feature_case.run(labels(case, list(MARKS), first))
    _, after, _ = feature_case.run(labels(case, list(MARKS), other))

    assert before["labels"] == after["labels"]
    own = [row["predicted"] for mark in MARKS for row in by_label(before["detection"], mark) if row["fires"]]
    assert all(own)
    assert not any(row["predicted"] for mark in MARKS for row in by_label(after["detection"], mark) if row["fires"])


def test_label_that_says_nothing_is_not_scored() -> None:
    """A feature without a rule has the form none, no detection rows, and its label is nobody's shuffled label."""
    case = feature_case.study(ask=Ask(label_shuffles=5))

    _, tables, _ = feature_case.run(labels(case, [0, 1, 7], collection({0: 90, 1: 91, 7: None})))

    (none,) = [row for row in tables["labels"] if row["feature"] == 7]
    assert none["rule"] == {"form": "none", "tokens": []}
    assert none["text"].startswith("no rule")
    assert 7 not in {row[name] for row in tables["detection"] for name in ("feature", "label_of")}


def test_feature_without_contexts_has_a_label_and_no_score() -> None:
    """One that never fired on the corpus."""
    _, tables, _ = feature_case.run(labels(feature_case.study(), [4], Collection()))

    assert [row["made_by"] for row in tables["labels"]] == ["none"]
    assert tables["detection"] == []


def test_shuffled_labels_are_others_by_lot() -> None:
    """Never its own, each once, the same for the same seed, and another draw for another."""
    others = list(range(40))

    drawn = shuffled(3, others, 20, seed=1)

    assert len(set(drawn)) == 20
    assert 3 not in drawn
    assert drawn == shuffled(3, others[::-1], 20, seed=1)
    assert drawn != shuffled(3, others, 20, seed=2)
    assert shuffled(3, [3], 20, seed=1) == []


def test_explainers_labels_are_scored_by_the_scorer() -> None:
    """The scripted scorer says Yes where a 9 stands in the window: rows hold that, window by window, for own and shuffled labels."""
    case = feature_case.study(ask=Ask(label_shuffles=1), others={"explainer": random_writer(), "scorer": mark_reader("9")})
    collected = collection({0: 15, 1: 25})  # tokens w9 and w19

    _, tables, _ = feature_case.run(labels(case, [0, 1], collected))

    written = {row["feature"]: row for row in tables["labels"] if row["author"] == "explainer"}
    assert {row["made_by"] for row in written.values()} == {"tiny-instruct"}
    assert not any("9" in row["text"] for row in written.values())
    rows = [row for row in tables["detection"] if row["author"] == "explainer"]
    assert {row["scorer"] for row in rows} == {"scorer"}
    assert {(row["feature"], row["label_of"]) for row in rows} == {(a, b) for a in written for b in written}
    texts = {window: case.model.tokenizer.decode(tokens) for window, tokens in collected.window_tokens.items()}
    assert all(row["predicted"] == ("9" in texts[row["window"]]) for row in rows)
    assert all(row["predicted"] for row in rows if row["fires"])


def test_models_label_without_a_scorer_is_left_unscored() -> None:
    """It is shown as a hypothesis."""
    case = feature_case.study(others={"explainer": random_writer()})

    _, tables, _ = feature_case.run(labels(case, [0, 1], collection({0: 90, 1: 91})))

    assert any(row["author"] == "explainer" for row in tables["labels"])
    assert {row["author"] for row in tables["detection"]} == {"rule"}


def upstream_labels(*rows: tuple[int, str, str], name: str = "labels") -> Tables:
    """The table of labels of another step: (feature, author, text)."""
    columns: dict[str, list[Any]] = {
        "feature": [row[0] for row in rows],
        "author": [row[1] for row in rows],
        "text": [row[2] for row in rows],
        "made_by": ["their model"] * len(rows),
        "rule": [None] * len(rows),
    }
    return Tables("0" * 64, 0, {name: Table({key: np.array(values, dtype=object) for key, values in columns.items()})})


def test_imported_labels_are_one_line_each_and_scored() -> None:
    """Words go before rules, a feature without a label has none, and what was imported is untrusted text."""
    others = upstream_labels((0, "rule", "tokens: x"), (0, "imported", "ends\x00 in\nnines"), (2, "imported", "undocumented"))
    case = feature_case.study(ask=Ask(labels_step="theirs"), upstream={"theirs": others}, others={"scorer": mark_reader("9")})

    _, tables, _ = feature_case.run(labels(case, [0, 1], collection({0: 15, 1: 25})))

    (row,) = [row for row in tables["labels"] if row["author"] == "imported"]
    assert (row["feature"], row["text"], row["made_by"], row["rule"]) == (0, "ends in", "theirs: their model", None)
    assert {row["feature"] for row in tables["detection"] if row["author"] == "imported"} == {0}


def test_import_without_labels_is_noted() -> None:
    """Not an error: the step may document other features."""
    case = feature_case.study(ask=Ask(labels_step="theirs"), upstream={"theirs": upstream_labels((9, "imported", "other"))})

    _, _, said = feature_case.run(labels(case, [0], collection({0: 90})))

    assert "no label of a documented feature" in str(said)


def test_resumed_detection_is_that_of_the_stored_labels() -> None:
    """Labels of an earlier attempt are scored as they are stored, and a whole run yields the same shards."""
    case = feature_case.study(loaded(), ask=Ask(label_shuffles=2))
    whole = feature_case.shards_of(labels(case, list(MARKS), collection()))
    stored = {key: rows for key, rows in whole.items() if key[0] == "labels"}

    resumed = feature_case.shards_of(labels(feature_case.study(case.model, ask=case.ask, stored=stored), list(MARKS), collection()))

    assert resumed == whole


def test_words_made_of_a_corpus_that_is_not_public_lie_in_a_restricted_table() -> None:
    """The public table says who labels what; words and rule are withheld there, and the label is scored all the same."""
    ask = Ask(label_shuffles=2)
    case = feature_case.study(ask=ask)
    restricted = replace(case, corpus=replace(case.corpus, sensitivity="restricted"))

    _, public, _ = feature_case.run(labels(case, list(MARKS), collection()))
    _, tables, _ = feature_case.run(labels(restricted, list(MARKS), collection()))

    assert tables["labels_restricted"] == public["labels"]
    assert [(row["feature"], row["author"], row["made_by"]) for row in tables["labels"]] == [(each, "rule", "token") for each in MARKS]
    assert all((row["text"], row["rule"]) == ("", None) for row in tables["labels"])
    assert tables["detection"] == public["detection"]
    assert "labels_restricted" not in public
    assert feature_case.SPECS["labels_restricted"].restricted
    assert not feature_case.SPECS["labels"].restricted


def test_what_another_step_withholds_stays_withheld() -> None:
    """Imported by a step on a public corpus, labels of a restricted one are used and not published."""
    words = upstream_labels((0, "explainer", "private words"), name="labels_restricted")
    held = upstream_labels((0, "explainer", ""))
    theirs = Tables(question="ab" * 32, seed=0, rows={**words.rows, **held.rows})
    case = feature_case.study(ask=Ask(labels_step="theirs"), upstream={"theirs": theirs}, others={"scorer": mark_reader("9")})

    _, tables, _ = feature_case.run(labels(case, [0, 1], collection({0: 15, 1: 25})))

    assert [row["text"] for row in tables["labels_restricted"]] == ["private words"]
    assert "private" not in str(tables["labels"])
    assert {row["feature"] for row in tables["detection"] if row["author"] == "imported"} == {0}


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        pytest.param({"trained_on": "openai-community/gpt2", "n_features": 4}, "of a dictionary of openai", id="another model"),
        pytest.param({"trained_on": "", "n_features": 24576}, "features up to 24575, expected at most", id="a wider dictionary"),
    ],
)
def test_labels_of_another_dictionary_are_refused(theirs: dict[str, Any], said: str) -> None:
    """They are matched by index: what stands there in another dictionary is another feature."""
    upstream = upstream_labels((0, "imported", "the Golden Gate Bridge"))
    setup = Table({"dictionary": np.array([theirs], dtype=object)})
    upstream = replace(upstream, rows={**upstream.rows, "setup": setup})
    case = feature_case.study(ask=Ask(labels_step="theirs"), upstream={"theirs": upstream})
    case = replace(case, dictionary=replace(case.dictionary, trained_on="org/another"))

    with pytest.raises(PlanError, match=said):
        feature_case.run(labels(case, [0], collection({0: 15})))
