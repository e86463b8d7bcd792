"""Feature dashboards made elsewhere: labels and examples are taken over, everything else is left, and bad files are one line."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase.errors import SourceError
from safetycase.evidence.imports import ImportedTables, read_import
from safetycase.evidence.kinds.feature_documentation.derive import derive
from safetycase.evidence.kinds.feature_documentation.findings import Found
from safetycase.evidence.kinds.feature_documentation.params import Ask, Read
from safetycase.evidence.kinds.feature_documentation.tables import TABLES
from safetycase.evidence.record import Imported
from safetycase.evidence.tables import Tables, decode_rows, encode_rows

BATCH: dict[str, Any] = {
    "model_id": "tiny-llama",
    "layer": 3,
    "sae_set": "res-16k",
    "features": [
        {
            "feature_index": 7,
            "pos_str": [" bomb", "\n"],
            "pos_values": [1.5, 1.25],
            "neg_str": [" cake"],
            "neg_values": [-2.0],
            "correlated_features_indices": [9, 11],
            "correlated_features_pearson": [0.5, 0.25],
            "frac_nonzero": 0.01,
            "n_prompts_total": 100,
            "n_tokens_in_prompt": 128,
            "dataset": "org/text",
            "activations": [
                {"bin_min": 0.0, "bin_max": 1.0, "tokens": ["a", " b"], "values": [0.0, 0.5]},
                {"bin_min": 1.0, "bin_max": 2.0, "tokens": ["c", " d"], "values": [2.0, 0.0]},
                {"bin_min": -1.0, "bin_max": 0.0, "tokens": ["e", " f"], "values": [0.0, 0.0]},
            ],
        }
    ],
}
FEATURE: dict[str, Any] = {
    "index": 9,
    "examples_quantiles": [{"quantile_name": "Top", "examples": [{"tokens_acts_list": [0, 3.5], "tokens": ["x", "y"]}]}],
    "top_logits": ["yes"],
    "bottom_logits": ["no"],
    "act_max": 4.0,
    "activation_frequency": 0.002,
    "explanations": [{"description": "fires  on\nyes", "explanationModelName": "a-model"}],
}


def write(folder: Path, **files: Any) -> Path:
    """A folder of JSON files."""
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def encoded(made: ImportedTables) -> dict[str, bytes]:
    """The tables as the store would hold them: exactly the declared columns, of the declared types."""
    return {spec.name: encode_rows(spec, made.tables[spec.name])[0] for spec in TABLES if spec.name in made.tables}


def derived(made: ImportedTables) -> Found:
    """What the tables show, through the bytes of the store."""
    specs = {spec.name: spec for spec in TABLES}
    rows = {name: decode_rows(specs[name], [data]) for name, data in encoded(made).items()}
    imported = Imported(format="neuronpedia", source="run", files=dict(made.files))
    return derive(Tables(question="ab" * 32, seed=0, rows=rows, absent=made.absent, imported=imported), Read())


def test_a_batch_and_a_feature_file_become_tables(tmp_path: Path) -> None:
    """Every required table is there, every optional one is there or absent with a reason."""
    made = read_import("neuronpedia", write(tmp_path, **{"batch-0": BATCH, "9": FEATURE}))

    encoded(made)
    assert {spec.name for spec in TABLES if not spec.optional} <= set(made.tables)
    assert {spec.name for spec in TABLES} == set(made.tables) | set(made.absent)
    assert Ask.model_validate(made.ask).model_dump(mode="json") == made.ask
    assert [row["feature"] for row in made.tables["documented"]] == [7, 9]
    assert set(made.files) == {"batch-0.json", "9.json"}


def test_examples_stand_by_peak_and_silent_ones_apart(tmp_path: Path) -> None:
    """What does not fire is a zero; texts go to the restricted table, as no licence is known."""
    made = read_import("neuronpedia", write(tmp_path, batch=BATCH))

    contexts = [(row["bin"], row["rank"], max(row["activations"])) for row in made.tables["contexts"]]
    assert contexts == [("top", 1, 2.0), ("top", 2, 0.5), ("zero", 1, 0.0)]
    assert "windows" in made.absent
    assert [row["tokens"] for row in made.tables["windows_restricted"]] == [["c", " d"], ["a", " b"], ["e", " f"]]


def test_labels_keep_their_author_and_lie_on_one_line(tmp_path: Path) -> None:
    """A label is what somebody says of a feature; the import adds nothing to it."""
    made = read_import("neuronpedia", write(tmp_path, feature=FEATURE))

    assert made.tables["labels"] == [{"feature": 9, "author": "imported", "text": "fires on yes", "made_by": "a-model", "rule": None}]


def test_explanations_of_a_bulk_export_are_labels(tmp_path: Path) -> None:
    """Lines of explanations, gzipped, join the features of other files by index, which may be text."""
    write(tmp_path, batch=BATCH)
    line = {"modelId": "m", "layer": "3-res", "index": "7", "description": "weapons", "explanationModelName": "other"}
    (tmp_path / "explanations.jsonl.gz").write_bytes(gzip.compress(json.dumps(line).encode() + b"\n"))

    made = read_import("neuronpedia", tmp_path)

    assert [(row["feature"], row["text"]) for row in made.tables["labels"]] == [(7, "weapons")]


def test_density_is_kept_with_a_warning_of_where_it_comes_from(tmp_path: Path) -> None:
    """1 % of 12,800 tokens."""
    made = read_import("neuronpedia", write(tmp_path, batch=BATCH))

    assert made.tables["density"][0]["fired"] == 128
    assert any("plot's title" in note for note in made.notes)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"n_prompts_total": None}, id="nobody says of how many tokens"),
        pytest.param({"frac_nonzero": None}, id="no density"),
        pytest.param({"frac_nonzero": 0.0}, id="a title that rounds to zero"),
        pytest.param({"frac_nonzero": None, "activation_frequency": 0.0}, id="zero, and an example that fires"),
    ],
)
def test_a_density_that_nobody_counted_is_none(tmp_path: Path, change: dict[str, Any]) -> None:
    """No token is counted, so that no feature is called dead for want of a number; the notes say so where one was stated."""
    feature = {**BATCH["features"][0], **change}

    made = read_import("neuronpedia", write(tmp_path, batch={**BATCH, "features": [feature]}))

    assert made.tables["setup"][0]["corpus"]["tokens"] == 0
    assert made.tables["density"][0]["fired"] == 0


def test_densities_of_some_features_alone_are_left_out(tmp_path: Path) -> None:
    """One total of tokens stands for all features: where one has no density, no number of firing tokens would be true of it."""
    bare = {"feature_index": 8, "activations": BATCH["features"][0]["activations"]}

    made = read_import("neuronpedia", write(tmp_path, batch={**BATCH, "features": [*BATCH["features"], bare]}))

    assert made.tables["setup"][0]["corpus"]["tokens"] == 0
    assert any("densities are left out: 1 of 2 features" in note for note in made.notes)


def test_a_rare_feature_is_not_dead(tmp_path: Path) -> None:
    """A density below one in all tokens still means that it fired."""
    feature = {**BATCH["features"][0], "frac_nonzero": 1e-6}

    made = read_import("neuronpedia", write(tmp_path, batch={**BATCH, "features": [feature]}))

    assert made.tables["density"][0]["fired"] == 1


def test_correlations_are_no_pointwise_mutual_information(tmp_path: Path) -> None:
    """Pearson's correlations stand under their own name, so that no page prints them in nats."""
    made = read_import("neuronpedia", write(tmp_path, batch=BATCH))

    assert {(row["relation"], row["value"]) for row in made.tables["neighbours"]} == {("correlation", 0.5), ("correlation", 0.25)}
    assert all(card.cofiring == card.nearest == () for card in derived(made).cards)


