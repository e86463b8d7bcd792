"""`safetycase render`: judges what the case holds and renders the declared documents into drafts."""

from pathlib import Path

import click

from safetycase.cli.options import case_argument, out_option


@click.command()
@case_argument
@out_option
def render(plan: Path, out: Path | None) -> int:
    """Judge and render the documents of PLAN (or of a case directory) into drafts/. Needs no torch."""
    from safetycase.cli.documents import documents
    from safetycase.plan.reading import judge_plan, open_case

    loaded, store = open_case(plan, out)
    judged = judge_plan(loaded, store)
    for name, data in documents(loaded.declared, judged, store, "draft").items():
        click.echo(store.write_bytes(f"drafts/{name}", data))
    return 3 if judged.case.adverse else 0
