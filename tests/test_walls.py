"""The rooms of the house and who may enter which: design §3, held for every module that exists."""

import ast
import graphlib
import re

import pytest

from tests.source import PACKAGE, ROOT, Module, modules, third_party

FOR_ALL = {PACKAGE, "errors", "resources"}
MAY_IMPORT = {
    PACKAGE: set(),
    "errors": set(),
    "resources": {"errors"},
    "sources": set(),
    "evidence": {"sources"},
    "case": {"evidence", "sources"},
    "plan": {"evidence", "case", "sources"},
    "dossier": {"case", "evidence", "sources"},
    "lab": {"plan", "evidence", "sources"},
    "cli": {"sources", "evidence", "case", "plan", "dossier", "lab"},
    "__main__": {"cli"},
}
ONLY_IN_THE_LAB = {"torch", "transformers", "tokenizers", "huggingface_hub", "jaxtyping", "datasets"}
EMPTY_NAMES = re.compile(r"(^|_)(utils?|helpers?|misc)(_|$)|(^|_)(managers?|handlers?)(_|$)", re.IGNORECASE)
LONGEST_FILE = 500

each_module = pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)


@each_module
def test_imports_stay_within_the_walls(module: Module) -> None:
    """A room imports only from the rooms that the design gives it."""
    allowed = MAY_IMPORT[module.room] | {module.room} | (FOR_ALL if module.room not in {"errors", "resources", PACKAGE} else set())

    entered = {[*name.split("."), PACKAGE][1] for name in module.imports() if name.split(".")[0] == PACKAGE}

    assert entered <= allowed


@each_module
def test_the_lab_alone_knows_torch(module: Module) -> None:
    """What needs a model or a hub is imported in the asking half and nowhere else."""
    if module.room != "lab":
        assert not third_party(module) & ONLY_IN_THE_LAB


@pytest.mark.parametrize("room", ["safetycase.lab.analyses", "safetycase.evidence.kinds"])
def test_one_kind_imports_no_other(room: str) -> None:
    """What a kind needs of another step arrives as that step's evidence."""
    crossings = []
    for module in modules():
        own = _member(module.name, room)
        others = {_member(name, room) for name in module.imports()} - {own, None}
        crossings += [(module.name, other) for other in others if own is not None]

    assert crossings == []


def test_there_are_no_import_cycles() -> None:
    """Every module can be read after the ones that it rests on."""
    graph = {module.name: set(_rests_on(module)) - {module.name} for module in modules()}

    order = tuple(graphlib.TopologicalSorter(graph).static_order())

    assert len(order) == len(graph)


@each_module
def test_a_module_opens_with_one_sentence(module: Module) -> None:
    """The first line says what the file is for, and ends like a sentence."""
    first = (ast.get_docstring(module.tree) or "").split("\n")[0]

    assert first.endswith((".", "?", "!", ":"))


@each_module
def test_names_say_something(module: Module) -> None:
    """No utils, helpers, Manager, Handler: neither files nor classes nor functions."""
    defined = [node.name for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    words = ["_".join(re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name)) for name in (*module.name.split("."), *defined)]

    assert [word for word in words if EMPTY_NAMES.search(word)] == []


@each_module
def test_a_file_can_be_read_in_one_sitting(module: Module) -> None:
    """Longer files split by noun."""
    assert len(module.path.read_text(encoding="utf-8").splitlines()) < LONGEST_FILE


@each_module
def test_annotations_are_live(module: Module) -> None:
    """Pydantic and jaxtyping read annotations, so they are never strings by decree."""
    assert "__future__" not in set(module.imports())


def test_every_room_has_its_wall() -> None:
    """A new folder under the package says here what it may import."""
    assert {module.room for module in modules()} == set(MAY_IMPORT)


def test_the_reader_of_imports_sees_what_python_sees() -> None:
    """The walls would stand for nothing if imports inside functions or of submodules were missed."""
    tree = ast.parse("def f():\n    from safetycase.evidence import kinds\n\nimport torch.nn\n")
    module = Module("safetycase.case.example", ROOT / "example.py", tree)

    assert list(module.imports()) == ["torch.nn", "safetycase.evidence.kinds"]
    assert list(module.imports(at_load=True)) == ["torch.nn"]
    assert third_party(module) == {"torch"}


def _member(name: str, room: str) -> str | None:
    """Which kind a module belongs to: the part of its name after the room; None outside."""
    return name.removeprefix(f"{room}.").split(".")[0] if name.startswith(f"{room}.") else None


def _rests_on(module: Module) -> set[str]:
    """Modules of this package that must be loaded first; a package's own modules are part of it, not below it."""
    known = {each.name for each in modules()}
    return {name for name in module.imports(at_load=True) if name in known}
