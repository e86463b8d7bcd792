"""What an installation brings: few packages, all of them declared, all of them used, at versions that the plan of the project states."""

import importlib.metadata
import re
import tomllib
from collections.abc import Iterable
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from safetycase import __version__, resources
from safetycase.sources.organisms import organisms
from tests.source import ROOT, modules, third_party

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BASE: list[str] = PROJECT["dependencies"]
LAB: list[str] = PROJECT["optional-dependencies"]["lab"]
NOT_COUNTED = {"pip", "setuptools"}
CUDA_LIBRARIES = 19
"""What torch's default build for Linux adds, by the metadata of torch 2.13.0 on the package index."""
IMPORTED_AS = {"pyyaml": "yaml", "markdown-it-py": "markdown_it"}
LOADED_BY_OTHERS = {"tokenizers"}
"""Declared because a bound on it matters here, imported by transformers."""


@pytest.mark.parametrize(
    ("requirements", "own", "bar"),
    [
        pytest.param(BASE, 1, 45, id="base"),
        pytest.param(BASE + LAB, 1, 75, id="lab"),
        pytest.param(BASE + LAB, 1 + CUDA_LIBRARIES, 75, id="lab with CUDA"),
    ],
)
def test_an_installation_is_small(requirements: list[str], own: int, bar: int) -> None:
    """An auditor can look at every package that comes along."""
    assert len(closure(requirements) - NOT_COUNTED - cuda()) + own <= bar


def test_the_base_install_has_no_lab() -> None:
    """Neither torch nor transformers nor a hub client, not even by way of others."""
    assert not closure(BASE) & {"torch", "transformers", "tokenizers", "huggingface-hub"}


@pytest.mark.parametrize(("room", "declared"), [pytest.param("lab", BASE + LAB, id="lab"), pytest.param(None, BASE, id="reading half")])
def test_every_import_is_declared(room: str | None, declared: list[str]) -> None:
    """What the code imports is what `pyproject.toml` asks for, not what happens to come along."""
    used = {name for module in modules() if (module.room == "lab") is (room == "lab") for name in third_party(module)}

    assert used <= import_names(declared)


def test_every_declared_package_is_imported() -> None:
    """A dependency that nothing uses is dropped."""
    used = {name for module in modules() for name in third_party(module)}

    assert import_names(BASE + LAB) - used - LOADED_BY_OTHERS == set()


def test_every_requirement_has_a_lower_bound() -> None:
    """An install that resolves is an install that works."""
    assert [name for name in BASE + LAB if not re.search(r">=\d", name)] == []


def test_constraints_pin_every_dependency_and_torch_as_promised() -> None:
    """Development and CI run with known versions, torch among them."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))

    assert pins["torch"] == "2.13.0"
    assert {name_of(requirement) for requirement in BASE + LAB} <= set(pins)
    for requirement in map(Requirement, BASE + LAB):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement


def test_the_dependencies_are_explained() -> None:
    """`docs/dependencies.md` has one line for each: why it is here, its licence, its size, its last release."""
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")

    listed = re.findall(r"^\| `([a-z0-9-]+)` \|", text, flags=re.MULTILINE)

    assert sorted(listed) == sorted(name_of(requirement) for requirement in BASE + LAB)


def test_the_version_is_said_once() -> None:
    """The package, its metadata and the changelog agree."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert PROJECT["version"] == __version__
    assert re.findall(r"^## \[(\d\S*)\]", changelog, flags=re.MULTILINE)[0] == __version__


@pytest.mark.parametrize("name", ["templates", "schemas"])
def test_folders_that_travel_with_the_code_are_found(name: str) -> None:
    """The wheel takes them along (CI builds the quickstart from one); a checkout has them beside the package."""
    assert any(resources.directory(name).rglob("*"))


def test_bundled_organisms_are_small() -> None:
    """Weights in the package are safetensors of at most 4 MB each."""
    assert organisms()
    for organism in organisms().values():
        weights = list(organism.folder.glob("*.safetensors"))
        assert weights
        assert all(path.stat().st_size <= 4_000_000 for path in weights)


def closure(requirements: Iterable[str]) -> set[str]:
    """Names of everything that these requirements bring on this platform, by the metadata of what is installed."""
    seen: set[tuple[str, tuple[str, ...]]] = set()
    todo = [Requirement(requirement) for requirement in requirements]
    while todo:
        each = todo.pop()
        key = (canonicalize_name(each.name), tuple(sorted(each.extras)))
        if key in seen:
            continue
        seen.add(key)
        below = map(Requirement, importlib.metadata.requires(each.name) or ())
        todo += [r for r in below if r.marker is None or any(r.marker.evaluate({"extra": extra}) for extra in (*each.extras, ""))]
    return {name for name, _ in seen}


def cuda() -> set[str]:
    """The CUDA libraries among what is installed here."""
    brought = closure(["torch"])
    return {name for name in brought if name.startswith(("nvidia-", "cuda-")) or name == "triton"}


def name_of(requirement: str) -> str:
    """The package that a requirement names, as an index writes it."""
    return canonicalize_name(Requirement(requirement).name)


def import_names(requirements: Iterable[str]) -> set[str]:
    """What these packages are imported as."""
    return {IMPORTED_AS.get(name, name).replace("-", "_") for name in map(name_of, requirements)}
