"""Files too large to stand in memory, written in parts and still whole or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from safetycase.evidence.store import Store


def write_whole(path: Path, parts: Iterable[bytes]) -> Path:
    """Write parts aside, flush them to the disk, then take the name; the folder is made. Raises StoreError, one line.

    Whatever the source of the parts raises leaves the old file, or none, in place.
    """
    with Store(path.parent).writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
        try:
            with os.fdopen(handle, "wb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    return path
