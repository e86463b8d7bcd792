"""Direct effects on the logits are the derivative of the logits, whatever norm and projection lie between."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from safetycase.lab.dictionaries.site import Site
from safetycase.lab.features.logits import SHOWN, Effects, direct_effects, logits
from safetycase.lab.hooks import record_outputs
from safetycase.lab.model import LoadedModel
from safetycase.lab.site_access import edit_site
from safetycase.sources.sites import SiteName
from tests.lab.features import feature_case
from tests.lab.small import loaded
from tests.lab.tiny import ARCHITECTURES, D_MODEL, VOCAB

pytestmark = pytest.mark.lab


def all_effects(found: Effects) -> Tensor:
    """Values by token id, of effects that were asked for the whole vocabulary."""
    return torch.zeros(found.top.shape, dtype=found.top_values.dtype).scatter(-1, found.top, found.top_values)


def derivative(model: LoadedModel, stream: Tensor, direction: Tensor) -> Tensor:
    """Of the logits before any soft cap with respect to the final stream, by central differences in float64, less its mean."""
    module: Any = model.module.double()
    head = module.get_output_embeddings()
    step = 1e-2 * direction  # some norms compute in float32 whatever they are given
    change = (head(model.sites.final_norm(stream + step)) - head(model.sites.final_norm(stream - step))) / 2e-2
    module.float()
    known: Tensor = change[: len(model.tokenizer)]
    return known - known.mean()


def stream_across(direction: Tensor) -> Tensor:
    """A stream of unit root mean square and mean 0, across the direction and its centred part: there a norm's scale does not change."""
    d = direction.numel()
    noise = torch.randn(d, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    basis, _ = torch.linalg.qr(torch.stack([direction.double(), torch.ones(d, dtype=torch.float64)], dim=-1))
    across = noise - basis @ (basis.mT @ noise)
    unit: Tensor = across / across.pow(2).mean().sqrt()
    return unit


@pytest.mark.parametrize("architecture", [a for a in ARCHITECTURES if a != "mixtral"])
def test_effects_are_the_derivative_of_the_logits(architecture: str) -> None:
    """Gain counted from 0 or from 1, centring or none, bias or none: for a small step, the logits move as the table says."""
    model = loaded(architecture)
    direction = torch.randn(D_MODEL, generator=torch.Generator().manual_seed(1))

    found = all_effects(direct_effects(model, Site("resid_post", 0), direction[None], VOCAB))[0]

    expected = derivative(model, stream_across(direction), direction.double())
    assert torch.allclose(found.double(), expected, atol=1e-3 * float(expected.abs().max()))


@pytest.mark.parametrize("name", ["attn_z", "mlp_neurons"])
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox"])
def test_sites_before_the_stream_are_mapped_through_the_projection_behind_them(architecture: str, name: SiteName) -> None:
    """What the writer puts out when the direction is added at the site: nothing is transposed, no bias is added."""
    model = loaded(architecture)
    site = Site(name, 1)
    directions = feature_case.random_dictionary(model, features=2, reads=site).directions()

    found = all_effects(direct_effects(model, site, directions, VOCAB))

    moved = torch.stack([stream_change(model, site, each) for each in directions])
    expected = all_effects(direct_effects(model, Site("resid_post", 1), moved, VOCAB))
    assert torch.allclose(found, expected, atol=1e-3 * float(expected.abs().max()))


def stream_change(model: LoadedModel, site: Site, direction: Tensor) -> Tensor:
    """How what the writer puts out changes at the last position when the direction is added at the site."""
    block = model.sites.blocks[site.layer]
    outputs = []
    for factor in (0.0, 1.0):
        writer = block.attention if site.name == "attn_z" else block.mlp
        with record_outputs([writer]) as recorded, edit_site(model, site, partial(torch.add, other=factor * direction)):
            model.module(input_ids=torch.tensor([[3, 9, 20]]))
        outputs.append(recorded[0][0, -1])
    return outputs[1] - outputs[0]


def test_norm_behind_the_mlp_is_part_of_the_path() -> None:
    """Where a norm stands between MLP and stream (Gemma 2), its gain is applied to what the MLP itself puts out."""
    model = loaded("gemma2")
    direction = torch.randn(1, D_MODEL, generator=torch.Generator().manual_seed(1))

    raw = all_effects(direct_effects(model, Site("mlp_raw_out", 1), direction, VOCAB))

    block: Any = model.sites.blocks[1].module
    norm = block.post_feedforward_layernorm
    gained = direction * (1 + norm.weight)
    expected = all_effects(direct_effects(model, Site("mlp_out", 1), gained, VOCAB))
    assert torch.allclose(raw, expected, atol=1e-4)


def test_site_that_an_mlp_reads_has_a_note_and_no_rows() -> None:
    """No matrix says what a direction there does: nothing is made up."""
    model = loaded("llama")
    dictionary = feature_case.random_dictionary(model, reads=Site("mlp_in", 1))

    _, tables, said = feature_case.run(logits(feature_case.study(model, dictionary), [0, 3]))

    assert tables["logits"] == []
    assert "an MLP reads it" in str(said)


def test_rows_are_the_ten_strongest_at_either_end_with_their_text() -> None:
    """Against a whole sort of direction x gain x unembedding, centred over the vocabulary."""
    model = loaded("llama")
    case = feature_case.study(model)

    _, tables, _ = feature_case.run(logits(case, [5, 2]))

    module: Any = model.module
    head = module.get_output_embeddings().weight
    values = (case.dictionary.directions()[2] * module.model.norm.weight) @ head[: len(model.tokenizer)].T
    values = values - values.mean()
    order = values.argsort(descending=True).tolist()
    rows = [row for row in tables["logits"] if row["feature"] == 2]
    assert [row["token"] for row in rows if row["end"] == "top"] == order[:SHOWN]
    assert [row["token"] for row in rows if row["end"] == "bottom"] == order[::-1][:SHOWN]
    assert [row["rank"] for row in rows] == [*range(1, SHOWN + 1)] * 2
    assert all(row["text"].strip() == model.tokenizer.decode([row["token"]]) for row in rows)
    assert rows[0]["value"] == pytest.approx(float(values.max()), abs=1e-4)
    assert [row["feature"] for row in tables["logits"]][:1] == [5]


def test_streaming_over_the_vocabulary_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks are a matter of memory."""
    model = loaded("qwen3")
    directions = torch.randn(7, D_MODEL, generator=torch.Generator().manual_seed(0))
    whole = direct_effects(model, Site("resid_post", 1), directions, SHOWN)

    monkeypatch.setattr("safetycase.lab.features.logits.VOCABULARY_CHUNK", 3)
    chunked = direct_effects(model, Site("resid_post", 1), directions, SHOWN)

    assert torch.equal(whole.top, chunked.top)
    assert torch.equal(whole.bottom, chunked.bottom)
    assert torch.allclose(whole.top_values, chunked.top_values, atol=1e-5)


def test_padding_of_the_unembedding_is_no_token() -> None:
    """Rows that the tokenizer does not know are neither shown nor part of the mean."""
    model = loaded("llama")
    known = direct_effects(model, Site("resid_post", 1), torch.ones(1, D_MODEL), SHOWN)
    module: Any = model.module
    head = module.get_output_embeddings()
    padded = torch.nn.Linear(D_MODEL, VOCAB + 20, bias=False)
    with torch.no_grad():
        padded.weight.copy_(torch.cat([head.weight, 100 * torch.ones(20, D_MODEL)]))

    found = direct_effects(
        replace(model, sites=replace(model.sites, unembedding=padded)), Site("resid_post", 1), torch.ones(1, D_MODEL), SHOWN
    )

    assert torch.equal(found.top, known.top)
    assert torch.allclose(found.top_values, known.top_values)


def test_resumed_rows_are_the_stored_ones() -> None:
    """A finished shard is handed on, not computed again."""
    case = feature_case.study()
    stored = feature_case.shards_of(logits(case, [1]))
    stored["logits", "all"][0] = {**stored["logits", "all"][0], "text": "kept"}

    _, tables, _ = feature_case.run(logits(feature_case.study(case.model, stored=stored), [1]))

    assert tables["logits"][0]["text"] == "kept"
