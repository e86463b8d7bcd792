"""What additions to the residual stream change, by running the model itself with attention and norms frozen: the check of every edge."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from safetycase.errors import ModelError
from safetycase.lab.attribution.frozen_attention import frozen_attention
from safetycase.lab.attribution.frozen_norm import FrozenNorm
from safetycase.lab.attribution.frozen_pass import FrozenPass
from safetycase.lab.attribution.targets import FINAL_NORM, TargetVector
from safetycase.lab.dictionaries.site import Site, parse_site
from safetycase.lab.hooks import Edit, edit_outputs, record_inputs, record_outputs
from safetycase.lab.site_access import edit_site, record_sites
from safetycase.lab.sites import Block

ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class Addition:
    """A vector added at one site and position: a node's own, to take it twice, or with a minus sign, to take it away."""

    site: Site
    position: int
    vector: Float[Tensor, "d_model"]


@dataclass(frozen=True)
class FrozenChange:
    """What each edit changed."""

    features: Float[Tensor, "edit active"]
    """Pre-activation of every active feature."""
    targets: Float[Tensor, "edit target"]


@torch.no_grad()
def frozen_change(
    pass_: FrozenPass,
    edits: Sequence[Sequence[Addition]],
    targets: Sequence[TargetVector] = (),
    *,
    reencoded: Collection[int] = (),
    frozen: bool = True,
) -> FrozenChange:
    """Each edit is a pass of its own, with all its additions at once, next to a pass without any.

    Frozen: attention patterns, norm scales and MLP outputs are those of the recorded pass, but for the skip path and for the
    features of `reencoded` layers, which are encoded anew and written in place of what they were. With `frozen` false
    nothing is: the model runs as it is with the additions.

    This shares no arithmetic with the adjoint but the frozen norms: attention and projections are the model's own. Raises ModelError for
    sites that do not exist or cannot be edited, and for re-encoding in a model that runs freely.
    """
    if reencoded and not frozen:
        raise ModelError("features can be re-encoded in a frozen pass only: a free model has none")
    parts = [_rows(pass_, edits[first : first + ROWS_AT_ONCE], targets, reencoded, frozen) for first in range(0, len(edits), ROWS_AT_ONCE)]
    if not parts:
        return FrozenChange(pass_.final.new_zeros(0, len(pass_.features)), pass_.final.new_zeros(0, len(targets)))
    return FrozenChange(torch.cat([features for features, _ in parts]), torch.cat([values for _, values in parts]))