def test_findings_of_an_import_hold_no_fact_that_no_file_states(tmp_path: Path) -> None:
    """Weights are unknown, not zero; what nobody counted is neither dead nor a share of dead features."""
    batch = {**BATCH, "features": [{**BATCH["features"][0], "n_prompts_total": None}]}

    found = derived(read_import("neuronpedia", write(tmp_path, batch=batch)))

    (card,) = found.cards
    assert (card.decoder_norm, card.encoder_bias, card.threshold) == (None, None, None)
    assert card.status == "unknown"
    assert not found.density_histogram
    for name in ("dead_share.features.corpus", "dense_share.features.corpus"):
        assert name not in found.estimates
        assert found.absent[name]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param({"features": [{"no_index": 1}]}, "no 'feature_index'", id="feature without an index"),
        pytest.param({"features": [{"feature_index": -1}]}, "expected a whole number from 0", id="negative index"),
        pytest.param({"features": []}, "an empty list", id="no features"),
        pytest.param(
            {"features": [{"feature_index": 1, "pos_str": [3], "pos_values": [1.0]}]}, "expected texts", id="logits that are no texts"
        ),
        pytest.param(
            {"features": [{"feature_index": 1, "activations": [{"tokens": ["a"], "values": [1.0, 2.0]}]}]},
            "as many values",
            id="ragged example",
        ),
        pytest.param({"index": 1, "activations": [{"tokens": ["a"], "values": ["x"]}]}, "no numbers", id="values that are texts"),
        pytest.param({"feature_index": 1, "pos_str": ["a"], "pos_values": [float("nan")]}, "and numbers", id="logits that are no numbers"),
        pytest.param({"something": "else"}, "found no features", id="another file"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, content: Any, said: str) -> None:
    """With the file, what was found and what was expected."""
    with pytest.raises(SourceError, match=said) as caught:
        read_import("neuronpedia", write(tmp_path, bad=content))

    assert "\n" not in str(caught.value)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    """A folder from elsewhere reads nothing but itself."""
    outside = tmp_path / "outside.json"
    outside.write_text(json.dumps(BATCH), encoding="utf-8")
    folder = tmp_path / "run"
    folder.mkdir()
    write(folder, feature=FEATURE)
    (folder / "link.json").symlink_to(outside)

    made = read_import("neuronpedia", folder)

    assert set(made.files) == {"feature.json"}


