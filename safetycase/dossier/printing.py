"""HTML to PDF in a child process, so that a crash, a hang or a gigabyte of boxes stays there."""

import base64
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from safetycase.dossier import press
from safetycase.dossier.faces import FOLDER
from safetycase.errors import RenderError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,120}")
_MIME = re.compile(r"[a-z]+/[a-z0-9.+-]+")


@dataclass(frozen=True)
class Attachment:
    """A file inside a PDF: data that the pages rest on."""

    name: str
    data: bytes
    mime: str
    description: str


def printed(html: str, *, name: str, made: str, attachments: Sequence[Attachment], timeout: float) -> bytes:
    """The PDF of an HTML text; `made` is the ISO 8601 time that all of it bears, `name` leads error lines.

    The same arguments give the same bytes, whatever the process, its locale, time zone, hash seed or fonts.
    Raises RenderError.
    """
    files = sorted(attachments, key=lambda each: each.name)
    for fault in _faults(files):
        raise RenderError(f"{name}: {fault}")
    seconds = _seconds(made)
    order = {
        "html": html,
        "identifier": _identifier(html, files),
        "seconds": seconds,
        "attachments": [{**vars(each), "data": base64.b64encode(each.data).decode()} for each in files],
    }
    # The script's own path, and -P: a module beside the reader's plan must not be imported in place of an installed one.
    command = [sys.executable, "-P", str(Path(press.__file__).resolve())]
    with tempfile.TemporaryDirectory(prefix="safetycase-press-") as scratch:
        try:
            done = subprocess.run(
                command,
                input=json.dumps(order).encode(),
                env=_environment(os.environ, seconds, scratch),
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise RenderError(f"{name}: the PDF was not ready after {timeout:g} s, and its rendering was ended") from error
        except OSError as error:
            raise RenderError(f"{name}: the PDF renderer could not be started: {error}") from error
    if done.returncode == press.REFUSED:
        raise RenderError(f"{name}: {done.stdout.decode(errors='replace')}")
    if done.returncode != 0 or not done.stdout.startswith(b"%PDF-"):
        raise RenderError(f"{name}: the PDF renderer {_end(done.returncode, done.stderr)}")
    return done.stdout


def _faults(attachments: Sequence[Attachment]) -> Iterator[str]:
    names = [each.name for each in attachments]
    for each in attachments:
        if not _NAME.fullmatch(each.name):
            yield f"attachment {each.name[:40]!r}: not a plain file name"
        if not _MIME.fullmatch(each.mime):
            yield f"attachment {each.name}: {each.mime[:40]!r} is no media type; expected one such as 'application/json'"
        if names.count(each.name) > 1:
            yield f"attachment {each.name}: there are two of that name"


def _identifier(html: str, attachments: Sequence[Attachment]) -> str:
    """Hexadecimal; the name of the content, which PDF asks every file to bear."""
    digest = hashlib.sha256(html.encode())
    for each in attachments:
        digest.update(f"\n{each.name} {each.mime} {each.description} ".encode() + hashlib.sha256(each.data).digest())
    return digest.hexdigest()[:32]


def _environment(ours: Mapping[str, str], seconds: int, scratch: str) -> dict[str, str]:
    """The child's environment: nothing of the machine that could show in its output, and no room of its own to leave things in."""
    fixed = {
        "SOURCE_DATE_EPOCH": str(seconds),
        "FONTCONFIG_FILE": str(FOLDER / "none.conf"),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "TMPDIR": scratch,
    }
    unwanted = ("PYTHONHASHSEED", "PANGO_LANGUAGE", "LANGUAGE", "FONTCONFIG_PATH", "FONTCONFIG_SYSROOT")
    return {name: value for name, value in ours.items() if name not in unwanted} | fixed


def _end(code: int, said: bytes) -> str:
    """What became of a child that neither finished nor refused."""
    if code < 0:
        names = {each.value: each.name for each in signal.Signals}
        hint = "; the machine may be out of memory" if code == -signal.SIGKILL else ""
        return f"was ended by {names.get(-code, f'signal {-code}')}{hint}"
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    return f"failed: {lines[-1][:300]}" if lines else f"ended with code {code} and no word"


def _seconds(made: str) -> int:
    """Seconds since 1970 of an ISO 8601 time, in UTC where it names no zone; 0 without one."""
    if not made:
        return 0
    when = datetime.fromisoformat(made)
    return max(0, int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()))
