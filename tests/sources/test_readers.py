"""Tables from files: every format gives the same rows, and every damage is one line that names the file."""

import csv
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from safetycase.errors import SourceError
from safetycase.sources import readers
from safetycase.sources.readers import read_table

ROWS: Sequence[Mapping[str, str]] = (
    {"prompt": "Bake bread.", "kind": "cooking"},
    {"prompt": "Is it\n“late”, or not?", "kind": "time"},
)


def _csv(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["prompt", "kind"])
        writer.writeheader()
        writer.writerows(ROWS)


def _csv_gz(path: Path) -> None:
    plain = path.with_suffix("")
    _csv(plain)
    path.write_bytes(gzip.compress(plain.read_bytes()))


def _json(path: Path) -> None:
    path.write_text(json.dumps(ROWS), encoding="utf-8")


def _json_object(path: Path) -> None:
    path.write_text(json.dumps({"version": 1, "prompts": ROWS}), encoding="utf-8")


def _jsonl(path: Path) -> None:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n\n", encoding="utf-8")


def _parquet(path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(ROWS)), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        pytest.param("rows.csv", _csv, id="csv"),
        pytest.param("rows.csv.gz", _csv_gz, id="gzipped csv"),
        pytest.param("rows.json", _json, id="json list"),
        pytest.param("rows.json", _json_object, id="json object with one list"),
        pytest.param("rows.jsonl", _jsonl, id="jsonl"),
        pytest.param("rows.parquet", _parquet, id="parquet"),
    ],
)
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str, write: Callable[[Path], None]) -> None:
    """Columns, cells, order and row numbers do not depend on how the file is written."""
    write(tmp_path / name)

    table = read_table(tmp_path / name)

    assert table.columns == ("prompt", "kind")
    assert [dict(row.cells) for row in table.rows] == list(ROWS)
    assert [row.number for row in table.rows] == [1, 2]


def test_list_of_strings_is_a_table_of_one_text_column(tmp_path: Path) -> None:
    """The simplest prompt file there is needs no column names."""
    (tmp_path / "rows.json").write_text('["one", "two"]', encoding="utf-8")

    assert read_table(tmp_path / "rows.json").columns == ("text",)


def test_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    """Files that spreadsheets export begin with one."""
    (tmp_path / "rows.csv").write_bytes(b"\xef\xbb\xbfprompt\nhello\n")

    assert read_table(tmp_path / "rows.csv").columns == ("prompt",)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("rows.csv", b"", "is empty", id="empty file"),
        pytest.param("rows.csv", b"prompt,kind\n", "holds no rows", id="header alone"),
        pytest.param("rows.csv", b"prompt,kind\na,b\nc\n", "row 2 has 1 cells, expected 2", id="ragged row"),
        pytest.param("rows.csv", b"prompt,prompt\na,b\n", "'prompt' twice", id="column named twice"),
        pytest.param("rows.csv", b'prompt\n"open\n', "is not CSV", id="open quote"),
        pytest.param("rows.csv", b"prompt\nna\xefve\n", "line 2 is not UTF-8 \\(byte 0xef\\)", id="latin-1"),
        pytest.param("rows.json", b"[1, 2]", "row 1 is int, expected a string or an object", id="numbers"),
        pytest.param("rows.json", b"{}", "0 lists", id="object without a list"),
        pytest.param("rows.json", b"3", "found int", id="number"),
        pytest.param("rows.json", b"[1,", "is not JSON", id="cut JSON"),
        pytest.param("rows.json", b"[" * 100_000, "is not JSON", id="bottomless JSON"),
        pytest.param("rows.jsonl", b'"a"\n{"b\n', "line 2 is not JSON", id="cut line"),
        pytest.param("rows.jsonl", b"\n\n", "holds no rows", id="blank lines"),
        pytest.param("rows.parquet", b"PAR1", "is not a whole Parquet file", id="cut parquet"),
        pytest.param("rows.csv.gz", b"prompt", "is not a whole gzip file", id="not gzip"),
        pytest.param("rows.csv.gz", gzip.compress(b"prompt\na\n")[:-9], "is not a whole gzip file", id="cut gzip"),
        pytest.param("rows.cvs", b"prompt\na\n", "did you mean '.csv'", id="misspelt suffix"),
    ],
)
def test_damage_is_one_line_with_the_file(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """Whatever is wrong with a file, the user reads its name and what was expected."""
    (tmp_path / name).write_bytes(content)

    with pytest.raises(SourceError, match=message) as caught:
        read_table(tmp_path / name)

    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    """A misspelt file is answered with the one that is there."""
    (tmp_path / "harmful.csv").write_text("prompt\na\n", encoding="utf-8")

    with pytest.raises(SourceError, match=r"did you mean 'harmful\.csv'"):
        read_table(tmp_path / "harmfull.csv")


def test_missing_folder_and_folder_as_file_are_said(tmp_path: Path) -> None:
    """A path that cannot be a file is refused before it is opened."""
    with pytest.raises(SourceError, match="does not exist either"):
        read_table(tmp_path / "nowhere" / "rows.csv")

    with pytest.raises(SourceError, match="found a folder"):
        read_table(tmp_path)


def test_gzip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that unpacks without end is not read to its end."""
    monkeypatch.setattr(readers, "LARGEST_FILE_BYTES", 1000)
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(b"prompt\n" + b"a\n" * 10_000))

    with pytest.raises(SourceError, match="unpacks to more than 1000 bytes"):
        read_table(tmp_path / "rows.csv.gz")
