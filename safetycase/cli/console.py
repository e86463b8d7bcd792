"""Talk on stderr: progress with time left on a terminal, plain lines in a log."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def say(text: str) -> None:
    """One line to the person at the terminal or to the log."""
    click.echo(text, err=True)


@contextmanager
def progress() -> Iterator["Bars | Lines"]:
    """What shows how far a run is."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<34}", markup=False), BarColumn(bar_width=30), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        yield Bars(shown)


class Bars:
    """One bar per step, for the stage that it is in."""

    def __init__(self, shown: "Progress") -> None:
        self.shown = shown
        self.tasks: dict[tuple[str, str], TaskID] = {}

    def move(self, step: str, stage: str, done: int, of: int) -> None:
        """A stage of a step is this far."""
        if (step, stage) not in self.tasks:
            for task in self.tasks.values():
                self.shown.update(task, visible=False)
            self.tasks[step, stage] = self.shown.add_task(f"{step}: {stage}", total=of)
        self.shown.update(self.tasks[step, stage], completed=done, total=of)

    def say(self, text: str) -> None:
        """A line above the bars."""
        self.shown.console.print(text, markup=False, highlight=False)


class Lines:
    """A line where a stage begins and where it ends."""

    def __init__(self) -> None:
        self.stage = ("", "")

    def move(self, step: str, stage: str, done: int, of: int) -> None:
        """A stage of a step is this far; printed when it is new."""
        if (step, stage) != self.stage:
            self.stage = (step, stage)
            say(f"{step}: {stage} ({of})")

    def say(self, text: str) -> None:
        """A line."""
        say(text)
