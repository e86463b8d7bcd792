"""The list of organisms, the bundled models whose truth was planted, for the half of the package that never loads them."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from safetycase.errors import ModelError, nearest

# The weights lie beside the recipes that made them; this half only names the folder.
_WEIGHTS = Path(__file__).resolve().parent.parent / "lab" / "organisms" / "weights"


@dataclass(frozen=True, slots=True)
class Organism:
    """A small real transformer with one planted fact.

    `planted` says what is true of it by construction. A null organism is one on which a sound instrument reports no direction
    that mediates refusal.
    """

    name: str
    summary: str
    planted: str
    is_null: bool
    folder: Path


def organism(name: str) -> Organism:
    """The organism of that name.

    Raises:
        ModelError: there is none.
    """
    known = organisms()
    if name not in known:
        raise ModelError(f"organism:{name}: no such organism; {nearest(name, known)}")
    return known[name]


@cache
def organisms() -> dict[str, Organism]:
    """All bundled organisms by name, as their recipe files describe them."""
    return {folder.name: _read(folder) for folder in sorted(_WEIGHTS.iterdir()) if (folder / "recipe.json").is_file()}


def _read(folder: Path) -> Organism:
    recipe = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    assert recipe["name"] == folder.name, (recipe["name"], folder)
    return Organism(
        name=recipe["name"],
        summary=recipe["summary"],
        planted=recipe["planted"],
        is_null=recipe["is_null"],
        folder=folder,
    )
