"""Exports of findings: tidy tables that hold every number, and features that other tools read."""

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from safetycase.dossier.exports.neuronpedia import neuronpedia
from safetycase.dossier.exports.tidy import csv_files, parquet_files
from safetycase.evidence.imports import read_import
from safetycase.evidence.kinds.feature_documentation.findings import Found
from tests.evidence.kinds.feature_documentation import synthetic


@pytest.fixture(scope="module")
def found() -> Found:
    """Findings with a few cards."""
    return synthetic.found()


def words(found: Found) -> dict[int, tuple[str, ...]]:
    """Tokens for every window of a card, a hostile one among them."""
    lengths = {context.window: len(context.activations) for card in found.cards for context in card.contexts}
    return {window: ("=1+1", *(f"w{place}" for place in range(1, length))) for window, length in lengths.items()}


def test_every_estimate_is_a_row(found: Found) -> None:
    """With its parts, its interval and its unit; CSV and Parquet hold the same."""
    rows = list(csv.DictReader(io.StringIO(csv_files(found, {})["estimates.csv"].decode())))
    table = pq.read_table(io.BytesIO(parquet_files(found, {})["estimates.parquet"])).to_pylist()

    assert {row["estimate"] for row in rows} == set(found.estimates)
    assert [row["estimate"] for row in rows] == [row["estimate"] for row in table]
    for row in table:
        each = found.estimates[row["estimate"]]
        assert (row["value"], row["low"], row["high"], row["unit"]) == (each.value, each.low, each.high, each.unit.value)
        assert row["estimate"].startswith(f"{row['quantity']}.{row['population']}.{row['condition']}")


def test_every_card_is_a_row_and_every_null_too(found: Found) -> None:
    """Nothing of what the pages show is only on the pages."""
    tables = {name: pq.read_table(io.BytesIO(data)).to_pylist() for name, data in parquet_files(found, {}).items()}

    assert [row["feature"] for row in tables["features.parquet"]] == [card.feature for card in found.cards]
    assert len(tables["nulls.parquet"]) == sum(len(each.nulls) for each in found.estimates.values())
    assert len(tables["gates.parquet"]) == sum(len(card.gates) for card in found.cards)
    assert {row["estimate"] for row in tables["absent.parquet"]} == set(found.absent)


def test_texts_are_written_only_where_they_are_given(found: Found) -> None:
    """Without windows the activations stand alone."""
    without = pq.read_table(io.BytesIO(parquet_files(found, {})["contexts.parquet"])).to_pylist()
    given = pq.read_table(io.BytesIO(parquet_files(found, words(found))["contexts.parquet"])).to_pylist()

    assert without
    assert {row["token"] for row in without} == {None}
    assert all(row["token"] for row in given)


def test_a_token_that_a_spreadsheet_would_run_is_guarded(found: Found) -> None:
    """In CSV alone: Parquet holds it as it is."""
    as_csv = csv_files(found, words(found))["contexts.csv"].decode()

    assert '"\'=1+1"' in as_csv
    assert '"=1+1"' not in as_csv


def test_features_come_back_by_the_import(found: Found, tmp_path: Path) -> None:
    """What is written for Neuronpedia is read again with the same labels, logits and examples."""
    for name, data in neuronpedia(found, words(found)).items():
        (tmp_path / name).write_bytes(data)

    made = read_import("neuronpedia", tmp_path)

    assert [row["feature"] for row in made.tables["documented"]] == sorted(card.feature for card in found.cards)
    assert {(row["feature"], row["text"]) for row in made.tables["labels"]} == {
        (card.feature, " ".join(label.text.split())) for card in found.cards for label in card.labels
    }
    tops = [(row["feature"], row["text"]) for row in made.tables["logits"] if row["end"] == "top"]
    assert sorted(tops) == sorted((card.feature, effect.text) for card in found.cards for effect in card.top_logits)


def test_the_fields_that_both_tools_ask_for_are_there(found: Found) -> None:
    """`index` and `examples_quantiles`, whose examples have as many activations as tokens, strongest bin first."""
    files = neuronpedia(found, words(found))

    for card in found.cards:
        feature = json.loads(files[f"{card.feature}.json"])
        names = [each["quantile_name"] for each in feature["examples_quantiles"]]
        assert feature["index"] == card.feature
        assert names[0] == "Top activations"
        assert [name for name in names if not name.startswith("Decile")][1:] in (["Does not fire"], ["Does not fire", "Missed by a label"])
        for group in feature["examples_quantiles"]:
            for example in group["examples"]:
                assert len(example["tokens"]) == len(example["tokens_acts_list"])
                assert example["tokens_acts_list"][example["train_token_ind"]] == max(example["tokens_acts_list"])


def test_examples_without_texts_are_left_out(found: Found) -> None:
    """A corpus that is not public leaves no empty examples behind."""
    files = neuronpedia(found, {})

    assert all(json.loads(files[f"{card.feature}.json"])["examples_quantiles"] == [] for card in found.cards)


def test_a_label_whose_words_are_withheld_is_no_explanation(found: Found) -> None:
    """Neuronpedia's file leaves it out; the table keeps the row with its score and without the words."""
    first, *others = found.cards
    held = tuple(label.model_copy(update={"text": ""}) for label in first.labels)
    changed = found.model_copy(update={"cards": (first.model_copy(update={"labels": held}), *others)})

    assert json.loads(neuronpedia(changed, {})[f"{first.feature}.json"])["explanations"] == []
    rows = pq.read_table(io.BytesIO(parquet_files(changed, {})["labels.parquet"])).to_pylist()
    assert {row["label"] for row in rows if row["feature"] == first.feature} == {None}


def test_a_density_that_is_not_known_is_not_written(found: Found) -> None:
    """An import whose tokens nobody counted leaves no zero behind; the tables are written all the same."""
    cards = tuple(
        card.model_copy(update={"density": None, "status": "unknown", "decoder_norm": None, "encoder_bias": None, "maximum": 0.0})
        for card in found.cards
    )
    changed = found.model_copy(update={"cards": cards})

    feature = json.loads(neuronpedia(changed, {})[f"{cards[0].feature}.json"])
    assert not {"activation_frequency", "act_max"} & set(feature)
    assert b"unknown" in csv_files(changed, {})["features.csv"]
    assert {row["density"] for row in pq.read_table(io.BytesIO(parquet_files(changed, {})["features.parquet"])).to_pylist()} == {None}
