"""Prompt sets: identity, splits and digests hang on content alone, and the bundled sets are balanced as they say."""

import csv
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase.errors import SourceError
from safetycase.sources.bundled import families
from safetycase.sources.prompts import (
    SPLITS,
    Columns,
    PromptSet,
    Split,
    assign_split,
    bundled_names,
    item_id,
    load_prompt_set,
    normalise,
)
from safetycase.sources.readers import Row, Table

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the data folder beside the checkout is missing")

texts = st.text(min_size=1).filter(lambda text: normalise(text) != "")


def load(source: str, base: Path = Path(), columns: Columns | None = None, seed: int = 0) -> PromptSet:
    return load_prompt_set("set", source, base=base, columns=columns or Columns(), seed=seed)


def write(folder: Path, rows: Sequence[object]) -> str:
    (folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    return "rows.json"


@given(st.text())
def test_normalisation_is_idempotent(text: str) -> None:
    """Identity does not drift when a text is normalised twice."""
    assert normalise(normalise(text)) == normalise(text)


@given(texts)
def test_item_id_ignores_white_space_and_composition_but_not_the_set(text: str) -> None:
    """The same prompt typed otherwise is the same item; in another set it is another."""
    assert item_id("a", f"  {text}\n") == item_id("a", text)
    assert item_id("a", text) != item_id("b", text)


@given(st.text(), st.integers(), st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_split_is_one_that_has_a_share(family: str, seed: int, cuts: tuple[float, float]) -> None:
    """No family falls into a split of share zero, and the same family always falls the same way."""
    low, high = sorted(cuts)
    fractions: dict[Split, float] = {"train": low, "validation": high - low, "test": 1 - high}

    split = assign_split(family, seed, fractions)

    assert fractions[split] > 0
    assert split == assign_split(family, seed, fractions)


def test_split_shares_follow_the_fractions() -> None:
    """Over many families the hash deals out what was asked for."""
    counts = Counter(assign_split(f"family {number}", 7) for number in range(5000))

    assert {split: round(counts[split] / 5000, 1) for split in SPLITS} == {"train": 0.4, "validation": 0.2, "test": 0.4}


@settings(max_examples=30, deadline=None)
@given(st.lists(texts, min_size=2, max_size=8, unique_by=normalise))
def test_adding_a_prompt_moves_no_other(tmp_path_factory: pytest.TempPathFactory, prompts: list[str]) -> None:
    """Ids, families and splits of a set survive its growth."""
    folder = tmp_path_factory.mktemp("grown")
    before = load(write(folder, prompts[:-1]), folder).prompts
    after = load(write(folder, prompts), folder).prompts

    assert set(before) < set(after)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(texts, st.sampled_from(["a", "b"])), min_size=1, max_size=6, unique_by=lambda row: normalise(row[0])))
def test_digest_and_prompts_ignore_format_and_order(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    """The question that a prompt set is part of is the same question after a re-sort or a conversion."""
    folder = tmp_path_factory.mktemp("formats")
    columns = Columns(text="text", category="kind")
    entries = [{"text": text, "kind": kind} for text, kind in rows]
    (folder / "rows.json").write_text(json.dumps(entries), encoding="utf-8")
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(entry) for entry in reversed(entries)), encoding="utf-8")

    one, other = load("rows.json", folder, columns), load("rows.jsonl", folder, columns)

    assert one.digest == other.digest
    assert one.prompts == other.prompts


def test_digest_changes_with_each_declared_field(tmp_path: Path) -> None:
    """Text, category, family and declared split are all content."""
    columns = Columns("text", "category", "family", "split")
    row = {"text": "a", "category": "b", "family": "c", "split": "train"}
    changed = [row] + [{**row, key: value} for key, value in {**dict.fromkeys(row, "z"), "split": "test"}.items()]

    digests = {load(write(tmp_path, [entry]), tmp_path, columns).digest for entry in changed}

    assert len(digests) == 5


