"""The case directory: atomic, content-addressed, checked, appended to."""

import hashlib
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from safetycase.errors import StoreError
from safetycase.evidence.kinds import refusal_direction
from safetycase.evidence.record import Observation, Question, Shard, TableRef
from safetycase.evidence.store import Store, canonical
from safetycase.evidence.tables import TableSpec, encode_rows

SPECS = {spec.name: spec for spec in refusal_direction.TABLES}
BASELINE, COMPLETIONS, PROMPTS, LABELS = (SPECS[name] for name in ("baseline", "completions", "prompts", "human_labels"))
ROWS = [{"item": "a" * 64, "population": "harmful", "split": "test", "log_odds": 1.5}]
TEXTS = [{"item": "a" * 64, "text": "Explain it.\u2028<script>"}]


def a_question(**changes: Any) -> Question:
    fields: dict[str, Any] = {
        "kind": "refusal_direction",
        "observe_version": 1,
        "ask": {},
        "models": {"subject": "0" * 64},
        "inputs": {},
        "formats": {},
        "dtype": {"subject": "float32"},
        "device_class": "cpu",
        "seed": 0,
    }
    return Question(**{**fields, **changes})


def stored(store: Store, spec: TableSpec, rows: list[dict[str, Any]]) -> TableRef:
    data, n = encode_rows(spec, rows)
    shard = Shard(part="all", sha256=store.put_shard(data, spec), rows=n)
    return TableRef(name=spec.name, format=spec.format, restricted=spec.restricted, shards=(shard,))


def test_shard_lies_under_its_digest_and_reads_back(tmp_path: Path) -> None:
    """What is stored under a name has that digest, and a second identical shard is the same file."""
    store = Store(tmp_path)
    data, _ = encode_rows(BASELINE, ROWS)

    sha = store.put_shard(data, BASELINE)
    again = store.put_shard(data, BASELINE)

    assert sha == again == hashlib.sha256(data).hexdigest()
    assert store.get_shard(sha, BASELINE) == data
    assert [path.name for path in (tmp_path / "tables").iterdir()] == [f"{sha}.parquet"]


def test_restricted_table_lies_apart_for_the_owner_alone(tmp_path: Path) -> None:
    """Texts are in a folder that others cannot enter and git does not see."""
    store = Store(tmp_path)

    stored(store, PROMPTS, TEXTS)

    folder = tmp_path / "restricted"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"
    assert not (tmp_path / "tables").exists()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-3]), id="truncated"),
        pytest.param(lambda path: path.unlink(), id="missing"),
    ],
)
def test_damaged_shard_is_one_clear_line(tmp_path: Path, damage: Any) -> None:
    """A shard whose bytes are not those of its digest is never read."""
    store = Store(tmp_path)
    ref = stored(store, BASELINE, ROWS)
    damage(tmp_path / "tables" / f"{ref.shards[0].sha256}.parquet")

    with pytest.raises(StoreError, match=r"damaged|missing") as caught:
        store.get_shard(ref.shards[0].sha256, BASELINE)
    assert "\n" not in str(caught.value)


def test_observation_is_deterministic_and_found_by_its_question(tmp_path: Path) -> None:
    """The same question and tables are the same bytes, in any order of asking."""
    first, second = Store(tmp_path / "one"), Store(tmp_path / "two")
    for store in (first, second):
        store.put_observation(Observation(question=a_question(), tables=(stored(store, BASELINE, ROWS),)))

    question = a_question()
    assert first.observation(question.kind, question.key) == second.observation(question.kind, question.key)
    name = f"observations/refusal_direction-{question.key}.json"
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert first.observation(question.kind, a_question(seed=1).key) is None


def test_tables_without_restricted_texts_say_so(tmp_path: Path) -> None:
    """A copy of a case without its restricted folder is read; what is not there has its reason."""
    store = Store(tmp_path)
    observation = Observation(question=a_question(), tables=(stored(store, BASELINE, ROWS), stored(store, PROMPTS, TEXTS)))
    (tmp_path / "restricted").rename(tmp_path / "elsewhere")

    tables = store.tables(observation)

    assert tables.table("baseline")["log_odds"].tolist() == [1.5]
    assert not tables.has("prompts")
    assert "restricted" in tables.why_absent("prompts")


def test_labels_of_a_person_join_the_tables_and_move_the_findings(tmp_path: Path) -> None:
    """Annotations are read with the observation, and findings derived with them lie under another name."""
    store = Store(tmp_path)
    observation = Observation(question=a_question(), tables=(stored(store, BASELINE, ROWS),))
    key = observation.question.key
    row = {"arm": "baseline", "population": "harmful", "item": "a" * 64, "annotator": "kb", "label": "refuse"}

    store.annotate("refusal_direction", key, [stored(store, LABELS, [row])])
    store.annotate("refusal_direction", key, [stored(store, LABELS, [{**row, "label": "comply"}])])

    assert store.tables(observation).table("human_labels")["label"].tolist() == ["comply"]


def test_torn_last_line_of_a_log_loses_nothing_else(tmp_path: Path) -> None:
    """A process killed while writing leaves a torn line; what stood before and what comes after is read."""
    store = Store(tmp_path)
    store.log("k", "started")
    with (tmp_path / "runs" / "k.jsonl").open("a") as file:
        file.write('{"event": "sha')

    store.log("k", "finished")

    assert [event["event"] for event in store.events("k")] == ["started", "finished"]


def test_full_disk_is_one_line_and_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails midway leaves neither the file nor its draft."""
    store = Store(tmp_path)
    data, _ = encode_rows(BASELINE, ROWS)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="disk is full"):
        store.put_shard(data, BASELINE)
    assert list((tmp_path / "tables").iterdir()) == []


def test_held_lock_is_an_error_not_a_wait(tmp_path: Path) -> None:
    """Two processes do not answer one question at once."""
    store = Store(tmp_path)

    with store.lock("k"), pytest.raises(StoreError, match="held by another process"), Store(tmp_path).lock("k"):
        pass


def test_record_of_another_version_is_refused_with_its_file(tmp_path: Path) -> None:
    """An observation with an unknown key is not half-read."""
    store = Store(tmp_path)
    observation = Observation(question=a_question(), tables=())
    path = store.put_observation(observation)
    path.write_bytes(canonical(observation).replace(b'"schema_version": 1', b'"schema_version": 9'))

    with pytest.raises(StoreError, match="schema_version"):
        store.observation("refusal_direction", observation.question.key)
