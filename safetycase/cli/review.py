"""`safetycase review`: records that a person reviewed claims on the evidence as it stands."""

from pathlib import Path

import click

from safetycase.cli.console import say
from safetycase.cli.options import case_argument, out_option, templates_option


@click.command()
@case_argument
@click.argument("claims", nargs=-1, metavar="[CLAIM]...")
@click.option("--reviewer", required=True, help="Who reviewed, by name.")
@templates_option
@click.option("--note", default="", help="What the reviewer has to say.")
@out_option
def review(plan: Path, claims: tuple[str, ...], reviewer: str, templates: Path | None, note: str, out: Path | None) -> None:
    """Record a review of CLAIMs of PLAN (all without any). A claim whose evidence changes later is suspect until reviewed again."""
    from safetycase.case import reviews
    from safetycase.case.paperwork import today
    from safetycase.errors import SourceError
    from safetycase.plan.reading import judge_plan, open_case
    from safetycase.resources import overlaid

    if not reviewer.strip() or any(not each.isprintable() for each in (reviewer, note)):
        raise SourceError(f"reviewer: found {reviewer!r}; expected a name, in one line")
    loaded, store = open_case(plan, out, overlaid(templates))
    judged = judge_plan(loaded, store)
    names = claims or tuple(loaded.declared.claims)
    data = reviews.with_reviews(
        judged.paperwork.reviews, names, loaded.declared.claims, judged.findings, reviewer=reviewer, date=today(), note=note
    )
    click.echo(store.write_bytes(reviews.FILE, data))
    say(f"{len(names)} claim(s) reviewed by {reviewer} on the evidence as it stands")
