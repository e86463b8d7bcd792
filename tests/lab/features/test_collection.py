"""What one pass over a corpus counts and keeps, against all activations at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from operator import itemgetter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from safetycase.errors import SourceError
from safetycase.evidence.tables import Table
from safetycase.lab.batches import batches_for
from safetycase.lab.dictionaries.dictionary import TopK
from safetycase.lab.dictionaries.site import parse_site
from safetycase.lab.features.collection import Collected, collect
from safetycase.lab.features.context_reservoirs import NOTHING, Reservoir, peak_keys, priority, rounded
from safetycase.lab.features.contexts import deciles
from safetycase.lab.features.corpus_windows import Window, half, windows
from safetycase.lab.features.fired import Cofiring, Fired
from safetycase.lab.features.study import FeatureStudy
from safetycase.lab.observing import Absent, Event, Inputs, Rows
from safetycase.lab.shards import Shards
from safetycase.lab.site_access import record_sites
from safetycase.sources.corpora import Corpus
from tests.lab.features.feature_studies import SMALL, SPECS, finished, random_dictionary, study, tables
from tests.lab.features.texts import random_texts, texts
from tests.lab.small import loaded

pytestmark = pytest.mark.lab

SITE = parse_site("resid_post.1")
FEATURES = 23
DOCUMENTED, NEAREST = (7, 2, 19, 11, 22), {7: 10, 2: 19, 19: 2, 22: 16}
"""Feature 11 fires in one window; of feature 11 no neighbour is known."""
ASK = SMALL.model_copy(
    update={"max_tokens": 3000, "quality_tokens": 500, "context": 9, "top_contexts": 4, "per_decile": 1, "zero_contexts": 2, "held_out": 10}
)


def some_study(corpus: Corpus | None = None, **fields: Any) -> FeatureStudy:
    """A random dictionary on a random model that reads random words."""
    model = loaded()
    made = study(model, random_dictionary(model, SITE, SITE, features=FEATURES, **{"activation": TopK(4), **fields}), ask=ASK)
    return replace(made, corpus=corpus or random_texts(120))


@cache
def answered() -> tuple[FeatureStudy, list[Event], Collected]:
    """A study, its events and what was collected."""
    of = some_study()
    events, found = finished(collect(of, DOCUMENTED, NEAREST))
    return of, events, found


@dataclass(frozen=True)
class Read:
    """A window with the activations of all features on it, run alone."""

    window: Window
    activations: Tensor

    @property
    def number(self) -> int:
        return self.window.number

    @property
    def scored(self) -> bool:
        return half(self.window.document, 0, "labels")

    def peak(self, feature: int) -> float:
        return float(f"{self.activations[:, feature].max():.5g}")

    def fires(self, feature: int) -> bool:
        return bool((self.activations[:, feature] > 0).any())


def every_window(of: FeatureStudy) -> list[Read]:
    """The whole corpus, one window at a time."""
    found = []
    for window in windows(of.model, of.corpus, context=of.ask.context, max_tokens=of.ask.max_tokens):
        with record_sites(of.model, [SITE]) as at, torch.inference_mode():
            of.model.module(input_ids=window.tokens[None], use_cache=False)
            found.append(Read(window, of.dictionary.encode(at[SITE][0]) * window.counted[:, None]))
    return found


@cache
def read() -> list[Read]:
    """That of the study above."""
    return every_window(answered()[0])


def test_densities_are_those_of_all_activations() -> None:
    """Tokens, windows and documents on which each feature fires, and the sums of what it does there."""
    _, events, found = answered()
    every = torch.cat([each.activations for each in read()]).double()
    fires = torch.stack([(each.activations != 0).any(dim=0) for each in read()])
    names = [each.window.document for each in read()]

    density = tables(events)["density"]

    assert density["feature"].tolist() == list(range(FEATURES))
    assert density["fired"].tolist() == (every != 0).sum(0).tolist()
    assert density["windows"].tolist() == fires.sum(0).tolist()
    by_document = torch.stack([fires[[name == other for other in names]].any(dim=0) for name in dict.fromkeys(names)])
    assert density["documents"].tolist() == by_document.sum(0).tolist()
    for column, expected in (("total", every.sum(0)), ("squares", every.pow(2).sum(0)), ("maximum", every.amax(0))):
        assert density[column] == pytest.approx(expected.numpy(), rel=1e-5)
    assert found.maximum.numpy() == pytest.approx(every.amax(0).numpy(), rel=1e-5)
    assert (density["fired"] > 0).any()


def test_every_document_is_there_and_where_documented_features_fire_in_it() -> None:
    """In the order of the corpus, once each, though shards end within documents; a document without a row has no firing token."""
    _, events, found = answered()
    expected: dict[str, Tensor] = {}
    tokens: dict[str, int] = {}
    for each in read():
        name = each.window.document
        expected[name] = expected.get(name, torch.zeros(FEATURES, dtype=torch.long)) + (each.activations != 0).sum(0)
        tokens[name] = tokens.get(name, 0) + int(each.window.counted.sum())

    rows = tables(events)

    assert dict(zip(rows["documents"]["document"], rows["documents"]["tokens"].tolist(), strict=True)) == tokens
    assert rows["documents"]["document"].tolist() == list(tokens)
    fired = {(row["feature"], row["document"]): row["fired"] for row in rows["firing"].rows()}
    assert fired == {(f, name): int(counts[f]) for name, counts in expected.items() for f in DOCUMENTED if counts[f]}
    assert (found.documents, found.tokens, found.windows) == (len(tokens), sum(tokens.values()), len(read()))


def by_chance(reads: Sequence[Read]) -> list[int]:
    """Numbers of windows in the order of the lot."""
    return sorted((each.number for each in reads), key=lambda number: -priority(0, number))


def by_peak(reads: Sequence[Read], feature: int) -> list[int]:
    """Numbers of windows, strongest first, of equal ones the first."""
    return [each.number for each in sorted(reads, key=lambda each: (-each.peak(feature), each.number))]


@pytest.mark.parametrize("feature", DOCUMENTED)
def test_contexts_are_those_of_a_search_through_all_windows(feature: int) -> None:
    """Every bin, against all windows sorted: the strongest, and by lot those that fire, are silent, or whose neighbour fires."""
    _, events, _ = answered()
    made = [each for each in read() if not each.scored]
    scored = [each for each in read() if each.scored]
    firing = [each for each in made if each.fires(feature)]
    assert len(firing) == 1 or len(firing) > 60, "there is little, or more than is kept"

    top = by_peak(firing, feature)[:4]
    sample = by_chance(firing)[:44]
    weakest_first = by_peak([each for each in firing if each.number in sample], feature)[::-1]
    expected = {
        "top": top,
        "zero": by_chance([each for each in made if not each.fires(feature)])[:2],
        "held-out": by_chance([each for each in scored if each.fires(feature)])[:10],
        "held-out-zero": by_chance([each for each in scored if not each.fires(feature)])[:10],
        "held-out-neighbour": by_chance([e for e in scored if not e.fires(feature) and feature in NEAREST and e.fires(NEAREST[feature])])[
            :10
        ],
    }
    for number in range(10):
        tenth = [w for rank, w in enumerate(weakest_first) if rank * 10 // len(sample) == number]
        expected[f"decile-{number + 1}"] = [w for w in sample if w in tenth and w not in top][:1]

    found: dict[str, list[int]] = {}
    rows = tables(events)["contexts"].where(feature=feature)
    for row in rows.rows():
        found.setdefault(row["bin"], []).append(row["window"])
        assert row["rank"] == len(found[row["bin"]])
        expected_activations = read()[row["window"]].activations[:, feature]
        assert row["activations"] == pytest.approx(expected_activations.tolist(), rel=6e-5, abs=1e-6)
    assert found == {name: numbers for name, numbers in expected.items() if numbers}


def test_activations_have_five_digits_and_none_on_the_beginning_of_text() -> None:
    """What rounding in another order of summation leaves alone."""
    _, events, _ = answered()

    for row in tables(events)["contexts"].rows():
        assert row["activations"][0] == 0
        assert all(value == float(f"{value:.5g}") for value in row["activations"])


def test_labels_are_made_and_scored_on_different_documents() -> None:
    """No document has a window among the held-out ones and among the others; both kinds are there."""
    _, events, found = answered()
    sides: dict[bool, set[str]] = {True: set(), False: set()}
    for row in tables(events)["contexts"].rows():
        sides[row["bin"].startswith("held-out")].add(found.window_documents[row["window"]])

    assert not sides[True] & sides[False]
    assert min(map(len, sides.values())) > 10


def test_the_windows_of_all_contexts_are_there_once() -> None:
    """Their document, their ids, and texts that read as they stand; no window that no context shows."""
    of, events, found = answered()
    rows = {row["window"]: row for row in tables(events)["windows"].rows()}

    assert list(rows) == sorted({row["window"] for row in tables(events)["contexts"].rows()})
    for number, row in rows.items():
        window = read()[number].window
        assert (row["document"], row["token_ids"]) == (window.document, window.tokens.tolist())
        assert "".join(row["tokens"]) == of.model.tokenizer.decode(row["token_ids"])
    assert found.window_tokens == {number: row["token_ids"] for number, row in rows.items()}


def test_features_that_fire_together_are_ranked_by_their_information() -> None:
    """log of together over what independence would give, of at least five tokens, at most ten, never itself."""
    _, events, _ = answered()
    fires = (torch.cat([each.activations[each.window.counted] for each in read()]) != 0).double()
    together, alone, n = fires.mT @ fires, fires.sum(0), len(fires)

    for feature in DOCUMENTED:
        expected = {
            other: (float(torch.log(together[feature, other] * n / (alone[feature] * alone[other]))), int(together[feature, other]))
            for other in range(FEATURES)
            if other != feature and together[feature, other] >= 5
        }
        strongest = sorted(expected, key=lambda other: (-expected[other][0], other))[:10]
        rows = list(tables(events)["neighbours"].where(feature=feature, relation="cofiring").rows())
        assert [row["other"] for row in rows] == strongest
        for row in rows:
            assert (row["value"], row["together"]) == pytest.approx(expected[row["other"]])


def test_batches_and_shards_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes of a few tokens and shards of a few windows give the same tables."""
    of, events, found = answered()
    monkeypatch.setattr("safetycase.lab.features.corpus_passes.WINDOWS_AT_ONCE", 7)
    monkeypatch.setattr("safetycase.lab.features.corpus_passes.CPU_NUMBERS", 0)
    monkeypatch.setattr("safetycase.lab.features.corpus_passes.FEWEST_TOKENS", 5)

    other, again = finished(collect(replace(of, batches=replace(batches_for(of.model), positions=40)), DOCUMENTED, NEAREST))

    assert sum(isinstance(event, Rows) for event in other) > 2 * sum(isinstance(event, Rows) for event in events)
    for name, ours in tables(events).items():
        for column, values in ours.columns.items():
            theirs = tables(other)[name][column]
            if values.dtype.kind == "f":
                assert theirs == pytest.approx(values, rel=1e-5)
            elif column == "activations":
                assert all(x == pytest.approx(y, rel=6e-5, abs=1e-6) for x, y in zip(theirs, values, strict=True))
            else:
                assert theirs.tolist() == values.tolist(), (name, column)
    assert (again.windows, again.window_tokens) == (found.windows, found.window_tokens)


