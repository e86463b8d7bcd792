"""What a plan may set for a circuit trace, and the names that follow from it."""

from typing import Any

import pytest

from safetycase.evidence.kinds.circuit_trace import Ask, Read, estimate_names, problems, steps, under_edit
from safetycase.evidence.kinds.circuit_trace.names import EDITED


@pytest.mark.parametrize(
    ("asked", "read", "says"),
    [
        pytest.param({"harmless": "harmful"}, {}, "differs in harm alone", id="one set twice"),
        pytest.param({"paraphrase": "harmful"}, {}, "other words", id="paraphrase of itself"),
        pytest.param({"transcoders": None, "patching_pairs": 0, "edge_pairs": 0}, {}, "nothing is asked", id="nothing"),
        pytest.param({"transcoders": None, "cards": "features"}, {}, "transcoders are none", id="cards without features"),
        pytest.param({"edge_shares": (0.1, 0.05)}, {}, "ascending", id="shares"),
        pytest.param({"random_circuits": 59}, {}, "at least 60", id="few random circuits"),
        pytest.param({"random_circuits": 100}, {"alpha": 0.01}, "at least 300", id="small alpha"),
        pytest.param({"swaps": 99, "selection_alpha": 0.005}, {}, "can give no p", id="few swaps"),
        pytest.param({"answered_circuits": 101}, {}, "of only 100", id="more answered than drawn"),
        pytest.param({"target": "direction"}, {}, "refusal_direction", id="no direction"),
        pytest.param({"refusal_tokens": ()}, {}, "found none", id="no tokens"),
        pytest.param({"refusal_tokens": (3, "I"), "compliance_tokens": ("I",)}, {}, "a refusal token too", id="a token on both sides"),
        pytest.param({"refusal_tokens": (-3,)}, {}, "found the id -3", id="a negative id"),
        pytest.param({}, {"judges": ("substrin",)}, "did you mean 'substring'", id="misspelt judge"),
    ],
)
def test_what_makes_a_step_pointless_is_told_before_it_runs(asked: dict[str, Any], read: dict[str, Any], says: str) -> None:
    """One line each; the defaults have none."""
    assert problems(Ask(), Read()) == ()
    assert [line for line in problems(Ask(**asked), Read(**read)) if says in line]


def test_names_follow_from_what_is_asked() -> None:
    """Without transcoders, pairs or paraphrases the estimates that rest on them are not named."""
    every = set(estimate_names(Ask(paraphrase="other"), Read(), {}))
    alone = set(estimate_names(Ask(transcoders=None), Read(), {}))

    assert alone < every
    assert {name.split(".")[0] for name in alone} == {"log_odds", "patched_change", "faithfulness", "cpr", "cmd"}
    assert not {name for name in estimate_names(Ask(), Read(), {}) if "paraphrase" in name}
    assert not {name for name in estimate_names(Ask(edge_pairs=0), Read(), {}) if "edge-circuit" in name}
    assert len([name for name in every if name.startswith("recurrence.harmful.")]) == Ask().max_members


def test_what_an_edited_model_does_is_told_from_what_it_does_unedited() -> None:
    """Effects of ablation may bound from below, never support."""
    names = estimate_names(Ask(paraphrase="other"), Read(), {})

    edited = {name for name in names if under_edit(name)}
    assert {name.split("#")[0].split("@")[0].rsplit(".", 1)[1] for name in edited} <= EDITED
    assert "refusal_rate_change.harmful.ablated@substring" in edited
    assert not {name for name in edited if "recurrence" in name or "graph" in name or "baseline" in name}


def test_steps_are_named_once() -> None:
    """One step may give both direction and cards."""
    assert steps(Ask(direction="refusal", cards="features")) == ("refusal", "features")
    assert steps(Ask(direction="one", cards="one")) == ("one",)
    assert steps(Ask()) == ()
