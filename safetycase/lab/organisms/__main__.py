"""Rebuilds an organism from its recipe: `python -m safetycase.lab.organisms refuser --out folder`."""

import sys
from pathlib import Path

import click

from safetycase.errors import SafetycaseError
from safetycase.lab.organisms import induction, induction_truth
from safetycase.lab.organisms.folder import save
from safetycase.lab.organisms.recipe import recipe
from safetycase.lab.organisms.training import train
from safetycase.lab.threads import threads as on_threads

_HERE = Path(__file__).resolve().parent


@click.command()
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to; by default the one in the package.")
@click.option("--threads", default=1, show_default=True, help="Threads of torch; more of them change the last bits.")
def main(name: str, out: Path | None, threads: int) -> None:
    """Train the organism NAME and write it as a model folder."""
    if name == induction.NAME:
        folder = out or _HERE / "circuits" / name
        with on_threads(threads):
            induction_truth.save(induction.RECIPE, *induction.train(induction.RECIPE), folder)
        click.echo(folder)
        return
    try:
        wanted = recipe(name)
    except SafetycaseError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    model, tokenizer = train(wanted, threads=threads)
    folder = out or _HERE / "weights" / name
    save(wanted, model, tokenizer, folder)
    click.echo(folder)


if __name__ == "__main__":
    main()
