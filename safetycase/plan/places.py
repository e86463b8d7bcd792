"""Where the models and dictionaries that a plan names lie: beside the plan, bundled, or on a hub."""

from pathlib import Path, PurePosixPath

from safetycase.case.declared import DictionaryEntry
from safetycase.errors import ModelError, nearest
from safetycase.sources.model_files import model_files
from safetycase.sources.organisms import organism

ORGANISM = "organism:"


def is_hub(source: str, base: Path) -> bool:
    """Whether a source is `org/name` on a hub: one slash, no such folder here, and not written as a path."""
    looks_local = source.startswith((".", "/", "~", ORGANISM)) or (base / source).exists()
    return not looks_local and source.count("/") == 1


def local_folder(source: str, base: Path) -> Path:
    """The folder of an organism or of a local model, checked to hold one; raises ModelError."""
    if source.startswith(ORGANISM):
        return organism(source.removeprefix(ORGANISM)).folder
    folder = base / Path(source).expanduser()
    model_files(folder)
    return folder


def dictionary_path(entry: DictionaryEntry, base: Path) -> Path:
    """The folder or file of a dictionary that is bundled or lies beside the plan; raises ModelError."""
    return inside(_dictionary_source(entry.source, base), entry.path)


def inside(folder: Path, path: str | None) -> Path:
    """What a plan names within a source; raises ModelError for a path that leads out of it."""
    parts = PurePosixPath(path or "")
    if parts.is_absolute() or ".." in parts.parts or "\\" in str(parts) or "\0" in str(parts):
        raise ModelError(f"path {path!r}: leads out of its source, expected a folder or file inside it")
    return folder / parts


def _dictionary_source(source: str, base: Path) -> Path:
    if not source.startswith(ORGANISM):
        return base / Path(source).expanduser()
    name, _, dictionary = source.removeprefix(ORGANISM).partition("/")
    folder = organism(name).folder / "dictionaries"
    known = [each.name for each in folder.iterdir() if each.is_dir()] if folder.is_dir() else []
    if dictionary not in known:
        raise ModelError(f"{source}: no such dictionary of {ORGANISM}{name}; {nearest(dictionary, known)}")
    return folder / dictionary