def _rows(
    pass_: FrozenPass, edits: Sequence[Sequence[Addition]], targets: Sequence[TargetVector], reencoded: Collection[int], frozen: bool
) -> tuple[Tensor, Tensor]:
    """One batch; its last row is the pass without additions."""
    model = pass_.model
    by_site = _by_site(pass_, edits)
    read = _ReadSites(pass_, frozen)
    asked = {parse_site(each.target.site) for each in targets if each.target.site != FINAL_NORM}
    with ExitStack() as stack:
        if frozen:
            stack.enter_context(frozen_attention(model, {module: call.pattern for module, call in pass_.calls.items()}))
            stack.enter_context(_frozen_norms(pass_))
            stack.enter_context(_frozen_mlps(pass_, read, reencoded))
        for site, added in by_site.items():
            stack.enter_context(edit_site(model, site, partial(torch.add, added)))
        read.sites = stack.enter_context(record_sites(model, sorted({*read.recorded.values(), *(read.stream_of(site) for site in asked)})))
        final = stack.enter_context(record_outputs([model.sites.final_norm]))
        ids = pass_.tokens[None].expand(len(edits) + 1, -1)
        model.module(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
        values = [_value(each, final[0] if each.target.site == FINAL_NORM else read.at(parse_site(each.target.site))) for each in targets]
        features = torch.cat([_pre_activations(pass_, layer, read.layer(layer)) for layer in range(pass_.n_layers)], dim=1)
    at_targets = torch.stack(values, dim=1) if values else features.new_zeros(len(features), 0)
    return features[:-1] - features[-1], at_targets[:-1] - at_targets[-1]


def _by_site(pass_: FrozenPass, edits: Sequence[Sequence[Addition]]) -> dict[Site, Float[Tensor, "row pos d_model"]]:
    found: dict[Site, Tensor] = {}
    for row, edit in enumerate(edits):
        for addition in edit:
            if addition.site not in found:
                found[addition.site] = pass_.final.new_zeros(len(edits) + 1, *pass_.final.shape)
            found[addition.site][row, addition.position] += addition.vector.to(pass_.final)
    return found


class _ReadSites:
    """What transcoders read in the pass that runs, with norms frozen where it is frozen."""

    sites: Mapping[Site, Tensor]

    def __init__(self, pass_: FrozenPass, frozen: bool) -> None:
        self.pass_, self.frozen = pass_, frozen
        self.recorded = {each.reads: self.stream_of(each.reads) for each in pass_.transcoders}

    def stream_of(self, site: Site) -> Site:
        """The site to record: inside of a frozen norm, what the norm reads."""
        if site.name != "mlp_in_normalized" or not self.frozen:
            return site
        return Site("resid_mid" if self.pass_.layers[site.layer].sequential else "resid_pre", site.layer)

    def at(self, site: Site) -> Float[Tensor, "row pos d_in"]:
        """What stands at a site."""
        found = self.sites[self.stream_of(site)]
        if self.stream_of(site) == site:
            return found
        return _batched(self.pass_.readings[site.layer].norm, found)

    def layer(self, layer: int) -> Float[Tensor, "row pos d_in"]:
        """What the layer's transcoder reads."""
        return self.at(self.pass_.transcoders[layer].reads)


@contextmanager
def _frozen_norms(pass_: FrozenPass) -> Iterator[None]:
    norms = {module: norm for layer in pass_.layers for module, norm in layer.norms.items()}
    norms[pass_.model.sites.final_norm] = pass_.final_norm
    with ExitStack() as stack:
        for module, norm in norms.items():
            inputs = stack.enter_context(record_inputs([module]))
            stack.enter_context(edit_outputs({module: partial(_through, norm, inputs)}))
        yield


def _through(norm: FrozenNorm, inputs: list[Tensor], out: Tensor) -> Tensor:
    return _batched(norm, inputs.pop()).view_as(out)


@contextmanager
def _frozen_mlps(pass_: FrozenPass, read: _ReadSites, reencoded: Collection[int]) -> Iterator[None]:
    """At the sites that transcoders write; edits of the caller come behind."""
    anew: dict[int, Tensor] = {}
    edits: dict[nn.Module, Edit] = {}
    for layer, block in enumerate(pass_.model.sites.blocks):
        raw = pass_.transcoders[0].writes[0].name == "mlp_raw_out"
        writer = block.mlp if raw else _mlp_writer(block, pass_.layers[layer].norms)
        edits[writer] = partial(_written, pass_, read, reencoded, anew, layer)
    with edit_outputs(edits):
        yield


def _mlp_writer(block: Block, norms: Mapping[nn.Module, FrozenNorm]) -> nn.Module:
    """The norm behind the MLP, where there is one: the writer that is neither attention nor the norm behind attention."""
    if block.mlp in block.writers:
        return block.mlp
    behind = [writer for writer in block.writers if writer in norms]
    return behind[-1]


def _written(pass_: FrozenPass, read: _ReadSites, reencoded: Collection[int], anew: dict[int, Tensor], layer: int, out: Tensor) -> Tensor:
    """The recorded output, changed by the skip path and by features that are encoded anew."""
    x, found = read.layer(layer), pass_.writings[layer].found
    written = found.expand(len(x), *found.shape)
    dictionary, skip = pass_.transcoders[layer], pass_.skips[layer]
    if skip is not None:
        written = written + dictionary.skip(x) - skip
    if layer in reencoded:
        change = dictionary.encode(x) - dictionary.encode(pass_.readings[layer].found)
        change[:, list(pass_.zeroed)] = 0
        anew[layer] = change
    for source, change in anew.items():
        if layer < source + len(pass_.transcoders[source].writes):
            written = written + change @ pass_.transcoders[source].W_dec[:, layer - source]
    return written.reshape(out.shape)


def _pre_activations(pass_: FrozenPass, layer: int, x: Float[Tensor, "row pos d_in"]) -> Float[Tensor, "row feature"]:
    """Of a layer's active features, less the encoder's bias."""
    indices = pass_.features.indices[pass_.features.of_layer(layer)]
    return torch.einsum("rfd,fd->rf", x[:, indices[:, 1]], pass_.transcoders[layer].W_enc[indices[:, 2]])


def _value(target: TargetVector, found: Float[Tensor, "row pos d"]) -> Float[Tensor, "row"]:
    return found[:, target.target.position] @ target.vector.to(found)


def _batched(norm: FrozenNorm, x: Float[Tensor, "row pos d"]) -> Float[Tensor, "row pos d"]:
    """A frozen norm of every row, whose last two dimensions may have been merged."""
    rows = x.reshape(-1, len(norm.scale), x.shape[-1])
    return torch.stack([norm(row) for row in rows])
