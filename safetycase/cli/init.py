"""`safetycase init`: writes a commented plan to start from."""

from pathlib import Path

import click

from safetycase.cli.console import say


@click.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("plan.yaml"), show_default=True, help="File to write.")
@click.option("--force/--no-force", help="Overwrite a file that is there.")
def init(out: Path, force: bool) -> None:
    """Write a commented plan to start from."""
    from safetycase import resources
    from safetycase.errors import PlanError

    if out.exists() and not force:
        raise PlanError(f"{out}: is there already; give another name with --out, or --force to overwrite it")
    text = (resources.directory("templates") / "plan.yaml").read_text(encoding="utf-8")
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise PlanError(f"{out}: cannot be written: {problem.strerror}") from problem
    say(f"next: edit it, then `safetycase check {out}` and `safetycase build {out}`")
    click.echo(out)