def test_a_gzip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What unpacks beyond the bound is not unpacked further."""
    monkeypatch.setattr("safetycase.sources.json_files.MAX_BYTES", 10_000)
    (tmp_path / "features.jsonl.gz").write_bytes(gzip.compress(b" " * 1_000_000))

    with pytest.raises(SourceError, match="unpacks to more than"):
        read_import("neuronpedia", tmp_path)


def explained(index: int) -> bytes:
    """A line of explanations."""
    return json.dumps({"index": index, "description": f"label {index}"}).encode() + b"\n"


def test_every_member_of_a_gzip_file_is_read(tmp_path: Path) -> None:
    """Files that were put together by appending hold several, perhaps padded; none is dropped."""
    (tmp_path / "labels.jsonl.gz").write_bytes(gzip.compress(explained(1)) + gzip.compress(explained(2)) + bytes(7))

    made = read_import("neuronpedia", tmp_path)

    assert [row["feature"] for row in made.tables["labels"]] == [1, 2]


@pytest.mark.parametrize("cut", [1, 8, 12])
def test_a_gzip_file_that_is_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    """In its last member too, and where only the checksum is missing."""
    packed = gzip.compress(explained(1)) + gzip.compress(explained(2))
    (tmp_path / "labels.jsonl.gz").write_bytes(packed[:-cut])

    with pytest.raises(SourceError, match="not a whole gzip file"):
        read_import("neuronpedia", tmp_path)


def test_many_members_are_bounded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is of the file, not of each member."""
    monkeypatch.setattr("safetycase.sources.json_files.MAX_BYTES", 10_000)
    (tmp_path / "labels.jsonl.gz").write_bytes(gzip.compress(b" " * 6_000) * 2)

    with pytest.raises(SourceError, match="unpacks to more than"):
        read_import("neuronpedia", tmp_path)


KEYS = st.sampled_from([*FEATURE, *BATCH, *BATCH["features"][0], "tokens", "values"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(JSON, st.sampled_from(sorted(FEATURE)), JSON)
def test_any_json_is_read_or_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, whole: Any, key: str, value: Any) -> None:
    """No file raises anything but a SourceError; what is read fits the declared tables."""
    folder = write(tmp_path_factory.mktemp("any"), whole=whole, changed={**FEATURE, key: value})

    try:
        encoded(read_import("neuronpedia", folder))
    except SourceError as error:
        told = str(error)
    else:
        told = ""
    assert "\n" not in told
