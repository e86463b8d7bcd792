"""Fetches the files of a data set on the Hugging Face hub, and reads a prompt set from them through the same readers as local files."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError

from safetycase.errors import SourceError, nearest
from safetycase.sources.readers import Row, Table, read_table

# In order of preference: a data set in several formats offers the same rows in each.
_SUFFIXES = (".parquet", ".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".tsv", ".json")

# Descriptions of a data set, not rows of it.
_NOT_DATA = ("dataset_infos.json", "dataset_info.json", "state.json")

_SOURCE = re.compile(r"hub:(?P<repo>[^/@:\s]+/[^/@:\s]+)(?:@(?P<revision>[^@:\s]+))?(?P<names>(?::[^:\s]+){0,2})")

_SHARD = re.compile(r"-\d{5}-of-\d{5}(?:-[0-9a-f]+)?$")

# The base classes are the transport's own errors: of requests or of httpx, by the version of the hub client.
_HUB_ERRORS: tuple[type[Exception], ...] = (*HfHubHTTPError.__bases__, OSError, ValueError)


def read_hub_table(source: str) -> Table:
    """The rows of `hub:<org>/<name>[@<revision>][:<config>][:<split>]`; the revision is `main` where none is named.

    Config and split select files by their path, as a folder or a part of the file's name; shards of one name are joined.

    Raises:
        SourceError: the source is misspelt, the hub or the data set cannot be reached, or no one file answers to the names.
    """
    tables = [read_table(path) for path in fetch_hub_files(source)]
    columns = dict.fromkeys(column for table in tables for column in table.columns)
    cells = (row.cells for table in tables for row in table.rows)
    return Table(source, tuple(columns), tuple(Row(number, row) for number, row in enumerate(cells, start=1)))


def fetch_hub_files(source: str) -> tuple[Path, ...]:
    """The files of that table on this machine, in the order of their shards; raises SourceError as `read_hub_table` does."""
    wanted = _parse(source)
    return tuple(_fetched(source, wanted, path) for path in _select(source, _listed(source, wanted), wanted.names))


@dataclass(frozen=True, slots=True)
class _Wanted:
    repo: str
    revision: str
    names: tuple[str, ...]


def _parse(source: str) -> _Wanted:
    match = _SOURCE.fullmatch(source)
    if match is None:
        raise SourceError(f"{source}: expected hub:<org>/<name>[@<revision>][:<config>][:<split>]")
    return _Wanted(match["repo"], match["revision"] or "main", tuple(match["names"].split(":")[1:]))


def _listed(source: str, wanted: _Wanted) -> list[str]:
    try:
        return list(HfApi().list_repo_files(wanted.repo, repo_type="dataset", revision=wanted.revision))
    except _HUB_ERRORS as error:
        raise SourceError(f"{source}: cannot list the data set at revision {wanted.revision}: {_line(error)}") from error


def _fetched(source: str, wanted: _Wanted, path: str) -> Path:
    try:
        return Path(hf_hub_download(wanted.repo, path, repo_type="dataset", revision=wanted.revision))
    except _HUB_ERRORS as error:
        raise SourceError(f"{source}: cannot fetch {path}: {_line(error)}") from error


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _select(source: str, paths: Iterable[str], names: Sequence[str]) -> list[str]:
    """The files of the one table that answers to all names, in order of their shards."""
    tables: dict[str, dict[str, list[str]]] = {}
    for path in sorted(paths):
        suffix = next((suffix for suffix in _SUFFIXES if path.lower().endswith(suffix)), None)
        if suffix is not None and PurePosixPath(path).name not in _NOT_DATA:
            table = _SHARD.sub("", path[: -len(suffix)])
            tables.setdefault(table, {}).setdefault(suffix, []).append(path)
    chosen = [table for table in tables if all(name in _words(table) for name in names)]
    if len(chosen) > 1:
        raise SourceError(f"{source}: found {', '.join(chosen)}, expected one; name the config or split after a colon")
    if not chosen:
        unknown = next((name for name in names if not any(name in _words(table) for table in tables)), None)
        known = {word for table in tables for word in _words(table)}
        raise SourceError(f"{source}: no data file answers to {':'.join(names)!r}; {nearest(unknown or '', known)}")
    formats = tables[chosen[0]]
    return next(formats[suffix] for suffix in _SUFFIXES if suffix in formats)


def _words(table: str) -> set[str]:
    """What a table may be called: its folders, its file name, and the parts of that name."""
    *folders, name = PurePosixPath(table).parts
    return {*folders, name, *re.split(r"[-_.]", name)}
