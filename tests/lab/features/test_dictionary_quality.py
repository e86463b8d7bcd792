"""Reconstruction and losses, against one window at a time in float64; baselines, against the textbook."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from safetycase.errors import SourceError
from safetycase.evidence.tables import Table
from safetycase.lab.batches import batches_for
from safetycase.lab.dictionaries.dictionary import Dictionary, Relu, TopK
from safetycase.lab.dictionaries.site import Site, parse_site
from safetycase.lab.features.corpus_windows import Window, half, windows
from safetycase.lab.features.dictionary_quality import Quality, quality
from safetycase.lab.features.mlp_rows import MlpRows, mlp_rows
from safetycase.lab.features.study import FeatureStudy
from safetycase.lab.observing import Absent, Event, Inputs, Note, Rows
from safetycase.lab.shards import Shards
from safetycase.lab.site_access import record_sites
from tests.lab.features.feature_studies import SMALL, finished, random_dictionary, study, tables
from tests.lab.features.texts import random_texts, texts
from tests.lab.small import loaded

pytestmark = pytest.mark.lab

ASK = SMALL.model_copy(update={"max_tokens": 5000, "quality_tokens": 500, "splice_tokens": 200, "context": 24})
STREAM, MLP_IN, MLP_OUT = (parse_site(name) for name in ("resid_post.1", "mlp_in.1", "mlp_out.1"))


def some_study(reads: Site = STREAM, writes: Site = STREAM, **fields: Any) -> FeatureStudy:
    """A random dictionary on a random model that reads random words."""
    model = loaded()
    made = study(model, random_dictionary(model, reads, writes, **{"activation": TopK(5), **fields}), ask=ASK)
    return replace(made, corpus=random_texts(60))


@cache
def answered(reads: Site = STREAM, writes: Site = STREAM, skip: bool = False) -> tuple[FeatureStudy, list[Event], Quality]:
    """A study, its events and what it gave."""
    of = some_study(reads, writes, skip=skip)
    events, found = finished(quality(of))
    return of, events, found


def taken(of: FeatureStudy, *, fitting: bool, tokens: int) -> list[Window]:
    """The windows of a sample, picked by hand."""
    every = windows(of.model, of.corpus, context=of.ask.context, max_tokens=of.ask.max_tokens)
    chosen: list[Window] = []
    for window in every:
        if half(window.document, of.seed, "fit") is fitting and sum(int(each.counted.sum()) for each in chosen) < tokens:
            chosen.append(window)
    return chosen


def recorded(of: FeatureStudy, site: Site, window: Window) -> Tensor:
    """What stands at a site on the counted tokens of one window alone."""
    with record_sites(of.model, [site]) as at, torch.inference_mode():
        of.model.module(input_ids=window.tokens[None], use_cache=False)
    return at[site][0][window.counted].double()


def at(of: FeatureStudy, site: Site, chosen: list[Window]) -> Tensor:
    """On all of them."""
    return torch.cat([recorded(of, site, window) for window in chosen])


def by_document(table: Table, **where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of one method or condition."""
    for row in table.where(**where).rows():
        yield row["document"], row


def expected_sums(of: FeatureStudy, output: Any, active: float) -> dict[str, dict[str, float]]:
    """The row of every measured document, where `output` gives the reconstruction of a window."""
    dictionary = of.dictionary
    reference = at(of, dictionary.writes[0], taken(of, fitting=True, tokens=500)).mean(dim=0)
    sums: dict[str, dict[str, float]] = {}
    for window in taken(of, fitting=False, tokens=500):
        y, made = recorded(of, dictionary.writes[0], window), output(window)
        error, spread = (y - made).pow(2).sum(-1), (y - reference).pow(2).sum(-1)
        found = {
            "tokens": len(y), "active": active * len(y), "error": error.sum(), "spread": spread.sum(), "power": y.pow(2).sum(),
            "cosine": torch.cosine_similarity(y, made).sum(), "legacy": (1 - error / spread).sum(),
        }  # fmt: skip
        row = sums.setdefault(window.document, dict.fromkeys(found, 0.0))
        for name, value in found.items():
            row[name] += float(value)
    return sums


