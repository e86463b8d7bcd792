"""`safetycase judge`: blinded random answers for a person to label, and reading the labels back."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from safetycase.cli.console import say
from safetycase.cli.options import case_argument, out_option

if TYPE_CHECKING:
    from safetycase.evidence.record import Observation
    from safetycase.evidence.store import Store


@click.group()
def judge() -> None:
    """Let a person label a blinded sample of answers, so that judged rates are corrected."""


@judge.command()
@case_argument
@click.option("--step", help="Which step, where the plan has several that generate answers.")
@click.option("--per-arm", type=click.IntRange(min=1), default=20, show_default=True, help="Answers per arm.")
@click.option("--sheet", type=click.Path(path_type=Path, dir_okay=False), default="labels.csv", show_default=True, help="File to write.")
@click.option("--force/--no-force", help="Overwrite a sheet that is there.")
@out_option
def sample(plan: Path, step: str | None, per_arm: int, sheet: Path, force: bool, out: Path | None) -> None:
    """Write a blinded sheet of random answers of PLAN's case. It holds prompts and answers: keep it as you keep those."""
    from safetycase.errors import StoreError
    from safetycase.evidence import labelling

    store, observation = _answered(plan, out, step)
    drawn = labelling.draw(store.tables(observation), per_arm)
    if sheet.exists() and not force:
        raise StoreError(f"{sheet}: is there already, perhaps with labels; give another name with --sheet, or --force to overwrite it")
    try:
        with open(sheet, "w", encoding="utf-8", newline="", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(labelling.write_sheet(drawn))
    except OSError as problem:
        raise StoreError(f"{sheet}: cannot be written: {problem.strerror}") from problem
    say(f"{len(drawn)} answers; fill the column `label` with {', '.join(labelling.LABELS)}, then `safetycase judge label`")
    click.echo(sheet)


@judge.command()
@case_argument
@click.argument("sheet", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--annotator", required=True, help="Name or initials of the person who labelled; kept in the case.")
@click.option("--step", help="Which step, where the plan has several that generate answers.")
@out_option
def label(plan: Path, sheet: Path, annotator: str, step: str | None, out: Path | None) -> None:
    """Read a labelled SHEET into PLAN's case; labels of other annotators stay."""
    from safetycase.errors import SourceError
    from safetycase.evidence import labelling
    from safetycase.evidence.annotating import add_rows

    store, observation = _answered(plan, out, step)
    try:
        text = sheet.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise SourceError(f"{sheet}: cannot be read: {getattr(problem, 'strerror', None) or 'not UTF-8 text'}") from problem
    rows = labelling.read_sheet(text, sheet.name, store.tables(observation), annotator)
    add_rows(store, observation, "human_labels", rows, replacing={"annotator": annotator.strip()})
    say(f"{len(rows)} labels of {annotator}; `safetycase render` shows the corrected rates")
    click.echo(store.root)


def _answered(path: Path, out: Path | None, step: str | None) -> "tuple[Store, Observation]":
    """The case and the answered step that is meant."""
    from safetycase.errors import PlanError, nearest
    from safetycase.plan.questions import recall
    from safetycase.plan.reading import find_answers, open_case

    plan, store = open_case(path, out)
    answers = {name: each.observation for name, each in find_answers(plan, store, recall(store)).items() if each.observation}
    if step is not None and step not in answers:
        raise PlanError(f"{path}: no answered step {step!r}; {nearest(step, answers)}")
    if step is None and len(answers) != 1:
        several = f"several answered steps ({', '.join(answers)}); name one with --step"
        found = several if answers else "no answered step; run the plan first"
        raise PlanError(f"{path}: found {found}")
    return store, answers[step or next(iter(answers))]
