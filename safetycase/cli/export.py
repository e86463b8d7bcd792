"""`safetycase export`: the findings of a step in formats of other tools."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from safetycase.cli.console import say
from safetycase.cli.options import case_argument, out_option

if TYPE_CHECKING:
    from safetycase.case.judging import Asked
    from safetycase.plan.plan import Plan

FORMATS = ("csv", "neuronpedia", "parquet")


@click.command()
@click.argument("format", metavar="FORMAT", type=click.Choice(FORMATS))
@case_argument
@click.option("--step", help="Which step, where several could be exported.")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder to write into; otherwise export-FORMAT here."
)
@click.option(
    "--restricted/--no-restricted", help="Also texts of a corpus that the plan does not declare public: keep them as you keep it."
)
@out_option
def export(format: str, plan: Path, step: str | None, folder: Path | None, restricted: bool, out: Path | None) -> None:  # noqa: A002  (named as the argument reads)
    """Write the findings of a step of PLAN's case as FORMAT: csv or parquet (tidy tables), neuronpedia (features). Needs no torch."""
    from safetycase.dossier.exports.neuronpedia import neuronpedia
    from safetycase.dossier.exports.tidy import csv_files, parquet_files
    from safetycase.evidence.derivation import derive
    from safetycase.evidence.kinds.feature_documentation.findings import Found
    from safetycase.evidence.samples import label_texts, window_texts, with_labels
    from safetycase.evidence.store import Store
    from safetycase.plan.questions import recall
    from safetycase.plan.reading import find_answers, open_case

    loaded, store = open_case(plan, out)
    answers = find_answers(loaded, store, recall(store))
    name = _step(loaded, answers, step, "feature_documentation" if format == "neuronpedia" else None)
    observation = answers[name].observation
    assert observation is not None, name
    found = derive(store, observation, answers[name].read)
    tables = store.tables(observation)
    windows = dict(window_texts(found, tables, "windows"))
    if restricted:
        windows |= window_texts(found, tables, "windows_restricted")
        found = with_labels(found, label_texts(found, tables))
    elif tables.has("windows_restricted") or tables.has("labels_restricted"):
        say("texts of the corpus, and labels made of them, are left out: the plan does not declare it public (--restricted writes them)")
    if format == "neuronpedia":
        assert isinstance(found, Found), type(found)
        files = neuronpedia(found, windows)
    else:
        files = (csv_files if format == "csv" else parquet_files)(found, windows)
    target = Store(folder or Path(f"export-{format}"))
    for file, data in files.items():
        target.write_bytes(file, data)
    say(f"{name}: {len(files)} files")
    click.echo(target.root)


def _step(plan: "Plan", answers: "dict[str, Asked]", step: str | None, kind: str | None) -> str:
    """The answered step that is meant; raises PlanError."""
    from safetycase.errors import PlanError, nearest

    fitting = [name for name, asked in answers.items() if asked.observation and kind in (None, plan.declared.steps[name].kind)]
    what = f"an answered step of kind {kind!r}" if kind else "an answered step"
    if step is not None and step not in fitting:
        raise PlanError(f"{plan.path}: no step {step!r} that is {what}; {nearest(step, fitting)}")
    if step is None and len(fitting) != 1:
        found = f"{len(fitting)} ({', '.join(fitting)}); name one with --step" if fitting else "none"
        raise PlanError(f"{plan.path}: steps: expected {what}, found {found}")
    return step or fitting[0]