def assert_rows(of: FeatureStudy, events: list[Event], method: str, output: Any, active: float) -> None:
    """The table's rows of a method are those of brute force."""
    rows = dict(by_document(tables(events)["quality"], method=method))
    expected = expected_sums(of, output, active)
    assert rows.keys() == expected.keys()
    for document, sums in expected.items():
        for name, value in sums.items():
            assert rows[document][name] == pytest.approx(value, rel=2e-4, abs=1e-4), (document, name)


def test_a_dictionary_is_measured_document_by_document() -> None:
    """Every sum of the table, against windows that are run alone."""
    of, events, found = answered()
    wide = of.dictionary.to("cpu", torch.float64)

    coded = {window.number: wide.encode(recorded(of, STREAM, window)) for window in taken(of, fitting=False, tokens=500)}

    assert_rows(of, events, "dictionary", lambda window: wide.decode(coded[window.number], recorded(of, STREAM, window)), 5)
    assert found.negative_share == 0
    assert found.fired.tolist() == sum((each > 0).sum(0) for each in coded.values()).tolist()  # type: ignore[union-attr]
    assert (found.tokens, found.documents) == (
        sum(len(each) for each in coded.values()),
        len(expected_sums(of, lambda w: 0 * recorded(of, STREAM, w), 0)),
    )


def test_negative_activations_are_counted_apart() -> None:
    """They are part of L0 and of the reconstruction; a feature fires where it is above 0."""
    of = some_study(STREAM, STREAM, activation=TopK(5, signed=True))
    wide = of.dictionary.to("cpu", torch.float64)

    events, found = finished(quality(of))

    coded = {window.number: wide.encode(recorded(of, STREAM, window)) for window in taken(of, fitting=False, tokens=500)}
    every = torch.cat(list(coded.values()))
    assert_rows(of, events, "dictionary", lambda window: wide.decode(coded[window.number], recorded(of, STREAM, window)), 5)
    assert found.fired.tolist() == (every > 0).sum(0).tolist()
    assert found.negative_share == pytest.approx(float((every < 0).sum() / (every != 0).sum()))
    assert 0.2 < found.negative_share < 0.8


def test_the_offset_makes_the_formula_global() -> None:
    """1 - error / (spread - tokens * offset) is one minus error over variance, whatever the reference mean; so is the norm a mean."""
    of, events, found = answered(MLP_IN, MLP_OUT)
    rows = tables(events)["quality"].where(method="dictionary")
    y = at(of, MLP_OUT, taken(of, fitting=False, tokens=500))

    variance = rows["spread"].sum() - found.tokens * found.spread_offset

    assert variance == pytest.approx(float((y - y.mean(0)).pow(2).sum()), rel=1e-5)
    assert found.spread_offset > 1e-6 * variance / found.tokens
    stream = at(of, STREAM, taken(of, fitting=False, tokens=500))
    assert found.residual_norm == pytest.approx(float(stream.norm(dim=-1).mean()), rel=1e-5)


def test_principal_components_are_those_of_other_documents() -> None:
    """The k leading right singular vectors of the centred activations of documents that are not measured."""
    of, events, _ = answered()
    fitted = at(of, STREAM, taken(of, fitting=True, tokens=500))
    mean = fitted.mean(0)
    leading = torch.linalg.svd(fitted - mean).Vh[:5]

    assert_rows(of, events, "pca", lambda window: mean + (recorded(of, STREAM, window) - mean) @ leading.mT @ leading, 5)


def test_neurons_are_the_coordinates_farthest_from_their_mean() -> None:
    """Of the site's own basis, as many as the dictionary has features active."""
    of, events, _ = answered()
    mean = at(of, STREAM, taken(of, fitting=True, tokens=500)).mean(0)

    def output(window: Window) -> Tensor:
        centred = recorded(of, STREAM, window) - mean
        fifth = centred.abs().sort(dim=-1, descending=True).values[:, 4:5]
        return mean + centred * (centred.abs() >= fifth)

    assert_rows(of, events, "neurons", output, 5)