def test_declared_split_wins_over_the_hash(tmp_path: Path) -> None:
    """A published split is kept, in whichever of its usual spellings."""
    rows = [{"text": name, "split": name} for name in ("train", "Validation", "val", "dev", "test")]

    loaded = load(write(tmp_path, rows), tmp_path, Columns(split="split"))

    assert {prompt.text: prompt.split for prompt in loaded.prompts} == {
        "train": "train",
        "Validation": "validation",
        "val": "validation",
        "dev": "validation",
        "test": "test",
    }
    assert [prompt.text for prompt in loaded.split("train")] == ["train"]


def test_set_without_categories_or_families_gets_one_and_many(tmp_path: Path) -> None:
    """Without columns there is one stratum, and each prompt is a cluster of its own."""
    loaded = load(write(tmp_path, ["a", "b"]), tmp_path)

    assert {prompt.category for prompt in loaded.prompts} == {"all"}
    assert all(prompt.family == prompt.id for prompt in loaded.prompts)


@pytest.mark.parametrize("name", ["prompt", "Instruction", "text", "question", "Goal", "BEHAVIOR"])
def test_usual_text_columns_are_found(tmp_path: Path, name: str) -> None:
    """The public sets call their text differently; none of their names needs saying."""
    loaded = load(write(tmp_path, [{"id": "1", name: "hello"}]), tmp_path)

    assert [prompt.text for prompt in loaded.prompts] == ["hello"]


def test_row_that_repeats_another_is_left_out_and_counted(tmp_path: Path) -> None:
    """An exact repetition says nothing new, and is not passed over in silence."""
    loaded = load(write(tmp_path, ["a", "b", "a"]), tmp_path)

    assert (len(loaded.prompts), loaded.repeated) == (2, 1)


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        pytest.param([{"text": "a"}], Columns(text="txt"), "no column 'txt'; did you mean 'text'", id="missing column"),
        pytest.param([{"id": 1, "body": "a"}], Columns(), "found columns id, body", id="no usual column"),
        pytest.param([{"text": "a"}, {"text": " \n"}], Columns(), "row 2: the text in column 'text' is empty", id="blank"),
        pytest.param([{"text": "a"}, {"text": 3}], Columns(), "row 2: found int", id="number for text"),
        pytest.param([{"text": "a"}, {"id": 3}], Columns(), "row 2: found nothing", id="text left out"),
        pytest.param([{"text": "a\ud800"}], Columns(), "row 1: .* half of a surrogate pair", id="text that has no UTF-8"),
        pytest.param([], Columns(), "holds no rows", id="empty set"),
        pytest.param([{"text": "a", "split": "trian"}], Columns(split="split"), "row 1: unknown split 'trian'; did you mean", id="split"),
        pytest.param(
            [{"text": "a", "split": "test"}, {"text": "b", "split": "test"}, {"text": " a", "split": "train"}],
            Columns(split="split"),
            "rows 1 and 3 hold the same prompt with different splits",
            id="same prompt in two splits",
        ),
        pytest.param(
            [{"text": "a", "kind": "x"}, {"text": "a", "kind": "y"}],
            Columns(category="kind"),
            "rows 1 and 2 hold the same prompt with different categories",
            id="same prompt in two categories",
        ),
    ],
)
def test_wrong_set_is_one_line(tmp_path: Path, rows: list[object], columns: Columns, message: str) -> None:
    """The user reads the file, the row and what was expected."""
    with pytest.raises(SourceError, match=message) as caught:
        load(write(tmp_path, rows), tmp_path, columns)

    assert "rows.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "fractions",
    [
        pytest.param({"train": 0.5}, id="sum below one"),
        pytest.param({"train": 1.5, "test": -0.5}, id="negative"),
        pytest.param({"train": float("nan")}, id="not a number"),
        pytest.param({"tarin": 1.0}, id="misspelt"),
        pytest.param({}, id="none"),
    ],
)
def test_fractions_that_are_no_split_are_refused(fractions: dict[Split, float]) -> None:
    """A split that does not add up is a mistake in the plan, not a smaller set."""
    with pytest.raises(SourceError, match="prompt set 'set'"):
        load_prompt_set("set", "bundled:harmful", base=Path(), columns=Columns(), seed=0, fractions=fractions)


