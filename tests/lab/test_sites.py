"""The sites are found by measurement, and what is not understood is refused."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertLMHeadModel,
    BloomConfig,
    BloomForCausalLM,
    CohereConfig,
    CohereForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from safetycase.errors import ModelError
from safetycase.lab.sites import find_sites
from tests.lab.tiny import ARCHITECTURES, D_MODEL, N_LAYERS, NORM_BEFORE_STREAM, random_model

pytestmark = pytest.mark.lab

SMALL: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}


@pytest.mark.parametrize("architecture", [pytest.param(name, id=name) for name in ARCHITECTURES])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_every_architecture_is_understood(architecture: str, dtype: torch.dtype) -> None:
    """Blocks, attention, MLP, writers, norms and embeddings are those of the architecture, in every dtype."""
    model = random_model(architecture).to(dtype)

    sites = find_sites(model)

    assert sites.n_layers == N_LAYERS
    assert sites.d_model == D_MODEL
    assert len(sites.embeddings) == (2 if architecture == "gpt2" else 1)
    assert sites.embeddings[0] is model.get_input_embeddings()
    assert sites.unembedding is model.get_output_embeddings()
    assert sites.norm_before_stream == (architecture in NORM_BEFORE_STREAM)
    assert len(sites.writers) == len(sites.embeddings) + 2 * N_LAYERS
    for block in sites.blocks:
        assert "Attention" in type(block.attention).__name__
        assert type(block.mlp).__name__.endswith(("MLP", "SparseMoeBlock"))
        if not sites.norm_before_stream:
            assert set(block.writers) == {block.attention, block.mlp}
        else:
            assert all(type(writer).__name__.endswith("RMSNorm") for writer in block.writers)


def test_writers_are_found_even_where_they_write_nothing() -> None:
    """A block that starts as the identity (zero output projections, as in depth-expanded models) is not overlooked."""
    model = random_model("llama")
    with torch.no_grad():
        for parameter in (*model.model.layers[1].self_attn.o_proj.parameters(), *model.model.layers[1].mlp.parameters()):
            parameter.zero_()

    block = find_sites(model).blocks[1]

    assert block.writers == (model.model.layers[1].self_attn, model.model.layers[1].mlp)
    assert block.attention is model.model.layers[1].self_attn


def test_a_model_outside_the_promised_list_is_read_if_its_stream_adds_up() -> None:
    """Parallel blocks (Cohere, Phi) and constant multipliers on what is written (Granite) are still sums of writers."""
    multiplied: dict[str, Any] = {"residual_multiplier": 0.22, "embedding_multiplier": 12.0, "logits_scaling": 8.0}

    assert find_sites(seeded(CohereForCausalLM, CohereConfig(**SMALL))).n_layers == 2
    assert find_sites(seeded(PhiForCausalLM, PhiConfig(**SMALL))).n_layers == 2
    assert find_sites(seeded(GraniteForCausalLM, GraniteConfig(**SMALL, **multiplied))).n_layers == 2


def test_foreign_architectures_are_refused() -> None:
    """Encoder-decoders, state-space models, encoders, streams normed on the way, and blocks that merge batch and position."""
    t5 = T5Config(vocab_size=50, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4)
    mamba = MambaConfig(vocab_size=50, hidden_size=32, num_hidden_layers=2, state_size=4)
    bloom = BloomConfig(vocab_size=50, hidden_size=32, n_layer=2, n_head=4)
    opt = OPTConfig(vocab_size=50, hidden_size=32, num_hidden_layers=2, ffn_dim=48, word_embed_proj_dim=32, num_attention_heads=4)
    cases = [
        ("encoder-decoder", seeded(T5ForConditionalGeneration, t5)),
        ("Mamba", seeded(MambaForCausalLM, mamba)),
        ("Linear, GELUActivation, LayerNorm, expected one norm", seeded(BertLMHeadModel, BertConfig(**SMALL, is_decoder=True))),
        ("holds more than its writers", seeded(BloomForCausalLM, bloom)),
        ("holds more than its writers", seeded(OPTForCausalLM, opt)),
    ]

    for said, model in cases:
        with pytest.raises(ModelError, match=f"architecture not understood: .*{said}") as caught:
            find_sites(model)
        assert "\n" not in str(caught.value)


class ExtraParameter(nn.Module):
    """A block that adds a learned vector to the stream, with no module to hook."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block, self.extra = block, nn.Parameter(torch.full((32,), 1e-3))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = self.block(*args, **kwargs)
        return (output[0] + self.extra, *output[1:]) if isinstance(output, tuple) else output + self.extra


class ExtraWriter(nn.Module):
    """A block with a third writer in parallel to the attention and the MLP."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.self_attn, self.mlp = block.self_attn, block.mlp
        self.input_layernorm, self.post_attention_layernorm = block.input_layernorm, block.post_attention_layernorm
        self.adapter = nn.Linear(32, 32)

    def forward(self, hidden_states: Tensor, **kwargs: Any) -> Tensor:
        attended: Tensor = hidden_states + self.self_attn(hidden_states=self.input_layernorm(hidden_states), **kwargs)[0]
        written: Tensor = self.mlp(self.post_attention_layernorm(attended)) + self.adapter(hidden_states)
        return attended + written


class Rescaled(nn.Module):
    """A block that shrinks the stream itself."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = self.block(*args, **kwargs)
        return (output[0] * 0.9, *output[1:]) if isinstance(output, tuple) else output * 0.9


@pytest.mark.parametrize(
    "wrapper",
    [
        pytest.param(ExtraParameter, id="a bare parameter"),
        pytest.param(ExtraWriter, id="a third module"),
        pytest.param(Rescaled, id="a rescaled stream"),
    ],
)
def test_a_hidden_writer_is_refused(wrapper: Any) -> None:
    """Whatever else reaches the stream in a single block, however small, is noticed."""
    model = seeded(LlamaForCausalLM, LlamaConfig(**SMALL))
    model.model.layers[1] = wrapper(model.model.layers[1])

    with pytest.raises(ModelError, match="architecture not understood: block 1 "):
        find_sites(model)


def test_a_model_that_looks_ahead_is_refused() -> None:
    """Bidirectional attention in a decoder's clothes: the last position is not the whole prompt's."""
    model = seeded(LlamaForCausalLM, LlamaConfig(**SMALL))

    class LooksAhead(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, hidden_states: Tensor, **kwargs: Any) -> Any:
            output = self.inner(hidden_states=hidden_states, **kwargs)
            return (output[0] + hidden_states.mean(dim=1, keepdim=True), *output[1:])

    model.model.layers[0].self_attn = LooksAhead(model.model.layers[0].self_attn)

    with pytest.raises(ModelError, match="a later token changes an earlier position"):
        find_sites(model)


def test_what_is_no_language_model_is_refused() -> None:
    """A module without vocabulary head or blocks is one line, not a traceback."""
    with pytest.raises(ModelError, match="no vocabulary head"):
        find_sites(nn.Linear(2, 2))


def test_the_model_is_left_as_it_was() -> None:
    """Finding the sites leaves no hook, and puts the training mode back."""
    model = random_model("gpt2").train()

    find_sites(model)

    assert model.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def seeded(kind: Any, config: Any) -> Any:
    torch.manual_seed(0)
    return kind(config).eval()
