"""`safetycase render`: judges what the case holds and renders the declared documents into drafts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from safetycase.cli.options import case_argument, out_option, templates_option

if TYPE_CHECKING:
    from typing import Literal

    from safetycase.case.declared import DossierEntry
    from safetycase.plan.plan import Plan

    Audience = Literal["ai-office", "national-authority", "downstream-provider"]

AUDIENCES = ("ai-office", "national-authority", "downstream-provider")


@click.command()
@case_argument
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Render this instead of what the plan declares; `all` for every type.")
@click.option("--audience", type=click.Choice(AUDIENCES), help="With --type: for these readers.")
@templates_option
@out_option
def render(plan: Path, types: tuple[str, ...], audience: "Audience | None", templates: Path | None, out: Path | None) -> int:
    """Judge and render the documents of PLAN (or of a case directory) into drafts/. Needs no torch."""
    from safetycase.dossier.documents import documents
    from safetycase.plan.keeping import changes_since_last
    from safetycase.plan.reading import judge_plan, open_case
    from safetycase.resources import overlaid

    loaded, store = open_case(plan, out, overlaid(templates))
    judged = judge_plan(loaded, store)
    if audience and not types:
        raise click.UsageError("--audience goes with --type; documents of the plan have an audience of their own")
    entries = _entries(loaded, types, audience)
    made = documents(entries, judged, store, "draft", loaded.templates, changes_since_last(store, judged))
    for name, data in made.items():
        click.echo(store.write_bytes(f"drafts/{name}", data))
    return 3 if judged.case.adverse else 0


def _entries(plan: "Plan", types: Sequence[str], audience: "Audience | None") -> "tuple[DossierEntry, ...]":
    """The declared documents, or those named on the command line."""
    from safetycase.case.declared import DossierEntry
    from safetycase.dossier.doctypes import dossier_type, dossier_types

    if not types:
        return plan.declared.dossiers
    names = dossier_types(plan.templates) if "all" in types else tuple(dict.fromkeys(types))
    for name in names:
        dossier_type(name, plan.templates)
    return tuple(DossierEntry(type=name, audience=audience) for name in names)
