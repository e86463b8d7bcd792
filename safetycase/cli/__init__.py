"""The command line: each command parses, calls one library function and prints; errors are caught here, once."""

import os
import sys

import click

from safetycase import __version__
from safetycase.cli.attach import attach
from safetycase.cli.build import build
from safetycase.cli.check import check
from safetycase.cli.diff import diff
from safetycase.cli.export import export
from safetycase.cli.importing import import_
from safetycase.cli.init import init
from safetycase.cli.judge import judge
from safetycase.cli.listing import list_
from safetycase.cli.render import render
from safetycase.cli.review import review
from safetycase.cli.run import run
from safetycase.cli.steer import steer
from safetycase.cli.trace import trace
from safetycase.errors import SafetycaseError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, package_name="safetycase")
def cli() -> None:
    """From a declared plan and a language model's weights to a versioned dossier that can be re-checked.

    \b
    Exit codes:
      0  done, nothing adverse
      1  an error in what was given: one line says where
      2  wrong usage
      3  done, but a favourable claim is not supported or an adverse one is
    """


for command in (init, check, run, render, build, diff, attach, import_, export, judge, review, steer, trace, list_):
    cli.add_command(command)


def main() -> None:
    """Run a command; user errors are one line on stderr, never a traceback."""
    try:
        code = cli.main(prog_name="safetycase", standalone_mode=False)
    except click.ClickException as usage:
        usage.show()
        code = usage.exit_code
    except SafetycaseError as error:
        click.echo(f"error: {error}", err=True)
        code = 1
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted: what was finished is kept; the same command goes on from there", err=True)
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code if isinstance(code, int) else 0)
