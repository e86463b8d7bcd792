"""The graph of components has every edge from an earlier writer to a later reader, and no other."""

import numpy as np
import pytest

from safetycase.evidence.circuits.edges import decoder_graph


def test_every_head_reads_all_that_was_written_before_its_layer() -> None:
    """One layer of two heads: the embedding reaches six inputs of heads, the MLP and the logits; heads reach the MLP and the logits."""
    graph = decoder_graph(1, 2)

    into = {reader: [writer for writer, other in graph.names if other == reader] for reader in graph.readers}

    assert graph.writers == ("embed", "head.0.0", "head.0.1", "mlp.0")
    assert list(into) == ["head.0.0.q", "head.0.1.q", "head.0.0.k", "head.0.1.k", "head.0.0.v", "head.0.1.v", "mlp.0", "logits"]
    assert all(into[f"head.0.{head}.{part}"] == ["embed"] for head in (0, 1) for part in "qkv")
    assert into["mlp.0"] == ["embed", "head.0.0", "head.0.1"]
    assert into["logits"] == list(graph.writers)


def test_in_parallel_blocks_the_mlp_does_not_read_its_own_attention() -> None:
    """The edge head -> MLP of the same layer is absent, that to the next layer's is not."""
    names = set(decoder_graph(2, 1, sequential=False).names)

    assert ("head.0.0", "mlp.0") not in names
    assert ("head.0.0", "mlp.1") in names


def test_attention_as_a_whole_is_one_writer_and_one_reader() -> None:
    """Where heads have no share of their own there are four nodes to two layers, besides embedding and logits."""
    graph = decoder_graph(2, None)

    assert graph.writers == ("embed", "attn.0", "mlp.0", "attn.1", "mlp.1")
    assert len(graph) == 1 + 2 + 3 + 4 + 5


@pytest.mark.parametrize(("layers", "heads"), [(1, 1), (2, 4), (4, 4)])
def test_number_of_edges(layers: int, heads: int) -> None:
    """3H x (1 + l(H + 1)) into the heads of layer l, 1 + l(H + 1) + H into its MLP, all writers into the logits."""
    before = [1 + layer * (heads + 1) for layer in range(layers)]

    assert len(decoder_graph(layers, heads)) == sum(3 * heads * b + b + heads for b in before) + 1 + layers * (heads + 1)


def test_strata_hold_edges_that_differ_in_heads_alone() -> None:
    """`head.0.0 -> head.1.1.k` and `head.0.1 -> head.1.0.k` are of one stratum; queries, values and other layers are not."""
    graph = decoder_graph(2, 2)
    stratum = dict(zip(graph.names, graph.strata, strict=True))

    assert stratum["head.0.0", "head.1.1.k"] == stratum["head.0.1", "head.1.0.k"]
    others = [("head.0.0", "head.1.1.q"), ("embed", "head.1.1.k"), ("mlp.0", "head.1.1.k"), ("embed", "head.0.1.k")]
    assert len({stratum[edge] for edge in [("head.0.0", "head.1.1.k"), *others]}) == 5


def test_a_circuit_is_named_by_its_edges() -> None:
    """The mask of names gives these names back; a name that is no edge is a breach."""
    graph = decoder_graph(2, 2)
    edges = [("embed", "head.1.0.q"), ("head.0.1", "logits")]

    mask = graph.mask(edges)

    assert {graph.names[place] for place in np.flatnonzero(mask)} == set(edges)
    with pytest.raises(AssertionError, match=r"head\.1\.0"):
        graph.mask([("head.1.0", "head.0.0.q")])