def test_texts_that_are_not_declared_public_lie_in_the_restricted_table() -> None:
    """And nowhere else; the other table is absent with the reason."""
    for sensitivity, table, absent in (("restricted", "windows_restricted", "windows"), ("public", "windows", "windows_restricted")):
        of = some_study(texts(["w1 w2 w3", "w4 w5"], sensitivity))  # type: ignore[arg-type]

        events, _ = finished(collect(of, DOCUMENTED, NEAREST))

        assert {event.table for event in events if isinstance(event, Absent)} == {absent}
        assert table in tables(events)
        assert absent not in tables(events)
        assert SPECS["windows_restricted"].restricted


def resumed(of: FeatureStudy, stored: Mapping[tuple[str, str], Table]) -> FeatureStudy:
    """The study as a run takes it up that finds these shards."""
    return replace(of, shards=Shards(Inputs({}, finished=lambda table, part: stored.get((table, part)))))


def shards(events: list[Event]) -> dict[tuple[str, str], Table]:
    """As they are stored."""
    return {(event.table, event.part): tables([event])[event.table] for event in events if isinstance(event, Rows)}


def test_a_finished_collection_is_recalled_without_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same shards in the same order, and all that later stages need."""
    of, events, found = answered()
    monkeypatch.setattr("safetycase.lab.features.collection.passes", None)

    again_events, again = finished(collect(resumed(of, shards(events)), DOCUMENTED, NEAREST))

    assert [(e.table, e.part) for e in again_events if isinstance(e, Rows)] == [(e.table, e.part) for e in events if isinstance(e, Rows)]
    assert shards(again_events).keys() == shards(events).keys()
    assert torch.equal(again.maximum, found.maximum)
    ours, theirs = vars(found), vars(again)
    assert {k: v for k, v in theirs.items() if k != "maximum"} == {k: v for k, v in ours.items() if k != "maximum"}


@pytest.mark.parametrize("lost", ["documents", "firing", "density", "contexts", "windows", "neighbours"])
def test_a_lost_shard_is_made_again(lost: str) -> None:
    """From a pass, while the others are taken over."""
    of, events, found = answered()
    stored = {shard: table for shard, table in shards(events).items() if shard[0] != lost}

    again_events, again = finished(collect(resumed(of, stored), DOCUMENTED, NEAREST))

    assert [event for event in again_events if isinstance(event, Rows)] == [event for event in events if isinstance(event, Rows)]
    assert again.contexts == found.contexts


def test_without_documented_features_there_are_densities() -> None:
    """No context, no firing, no window."""
    of = some_study()

    events, found = finished(collect(of, (), {}))

    rows = tables(events)
    assert rows["density"]["fired"].tolist() == tables(answered()[1])["density"]["fired"].tolist()
    assert [len(rows[name]) for name in ("contexts", "firing", "windows", "neighbours")] == [0, 0, 0, 0]
    assert found.contexts == {}


def test_a_corpus_of_no_token_is_refused() -> None:
    """In one line that names it."""
    with pytest.raises(SourceError, match=r"^made for this test: found no token that counts, expected text$"):
        finished(collect(some_study(texts(["<s>"])), DOCUMENTED, NEAREST))


def test_a_signed_feature_fires_where_it_is_positive_alone() -> None:
    """Where it is negative it is silent: in densities, contexts, and the activations that these show."""
    of = some_study(activation=TopK(2, signed=True))

    events, _ = finished(collect(of, (20,), {}))

    reads = every_window(of)
    every = torch.cat([each.activations[:, 20] for each in reads])
    assert (every < 0).any()
    density = next(tables(events)["density"].where(feature=20).rows())
    assert density["fired"] == int((every > 0).sum())
    assert density["windows"] == sum(each.fires(20) for each in reads)
    assert density["total"] == pytest.approx(float(every.clamp_min(0).sum()), rel=1e-5)
    assert min(min(row["activations"]) for row in tables(events)["contexts"].rows()) == 0
    top = tables(events)["contexts"].where(bin="top")
    assert top["window"].tolist() == by_peak([each for each in reads if not each.scored and each.fires(20)], 20)[:4]


numbers = st.integers(-(2**40), 2**40)


@given(
    keys=st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=40, unique_by=tuple(map(itemgetter, range(3)))),
    hidden=st.sets(st.tuples(st.integers(0, 39), st.integers(0, 2))),
    size=st.integers(1, 8),
    at_once=st.integers(1, 11),
    order=st.randoms(use_true_random=False),
)  # fmt: skip
def test_a_reservoir_keeps_the_largest_whatever_the_order(
    keys: list[tuple[int, int, int]], hidden: set[tuple[int, int]], size: int, at_once: int, order: Any
) -> None:
    """Of each feature, with its own activations; candidates that are none never enter."""
    table = torch.tensor(keys).mT.clone()
    for window, feature in hidden:
        if window < len(keys):
            table[feature, window] = NOTHING
    activations = torch.arange(len(keys) * 3 * 2).reshape(len(keys), 3, 2).float()
    reservoir, bare = Reservoir(3, size, 2), Reservoir(3, size)
    shuffled = list(range(len(keys)))
    order.shuffle(shuffled)

    for start in range(0, len(keys), at_once):
        group = torch.tensor(shuffled[start : start + at_once])
        for each in (reservoir, bare):
            each.offer(table[:, group], group, activations[group])

    for feature in range(3):
        candidates = [window for window in range(len(keys)) if table[feature, window] != NOTHING]
        expected = sorted(candidates, key=lambda window: -int(table[feature, window]))[:size]
        assert [window for window, _ in reservoir.ordered(feature)] == expected
        assert [window for window, _ in bare.ordered(feature)] == expected
        for window, kept in reservoir.ordered(feature):
            assert kept.tolist() == activations[window, feature].tolist()


@given(st.lists(st.floats(-(2.0**60), 2.0**60, width=32), min_size=1, max_size=12))
def test_keys_of_peaks_are_in_their_order_and_then_in_that_of_windows(peaks: list[float]) -> None:
    """Peaks that agree in five digits count as equal, and of these the first window is larger."""
    values = rounded(torch.tensor(peaks)).tolist()

    keys = peak_keys(torch.tensor([peaks]), torch.arange(len(peaks)))[0].tolist()

    assert sorted(range(len(peaks)), key=lambda i: -keys[i]) == sorted(range(len(peaks)), key=lambda i: (-np.float32(values[i]), i))
    assert peak_keys(torch.tensor([[1.0, 1.000001, 1.001]]), torch.tensor([4, 3, 2]))[0].argsort(descending=True).tolist() == [2, 1, 0]


@given(st.floats(-(2.0**60), 2.0**60, width=32))
def test_rounding_keeps_five_digits(value: float) -> None:
    """As the decimal notation of five significant digits has it."""
    assert float(rounded(torch.tensor([value]))[0]) == pytest.approx(float(f"{value:.5g}"), rel=1.01e-5 if value else 0)
    assert float(f"{rounded(torch.tensor([value]))[0]:.5g}") == pytest.approx(float(rounded(torch.tensor([value]))[0]), rel=1e-12)


@given(st.integers(1, 60), st.integers(1, 4))
def test_deciles_cut_a_sample_into_tenths(count: int, per_decile: int) -> None:
    """A window of a higher decile is never weaker; from each the first by lot; of a sample of ten times n every decile has n."""
    generator = torch.Generator().manual_seed(count)
    sample = [(number, torch.rand(3, generator=generator).numpy()) for number in range(count)]
    peak = {number: float(activations.max()) for number, activations in sample}

    found = deciles(sample, per_decile)

    shown = [[peak[number] for number, _ in found[tenth]] for tenth in sorted(found)]
    assert all(max(weaker) <= min(stronger) for weaker, stronger in pairwise(shown))
    assert all(each == sorted(each, reverse=True) for each in shown)
    if count % 10 == 0:
        assert [len(each) for each in shown] == [min(per_decile, count // 10)] * 10
    assert deciles([], per_decile) == {}


@given(st.integers(10, 60), st.integers(0, 30))
def test_what_is_shown_as_top_leaves_its_decile(count: int, most: int) -> None:
    """The others stay in the tenth of all windows that they belong to: none moves up where stronger ones are shown elsewhere."""
    generator = torch.Generator().manual_seed(count)
    sample = [(number, torch.rand(3, generator=generator).numpy()) for number in range(count)]
    weakest_first = sorted(range(count), key=lambda number: float(sample[number][1].max()))
    shown = set(weakest_first[count - min(most, count) :])

    found = deciles(sample, count, shown)

    expected = {number: {w for rank, w in enumerate(weakest_first) if rank * 10 // count + 1 == number} - shown for number in range(1, 11)}
    assert {number: {w for w, _ in kept} for number, kept in found.items()} == {n: each for n, each in expected.items() if each}


def test_deciles_of_a_large_sample_are_those_of_all_firing_windows() -> None:
    """Against the true quantiles of 4000 windows of which 500 are sampled and the 20 strongest shown: within what sampling spreads."""
    generator = np.random.default_rng(0)
    peaks = generator.exponential(size=4000)
    lot = generator.permutation(4000)[:500]
    sample = [(int(number), np.array([peaks[number]], np.float32)) for number in lot]

    found = deciles(sample, 500, set(np.argsort(peaks)[-20:].tolist()))

    assert sorted(found) == list(range(1, 11))
    ranks = peaks.argsort().argsort() / 4000
    for number, kept in found.items():
        of_decile = ranks[[window for window, _ in kept]]
        assert of_decile.min() > (number - 1) / 10 - 0.07
        assert of_decile.max() < number / 10 + 0.07
        assert abs(of_decile.mean() - (number - 0.5) / 10) < 0.05


@pytest.mark.parametrize("per_token", [1, 30])
def test_pairs_are_counted_alike_where_few_and_where_most_features_fire(per_token: int) -> None:
    """One by one, or by a product of matrices: the same numbers."""
    generator = np.random.default_rng(per_token)
    fires = generator.random((50, 40)) < per_token / 40
    documented = np.array([3, 17, 39])
    place = np.full(40, -1)
    place[documented] = np.arange(3)
    token, feature = fires.nonzero()
    fired = Fired(np.arange(1), 50, token * 0, token, token, feature, np.ones(len(token), np.float32))
    counted = Cofiring(3, 40)

    counted.add(fired, place[feature])
    counted.add(fired, place[feature])

    assert counted.together.tolist() == (2 * fires[:, documented].T.astype(int) @ fires.astype(int)).tolist()


def test_five_tokens_together_are_enough_and_four_are_not() -> None:
    """Information of fewer is chance; a feature that always fires with another has log of one over its share."""
    counted = Cofiring(1, 4)
    counted.together[0] = [20, 5, 4, 0]

    (row,) = counted.rows([0], np.array([20, 5, 4, 50]), 100)

    assert row == {"feature": 0, "other": 1, "relation": "cofiring", "value": pytest.approx(np.log(5)), "together": 5}
