"""Which features recur: nulls that know of families, members that are found again, groups and names of members."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetycase.evidence.kinds.circuit_trace.derive import derive
from safetycase.evidence.kinds.circuit_trace.observed import observed
from safetycase.evidence.kinds.circuit_trace.recurrence import circuit_of, swapped
from safetycase.evidence.kinds.circuit_trace.selection import Matched, clusters_of, largest_swapped, recurring, selected
from safetycase.evidence.kinds.circuit_trace.supernodes import likeness, name_of, supernodes
from tests.evidence.kinds.circuit_trace.circuit_case import READ, found, stored, tables

FAMILIES = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("wxyz")), max_size=12)


@given(pairs=FAMILIES)
def test_pairs_that_share_a_family_are_of_one_cluster(pairs: list[tuple[str, str]]) -> None:
    """However long the chain; and clusters share no family."""
    clusters = clusters_of(pairs)

    families: dict[str, set[str]] = {}
    for pair, cluster in zip(pairs, clusters, strict=True):
        families.setdefault(cluster, set()).update(pair)
    assert len(clusters) == len(pairs)
    assert sum(map(len, families.values())) == len({family for pair in pairs for family in pair})


def test_pairs_of_one_family_go_by_its_name() -> None:
    """As the lab and the table of prompts have it."""
    assert clusters_of([("b", "b"), ("a", "a"), ("b", "b")]) == ("b", "a", "b")
    assert clusters_of([("b", "c"), ("a", "c"), ("d", "e")]) == ("a", "a", "d")


@given(seed=st.integers(0, 200), minimum=st.sampled_from([0.1, 0.25, 0.6]))
def test_nodes_that_no_swap_can_make_a_candidate_change_nothing(seed: int, minimum: float) -> None:
    """The largest difference of each swap is that over all nodes, as defined."""
    rng = np.random.default_rng(seed)
    sides = (rng.random((2, 9, 12)) < rng.random(12) * 0.6).astype(np.float64)
    graphs = Matched(tuple((0, n, "end-1") for n in range(12)), sides[0], sides[1], tuple("aabbccdde"))

    found_ = largest_swapped(graphs, minimum, 50, seed)

    signs = np.random.default_rng(seed).integers(0, 2, size=(50, 5))[:, [0, 0, 1, 1, 2, 2, 3, 3, 4]]
    for sign, largest in zip(signs, found_, strict=True):
        one = np.where(sign[:, None] == 0, sides[0], sides[1]).mean(axis=0)
        other = np.where(sign[:, None] == 0, sides[1], sides[0]).mean(axis=0)
        wanted = max((float(a - b) for a, b in zip(one, other, strict=True) if a >= minimum), default=-1.0)
        assert largest == pytest.approx(wanted)


def test_without_a_difference_there_is_a_member_as_often_as_declared() -> None:
    """Forty features that recur alike on both sides, families that are alike within: any member at all in 5 % of trials."""
    runs, any_member = 200, 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        by_family = rng.beta(2, 2, size=(2, 8, 40))
        sides = (rng.random((2, 24, 40)) < by_family[:, np.arange(24) % 8]).astype(np.float64)
        graphs = Matched(tuple((0, n, "end-1") for n in range(40)), sides[0], sides[1], tuple(str(n % 8) for n in range(24)))
        any_member += bool(selected(recurring(graphs, 0.25, 199, seed), 0.05, 24))

    assert any_member / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_the_confirmation_difference_has_its_own_null() -> None:
    """Members that recur on discovery prompts alone show nothing on the others."""
    stands, falls = found(), found(stands=False)
    name = "recurrence_difference.matched.confirmation#member-{}"

    assert all(stands.estimates[name.format(n)].nulls[0].p == 1 / 200 for n in (1, 2, 3))
    assert all(falls.estimates[name.format(n)].nulls[0].p > 0.05 for n in (1, 2, 3))
    assert all(falls.estimates[name.format(n)].low < 0 for n in (1, 2, 3))
    assert {each.feature for each in falls.members} == {each.feature for each in stands.members}


def test_swaps_keep_families_together() -> None:
    """Two families of twelve pairs that agree: one swap in four repeats what was seen."""
    harmful, harmless = np.ones(24, dtype=bool), np.zeros(24, dtype=bool)

    together = swapped(harmful, harmless, np.array(["a", "b"] * 12), 999, 3)
    apart = swapped(harmful, harmless, np.array([str(n) for n in range(24)]), 999, 3)

    assert together.p == pytest.approx(0.25, abs=0.06)
    assert apart.p == 1 / 1000


def test_the_discovery_null_is_the_one_of_the_selection() -> None:
    """The p that made it a member stands beside its difference."""
    for member in found().members:
        null = found().estimates[f"recurrence_difference.matched.discovery#{member.slot}"].nulls[0]
        assert null.p == member.p


def test_strong_members_are_found_again_and_weak_ones_less_often() -> None:
    """The share of resamples of families in which the rule selects them again."""
    strong, weak = found(), found(recurs=0.62, recurs_harmless=0.3, seed=3)
    name = "members_recovered.discovery.reseeded"

    assert strong.estimates[name].value == 1.0
    assert strong.estimates[name].low < 1.0
    assert weak.members
    assert weak.estimates[name].value < 0.9
    assert weak.estimates[name].value == pytest.approx(np.mean([member.stability for member in weak.members]))


def test_members_stand_by_how_much_they_differ() -> None:
    """Slot 1 differs most; effects are means over the harmful discovery prompts that hold them."""
    differences = [member.recurs - member.recurs_harmless for member in found().members]

    assert differences == sorted(differences, reverse=True)
    assert {member.feature: member.effect for member in found().members}[100] == pytest.approx(2.0, abs=0.1)


def test_without_the_table_of_members_they_have_no_words() -> None:
    """The graphs alone say which they are."""
    what = found(without=frozenset({"members"}))

    assert [(each.layer, each.feature) for each in what.members] == [(each.layer, each.feature) for each in found().members]
    assert {(each.label, each.raises) for each in what.members} == {("", ())}


def test_members_that_write_alike_and_aim_alike_are_one_supernode() -> None:
    """The two whose decoders agree; each group goes by the member of largest effect."""
    slots = {member.feature: member.slot for member in found().members}

    groups = {frozenset(group.members): group.name for group in found().supernodes}

    first_two = frozenset(each.slot for each in found().members[:2])
    assert groups == {first_two: "label of 100", frozenset({slots[102]}): "label of 102"}


@given(same=st.floats(0, 1))
def test_supernodes_divide_the_members(same: float) -> None:
    """Each member is in one group, at any threshold, and names are told apart."""
    seen = observed(tables())
    read = READ.model_copy(update={"same_supernode": same})

    groups = supernodes(seen, circuit_of(seen), found().members, read)

    assert sorted(slot for group in groups for slot in group.members) == [member.slot for member in found().members]
    assert len({group.name for group in groups}) == len(groups)
    if same == 0:
        assert len(groups) == 1
    if same == 1:
        assert len(groups) == 3


def test_likeness_is_a_mean_of_what_is_known() -> None:
    """Symmetric; without decoders the edges and the graphs are left."""
    seen = observed(tables())
    circuit = circuit_of(seen)

    whole = likeness(seen, circuit)
    without = likeness(observed(replace(tables(), rows={k: v for k, v in tables().rows.items() if k != "likeness"})), circuit)

    assert np.allclose(whole, whole.T)
    assert (np.diag(whole) == 1).all()
    assert whole[0, 1] < without[0, 1]  # the cosine of decoders, 0.9, is the least of the three
    assert whole[0, 2] < 0.5 < without[0, 2]


def test_likeness_is_the_mean_of_decoders_targets_and_prompts() -> None:
    """By hand: both drive the target, and the third member above both."""
    seen = observed(tables())
    circuit = circuit_of(seen)
    ends = [[row for row in tables().table("member_edges").rows() if row["source"] == number] for number in (1, 2)]
    aims = [
        [float(np.mean([row["weight"] for row in rows if row["target"] == end] or [0.0])) for end in (0, 3)] for rows in ends
    ]  # fmt: skip
    cosine = np.dot(aims[0], aims[1]) / (np.linalg.norm(aims[0]) * np.linalg.norm(aims[1]))
    held = [{item for item, nodes in circuit.kept.items() if item.startswith("harmful-disc") and node in nodes} for node in circuit.nodes]
    jaccard = len(held[0] & held[1]) / len(held[0] | held[1])

    assert likeness(seen, circuit)[0, 1] == pytest.approx((0.9 + cosine + jaccard) / 3)


def test_effects_of_members_are_those_on_discovery_prompts() -> None:
    """Confirmation prompts do not enter."""
    rows = [{**row, "effect": 99.0 if "confirmation" in row["item"] else row["effect"]} for row in tables().table("graph_nodes").rows()]

    what = derive(replace(tables(), rows={**tables().rows, "graph_nodes": stored("graph_nodes", rows)}), READ)

    assert [member.effect for member in what.members] == [member.effect for member in found().members]


def test_a_prompt_without_a_graph_takes_its_pair_with_it() -> None:
    """A graph that could not be made leaves 23 pairs of that half."""
    rows = [row for row in tables().table("graphs").rows() if row["item"] != "harmless-confirmation-004"]

    what = derive(replace(tables(), rows={**tables().rows, "graphs": stored("graphs", rows)}), READ)

    assert what.estimates["recurrence_difference.matched.confirmation#member-1"].n == 23
    assert what.estimates["recurrence_difference.matched.discovery#member-1"].n == 24


def test_pairs_that_share_a_harmless_family_are_no_two_clusters() -> None:
    """Matched by category: sixteen families of harmful prompts, eight of harmless ones, hence eight clusters of pairs."""
    what = found(matched_by="category", families=16, per_family=2)

    assert what.estimates["recurrence_difference.matched.discovery#member-1"].clusters == 8
    assert what.estimates["log_odds_change.harmful.ablated"].clusters == 16


def test_names_fall_back_from_label_to_tokens_to_place() -> None:
    """What stands in a picture is never empty; equal names get a number."""
    member = found(labels=False).members[0]
    twins = found(labels=False).members[0].model_copy(update={"raises": ()})

    assert name_of(member) == f"raises “ top{member.feature}”, “ sorry”, “ no”"
    assert name_of(twins) == f"layer {member.layer}, feature {member.feature}"
    rows = [{**row, "label": "the same words"} for row in tables().table("members").rows()]
    what = observed(replace(tables(), rows={**tables().rows, "members": stored("members", rows)}))
    named = tuple(each.model_copy(update={"label": "the same words"}) for each in found().members)
    groups = supernodes(what, circuit_of(what), named, READ.model_copy(update={"same_supernode": 1.0}))
    assert [group.name for group in groups] == ["the same words", "the same words (2)", "the same words (3)"]


def test_edges_are_means_over_prompts_with_both_ends() -> None:
    """To the target and upwards; the share says how often pruning keeps them."""
    edges = {(edge.source, edge.target): edge for edge in found().edges}
    lowest = next(member.slot for member in found().members if member.layer == 0)

    assert all((member.slot, "target") in edges for member in found().members)
    assert not any(target == lowest for _, target in edges)
    assert {edge.weight for (_, target), edge in edges.items() if target != "target"} == {0.5}