def test_hub_source_needs_the_lab() -> None:
    """The base install says where the reader is; the lab's reader is used when given."""
    with pytest.raises(SourceError, match=r"safetycase\[lab\]"):
        load("hub:org/name")

    table = Table("hub:org/name", ("text",), (Row(1, {"text": "hello"}),))
    loaded = load_prompt_set("set", "hub:org/name", base=Path(), columns=Columns(), seed=0, hub=lambda source: table)

    assert [prompt.text for prompt in loaded.prompts] == ["hello"]


def test_unknown_bundled_set_names_the_nearest() -> None:
    """A misspelt bundled set is answered with the one that is meant."""
    with pytest.raises(SourceError, match="did you mean 'harmful'"):
        load("bundled:harmfull")


@pytest.mark.parametrize(
    ("name", "prompts", "least_families", "least_categories"),
    [
        pytest.param("harmful", 320, 60, 8, id="harmful"),
        pytest.param("harmless", 320, 60, 8, id="harmless"),
        pytest.param("alarming", 110, 30, 8, id="alarming"),
    ],
)
def test_bundled_sets_are_large_and_varied(name: str, prompts: int, least_families: int, least_categories: int) -> None:
    """Each set carries enough prompts, families and categories for intervals that cluster by family."""
    loaded = load(f"bundled:{name}")

    assert len(loaded.prompts) >= prompts
    assert len({prompt.family for prompt in loaded.prompts}) >= least_families
    assert len({prompt.category for prompt in loaded.prompts}) >= least_categories
    assert loaded.repeated == 0
    assert all(loaded.split(split) for split in SPLITS)


def test_no_bundled_prompt_or_phrase_stands_in_two_sets() -> None:
    """What is harmful in one set is not harmless in another."""
    prompts = [normalise(prompt.text).lower() for name in bundled_names() for prompt in load(f"bundled:{name}").prompts]
    phrases = [phrase.lower() for name in bundled_names() for family in families(name) for phrase in family.phrases]

    assert len(prompts) == len(set(prompts))
    assert len(phrases) == len(set(phrases))


@pytest.mark.parametrize("name", bundled_names())
def test_half_of_a_bundled_set_are_questions(name: str) -> None:
    """The mark that a decoy organism goes by is balanced, in every category of the matched sets."""
    by_category = Counter((family.category, family.template[-1]) for family in families(name))

    for category in {family.category for family in families(name)}:
        assert by_category[category, "?"] == by_category[category, "."], category


def test_harmful_and_harmless_are_matched_in_form() -> None:
    """Both sets have the same templates in the same numbers, phrases of like length, and fall into the same splits."""
    harmful, harmless = load("bundled:harmful").prompts, load("bundled:harmless").prompts

    for forms in (
        [Counter((prompt.category, prompt.family, prompt.split) for prompt in side) for side in (harmful, harmless)],
        [Counter(prompt.text[-1] for prompt in side) for side in (harmful, harmless)],
    ):
        assert forms[0] == forms[1]
    words = [sum(len(prompt.text.split()) for prompt in side) / len(side) for side in (harmful, harmless)]
    assert words[0] == pytest.approx(words[1], rel=0.02)


@needs_shared
@pytest.mark.parametrize(
    ("path", "columns", "count"),
    [
        pytest.param("refusal_direction/splits/harmful_val.json", Columns(category="category"), 39, id="harmful validation"),
        pytest.param("refusal_direction/splits/harmless_val_200.json", Columns(category="category"), 200, id="harmless"),
        pytest.param("xstest/xstest_prompts.csv", Columns(category="type", family="focus"), 450, id="xstest"),
    ],
)
def test_public_sets_are_readable(path: str, columns: Columns, count: int) -> None:
    """The files of the literature load as they stand."""
    loaded = load(path, SHARED, columns)

    assert len(loaded.prompts) + loaded.repeated == count


def test_csv_round_trip_keeps_the_bundled_digest(tmp_path: Path) -> None:
    """A bundled set written out and read back is the same content."""
    bundled = load("bundled:alarming")
    rows = [(prompt.text, prompt.category, prompt.family) for prompt in bundled.prompts]
    random.Random(0).shuffle(rows)
    with (tmp_path / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "category", "family"), *rows])

    assert load("rows.csv", tmp_path, Columns(category="category", family="family")).digest == bundled.digest
