"""Random tiny models and transcoders for attribution: every architecture, every kind of transcoder, in float64."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from safetycase.evidence.graphs.graph import AttributionGraph, RowSums
from safetycase.lab.attribution.frozen_pass import FrozenPass, frozen_pass
from safetycase.lab.dictionaries.dictionary import Activation, Dictionary, DictionarySet, JumpRelu, Relu, TopK
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.model import LoadedModel
from safetycase.lab.site_access import site_width
from safetycase.sources.sites import SiteName
from tests.lab.small import loaded
from tests.lab.tiny import D_MODEL, N_LAYERS

PROMPT = torch.tensor([0, 9, 23, 41, 7, 88, 12])
"""Begins with a special token."""
N_FEATURES = 24


@dataclass(frozen=True)
class Kind:
    """What a set of transcoders is like."""

    activation: str
    reads: SiteName
    writes: SiteName
    cross_layer: bool = False
    skip: bool = False

    def __str__(self) -> str:
        return "-".join([self.activation, self.reads, self.writes, *["clt"] * self.cross_layer, *["skip"] * self.skip])


KINDS = (
    Kind("jumprelu", "mlp_in", "mlp_raw_out"),
    Kind("relu", "resid_mid", "mlp_out", cross_layer=True),
    Kind("topk", "mlp_in_normalized", "mlp_out", skip=True),
    Kind("jumprelu", "mlp_in", "mlp_raw_out", cross_layer=True, skip=True),
)


def exists(architecture: str, kind: Kind) -> bool:
    """Parallel blocks have no stream between attention and MLP, and OLMo 2 has no norm before its MLP."""
    return (architecture, kind.reads) not in {("gpt_neox", "resid_mid"), ("olmo2", "mlp_in_normalized")}


def transcoders(
    kind: Kind, *, layers: int = N_LAYERS, d: int = D_MODEL, features: int = N_FEATURES, seed: int = 0, dtype: torch.dtype = torch.float64
) -> DictionarySet:
    """Random ones; unit-scale inputs fire a third to a half of them."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    chosen: dict[str, Activation] = {"relu": Relu(), "topk": TopK(6, rectified=False), "jumprelu": JumpRelu(normal(features).abs() * 0.5)}
    made = []
    for layer in range(layers):
        targets = layers - layer if kind.cross_layer else 1
        made.append(
            Dictionary(
                W_enc=normal(features, d) / d**0.5,
                b_enc=normal(features) * 0.1,
                W_dec=normal(features, targets, d) / features**0.5,
                b_dec=normal(d) * 0.1,
                activation=chosen[kind.activation],
                reads=Site(kind.reads, layer),
                writes=tuple(Site(kind.writes, layer + above) for above in range(targets)),
                W_skip=normal(d, d) * 0.5 / d**0.5 if kind.skip else None,
            )
        )
    return DictionarySet(tuple(made), kind.cross_layer)


@cache
def passed(architecture: str, kind: Kind) -> FrozenPass:
    """The recorded pass of the prompt, in float64; made once."""
    return frozen_pass(double(architecture), transcoders(kind), PROMPT)


def double(architecture: str = "llama") -> LoadedModel:
    """In float64, but for norms and softmax, which transformers computes in float32."""
    model = loaded(architecture)
    # Sites are found in float32: in float64 their check is finer than the norms compute.
    site_width(model, Site("mlp_in", 0))
    module: Any = model.module
    module.double()
    if architecture == "mixtral":
        module.config._experts_implementation = "eager"  # the fused kernel knows no float64
    return replace(model, dtype=torch.float64)


def sums_of(graph: AttributionGraph) -> RowSums:
    """What a graph of ours always holds, and one of other tools does not."""
    assert graph.sums is not None
    return graph.sums
