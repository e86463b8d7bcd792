"""The export for gsn2x: what its own checks (doc/src/checks.md, V01 to V13 and C01 to C16) would say of it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from safetycase import resources
from safetycase.case.argument import build_argument, load_pattern
from safetycase.case.goals import Argument
from safetycase.dossier.exports.gsn2x import gsn2x
from tests.dossier.cases import STORIES
from tests.dossier.test_goal_structure import PATTERNS, structures

PREFIXES = ("CSn", "CG", "Sn", "G", "S", "C", "A", "J")
SUPPORT = {"G": ("G", "S", "Sn"), "S": ("G", "S", "Sn"), "CG": ("CG", "CSn")}
KNOWN = {"text", "supportedBy", "inContextOf", "undeveloped", "challenges", "defeated"}
LAYERS = {"evidence_id", "enters", "claims", "standing", "confidence", "status", "requirement"}


def type_of(key: str) -> str:
    return next((prefix for prefix in PREFIXES if key.startswith(prefix)), "")


def targets(node: Mapping[str, Any], field: str) -> list[str]:
    found = node.get(field, [])
    return [found] if isinstance(found, str) else list(found)


def check(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Codes and elements, as gsn2x --check would report them for one module."""
    nodes = {key: node for key, node in document.items() if key != "module"}
    return tuple(each for key, node in nodes.items() for each in _validated(key, node, nodes)) + tuple(_checked(nodes))


def _validated(key: str, node: Mapping[str, Any], nodes: Mapping[str, Any]) -> Iterator[str]:
    kind, support, context = type_of(key), targets(node, "supportedBy"), targets(node, "inContextOf")
    if not kind:
        yield f"V01 {key}"
    if kind in ("G", "S") and not support and not node.get("undeveloped"):
        yield f"V02 {key}"
    if support and node.get("undeveloped"):
        yield f"V03 {key}"
    if any(type_of(each) not in SUPPORT.get(kind, ()) for each in support):
        yield f"V04 {key}"
    if any(type_of(each) not in ("C", "A", "J") or kind not in ("G", "S") for each in context):
        yield f"V04 {key}"
    if any(len(set(each)) < len(each) for each in (support, context)):
        yield f"V05 {key}"
    if key in support + context:
        yield f"V06 {key}"
    if node.get("defeated") and not any(key in targets(other, "challenges") for other in nodes.values()):
        yield f"V10 {key}"
    if node.get("challenges") and kind not in ("CG", "CSn"):
        yield f"V12 {key}"


def _checked(nodes: Mapping[str, Any]) -> Iterator[str]:
    referred = {each for node in nodes.values() for each in (*targets(node, "supportedBy"), *targets(node, "inContextOf"))}
    top = [key for key in nodes if key not in referred and type_of(key) not in ("CG", "CSn")]
    if len(top) != 1:
        yield f"C01 {top}"
    elif type_of(top[0]) != "G":
        yield f"C02 {top[0]}"
    for key, node in nodes.items():
        for field in ("supportedBy", "inContextOf", "challenges"):
            yield from (f"{'C14' if field == 'challenges' else 'C03'} {key}" for each in targets(node, field) if each not in nodes)
        if key in targets(node, "challenges"):
            yield f"C13 {key}"
    yield from (f"C04 {key}" for key in nodes if _reaches(key, key, nodes))
    reached = {key for key in nodes if key in top or any(_reaches(start, key, nodes) for start in top)}
    yield from (f"C08 {key}" for key in nodes if key not in reached and type_of(key) not in ("CG", "CSn"))


def _reaches(start: str, goal: str, nodes: Mapping[str, Any]) -> bool:
    seen: set[str] = set()
    waiting = [*targets(nodes[start], "supportedBy"), *targets(nodes[start], "inContextOf")]
    while waiting:
        key = waiting.pop()
        if key == goal:
            return True
        if key not in seen and key in nodes:
            seen.add(key)
            waiting += [*targets(nodes[key], "supportedBy"), *targets(nodes[key], "inContextOf")]
    return False


def from_pattern(pattern: str, story: str) -> Argument:
    told = STORIES[story]()
    return build_argument(load_pattern(pattern, Path(), resources.bundled()), told.case, told.findings)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("story", STORIES)
