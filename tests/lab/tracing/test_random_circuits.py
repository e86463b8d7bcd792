"""Random circuits are of the members' size and strata, may be the members themselves, and give p values that hold their level."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase.evidence.kinds.circuit_trace.selection import Node
from safetycase.evidence.stats import null_test
from safetycase.lab.tracing.random_circuits import Candidate, random_circuits

pytestmark = pytest.mark.lab

nodes = st.tuples(st.integers(0, 2), st.integers(0, 9), st.sampled_from(["instruction", "end-1"]))
candidates = st.builds(Candidate, nodes, st.floats(0, 10), st.floats(0.01, 1))


@settings(max_examples=50)
@given(st.lists(candidates, min_size=1, max_size=30, unique_by=lambda each: each.node), st.data())
def test_circuits_are_of_equal_size_and_of_the_members_layers_and_roles(known: list[Candidate], data: st.DataObject) -> None:
    """None twice, as many of each layer and role as the members are; none at all where nothing but the members could be drawn."""
    members = data.draw(st.lists(st.sampled_from([each.node for each in known]), min_size=1, max_size=6, unique=True))

    drawn = random_circuits(known, members, 20, seed=3)

    if not drawn.circuits:
        assert "no feature but the members" in drawn.note
        return
    assert len(drawn.circuits) == 20
    for circuit in drawn.circuits:
        assert len(set(circuit)) == len(circuit)
        assert Counter((layer, role) for layer, _, role in circuit) == Counter((layer, role) for layer, _, role in members)
        assert set(circuit) <= {each.node for each in known}
    assert drawn.note.startswith(f"{len(set(drawn.circuits))} different ones")


def test_strong_members_are_matched_with_strong_features() -> None:
    """Of a layer and role, the half that writes most and recurs most; all of it comes up, the member among them."""
    strong = [Candidate((1, feature, "end-1"), 4.0 + feature / 100, 0.9) for feature in range(10)]
    weak = [Candidate((1, feature, "end-1"), 0.01, 0.05) for feature in range(20, 30)]

    drawn = random_circuits([*weak, *strong], [strong[0].node], 200, seed=0)

    assert {node for circuit in drawn.circuits for node in circuit} == {each.node for each in strong}


def test_over_members_drawn_by_lot_p_is_at_most_its_level() -> None:
    """P(p <= alpha) <= alpha where members are no different from what they are drawn among: small pools, several layers."""
    rng = np.random.default_rng(0)
    known = [Candidate((layer, feature, "end-1"), 1.0, 0.5) for layer in range(2) for feature in range(6)]
    effects = {each.node: rng.normal() for each in known}
    runs, alpha, passed = 400, 0.05, 0

    def effect(circuit: tuple[Node, ...]) -> float:
        return sum(effects[node] for node in circuit)

    for run in range(runs):
        members = [known[layer * 6 + place].node for layer in range(2) for place in rng.permutation(6)[:2].tolist()]
        drawn = random_circuits(known, members, 60, seed=run)
        passed += null_test(effect(tuple(members)), [effect(each) for each in drawn.circuits], "greater").p <= alpha

    assert passed / runs <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / runs)


def test_the_seed_alone_decides() -> None:
    """The same seed gives the same circuits, another gives others."""
    known = [Candidate((0, feature, "end-1"), 1.0, 0.5) for feature in range(20)]
    members = [each.node for each in known[:3]]

    first, again, other = (random_circuits(known, members, 10, seed) for seed in (0, 0, 1))

    assert first == again
    assert first.circuits != other.circuits
