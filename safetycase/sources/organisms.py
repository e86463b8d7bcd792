"""The list of organisms, the bundled models whose truth was planted, for the half of the package that never loads them."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from safetycase.errors import ModelError, nearest

# The weights lie beside the recipes that made them; this half only names the folders.
_ORGANISMS = Path(__file__).resolve().parent.parent / "lab" / "organisms"
_WEIGHTS = _ORGANISMS / "weights"
_CIRCUITS = _ORGANISMS / "circuits"


@dataclass(frozen=True, slots=True)
class Organism:
    """A small real transformer with one planted fact.

    `planted` says what is true of it by construction. A null organism is one on which a sound instrument reports no direction
    that mediates refusal. Organisms of circuits neither chat nor refuse; what is known of them lies in `truth.json`.
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
    known = organisms() | circuit_organisms()
    if name not in known:
        raise ModelError(f"organism:{name}: no such organism; {nearest(name, known)}")
    return known[name]


@cache
def organisms() -> dict[str, Organism]:
    """All bundled organisms that chat, by name, as their recipe files describe them."""
    return _in(_WEIGHTS)


@cache
def circuit_organisms() -> dict[str, Organism]:
    """The bundled organisms whose circuit is known, by name; they continue sequences of symbols."""
    return _in(_CIRCUITS)


def true_edges(name: str) -> tuple[tuple[str, str], ...]:
    """The known circuit of an organism, as (writer, reader) in the names of `evidence.circuits.edges`.

    Raises:
        ModelError: no circuit is known of an organism of that name.
    """
    known = circuit_organisms()
    if name not in known:
        raise ModelError(f"organism:{name}: its circuit is not known; {nearest(name, known)}")
    truth = json.loads((known[name].folder / "truth.json").read_text(encoding="utf-8"))
    return tuple((writer, reader) for writer, reader in truth["edges"])


def _in(parent: Path) -> dict[str, Organism]:
    return {folder.name: _read(folder) for folder in sorted(parent.iterdir()) if (folder / "recipe.json").is_file()}


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
