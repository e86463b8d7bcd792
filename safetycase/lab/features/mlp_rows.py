"""What each neuron of an MLP writes to the residual stream, read off by running the MLP on one neuron at a time."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.errors import ModelError
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.forward import left_padded
from safetycase.lab.hooks import skip
from safetycase.lab.model import LoadedModel, last_logits
from safetycase.lab.site_access import edit_site, record_sites, site_width

ROWS_AT_ONCE = 16


@dataclass(frozen=True)
class MlpRows:
    """The MLP's output as a sum over its neurons: neurons @ weights + bias."""

    site: Site
    """Of the neurons."""
    weights: Float[Tensor, "neuron d_out"]
    """In float32, on the model's device."""
    bias: Float[Tensor, "d_out"]


@torch.inference_mode()
def mlp_rows(model: LoadedModel, writes: Site, positions: int) -> MlpRows | str:
    """The rows of the MLP whose output stands at a site, asked `positions` neurons of a row at once; or why there are none.

    None where the site is not an MLP's output, where a norm stands between the neurons and the site, and where the MLP has no
    one output projection (mixtures of experts).
    """
    neurons, raw = Site("mlp_neurons", writes.layer), Site("mlp_raw_out", writes.layer)
    if writes.name not in ("mlp_out", "mlp_raw_out"):
        return f"{writes} is not the output of an MLP"
    try:
        width = site_width(model, neurons)
    except ModelError as error:
        return str(error)
    found = torch.cat(
        [
            _written(model, neurons, raw, start, min(width + 1 - start, ROWS_AT_ONCE * positions), width, positions)
            for start in range(0, width + 1, ROWS_AT_ONCE * positions)
        ]
    )
    if writes != raw and not _same(model, writes, raw):
        return f"a norm stands between the MLP and {writes}"
    return MlpRows(neurons, found[1:] - found[0], found[0])


def _written(
    model: LoadedModel, neurons: Site, raw: Site, start: int, count: int, width: int, positions: int
) -> Float[Tensor, "count d_out"]:
    """What the MLP writes where one neuron is 1 and the others 0, from the `start`-th on; all are 0 in the 0th."""
    rows = -(-count // positions)

    def one_each(x: Float[Tensor, "row pos neuron"]) -> Float[Tensor, "row pos neuron"]:
        numbers = torch.arange(start, start + rows * positions, device=x.device)
        alone = numbers[:, None] == torch.arange(1, width + 1, device=x.device)
        return alone.to(x.dtype).reshape(rows, positions, width)

    tokens = [torch.zeros(positions, dtype=torch.long)] * rows
    above = [block.module for block in model.sites.blocks[neurons.layer + 1 :]]
    with record_sites(model, [raw]) as recorded, edit_site(model, neurons, one_each), skip(above):
        last_logits(model, left_padded(tokens, model.device))
    return recorded[raw].flatten(0, 1)[:count].float()


def _same(model: LoadedModel, site: Site, other: Site) -> bool:
    """Whether the same tensor stands at two sites."""
    with record_sites(model, [site, other]) as recorded:
        last_logits(model, left_padded([torch.arange(1, 6)], model.device))
    return torch.equal(recorded[site], recorded[other])
