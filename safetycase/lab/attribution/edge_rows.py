"""Rows of a graph as they are computed: chunks of targets through the adjoint, blocks of edges out of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from safetycase.errors import ModelError
from safetycase.evidence.graphs.adjacency import Block
from safetycase.lab.attribution.adjoint import Chunk, Rows, adjoint_rows
from safetycase.lab.attribution.columns import Columns, columns_for
from safetycase.lab.attribution.frozen_norm import FrozenNorm, identity_norm
from safetycase.lab.attribution.frozen_pass import FrozenPass
from safetycase.lab.attribution.sources import LayerSources, layer_sources
from safetycase.lab.attribution.targets import FINAL_NORM, TargetVector
from safetycase.lab.attribution.transcoders import Reading, Stage, reading
from safetycase.lab.dictionaries.site import Site, parse_site

CHUNK_NUMBERS = {"cpu": 2**18, "cuda": 2**26}
"""Positions times targets times width of one chunk's cotangents: what a processor's cache holds, what keeps a GPU busy."""
SUMMED = 512
"""Columns that are summed in single precision."""
SUM_NAMES = ("edges", "decoder_bias", "zeroed", "model_bias", "found")


@dataclass(frozen=True)
class RawBlock:
    """Edges from all active features, chosen or not."""

    targets: NDArray[np.int64]
    """Active features, or targets numbered from `len(features)` on."""
    nodes: NDArray[np.int64]
    """Of every column: active features, then errors and tokens."""
    values: NDArray[np.float32]


@dataclass
class EdgeRows:
    """Grows by blocks; `finished` gives them with the nodes of the features that were selected."""

    pass_: FrozenPass
    sources: tuple[LayerSources, ...]
    blocks: list[RawBlock] = field(default_factory=list)
    sums: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    n_targets: int = 0

    def add_features(self, features: NDArray[np.int64]) -> None:
        """The rows of some active features, in any order."""
        starts = self.pass_.features.starts
        for layer, where in enumerate(self.pass_.readings):
            own = np.sort(features[(features >= starts[layer][0]) & (features < starts[layer][-1])])
            chosen = torch.from_numpy(own).to(self.pass_.final.device)
            at, which = self.pass_.features.indices[chosen, 1], self.pass_.features.indices[chosen, 2]
            places = at.tolist()
            for part in _chunks(places, self.pass_.final):
                encoders = self.pass_.transcoders[layer].W_enc[which[part]]
                self._add(own[part], layer, where.stage, where.norm, where.found, at[part], encoders, places[part][-1])

    def add_targets(self, targets: Sequence[TargetVector]) -> None:
        """The rows of the targets, those of one site and position together."""
        first = len(self.pass_.features)
        order = sorted(range(len(targets)), key=lambda index: (targets[index].target.site, targets[index].target.position, index))
        for (site, position), group in groupby(order, key=lambda index: (targets[index].target.site, targets[index].target.position)):
            indices = list(group)
            layer, stage, norm, found = self._site(site)
            vectors = torch.stack([targets[index].vector.to(found) for index in indices])
            places = torch.full((len(indices),), position, device=found.device)
            self._add(np.array(indices) + first, layer, stage, norm, found, places, vectors, position)
        self.n_targets = len(targets)

    def finished(self, selected: NDArray[np.int64]) -> tuple[tuple[Block, ...], dict[str, NDArray[np.float64]]]:
        """Blocks between nodes of the graph, and the sums of every feature node and target; the rows are given up."""
        active = len(self.pass_.features)
        others = (self.pass_.n_layers + 1) * self.pass_.n_positions
        node = np.full(active + others, -1)
        node[selected] = np.arange(len(selected))
        node[active:] = len(selected) + np.arange(others)
        row = np.concatenate([node[:active], len(selected) + others + np.arange(self.n_targets)])
        blocks = []
        left = sorted(self.blocks, key=lambda block: -int(row[block.targets[0]]))
        self.blocks.clear()
        while left:  # one by one, so that no more than one is held twice
            raw = left.pop()
            columns = node[raw.nodes]
            kept = columns >= 0
            values = raw.values if kept.all() else np.ascontiguousarray(raw.values[:, kept])
            blocks.append(Block(row[raw.targets], columns[kept], values))
        in_order = np.array([self.sums[index] for index in [*selected.tolist(), *range(active, active + self.n_targets)]])
        return tuple(blocks), dict(zip(SUM_NAMES, in_order.T.copy(), strict=True))

    def _add(
        self,
        targets: NDArray[np.int64],
        layer: int,
        stage: Stage,
        norm: FrozenNorm,
        found: Tensor,
        positions: Tensor,
        vectors: Float[Tensor, "target d_model"],
        last: int,
    ) -> None:
        """The rows of functionals of one site, ascending by position."""
        pass_ = self.pass_
        written_by = layer + 1 if stage in ("post", "mlp") else layer
        columns = self._columns(written_by, last + 1)
        cotangents = norm.fold(vectors) * norm.scale[positions, None]
        rows = adjoint_rows(pass_, self.sources, Chunk(layer, stage, positions, cotangents), columns)
        bias = rows.model_bias if norm.shift is None else rows.model_bias + (vectors @ norm.shift).double()
        value = (vectors.double() * found[positions].double()).sum(dim=-1)
        # Sums of short runs in float32, of those in float64: as exact as the edges, without a float64 copy of them.
        edges = torch.stack([run.sum(dim=-1) for run in torch.split(rows.values, SUMMED, dim=1)]).double().sum(dim=0)
        sums = torch.stack([edges, rows.decoder_bias, rows.zeroed, bias, value], dim=-1).cpu().numpy()
        self.sums.update(zip(targets.tolist(), sums, strict=True))
        self.blocks.append(RawBlock(targets, columns.nodes, _stored(rows)))

    def _columns(self, n_layers: int, n_positions: int) -> Columns:
        return columns_for(self.pass_.features, n_layers, n_positions, self.pass_.n_layers, self.pass_.n_positions)

    def _site(self, name: str) -> tuple[int, Stage, FrozenNorm, Tensor]:
        """Layer, stage, what lies between the stream and the site, and what stood there."""
        pass_ = self.pass_
        if name == FINAL_NORM:
            return pass_.n_layers - 1, "post", pass_.final_norm, pass_.final
        site = parse_site(name)
        if site.layer >= pass_.n_layers:
            raise ModelError(f"target at {name}: no layer {site.layer}, expected 0 to {pass_.n_layers - 1}")
        layer = pass_.layers[site.layer]
        if site.name == "attn_out":
            # Its multiplier on the way into the stream is folded into the map, and is taken out again.
            return (
                site.layer,
                "attention",
                _times(identity_norm(layer.attention_writes), 1 / layer.attention_coefficient),
                layer.attention_writes,
            )
        if site.name == "mlp_out":
            return site.layer, "mlp", _times(identity_norm(layer.mlp_writes), 1 / layer.mlp_coefficient), layer.mlp_writes
        where = self._reading(site)
        return site.layer, where.stage, where.norm, where.found

    def _reading(self, site: Site) -> Reading:
        pass_ = self.pass_
        layer, own = pass_.layers[site.layer], pass_.readings[site.layer]
        if pass_.transcoders[site.layer].reads == site:
            return own
        stood = {"resid_pre": layer.pre, "resid_mid": layer.mid, "resid_post": layer.post, "mlp_in": layer.mlp_reads}
        if site.name not in stood:
            raise ModelError(
                f"target at {site}: expected one of final_norm, {', '.join(stood)}, attn_out, mlp_out, or where transcoders read"
            )
        return reading(site, layer, stood[site.name])


def edge_rows(pass_: FrozenPass) -> EdgeRows:
    """No rows yet."""
    return EdgeRows(pass_, layer_sources(pass_))


def _stored(rows: Rows) -> NDArray[np.float32]:
    return rows.values.float().cpu().numpy()


def _times(norm: FrozenNorm, factor: float) -> FrozenNorm:
    return FrozenNorm(norm.gain * factor, norm.scale, norm.centred, norm.shift)


def _chunks(positions: Sequence[int], like: Tensor) -> Iterator[slice]:
    """Runs of targets, ascending by position, whose cotangents hold about `CHUNK_NUMBERS`."""
    most = CHUNK_NUMBERS.get(like.device.type, CHUNK_NUMBERS["cpu"]) // like.shape[-1]
    first = 0
    while first < len(positions):
        last = first + 1
        while last < len(positions) and (last + 1 - first) * (positions[last] + 1) <= most:
            last += 1
        yield slice(first, last)
        first = last
