"""`safetycase init`: writes a commented plan to start from, or the facts that documents ask people for."""

from pathlib import Path

import click

from safetycase.cli.console import say
from safetycase.cli.options import templates_option


@click.command()
@click.option("--dossier", "types", multiple=True, metavar="TYPE", help="Write the facts that this type of document asks people for.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write; otherwise plan.yaml, or attestations.yaml.")
@click.option("--force/--no-force", help="Overwrite a file that is there.")
@templates_option
def init(types: tuple[str, ...], out: Path | None, force: bool, templates: Path | None) -> None:
    """Write a commented plan to start from; with --dossier, the file of facts that only people can know."""
    from safetycase.errors import PlanError
    from safetycase.resources import overlaid

    looked_up = overlaid(templates)
    target = out or Path("attestations.yaml" if types else "plan.yaml")
    if types:
        from safetycase.dossier.attesting import empty_attestations

        text = empty_attestations(types, looked_up)
    else:
        path = looked_up.find("plan.yaml")
        assert path is not None, "plan.yaml is among the bundled templates"
        text = path.read_text(encoding="utf-8")
    if target.exists() and not force:
        raise PlanError(f"{target}: is there already; give another name with --out, or --force to overwrite it")
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise PlanError(f"{target}: cannot be written: {problem.strerror}") from problem
    if types:
        say("next: fill in what you can answer for, and put the file beside the plan; what stays empty is printed as MISSING")
    else:
        say(f"next: edit it, then `safetycase check {target}` and `safetycase build {target}`")
    click.echo(target)
