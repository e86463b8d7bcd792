"""Sentences that stand beside a circuit trace only where they apply."""

from typing import Any

import pytest

from tests.evidence.kinds.circuit_trace.circuit_case import found


def said(**truth: Any) -> str:
    return "\n".join(found(**{**FEW_NULLS, **truth}).limitations)


FEW_NULLS: dict[str, Any] = {"randoms": 60, "subgraphs": 5, "edge_circuits": 5, "answered": 3}
ALONE: dict[str, Any] = {"transcoders": False}


@pytest.mark.parametrize(
    ("part", "with_it", "without_it"),
    [
        pytest.param("carry on average 41% on harmful prompts", {}, ALONE, id="error share"),
        pytest.param("Attention patterns", {}, ALONE, id="attention"),
        pytest.param("first-order: far from", {}, {"target": "token-difference"}, id="first-order target"),
        pytest.param("mean logit of refusal tokens", {"target": "token-difference"}, {}, id="token difference"),
        pytest.param("a direction in the residual stream", {"target": "direction"}, {}, id="direction"),
        pytest.param("machinery that both share", {}, {"recurs": 0.5, "recurs_harmless": 0.5}, id="shared machinery"),
        pytest.param("another model than the one assessed", {"same_model": False}, {}, id="another model"),
        pytest.param("do not say which model", {"same_model": None}, {}, id="unknown model"),
        pytest.param("reconstruct 3", {"reconstructed": 0.3}, {}, id="transcoders that give little back"),
        pytest.param(
            "less than half", {"reconstructed": -2.0, "same_model": None}, {"same_model": None}, id="transcoders that fit not at all"
        ),
        pytest.param("known by this share alone", {"same_model": None}, {}, id="only the share tells"),
        pytest.param("cross-layer transcoder", {"cross_layer": True}, {}, id="cross-layer"),
        pytest.param("matched within categories", {"matched_by": "category", "families": 16}, {}, id="matched by category"),
        pytest.param("No paraphrases were declared", {"paraphrase": False}, {}, id="no paraphrase"),
        pytest.param("24 matched pairs of 8 families served discovery", {}, {"families": 12, "per_family": 4}, id="small"),
        pytest.param("interchange ablation", ALONE, {"without": frozenset({"edge_curve"})}, id="edges"),
        pytest.param("Patching the residual stream", ALONE, {"without": frozenset({"patching"})}, id="patching"),
        pytest.param("Random circuits are matched", {}, {"without": frozenset({"circuits"})}, id="random circuits"),
        pytest.param("a test does not pass shows nothing of the opposite", {}, None, id="non-rejection"),
    ],
)
def test_a_sentence_stands_where_it_applies(part: str, with_it: dict[str, Any], without_it: dict[str, Any] | None) -> None:
    """And nowhere else; None for sentences that always stand."""
    assert part in said(**with_it)
    assert without_it is None or part not in said(**without_it)


def test_no_sentence_comes_twice() -> None:
    """The dossier prints them verbatim."""
    assert len(set(found().limitations)) == len(found().limitations)
