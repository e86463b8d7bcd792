"""The package as source text: its modules, what they import and how, read by `ast` so that nothing is run."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "safetycase"


@dataclass(frozen=True)
class Module:
    """One file of the package."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def room(self) -> str:
        """The folder or file directly under the package: the unit that walls stand between."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else PACKAGE

    def imports(self, *, at_load: bool = False) -> Iterator[str]:
        """Absolute names of what is imported; `at_load` leaves out function bodies and type checking."""
        for node in _at_load(self.tree.body) if at_load else ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}:{node.lineno}: a relative import"
                yield from (_target(node.module or "", alias.name) for alias in node.names)


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the package, by name."""
    found = []
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.append(Module(name, path, ast.parse(path.read_text(encoding="utf-8"), filename=str(path))))
    return tuple(found)


def third_party(module: Module) -> set[str]:
    """Top names of what a module imports from outside this package and the standard library."""
    tops = {name.split(".")[0] for name in module.imports()}
    return {top for top in tops if top != PACKAGE and top not in sys.stdlib_module_names}


def _target(module: str, name: str) -> str:
    """`from a import b` names the module a.b where there is one, else a."""
    path = ROOT.joinpath(*module.split("."), name)
    return f"{module}.{name}" if path.is_dir() or path.with_suffix(".py").is_file() else module


def _at_load(body: list[ast.stmt]) -> Iterator[ast.AST]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (isinstance(node, ast.If) and _is_type_checking(node.test)):
            continue
        yield node
        for field in ("body", "orelse", "finalbody"):
            yield from _at_load(getattr(node, field, []))
        for branch in (*getattr(node, "handlers", []), *getattr(node, "cases", [])):
            yield from _at_load(branch.body)


def _is_type_checking(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"
