"""Finds the folders that travel with the code, and the templates of an overlay before the bundled ones."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from safetycase.errors import RenderError

_PACKAGE = Path(__file__).resolve().parent


def directory(name: str) -> Path:
    """The folder `templates` or `schemas`, wherever this installation keeps it."""
    for candidate in (_PACKAGE / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"{name}: neither in {_PACKAGE} nor beside it; the installation is incomplete")


@dataclass(frozen=True)
class Templates:
    """Where templates are looked for: the first folder that has a file wins, and the bundled folder comes last."""

    folders: tuple[Path, ...]

    def find(self, name: str) -> Path | None:
        """The file of that name (`dossiers/safety-case/dossier.yaml`); None where no folder has it, or where the name leads out of it."""
        if Path(name).is_absolute() or ".." in Path(name).parts:
            return None
        return next((folder / name for folder in self.folders if (folder / name).is_file()), None)

    def names(self, pattern: str) -> tuple[str, ...]:
        """Names of all files that match a glob pattern, sorted."""
        found = {path.relative_to(folder).as_posix() for folder in self.folders for path in folder.glob(pattern) if path.is_file()}
        return tuple(sorted(found))

    def short(self, path: Path) -> str:
        """A template's path for error lines: `templates/…` for a bundled one, the path as it is for another."""
        bundled = self.folders[-1]
        return f"templates/{path.relative_to(bundled).as_posix()}" if path.is_relative_to(bundled) else str(path)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over names and bytes of every file that rendering may use."""
        digest = hashlib.sha256()
        for name, sha in self._digests(range(len(self.folders))):
            digest.update(f"{sha}  {name}\n".encode())
        return digest.hexdigest()

    @property
    def replaced(self) -> dict[str, str]:
        """Name and SHA-256 of every file that an overlay brings or replaces."""
        return dict(self._digests(range(len(self.folders) - 1)))

    def _digests(self, which: range) -> Iterator[tuple[str, str]]:
        for name in self.names("**/*"):
            path = next((self.folders[i] / name for i in which if (self.folders[i] / name).is_file()), None)
            if path is not None:
                yield name, hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def bundled() -> Templates:
    """The templates of this installation alone."""
    return Templates((directory("templates"),))


def overlaid(folder: Path | None) -> Templates:
    """The templates of a folder over the bundled ones; raises RenderError where there is no such folder."""
    if folder is None:
        return bundled()
    if not folder.is_dir():
        raise RenderError(f"{folder}: no such folder; expected one laid out like templates/")
    return Templates((folder.resolve(), *bundled().folders))
