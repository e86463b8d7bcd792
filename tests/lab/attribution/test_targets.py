"""What is traced: probabilities, differences, gradients through soft caps and scales, directions at sites."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    GptOssConfig,
    GptOssForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    PhiConfig,
    PhiForCausalLM,
)

from safetycase.errors import ModelError
from safetycase.lab.attribution.attribute import attribute_pass
from safetycase.lab.attribution.frozen_pass import frozen_pass
from safetycase.lab.attribution.targets import direction, log_odds_gradient, logit_difference, top_logits
from safetycase.lab.model import LoadedModel
from safetycase.lab.sites import find_sites
from tests.lab.attribution.cases import KINDS, PROMPT, double, passed, sums_of, transcoders
from tests.lab.small import loaded

pytestmark = pytest.mark.lab

SMALL: dict[str, Any] = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}


def test_the_fewest_tokens_that_hold_the_mass_are_traced() -> None:
    """Ten at most, in order of probability, which is their weight."""
    pass_ = passed("llama", KINDS[0])
    probabilities, ids = pass_.logits.softmax(-1).sort(descending=True)

    few = top_logits(pass_, mass=float(probabilities[:3].sum()) - 1e-9)

    assert ids[:3].tolist() == [each.target.token for each in few]
    assert probabilities[:3].tolist() == [each.target.weight for each in few]
    assert len(top_logits(pass_)) == 10
    assert few[0].target.site == "final_norm"
    assert few[0].target.position == len(PROMPT) - 1


def test_a_difference_is_that_of_the_mean_logits() -> None:
    """Its value is what the model's own logits say; means over the vocabulary cancel."""
    pass_ = passed("qwen3", KINDS[0])

    graph = attribute_pass(pass_, [logit_difference(pass_, [3], [7, 8])])

    expected = pass_.logits[3] - pass_.logits[[7, 8]].mean()
    assert graph.targets[0].kind == "logit-difference"
    assert sums_of(graph).found[-1] == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "cohere", "granite"])
def test_log_odds_are_followed_to_first_order(architecture: str) -> None:
    """The gradient is that of autograd through head, scale and soft cap, and the target says that it is first-order."""
    model = foreign(architecture) if architecture in FOREIGN else double(architecture)
    pass_ = frozen_pass(model, transcoders(KINDS[0], dtype=model.dtype), PROMPT)
    final = pass_.final[-1].clone().requires_grad_()
    config, head = model.module.config, model.sites.unembedding
    logits = head(final) * getattr(config, "logit_scale", 1.0) / getattr(config, "logits_scaling", 1.0)
    cap = getattr(config, "final_logit_softcapping", None)
    logits = logits if cap is None else cap * torch.tanh(logits / cap)
    inside = logits.softmax(-1)[[3, 5]].sum()

    target = log_odds_gradient(pass_, [3, 5])

    (expected,) = torch.autograd.grad(inside.log() - (1 - inside).log(), final)
    torch.testing.assert_close(target.vector, expected, atol=1e-5, rtol=1e-4)
    assert target.target.kind == "log-odds"
    assert "first order" in target.target.label


@pytest.mark.parametrize("architecture", ["cohere", "granite", "phi", "gpt_oss"])
def test_parallel_blocks_multipliers_and_sinks_are_followed(architecture: str) -> None:
    """Cohere's logit scale, Granite's multipliers, Phi's biased head, GPT-OSS' sinks: sums add up, logits are the model's."""
    model = foreign(architecture)

    pass_ = frozen_pass(model, transcoders(KINDS[0], dtype=torch.float32), PROMPT)
    vector = torch.randn(32, generator=torch.Generator().manual_seed(0))

    graph = attribute_pass(pass_, [*top_logits(pass_, 2), direction(pass_, vector, "mlp_out.1"), direction(pass_, vector, "attn_out.2")])

    sums = sums_of(graph)
    total = sums.edges + sums.decoder_bias + sums.zeroed + sums.model_bias
    assert abs(total - sums.found).max() < 1e-5 * abs(sums.found).max()
    stood = (pass_.layers[1].mlp_writes, pass_.layers[2].attention_writes)
    assert sums.found[-2:].tolist() == pytest.approx([float(written[-1] @ vector) for written in stood], rel=1e-5)
    first, second = (pass_.logits[target.token].item() for target in graph.targets[:2])
    bias = getattr(model.sites.unembedding, "bias", None)
    if bias is not None:
        first, second = (value - bias[target.token].item() for value, target in zip((first, second), graph.targets, strict=False))
    assert sums.found[-4] - sums.found[-3] == pytest.approx(first - second, abs=1e-5)


def test_a_direction_is_traced_where_it_stands() -> None:
    """Below the last layer too, and at any position; nothing above or behind reaches it."""
    pass_ = passed("llama", KINDS[0])
    vector = torch.randn(32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    graph = attribute_pass(pass_, [direction(pass_, vector, "resid_pre.1", -3, label="refusal direction")])

    row = graph.adjacency.dense()[-1]
    layer, position = graph.features[:, 0], graph.features[:, 1]
    assert sums_of(graph).found[-1] == pytest.approx(float(pass_.layers[1].pre[4] @ vector))
    assert row[: graph.n_features][(layer == 0) & (position <= 4)].any()
    assert not row[: graph.n_features][(layer > 0) | (position > 4)].any()


def test_impossible_targets_are_refused() -> None:
    """In one line that says what would do."""
    pass_ = passed("llama", KINDS[0])
    vector = torch.ones(32)

    with pytest.raises(ModelError, match="outside of the prompt, expected -7 to 6"):
        direction(pass_, vector, "resid_pre.1", 7)
    with pytest.raises(ModelError, match=r"shape \(5,\), expected 32"):
        direction(pass_, torch.ones(5), "resid_pre.1")
    with pytest.raises(ModelError, match="no layer 9, expected 0 to 2"):
        attribute_pass(pass_, [direction(pass_, vector, "resid_pre.9")])
    with pytest.raises(ModelError, match=r"target at attn_z\.1: expected one of final_norm"):
        attribute_pass(pass_, [direction(pass_, vector, "attn_z.1")])
    with pytest.raises(ModelError, match="both sides"):
        logit_difference(pass_, [3], [])
    with pytest.raises(ModelError, match="no targets"):
        attribute_pass(pass_, [])
    for nothing in (direction(pass_, 0 * vector, "resid_pre.1"), logit_difference(pass_, [3], [3])):
        with pytest.raises(ModelError, match="zero or not finite"):
            attribute_pass(pass_, [nothing])


FOREIGN: dict[str, Callable[[], Any]] = {
    "cohere": lambda: CohereForCausalLM(CohereConfig(**SMALL, logit_scale=0.25)),
    "granite": lambda: GraniteForCausalLM(
        GraniteConfig(**SMALL, residual_multiplier=0.22, embedding_multiplier=12.0, logits_scaling=8.0, attention_multiplier=0.3)
    ),
    "phi": lambda: PhiForCausalLM(PhiConfig(**SMALL)),
    "gpt_oss": lambda: GptOssForCausalLM(GptOssConfig(**SMALL, num_key_value_heads=2, head_dim=8, num_local_experts=4)),
}


def foreign(architecture: str) -> LoadedModel:
    """An architecture that the twelve do not hold, in float32, with random biases and norms."""
    torch.manual_seed(1)
    module = FOREIGN[architecture]().eval().requires_grad_(False)
    for parameter in module.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.3 * torch.randn_like(parameter)
        else:
            parameter.data *= 5
    return replace(loaded(), module=module, sites=find_sites(module))
