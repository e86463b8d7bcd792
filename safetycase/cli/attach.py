"""`safetycase attach`: puts the evidence of a case into a model card, and touches nothing else there."""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from safetycase.cli.console import say
from safetycase.cli.options import case_argument, out_option, templates_option

if TYPE_CHECKING:
    from safetycase.case.judging import Judged
    from safetycase.evidence.store import Store


@click.command()
@case_argument
@click.option("--card", required=True, type=click.Path(path_type=Path), help="Model card (README.md) to write into.")
@click.option("--check/--no-check", help="Write nothing; exit with 1 where the card is not what the case holds.")
@click.option("--link", default="", help="Where the documents can be read, as https address; named in the card.")
@templates_option
@out_option
def attach(plan: Path, card: Path, check: bool, link: str, templates: Path | None, out: Path | None) -> int:
    """Put verdicts and estimates of PLAN's case into a model card. Public profile; a second run changes nothing. Needs no torch."""
    from safetycase.dossier.modelcard import attach_card
    from safetycase.errors import SourceError
    from safetycase.plan.reading import judge_plan, open_case
    from safetycase.resources import overlaid

    loaded, store = open_case(plan, out, overlaid(templates))
    before, target = _read(card)
    judged = judge_plan(loaded, store)
    version, content = _sealed(judged, store, loaded.path.read_bytes())
    after = attach_card(
        before,
        judged.case,
        judged.findings,
        version=version,
        made=judged.made,
        content=content,
        link=link,
        name=str(card),
        templates=loaded.templates,
    )
    if check and after != before:
        raise SourceError(f"{card}: not what the case holds ({_changed(before, after)}); `safetycase attach` brings it up to date")
    if not content:
        say("the case as it is has not been sealed: the card says draft; `safetycase build` seals a version")
    if after != before:
        _write(target, after)
    say(f"{card}: {_changed(before, after)}")
    click.echo(card)
    return 0


def _sealed(judged: "Judged", store: "Store", plan: bytes) -> tuple[str, str]:
    """Version and SHA-256 of the manifest of the newest sealed version, if it binds the case as it is; else `draft` and nothing."""
    import hashlib

    from safetycase.evidence.seal import MANIFEST, latest

    sealed = latest(store)
    if sealed is None:
        return "draft", ""
    bound = {sealed.folder / name: data for name, data in judged.bound(store, plan).items()}
    if any(not path.is_file() or path.read_bytes() != data for path, data in bound.items()):
        return "draft", ""
    return sealed.version, hashlib.sha256((sealed.folder / MANIFEST).read_bytes()).hexdigest()


def _read(card: Path) -> tuple[bytes, Path]:
    """The card's bytes and the file that they lie in, behind any links; raises SourceError for what is no file of a card's size."""
    from safetycase.errors import SourceError, nearest
    from safetycase.sources.front_matter import LARGEST

    try:
        target = card.resolve(strict=True)
        status = target.stat()
        if not stat.S_ISREG(status.st_mode):
            found = "folder" if target.is_dir() else "device"
            raise SourceError(f"{card}: found a {found}; expected the file of a model card, such as README.md")
        if card.is_symlink() and target.parent.name == "blobs":
            raise SourceError(f"{card}: a link into a cache of the hub, whose files bear their own digests; copy the card out first")
        if status.st_size > LARGEST:
            raise SourceError(f"{card}: larger than {LARGEST // 1_000_000} MB; expected a model card written by hand")
        return target.read_bytes(), target
    except FileNotFoundError as missing:
        names = [path.name for path in card.parent.glob("*.md")] if card.parent.is_dir() else []
        raise SourceError(f"{card}: no such file; {nearest(card.name, names)}") from missing
    except (OSError, RuntimeError, ValueError) as problem:
        why = getattr(problem, "strerror", None) or "a link that leads to itself, or no name of a file"
        raise SourceError(f"{card}: cannot be read: {why}") from problem


def _write(target: Path, data: bytes) -> None:
    """Aside, then in place of the old file in one step, with its mode: a reader sees the old card or the new one."""
    from safetycase.errors import SourceError

    aside = ""
    try:
        handle, aside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(aside, stat.S_IMODE(target.stat().st_mode))
        os.replace(aside, target)
    except OSError as problem:
        with suppress(OSError):
            os.unlink(aside)
        raise SourceError(f"{target}: cannot be written: {problem.strerror}") from problem


def _changed(before: bytes, after: bytes) -> str:
    """Which parts of the card differ, in words."""
    from safetycase.sources.front_matter import split

    old, new = split(before), split(after)
    parts = [what for what, changed in (("model-index", old.meta != new.meta), ("section", old.body != new.body)) if changed]
    return f"{' and '.join(parts)} {'are' if len(parts) > 1 else 'is'} out of date" if parts else "up to date, nothing changed"
