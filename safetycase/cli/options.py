"""Arguments and options that several commands share, so that they read alike everywhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]

plan_argument: Callable[[Command], Command] = click.argument("plan", type=click.Path(path_type=Path))
case_argument: Callable[[Command], Command] = click.argument("plan", metavar="PLAN|CASE", type=click.Path(path_type=Path))
out_option: Callable[[Command], Command] = click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Case directory; otherwise cases/<case id> beside the plan."
)
json_option: Callable[[Command], Command] = click.option("--json/--no-json", "as_json", help="Print the result as JSON.")
remote_code_option: Callable[[Command], Command] = click.option(
    "--allow-remote-code/--no-allow-remote-code", help="Run code that a model brings with it. Dangerous: it can do anything you can."
)
templates_option: Callable[[Command], Command] = click.option(
    "--templates", type=click.Path(path_type=Path, file_okay=False), help="Folder whose templates come before the bundled ones."
)
