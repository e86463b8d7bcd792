"""What every kind, command and console script owes, tested over everything that is discovered."""

import ast
import importlib.metadata
import inspect

import click
import pytest

from safetycase import resources
from safetycase.cli import cli
from safetycase.errors import PlanError
from safetycase.evidence import kinds
from safetycase.evidence.kinds import Kind
from safetycase.evidence.record import Findings, Record
from tests.source import ROOT, modules

each_kind = pytest.mark.parametrize("name", kinds.names())
MEMBERS = [name for name in vars(Kind) if not name.startswith("_")]


@each_kind
def test_a_kind_has_every_member_of_the_protocol(name: str) -> None:
    """`Kind` says what a file in `evidence/kinds/` defines; functions take the arguments that it names."""
    kind = kinds.load(name)

    assert [member for member in MEMBERS if not hasattr(kind, member)] == []
    for member in MEMBERS:
        declared = vars(Kind)[member]
        if inspect.isfunction(declared):
            assert list(inspect.signature(getattr(kind, member)).parameters) == list(inspect.signature(declared).parameters)[1:], member


@each_kind
def test_a_kind_opens_with_the_question_it_answers(name: str) -> None:
    """The documents print it."""
    assert kinds.summary(name).endswith("?")


@each_kind
def test_params_are_closed_and_divided(name: str) -> None:
    """A key of a plan belongs to what is asked or to how it is read, never to both; all have defaults, and a level is one of them."""
    kind = kinds.load(name)

    assert issubclass(kind.Ask, Record)
    assert issubclass(kind.Read, Record)
    assert issubclass(kind.Found, Findings)
    assert not set(kind.Ask.model_fields) & set(kind.Read.model_fields)
    assert "level" in kind.Read.model_fields
    assert kind.Read() == kind.Read.model_validate(kind.Read().model_dump(mode="json"))


@each_kind
def test_versions_count_from_one(name: str) -> None:
    """A raised version means other answers or other findings."""
    kind = kinds.load(name)

    assert kind.OBSERVE_VERSION >= 1
    assert kind.DERIVE_VERSION >= 1


@each_kind
def test_tables_have_their_own_names_and_say_what_they_hold(name: str) -> None:
    """An auditor reads the declaration, not the code."""
    tables = kinds.load(name).TABLES

    assert len({table.name for table in tables}) == len(tables)
    assert all(table.about and table.columns and all(column.about for column in table.columns) for table in tables)


@each_kind
def test_a_kind_lists_its_estimates_by_the_grammar(name: str) -> None:
    """`quantity.population.condition[@judge][#item]`, known before any run."""
    kind = kinds.load(name)

    listed = kind.estimate_names(kind.Ask(), kind.Read(), {})

    assert listed == tuple(sorted(set(listed)))
    assert all(estimate.split("@")[0].split("#")[0].count(".") == 2 for estimate in listed)


@each_kind
def test_a_kind_has_its_analysis_its_template_and_its_tests(name: str) -> None:
    """One name, one thing, everywhere."""
    analysis = [module for module in modules() if module.name == f"safetycase.lab.analyses.{name}"]
    functions = {node.name for module in analysis for node in module.tree.body if isinstance(node, ast.FunctionDef)}
    imported = {alias.name for m in analysis for node in m.tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}

    assert "observe" in functions | imported
    assert (resources.directory("templates") / "evidence" / f"{name}.html.j2").is_file()
    assert _tests_of(name, "evidence")
    assert _tests_of(name, "lab")


def test_an_unknown_kind_names_its_neighbour() -> None:
    """A slip of the pen is told what was meant."""
    with pytest.raises(PlanError, match="did you mean 'refusal_direction'"):
        kinds.load("refusal_directions")


def _commands(group: click.Group = cli, before: str = "") -> list[tuple[str, click.Command]]:
    found = []
    for name, command in group.commands.items():
        found.append((f"{before}{name}", command))
        if isinstance(command, click.Group):
            found += _commands(command, f"{before}{name} ")
    return found


each_command = pytest.mark.parametrize("command", [pytest.param(command, id=name) for name, command in _commands()])


@each_command
def test_a_command_says_what_it_does(command: click.Command) -> None:
    """`--help` is never empty, and every option has its own line."""
    assert command.help
    assert [option.name for option in command.params if isinstance(option, click.Option) and not option.help] == []


@each_command
def test_a_flag_can_be_switched_off(command: click.Command) -> None:
    """Each boolean flag has both spellings."""
    flags = [option for option in command.params if isinstance(option, click.Option) and option.is_flag]

    assert [flag.name for flag in flags if not flag.secondary_opts and not flag.is_eager] == []


def test_every_console_script_can_be_loaded() -> None:
    """An installed command that does not start is worse than none."""
    scripts = [point for point in importlib.metadata.distribution("safetycase").entry_points if point.group == "console_scripts"]

    assert [point.name for point in scripts] == ["safetycase"]
    assert all(callable(point.load()) for point in scripts)


def _tests_of(name: str, room: str) -> list[str]:
    return [path.name for path in (ROOT / "tests" / room).rglob("*.py") if name in path.relative_to(ROOT / "tests").as_posix()]
