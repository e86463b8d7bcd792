"""Random circuits are of the members' size, hold no member, and are like them where that can be had."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase.evidence.kinds.circuit_trace.selection import Node
from safetycase.lab.tracing.random_circuits import NEAREST, Candidate, random_circuits

pytestmark = pytest.mark.lab

nodes = st.tuples(st.integers(0, 2), st.integers(0, 9), st.sampled_from(["instruction", "end-1"]))
candidates = st.builds(Candidate, nodes, st.floats(0, 10), st.floats(0.01, 1))


def places(circuit: Sequence[Node]) -> Counter[tuple[int, str]]:
    """How many features of each layer and role."""
    return Counter((layer, role) for layer, _, role in circuit)


@settings(max_examples=50)
@given(st.lists(candidates, min_size=1, max_size=30, unique_by=lambda each: each.node), st.data())
def test_circuits_are_of_equal_size_and_matched_where_possible(known: list[Candidate], data: st.DataObject) -> None:
    """No member, none twice, as many of each layer and role as there are; and the note counts what was matched."""
    members = data.draw(st.lists(st.sampled_from([each.node for each in known]), min_size=1, max_size=6, unique=True))
    others = [each.node for each in known if each.node not in members]

    drawn = random_circuits(known, members, 0.25, 20, seed=3)

    if len(others) < len(members):
        assert drawn.circuits == ()
        assert f"only {len(others)} features" in drawn.note
        return
    assert len(drawn.circuits) == 20
    wanted, matched = places(members), 0
    for circuit in drawn.circuits:
        assert len(set(circuit)) == len(circuit) == len(members)
        assert set(circuit) <= set(others)
        matched += (places(circuit) & wanted).total()
    assert f"in {matched / (20 * len(members)):.0%} of draws" in drawn.note
    if wanted <= places(others):
        assert matched == 20 * len(members)


def test_the_nearest_that_recur_are_drawn_first() -> None:
    """Of a layer and role with many features, those alike in strength that recur often enough; all of them come up."""
    member = Candidate((1, 0, "end-1"), 4.0, 0.26)
    near = [Candidate((1, feature, "end-1"), 4.0 + feature / 100, 0.9) for feature in range(1, NEAREST + 1)]
    weaker = [Candidate((1, feature, "end-1"), 0.01, 0.9) for feature in range(20, 30)]
    rare = [Candidate((1, feature, "end-1"), 4.0, 0.24) for feature in range(30, 40)]

    drawn = random_circuits([member, *rare, *weaker, *near], [member.node], 0.25, 200, seed=0)

    assert {node for circuit in drawn.circuits for node in circuit} == {each.node for each in near}


def test_the_seed_alone_decides() -> None:
    """The same seed gives the same circuits, another gives others."""
    known = [Candidate((0, feature, "end-1"), 1.0, 0.5) for feature in range(20)]
    members = [each.node for each in known[:3]]

    first, again, other = (random_circuits(known, members, 0.25, 10, seed) for seed in (0, 0, 1))

    assert first == again
    assert first.circuits != other.circuits
