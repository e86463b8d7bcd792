"""Sites hold what the field means by their names, on every architecture that the lab reads."""

from pathlib import Path
from typing import Any

import pytest
import torch

from safetycase.errors import ModelError
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.model import LoadedModel, load_model
from safetycase.lab.site_access import edit_site, record_sites, site_width
from tests.lab.tiny import ARCHITECTURES, D_MODEL, NORM_BEFORE_STREAM, random_model, word_tokenizer

PARALLEL = {"gpt_neox"}
each_architecture = pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Models by architecture, loaded once."""
    known: dict[str, LoadedModel] = {}

    def get(architecture: str) -> LoadedModel:
        if architecture not in known:
            folder = tmp_path_factory.mktemp(architecture)
            random_model(architecture).save_pretrained(folder)
            word_tokenizer().save_pretrained(folder)
            known[architecture] = load_model(str(folder), base=Path("/"), dtype="float32", device="cpu")
        return known[architecture]

    return get


def run(model: LoadedModel) -> torch.Tensor:
    """Logits of a few tokens."""
    ids = torch.arange(3, 13)[None]
    with torch.inference_mode():
        logits: torch.Tensor = model.module(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
    return logits


@each_architecture
def test_the_stream_is_the_sum_of_what_is_written_to_it(loaded: Any, architecture: str) -> None:
    """resid_post = resid_pre + attn_out + mlp_out at every layer, and one layer's resid_post is the next one's resid_pre."""
    model = loaded(architecture)
    names: tuple[Any, ...] = ("resid_pre", "attn_out", "mlp_out", "resid_post")
    sites = [Site(name, layer) for layer in range(model.sites.n_layers) for name in names]

    with record_sites(model, sites) as at:
        run(model)

        for layer in range(model.sites.n_layers):
            pre, attention, mlp, post = (at[Site(name, layer)] for name in names)
            torch.testing.assert_close(pre + attention + mlp, post, atol=1e-4, rtol=1e-4)
            if layer:
                assert torch.equal(pre, at[Site("resid_post", layer - 1)])


@each_architecture
def test_the_middle_of_a_block_is_where_attention_has_written(loaded: Any, architecture: str) -> None:
    """resid_mid = resid_pre + attn_out where the MLP reads that; an architecture in parallel has no such place."""
    model = loaded(architecture)
    sites = [Site("resid_pre", 1), Site("attn_out", 1), Site("resid_mid", 1)]
    if architecture in PARALLEL:
        with pytest.raises(ModelError, match="no such place"), record_sites(model, sites):
            pass
        return

    with record_sites(model, sites) as at:
        run(model)

        torch.testing.assert_close(at[sites[0]] + at[sites[1]], at[sites[2]], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "gpt2", "qwen3"])
def test_the_mlp_reads_its_normalised_input_times_the_norms_weight(loaded: Any, architecture: str) -> None:
    """mlp_in_normalized is what stands before the weight: it has unit mean square, and the weight makes mlp_in of it."""
    model = loaded(architecture)
    sites = [Site("mlp_in_normalized", 1), Site("mlp_in", 1)]

    with record_sites(model, sites) as at:
        run(model)
        normalised, read = at[sites[0]], at[sites[1]]

    torch.testing.assert_close(normalised.pow(2).mean(-1), torch.ones(1, 10), atol=1e-3, rtol=1e-3)
    centred = read - read.mean(dim=1, keepdim=True)
    gains = centred / (normalised - normalised.mean(dim=1, keepdim=True))
    assert (gains.std(dim=1) < 1e-2 * gains.abs().mean(dim=1).clamp_min(1e-2)).float().mean() > 0.9


def test_the_raw_outputs_of_a_block_stand_before_the_norms_behind_them(loaded: Any) -> None:
    """On Gemma 2 what attention and MLP put out and what is added to the stream differ; on Llama they are one."""
    for architecture in ("llama", "gemma2"):
        model = loaded(architecture)
        sites = [Site("mlp_raw_out", 0), Site("mlp_out", 0), Site("attn_raw_out", 0), Site("attn_out", 0)]

        with record_sites(model, sites) as at:
            run(model)

            for raw, out in (sites[:2], sites[2:]):
                assert torch.equal(at[raw], at[out]) is (architecture not in NORM_BEFORE_STREAM)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2"])
@pytest.mark.parametrize(
    "name",
    ["resid_pre", "resid_mid", "resid_post", "attn_z", "attn_raw_out", "attn_out", "mlp_in", "mlp_neurons", "mlp_raw_out", "mlp_out"],
)
def test_an_edit_is_seen_by_whatever_reads_the_site(loaded: Any, architecture: str, name: Any) -> None:
    """Putting back what stood there changes nothing; putting zero there changes the logits, and the site is zero."""
    model = loaded(architecture)
    site = Site(name, 1)
    plain = run(model)

    with edit_site(model, site, lambda x: x.clone()):
        same = run(model)
    with edit_site(model, site, torch.zeros_like):
        zeroed = run(model)

    torch.testing.assert_close(same, plain, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(zeroed, plain, atol=1e-3)


def test_an_edit_of_the_middle_moves_the_end_by_as_much(loaded: Any) -> None:
    """What is added at resid_mid of the last layer and read by the MLP also stands in resid_post."""
    model = loaded("llama")
    last = model.sites.n_layers - 1
    delta = torch.linspace(-1, 1, D_MODEL)
    sites = [Site("mlp_out", last), Site("resid_post", last), Site("resid_mid", last)]

    with record_sites(model, sites) as at:
        run(model)
        plain = {site: at[site].clone() for site in sites}
        with edit_site(model, Site("resid_mid", last), lambda x: x + delta):
            run(model)
        change = at[sites[1]] - plain[sites[1]] - (at[sites[0]] - plain[sites[0]])

    torch.testing.assert_close(change, delta.expand_as(change), atol=1e-4, rtol=1e-4)


def test_widths_are_those_of_the_modules(loaded: Any) -> None:
    """Neurons are as many as the MLP has, everything on the stream is d_model wide."""
    model = loaded("llama")

    assert site_width(model, Site("resid_mid", 0)) == D_MODEL
    assert site_width(model, Site("mlp_neurons", 0)) == model.module.config.intermediate_size
    assert site_width(model, Site("attn_z", 0)) == D_MODEL


def test_a_layer_that_is_not_there_is_one_line(loaded: Any) -> None:
    """The error names the layers that are."""
    with pytest.raises(ModelError, match=r"no layer 9 for site resid_post\.9, expected 0 to 2"):
        site_width(loaded("llama"), Site("resid_post", 9))


def test_a_mixture_of_experts_has_no_neurons_of_one_layer(loaded: Any) -> None:
    """The error says why."""
    with pytest.raises(ModelError, match=r"mlp_neurons\.0.*no one output projection"):
        site_width(loaded("mixtral"), Site("mlp_neurons", 0))
