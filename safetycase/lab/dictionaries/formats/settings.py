"""Values of a dictionary's configuration, each checked for its type where it is taken."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetycase.errors import ModelError

LARGEST = 1 << 40
Facts = dict[str, str | int | float | bool]


def text(path: Path, config: Mapping[str, Any], key: str, *, default: str | None = None) -> str:
    """A string, or the default where there is none; raises ModelError."""
    value = config.get(key) if config.get(key) is not None else default
    if not isinstance(value, str):
        raise ModelError(f"{path}: {key} is {_shown(value)}, expected a string")
    return value


def flag(path: Path, config: Mapping[str, Any], key: str, *, default: bool) -> bool:
    """A boolean, or the default where there is none; raises ModelError."""
    value = config.get(key) if config.get(key) is not None else default
    if not isinstance(value, bool):
        raise ModelError(f"{path}: {key} is {_shown(value)}, expected true or false")
    return value


def positive(path: Path, config: Mapping[str, Any], key: str) -> int:
    """A whole number above zero; raises ModelError."""
    value = config.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < LARGEST:
        raise ModelError(f"{path}: {key} is {_shown(value)}, expected a whole number above 0")
    return value


def section(path: Path, config: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A nested mapping; raises ModelError."""
    value = config.get(key)
    if not isinstance(value, dict):
        raise ModelError(f"{path}: {key} is {_shown(value)}, expected a section")
    return value


def fact(name: str, value: object) -> Facts:
    """A value that says something, under its name; nested ones as JSON."""
    if value is None or value in ("", {}, []) or (isinstance(value, float) and not math.isfinite(value)):
        return {}
    return {name: value if isinstance(value, str | int | float | bool) else json.dumps(value, sort_keys=True)}


def scalar_facts(config: Mapping[str, Any], keys: Sequence[str]) -> Facts:
    """Those of the named entries that say something."""
    return {name: value for key in keys for name, value in fact(key, config.get(key)).items()}


def _shown(value: object) -> str:
    return "missing" if value is None else f"{value!r:.60}"
