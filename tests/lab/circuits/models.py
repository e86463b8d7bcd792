"""Models on which edges are patched: random ones in float64, and one that is linear from end to end."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

from safetycase.lab.circuits.pairs import Pair
from safetycase.lab.model import LoadedModel
from safetycase.lab.sites import find_sites
from tests.lab.small import loaded
from tests.lab.tiny import ARCHITECTURES, VOCAB


def doubled(architecture: str) -> LoadedModel:
    """A random tiny model in float64. Norms of transformers other than LayerNorm still compute in float32."""
    model = loaded(architecture)
    return replace(model, module=model.module.double(), dtype=torch.float64)


def linear() -> LoadedModel:
    """A sequential GPT-NeoX with scales in place of norms, MLPs without activation, and attention that looks at all positions alike."""
    config = AutoConfig.for_model("gpt_neox", **{**ARCHITECTURES["gpt_neox"], "hidden_act": "linear", "use_parallel_residual": False})
    auto: Any = AutoModelForCausalLM
    torch.manual_seed(0)
    module = auto.from_config(config).double()
    source = torch.Generator().manual_seed(1)
    core = module.gpt_neox
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=source) * parameter.shape[-1] ** -0.5)
        for layer in core.layers:
            fused = layer.attention.query_key_value  # rows by head: queries, keys, values
            for tensor in (fused.weight, fused.bias):
                tensor.view(config.num_attention_heads, 3, -1, *tensor.shape[1:])[:, :2] = 0
            layer.input_layernorm, layer.post_attention_layernorm = Scale(source), Scale(source)
        core.final_layer_norm = Scale(source)
    module = module.eval().requires_grad_(False)
    return replace(loaded("gpt_neox"), module=module, sites=find_sites(module), dtype=torch.float64)


class Scale(nn.Module):
    """A norm that does not divide: a factor for each coordinate."""

    def __init__(self, source: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(1 + 0.3 * torch.randn(32, generator=source, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """x times the factors."""
        return x * self.weight


def random_pairs(count: int, *, length: int = 7, seed: int = 0) -> list[Pair]:
    """Pairs of unrelated tokens."""
    source = torch.Generator().manual_seed(seed)
    rows = torch.randint(3, VOCAB, (count, 2, length), generator=source)
    return [Pair(str(number), f"family-{number}", clean, corrupted, (7, 11)) for number, (clean, corrupted) in enumerate(rows)]


def all_but_one(size: int) -> Any:
    """[edge, edge]: circuits that each leave one edge out."""
    return ~torch.eye(size, dtype=torch.bool).numpy()