def test_random_directions_explain_something_and_less_than_principal_components() -> None:
    """At equal L0; the scale of least squares leaves no random reconstruction worse than the mean."""
    _, events, found = answered()
    rows = tables(events)["quality"]
    error = {method: rows.where(method=method)["error"].sum() for method in ("random", "pca")}

    assert error["pca"] < error["random"] < rows.where(method="pca")["spread"].sum()
    assert rows.where(method="random")["active"].sum() == 5 * found.tokens
    assert (rows.where(method="random")["error"] <= rows.where(method="random")["spread"]).all()


def test_the_linear_map_is_least_squares_on_other_documents() -> None:
    """With an intercept, from the input site to the output site; a ridge this small changes nothing here."""
    of, events, _ = answered(MLP_IN, MLP_OUT)
    fitting = taken(of, fitting=True, tokens=500)
    x, y = at(of, MLP_IN, fitting), at(of, MLP_OUT, fitting)
    rows = tables(events)["quality"].where(method="linear")

    def with_one(x: Tensor) -> Tensor:
        return torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], dim=1)

    solution = torch.linalg.lstsq(with_one(x), y).solution
    sums = expected_sums(of, lambda window: with_one(recorded(of, MLP_IN, window)) @ solution, 32)

    least = sum(each["error"] for each in sums.values())
    assert 0.8 * least < rows["error"].sum() < 1.02 * least
    assert rows["error"].sum() < 0.9 * rows["spread"].sum()
    assert (rows["active"] == 32 * rows["tokens"]).all()


def test_the_skip_path_stands_alone_beside_a_transcoder_that_has_one() -> None:
    """W_skip x + b_dec, with no feature active; without a skip path there is no such baseline."""
    of, events, _ = answered(MLP_IN, MLP_OUT, skip=True)
    W_skip = of.dictionary.W_skip
    assert W_skip is not None

    assert_rows(of, events, "skip", lambda w: recorded(of, MLP_IN, w) @ W_skip.double().mT + of.dictionary.b_dec.double(), 0)
    assert set(tables(events)["quality"]["method"]) == {"dictionary", "linear", "skip", "top-neurons"}
    assert set(tables(answered(MLP_IN, MLP_OUT)[1])["quality"]["method"]) == {"dictionary", "linear", "top-neurons"}


def test_top_neurons_are_the_mlp_with_all_others_silent() -> None:
    """The k neurons of the largest |activation| times norm of the output row, through the model's own weights."""
    of, events, _ = answered(MLP_IN, MLP_OUT)
    projection: Any = of.model.sites.blocks[1].mlp.down_proj
    weight, bias = projection.weight.double(), projection.bias.double()

    def output(window: Window) -> Tensor:
        neurons = recorded(of, Site("mlp_neurons", 1), window)
        size = neurons.abs() * weight.norm(dim=0)
        kept = neurons * (size >= size.sort(dim=-1, descending=True).values[:, 4:5])
        made: Tensor = kept @ weight.mT + bias
        return made

    assert_rows(of, events, "top-neurons", output, 5)


@pytest.mark.parametrize(
    ("architecture", "site", "found"),
    [
        ("llama", "mlp_out.1", ""),
        ("gpt2", "mlp_raw_out.2", ""),
        ("gemma2", "mlp_raw_out.0", ""),
        ("gemma2", "mlp_out.0", "a norm stands between the MLP and mlp_out.0"),
        ("mixtral", "mlp_out.1", "site mlp_neurons.1: this architecture has no such place: its MLP has no one output projection"),
        ("llama", "resid_post.1", "resid_post.1 is not the output of an MLP"),
    ],
)
def test_rows_of_an_mlp_are_its_outputs_or_why_there_are_none(architecture: str, site: str, found: str) -> None:
    """neurons @ weights + bias is the MLP's output, on architectures that keep their matrices either way round."""
    model, where = loaded(architecture), parse_site(site)

    rows = mlp_rows(model, where, 7)

    if not isinstance(rows, MlpRows):
        assert rows == found
        return
    assert found == ""
    with record_sites(model, [rows.site, where]) as at, torch.inference_mode():
        model.module(input_ids=torch.arange(3, 20)[None], use_cache=False)
    torch.testing.assert_close(at[rows.site] @ rows.weights + rows.bias, at[where], atol=1e-4, rtol=1e-4)


