"""Features ablated by role: those of a circuit, or all others, with the transcoders' errors left in place."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from safetycase.evidence.kinds.circuit_trace.selection import Node
from safetycase.lab.dictionaries.dictionary import Dictionary, DictionarySet
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.hooks import Edit
from safetycase.lab.model import LoadedModel
from safetycase.lab.site_access import edit_site, record_sites

ZEROED = "zeroed"
"""Role of positions whose features are no nodes: they are never edited."""


@dataclass(frozen=True)
class CircuitEdit:
    """What is done to the features of a circuit: (layer, feature, role) each."""

    circuit: frozenset[Node]
    kind: Literal["ablated", "kept"]
    """ablated: they are set to 0 at the positions of their roles. kept: all other active features of all layers are."""


UNEDITED = CircuitEdit(frozenset(), "ablated")
ALL_ABLATED = CircuitEdit(frozenset(), "kept")


@contextmanager
def circuits_edited(
    model: LoadedModel, transcoders: DictionarySet, roles: Sequence[Sequence[str]], edits: Sequence[CircuitEdit]
) -> Iterator[None]:
    """While open, each row of a left-padded batch carries its edit; `roles` are those of its tokens.

    With a the activation that the same pass shows and d what the feature writes, every site that it writes gets -a d: what the
    transcoder does not reconstruct stays as the model computes it. Passes of another width (tokens that are generated, on cached keys and
    values) are not edited: no circuit has their roles.
    """
    if all(edit == UNEDITED for edit in edits):
        yield
        return
    plan = _Plan.of(transcoders, roles, edits)
    taken = {layer: _Taken(dictionary, plan, layer) for layer, dictionary in zip(transcoders.layers, transcoders.dictionaries, strict=True)}
    with ExitStack() as stack:
        at = stack.enter_context(record_sites(model, [dictionary.reads for dictionary in transcoders.dictionaries]))
        for site, sources in _written(transcoders).items():
            stack.enter_context(edit_site(model, site, _edit(plan, site, sources, taken, at)))
        yield


def _written(transcoders: DictionarySet) -> dict[Site, list[tuple[int, int]]]:
    """Every site that is written, with the layer of each dictionary that writes it and its place among that one's targets."""
    found: dict[Site, list[tuple[int, int]]] = {}
    for dictionary in transcoders.dictionaries:
        for place, site in enumerate(dictionary.writes):
            found.setdefault(site, []).append((dictionary.reads.layer, place))
    return found


def _edit(plan: "_Plan", site: Site, sources: Sequence[tuple[int, int]], taken: Mapping[int, "_Taken"], at: Mapping[Site, Tensor]) -> Edit:
    def edit(x: Float[Tensor, "row pos d_out"]) -> Float[Tensor, "row pos d_out"]:
        if x.shape[1] != plan.width:
            return x
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        for layer, place in sources:
            of = taken[layer]
            if place == 0:
                of.encode(at[of.dictionary.reads])
            wide = wide - of.written(place).to(wide)
        return wide.to(x.dtype)

    return edit


@dataclass
class _Taken:
    """What of one layer's features is taken away in the running pass; held from the first site that they write to the last."""

    dictionary: Dictionary
    plan: "_Plan"
    layer: int
    chosen: Tensor | None = None
    everything: Tensor | None = None

    def encode(self, x: Float[Tensor, "row pos d_in"]) -> None:
        """Once a pass, though a feature of a cross-layer transcoder writes to several sites: its own layer's comes first."""
        features, wide = self.plan.features[self.layer], x.to(self.dictionary.W_enc)
        if not self.plan.keeps.any():
            self.chosen = self.dictionary.encode(wide, features) * self.plan.mask(self.layer)
            return
        self.everything = self.dictionary.encode(wide) * self.plan.counted
        self.chosen = self.everything[..., features] * self.plan.mask(self.layer)

    def written(self, place: int) -> Float[Tensor, "row pos d_out"]:
        """What the ablated features would have written to one site."""
        assert self.chosen is not None
        chosen, everything = self.chosen, self.everything
        if place == len(self.dictionary.writes) - 1:
            self.chosen = self.everything = None  # all features of all layers together may outweigh the model
        circuit = chosen @ self.dictionary.W_dec[self.plan.features[self.layer], place]
        if everything is None:
            return circuit
        others = everything @ self.dictionary.W_dec[:, place] - circuit
        return torch.where(self.plan.keeps[:, None, None], others, circuit)


@dataclass(frozen=True)
class _Plan:
    """Which features are a circuit's at which positions of which rows."""

    width: int
    role_ids: Int[Tensor, "row pos"]
    """Of padding and positions that are never edited, that of `ZEROED`."""
    counted: Float[Tensor, "row pos 1"]
    variants: Int[Tensor, "row"]
    keeps: Bool[Tensor, "row"]
    features: Mapping[int, Int[Tensor, "chosen"]]
    """By layer: those of any circuit."""
    held: Mapping[int, Bool[Tensor, "variant role chosen"]]

    @classmethod
    def of(cls, transcoders: DictionarySet, roles: Sequence[Sequence[str]], edits: Sequence[CircuitEdit]) -> "_Plan":
        device = transcoders.dictionaries[0].W_enc.device
        width = max(len(each) for each in roles)
        padded = [(*[ZEROED] * (width - len(each)), *each) for each in roles]
        names = {name: index for index, name in enumerate(dict.fromkeys([ZEROED, *(role for row in padded for role in row)]))}
        circuits = {edit.circuit: index for index, edit in enumerate(dict.fromkeys(edits))}
        circuits = {circuit: index for index, circuit in enumerate(circuits)}
        features, held = {}, {}
        for layer in transcoders.layers:
            chosen = sorted({feature for circuit in circuits for at, feature, _ in circuit if at == layer})
            place = {feature: index for index, feature in enumerate(chosen)}
            table = torch.zeros(len(circuits), len(names), len(chosen), dtype=torch.bool)
            for circuit, variant in circuits.items():
                for at, feature, role in circuit:
                    if at == layer and role in names:
                        table[variant, names[role], place[feature]] = True
            features[layer], held[layer] = torch.tensor(chosen, dtype=torch.long, device=device), table.to(device)
        ids = torch.tensor([[names[role] for role in row] for row in padded], device=device)
        return cls(
            width=width,
            role_ids=ids,
            counted=(ids != names[ZEROED]).to(torch.float32)[..., None],
            variants=torch.tensor([circuits[edit.circuit] for edit in edits], device=device),
            keeps=torch.tensor([edit.kind == "kept" for edit in edits], device=device),
            features=features,
            held=held,
        )

    def mask(self, layer: int) -> Float[Tensor, "row pos chosen"]:
        """1 where a feature belongs to the row's circuit."""
        return self.held[layer][self.variants[:, None], self.role_ids].to(torch.float32) * self.counted
