"""JSON files of other tools, read as untrusted input: bounded, digested, every value held to its type in one line of complaint."""

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from safetycase.errors import SourceError

MAX_BYTES = 256 * 2**20
"""Far above any one file that a tool of the field writes as JSON."""


@dataclass
class JsonFiles:
    """Files below a folder, or one file beside its name, and the digests of what was read of them."""

    path: Path
    what: str
    """What the folder should hold, for the error line."""
    files: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.path.is_dir():
            found = "a file" if self.path.exists() else "nothing"
            raise SourceError(f"{self.path}: found {found}, expected {self.what}")

    def load(self, name: str) -> Any:
        """The JSON of a file, None where there is no such file."""
        content = self._content(name)
        return None if content is None else self._parsed(self.path / name, content)

    def lines(self, name: str) -> Iterator[Any]:
        """The JSON values of a file of lines, or of one that is a single value; gzipped or not."""
        content = self._content(name) or b""
        for number, line in enumerate(content.splitlines(), start=1):
            if line.strip():
                yield self._parsed(self.path / name, line, number)

    def names(self, pattern: str) -> list[str]:
        """Files that match, by name, with forward slashes; links that lead out of the folder are left out."""
        root = self.path.resolve()
        found = (file for file in self.path.glob(pattern) if file.is_file() and file.resolve().is_relative_to(root))
        return sorted(file.relative_to(self.path).as_posix() for file in found)

    def error(self, name: str, found: str) -> SourceError:
        """One line about a file."""
        return SourceError(f"{self.path / name}: {' '.join(found.split())}")

    def entries(self, name: str, loaded: Any) -> Iterator[dict[str, Any]]:
        """The objects of a list that must not be empty."""
        if not isinstance(loaded, list) or not loaded:
            found = "an empty list" if loaded == [] else kind_of(loaded)
            raise self.error(name, f"found {found}, expected a list of objects")
        for number, entry in enumerate(loaded, start=1):
            if not isinstance(entry, dict):
                raise self.error(name, f"entry {number}: found {kind_of(entry)}, expected an object")
            yield entry

    def value(self, name: str, number: int | None, entry: dict[str, Any], key: str) -> Any:
        """What an object holds under a key that it must have."""
        if key not in entry:
            found = ", ".join(map(repr, sorted(entry))) or "nothing"
            raise self.error(name, f"{_at(number)}no {key!r}, found {found}")
        return entry[key]

    def integer(self, name: str, number: int | None, entry: dict[str, Any], key: str, low: int, high: int) -> int:
        """A whole number within bounds."""
        value = self.value(name, number, entry, key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.error(name, f"{_at(number)}{key}: found {_shown(value)}, expected a whole number from {low} to {high}")
        return value

    def number(self, name: str, number: int | None, entry: dict[str, Any], key: str) -> float:
        """A number, NaN and infinities included."""
        value = self.value(name, number, entry, key)
        if is_number(value):
            return float(value)
        raise self.error(name, f"{_at(number)}{key}: found {_shown(value)}, expected a number")

    def text(self, name: str, number: int, entry: dict[str, Any], key: str) -> str:
        """A text that UTF-8 can hold."""
        value = self.value(name, number, entry, key)
        if not isinstance(value, str):
            raise self.error(name, f"entry {number}: {key}: found {_shown(value)}, expected text")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise self.error(name, f"entry {number}: {key}: half a surrogate pair at character {error.start}") from error
        return value

    def _content(self, name: str) -> bytes | None:
        file = self.path / name
        if not file.exists():
            return None
        try:
            if file.stat().st_size > MAX_BYTES:
                raise SourceError(f"{file}: found {file.stat().st_size} bytes, expected at most {MAX_BYTES}")
            content = file.read_bytes()
            self.files[name] = hashlib.sha256(content).hexdigest()
            return _unpacked(file, content) if name.endswith(".gz") else content
        except OSError as error:
            raise SourceError(f"{file}: cannot be read: {error.strerror or error}") from error

    def _parsed(self, file: Path, content: bytes, line: int = 0) -> Any:
        try:
            return json.loads(content)
        except json.JSONDecodeError as error:
            raise SourceError(f"{file}: line {line or error.lineno}, column {error.colno}: no JSON: {error.msg}") from error
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{file}: no JSON that can be read: {' '.join(str(error).split())}") from error


def is_number(value: Any) -> TypeGuard[float]:
    """A number as JSON has it, and no truth value."""
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**53)


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    kinds = {dict: "an object", list: "a list", str: "text", bool: "a truth value", int: "a number", float: "a number"}
    return kinds.get(type(value), "null")


def _unpacked(file: Path, content: bytes) -> bytes:
    """All members of a gzip file; each must be whole, all together are bounded."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
            unpacked = packed.read(MAX_BYTES + 1)
    except EOFError as error:
        raise SourceError(f"{file}: is not a whole gzip file: it ends within a member") from error
    except (OSError, zlib.error) as error:
        raise SourceError(f"{file}: no gzip file that can be read: {error}") from error
    if len(unpacked) > MAX_BYTES:
        raise SourceError(f"{file}: unpacks to more than {MAX_BYTES} bytes")
    return unpacked


def _at(number: int | None) -> str:
    return "" if number is None else f"entry {number}: "


def _shown(value: Any) -> str:
    shown = json.dumps(value)
    return shown if len(shown) <= 40 else f"{shown[:37]}..."