def test_what_a_transcoder_cannot_be_held_against_is_noted() -> None:
    """A baseline that the architecture does not allow is left out with the reason."""
    model = loaded("mixtral")
    made = study(model, random_dictionary(model, MLP_IN, MLP_OUT, activation=TopK(5)), ask=ASK)

    events, _ = finished(quality(replace(made, corpus=random_texts(60))))

    assert set(tables(events)["quality"]["method"]) == {"dictionary", "linear"}
    assert [event.value for event in events if isinstance(event, Note)] == [
        "no baseline top-neurons: site mlp_neurons.1: this architecture has no such place: its MLP has no one output projection"
    ]


def spliced_by_hand(of: FeatureStudy, output: Any) -> dict[str, tuple[int, float, float]]:
    """Predictions, cross-entropy and KL per document; every window alone, its block's output replaced."""
    sums: dict[str, tuple[int, float, float]] = {}
    for window in taken(of, fitting=False, tokens=of.ask.splice_tokens):

        def replaced(module: Any, args: Any, result: Any, window: Window = window) -> Any:
            hidden = result[0] if isinstance(result, tuple) else result
            edited = hidden.clone()
            edited[0, window.counted] = output(hidden[0, window.counted])
            return (edited, *result[1:]) if isinstance(result, tuple) else edited

        def log_probabilities(window: Window = window) -> Tensor:
            with torch.inference_mode():
                logits: Tensor = of.model.module(input_ids=window.tokens[None], use_cache=False).logits[0]
            return logits.double().log_softmax(-1)[:-1]

        clean = log_probabilities()
        hook = of.model.sites.blocks[1].module.register_forward_hook(replaced)
        found = log_probabilities()
        hook.remove()
        keep = window.counted[:-1]
        surprise = -found.gather(-1, window.tokens[1:, None])[:, 0][keep].sum()
        kl = (clean.exp() * (clean - found)).sum(-1)[keep].sum()
        n, ce, divergence = sums.get(window.document, (0, 0.0, 0.0))
        sums[window.document] = (n + int(keep.sum()), ce + float(surprise), divergence + float(kl))
    return {document: each for document, each in sums.items() if each[0]}


@pytest.mark.parametrize("condition", ["clean", "ablated", "dictionary", "neurons"])
def test_losses_are_those_of_the_model_with_its_output_replaced(condition: str) -> None:
    """At counted positions only, of predictions made there; the clean pass diverges from itself by nothing."""
    of, events, found = answered()
    mean = at(of, STREAM, taken(of, fitting=True, tokens=500)).mean(0).float()
    outputs = {
        "clean": lambda y: y,
        "ablated": lambda y: mean.expand_as(y),
        "dictionary": of.dictionary.reconstruct,
        "neurons": lambda y: mean + TopK(5, signed=True)(y - mean),
    }

    expected = spliced_by_hand(of, outputs[condition])

    rows = dict(by_document(tables(events)["splice"], condition=condition))
    assert rows.keys() == expected.keys()
    for document, (tokens, cross_entropy, kl) in expected.items():
        assert rows[document]["tokens"] == tokens
        assert rows[document]["cross_entropy"] == pytest.approx(cross_entropy, rel=1e-5)
        assert rows[document]["kl"] == pytest.approx(kl, rel=1e-4, abs=0 if condition == "clean" else 1e-5)
    assert found.splice_tokens == sum(tokens for tokens, _, _ in expected.values())


