"""Everything that a user can cause, as one tree.

SafetycaseError
├── PlanError          the plan says something that cannot be run
├── SourceError        a file or data set that the plan names cannot be read
├── ModelError         weights, tokenizer or architecture are not what the lab can work with
├── StoreError         the case directory is damaged, locked, full or of another version
├── RenderError        a template or a renderer failed
└── MissingExtraError  a command needs the extra `lab`

Each is one line: the file, what was found, what was expected, the nearest valid name.
A breach of our own invariants is an assertion instead.
"""

import difflib
from collections.abc import Iterable


class SafetycaseError(Exception):
    """Base of all errors that the command line prints as one line."""


class PlanError(SafetycaseError):
    """The plan says something that cannot be run."""


class SourceError(SafetycaseError):
    """A file or data set that the plan names cannot be read."""


class ModelError(SafetycaseError):
    """Weights, tokenizer or architecture are not what the lab can work with."""


class StoreError(SafetycaseError):
    """The case directory is damaged, locked, full or of another version."""


class RenderError(SafetycaseError):
    """A template or a renderer failed."""


class MissingExtraError(SafetycaseError):
    """A command needs packages that the base install does not bring."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """The end of an error line: the nearest valid name, or all of them where none is near."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"valid: {', '.join(names)}" if names else "there is none to choose from"