def test_an_exported_argument_passes_the_checks_of_gsn2x(story: str, pattern: str) -> None:
    """For every pattern and every case, hostile ones too; what gsn2x does not know are texts, which it shows as layers."""
    document = yaml.safe_load(gsn2x(from_pattern(pattern, story)))

    assert check(document) == ()
    assert {"name", "brief"} <= document["module"].keys()
    for key, node in document.items():
        assert key == "module" or node.keys() <= KNOWN | LAYERS
        assert all(isinstance(text, str) for name, text in node.items() if key == "module" or name in LAYERS)


@settings(max_examples=40, deadline=None)
@given(structures())
def test_every_element_and_relation_is_exported(argument: Argument) -> None:
    """The file says what the argument says, element by element."""
    document = yaml.safe_load(gsn2x(argument))

    for node in argument.nodes:
        assert tuple(targets(document[node.id], "supportedBy")) == node.supported_by
        assert tuple(targets(document[node.id], "inContextOf")) == node.in_context_of
        assert tuple(targets(document[node.id], "challenges")) == node.challenges
    assert document.keys() == {"module", *(node.id for node in argument.nodes)}


def test_evidence_confidence_and_status_are_layers() -> None:
    """A reviewer switches them on with -l."""
    argument = from_pattern("refusal-under-weight-access", "plausible")
    document = yaml.safe_load(gsn2x(argument))

    assert document["Sn3"]["evidence_id"] == f"refusal:{argument.node('Sn3').evidence[0].findings_sha256}"
    assert document["G3"]["confidence"].startswith("low: ")
    assert document["CG1"] == {
        "text": argument.node("CG1").text,
        "challenges": "G3",
        "undeveloped": True,
        "status": "open; owner Example Lab; Measured for a few directions at most; cones of directions are not searched.",
    }
    assert document["G8"]["defeated"] is True
    assert "direction ablated (arditi-12): 11 % [6, 16]" in document["Sn3"]["text"]


def test_the_same_argument_gives_the_same_text() -> None:
    """No clock and no order of hashing."""
    assert gsn2x(from_pattern(PATTERNS[0], "plausible")) == gsn2x(from_pattern(PATTERNS[0], "plausible"))


def test_hostile_text_hides_nothing() -> None:
    """No control, no bidi override and no alias of YAML in the file."""
    text = gsn2x(from_pattern(PATTERNS[1], "hostile"))

    assert not set(text) & set("\u202e\u202c\x07")
    assert not [event for event in yaml.parse(text) if isinstance(event, yaml.AliasEvent)]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        pytest.param({"X1": {}}, "V01 X1", id="unknown type"),
        pytest.param({"G1": {"text": "t"}}, "V02 G1", id="bare goal"),
        pytest.param({"G1": {"supportedBy": ["G2"], "undeveloped": True}, "G2": {"undeveloped": True}}, "V03 G1", id="supported"),
        pytest.param({"G1": {"supportedBy": ["C1"]}, "C1": {}}, "V04 G1", id="wrong relation"),
        pytest.param({"G1": {"undeveloped": True, "defeated": True}}, "V10 G1", id="defeated by nothing"),
        pytest.param({"G1": {"undeveloped": True, "challenges": "G1"}}, "V12 G1", id="a goal that challenges"),
        pytest.param({"G1": {"undeveloped": True}, "G2": {"undeveloped": True}}, "C01 ['G1', 'G2']", id="two roots"),
        pytest.param({"S1": {"undeveloped": True}}, "C02 S1", id="root is no goal"),
        pytest.param({"G1": {"supportedBy": ["G2"]}}, "C03 G1", id="unknown reference"),
        pytest.param({"G1": {"supportedBy": ["G2"]}, "G2": {"supportedBy": ["S1"]}, "S1": {"supportedBy": ["G2"]}}, "C04 G2", id="cycle"),
        pytest.param({"G1": {"undeveloped": True}, "CG1": {"challenges": "G2"}}, "C14 CG1", id="challenges nothing"),
    ],
)
def test_the_checks_find_what_gsn2x_finds(document: Mapping[str, Any], code: str) -> None:
    """A check that passes everything would say nothing of the export."""
    assert code in check(document)