def test_a_perfect_reconstruction_costs_nothing_and_ablation_something() -> None:
    """x = relu(x) - relu(-x): a dictionary of both signs of every coordinate is the identity, at the MLP's output too."""
    model = loaded()
    both = torch.cat([torch.eye(32), -torch.eye(32)])
    identity = Dictionary(
        W_enc=both, b_enc=torch.zeros(64), W_dec=both[:, None], b_dec=torch.zeros(32), activation=Relu(), reads=MLP_OUT, writes=(MLP_OUT,)
    )
    of = replace(study(model, identity, ask=ASK), corpus=random_texts(60))

    events, _ = finished(quality(of))

    rows, losses = tables(events)["quality"].where(method="dictionary"), tables(events)["splice"]
    assert rows["error"].sum() < 1e-10 * rows["spread"].sum()
    assert rows["cosine"].sum() == pytest.approx(rows["tokens"].sum())
    assert losses.where(condition="dictionary")["kl"].sum() == pytest.approx(0, abs=1e-6)
    assert losses.where(condition="ablated")["kl"].sum() > 1


def test_zero_ablation_is_what_the_plan_asked_for() -> None:
    """Zero stands in the output's place, not its mean."""
    of = some_study()
    of = replace(of, ask=of.ask.model_copy(update={"ablation": "zero"}))

    events, _ = finished(quality(of))

    expected = spliced_by_hand(of, torch.zeros_like)
    found = {document: row["cross_entropy"] for document, row in by_document(tables(events)["splice"], condition="ablated")}
    assert found == pytest.approx({document: each[1] for document, each in expected.items()}, rel=1e-5)


def test_the_size_of_batches_changes_nothing_beyond_rounding() -> None:
    """Passes of few tokens and of many give the same tables."""
    of, events, found = answered(MLP_IN, MLP_OUT)
    few = replace(batches_for(of.model), positions=30)

    other, again = finished(quality(replace(of, batches=few)))

    for name in ("quality", "splice"):
        ours, theirs = tables(events)[name], tables(other)[name]
        for column, values in ours.columns.items():
            if values.dtype.kind == "f":
                assert theirs[column] == pytest.approx(values, rel=1e-4, abs=1e-5)
            else:
                assert theirs[column].tolist() == values.tolist()
    assert again.residual_norm == pytest.approx(found.residual_norm)
    assert again.fired.tolist() == found.fired.tolist()


def test_a_resumed_step_gives_the_same_and_splices_nothing_again() -> None:
    """Stored losses are recalled, and what later stages need is there again."""
    of, events, found = answered()
    stored = tables(events)

    class Edited(AssertionError):
        """A pass with something in the output's place."""

    def finished_before(table: str, part: str) -> Table | None:
        return stored.get(table)

    resumed = replace(of, shards=Shards(Inputs({}, finished=finished_before)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("safetycase.lab.features.dictionary_splice.edit_site", lambda *_: (_ for _ in ()).throw(Edited))
        again_events, again = finished(quality(resumed))

    assert [event for event in again_events if isinstance(event, Rows)] == [event for event in events if isinstance(event, Rows)]
    assert again.fired.tolist() == found.fired.tolist()
    assert (again.residual_norm, again.spread_offset, again.tokens, again.splice_tokens, again.documents) == (
        found.residual_norm, found.spread_offset, found.tokens, found.splice_tokens, found.documents
    )  # fmt: skip


def test_a_corpus_of_one_document_cannot_be_measured() -> None:
    """Nothing is left to fit on, or to measure: one line says so."""
    for content in ("w1 w2 w3", "w4 w5", "w6 w7 w8", "w9"):
        of = replace(some_study(), corpus=texts([content]))
        with pytest.raises(SourceError, match=r"^made for this test: found no document to .*, expected more documents$"):
            finished(quality(of))


def test_without_tokens_to_splice_on_there_are_no_losses() -> None:
    """The table is absent with the reason, and the rest is there."""
    of = some_study()

    events, found = finished(quality(replace(of, ask=of.ask.model_copy(update={"splice_tokens": 0}))))

    assert [event.reason for event in events if isinstance(event, Absent)] == ["the plan asks for no tokens to splice on"]
    assert (found.splice_tokens, "quality" in tables(events)) == (0, True)
