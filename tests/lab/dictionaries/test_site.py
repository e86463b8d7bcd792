"""A site is one place, whatever a library calls it, and a name that is not known is an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetycase.errors import ModelError
from safetycase.lab.dictionaries.site import Site, parse_site, site_of_hook
from safetycase.sources.sites import SITE_NAMES

pytestmark = pytest.mark.lab


@given(name=st.sampled_from(SITE_NAMES), layer=st.integers(0, 9999))
def test_a_site_reads_as_it_is_written(name: str, layer: int) -> None:
    """`resid_post.12` and back."""
    assert str(parse_site(f"{name}.{layer}")) == f"{name}.{layer}"


@pytest.mark.parametrize("text", ["resid_pots.3", "resid_post", "resid_post.", "resid_post.-1", "resid_post.x", "resid_post.٣", ""])
def test_a_misspelt_site_is_refused(text: str) -> None:
    """In one line."""
    with pytest.raises(ModelError, match=r"^site "):
        parse_site(text)


@pytest.mark.parametrize(
    ("hook", "site"),
    [
        ("blocks.7.hook_resid_pre", "resid_pre.7"),
        ("blocks.7.hook_resid_mid", "resid_mid.7"),
        ("blocks.7.hook_resid_post", "resid_post.7"),
        ("blocks.7.attn.hook_z", "attn_z.7"),
        ("blocks.7.hook_attn_out", "attn_out.7"),
        ("blocks.7.ln2.hook_normalized", "mlp_in_normalized.7"),  # divided by the norm, not yet times its weight
        ("blocks.7.mlp.hook_in", "mlp_in.7"),
        ("blocks.7.hook_mlp_in", "resid_mid.7"),  # before the norm
        ("blocks.7.mlp.hook_post", "mlp_neurons.7"),
        ("blocks.7.mlp.hook_out", "mlp_raw_out.7"),  # before a norm behind the MLP
        ("blocks.7.hook_mlp_out", "mlp_out.7"),  # behind it
        ("model.layers.7", "resid_post.7"),
        ("layers.7", "resid_post.7"),
        ("gpt_neox.layers.7", "resid_post.7"),
        ("transformer.h.7", "resid_post.7"),
        ("model.language_model.layers.7.output", "resid_post.7"),
        ("model.layers.7.input", "resid_pre.7"),
        ("layers.7.mlp", "mlp_raw_out.7"),
        ("layers.7.mlp.input", "mlp_in.7"),
        ("model.layers.7.self_attn.o_proj.input", "attn_z.7"),
        ("model.layers.7.mlp.down_proj.input", "mlp_neurons.7"),
        ("model.layers.7.pre_feedforward_layernorm.output", "mlp_in.7"),
        ("model.layers.7.post_feedforward_layernorm.output", "mlp_out.7"),
    ],
)
def test_a_hook_is_the_site_that_it_means(hook: str, site: str) -> None:
    """TransformerLens, module paths, and either end of a module."""
    assert str(site_of_hook(hook)) == site


def test_the_end_of_a_bare_module_is_the_readers_to_say() -> None:
    """sparsify's transcoders read a module's input and write its output under one name."""
    assert site_of_hook("layers.7.mlp", end="input") == Site("mlp_in", 7)
    assert site_of_hook("layers.7.mlp.output", end="input") == Site("mlp_raw_out", 7)


@pytest.mark.parametrize(
    "hook",
    [
        "hook_embed",
        "blocks.7.attn.hook_q",
        "blocks.x.hook_resid_post",
        "blocks.7.hook_resid_post ",
        "layers.7.self_attn.input",
        "embed_tokens",
        "",
    ],
)
def test_an_unknown_hook_is_refused(hook: str) -> None:
    """A site is never guessed."""
    with pytest.raises(ModelError, match="not a hook whose site is known"):
        site_of_hook(hook)
