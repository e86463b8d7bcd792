"""Edits of features: ablated, clamped or steered by what is added to the written site, so that the dictionary's error stays in place."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from safetycase.lab.dictionaries.dictionary import Dictionary
from safetycase.lab.hooks import record_inputs
from safetycase.lab.model import LoadedModel
from safetycase.lab.site_access import edit_site, record_sites


@dataclass(frozen=True, slots=True)
class FeatureEdit:
    """What is done to one feature at every position."""

    kind: Literal["ablate", "clamp", "steer"]
    feature: int
    amount: float = 0.0
    """clamp: the activation that it is held at; steer: the length that is added along its direction; ablate: nothing."""


@contextmanager
def edited(model: LoadedModel, dictionary: Dictionary, rows: Sequence[Sequence[FeatureEdit]]) -> Iterator[None]:
    """While open, every row of a batch carries its own edits; a single entry is carried by all rows, however many there are.

    With a the activation that the same forward pass shows at the site that the dictionary reads, d the feature's direction
    and s the scale that its normalisation gives to what it writes, the first written site gets (0 - a) s d where the
    feature is ablated, (c - a) s d where it is clamped to c, and v d/|d| where it is steered by v: at every position but that of a
    beginning-of-text token, whose activations are out of scale and which dictionaries are not trained on. Negative activations are
    ablated and clamped as well. Several edits of a
    row add up; all their activations are those before any edit. A row may hold a feature (ablate or clamp it) only once.
    """
    plan = _Plan.of(dictionary, rows)
    reads, writes = dictionary.reads, dictionary.writes[0]

    with ExitStack() as stack:
        counted = stack.enter_context(edited_positions(model))
        if reads == writes or not plan.holds:
            stack.enter_context(edit_site(model, writes, lambda x: _plus(x, plan.delta(dictionary, x), counted)))
        else:
            at = stack.enter_context(record_sites(model, [reads]))
            stack.enter_context(edit_site(model, writes, lambda x: _plus(x, plan.delta(dictionary, at[reads]), counted)))
        yield


Counted = Callable[[Float[Tensor, "row pos width"]], Float[Tensor, "row pos 1"]]
"""For what stands at a site in the running pass: 1 at the positions that are edited, 0 at those of a beginning-of-text token."""


@contextmanager
def edited_positions(model: LoadedModel) -> Iterator[Counted]:
    """Yields what tells which positions of the running pass are edited; where only the last ones are computed, they are meant."""
    embedding: Any = model.module.get_input_embeddings()
    start = model.tokenizer.bos_token_id
    seen: list[Tensor] = []

    def keep(ids: Tensor) -> Tensor:
        seen[:] = [ids]
        return ids.new_empty(0)

    def counted(x: Float[Tensor, "row pos width"]) -> Float[Tensor, "row pos 1"]:
        if start is None:
            return torch.ones_like(x[..., :1])
        mask: Tensor = seen[0][:, -x.shape[1] :, None] != start
        return mask.to(x)

    with record_inputs([embedding], keep=keep):
        yield counted


@dataclass(frozen=True)
class _Plan:
    """The edits of a batch, over the features that any of its rows holds."""

    features: Int[Tensor, "chosen"]
    held: Bool[Tensor, "#row 1 chosen"]
    values: Float[Tensor, "#row 1 chosen"]
    """What held features are held at; 0 elsewhere."""
    added: Float[Tensor, "#row 1 d_out"]
    """What steering adds, at every position."""

    @classmethod
    def of(cls, dictionary: Dictionary, rows: Sequence[Sequence[FeatureEdit]]) -> "_Plan":
        holding = sorted({edit.feature for row in rows for edit in row if edit.kind != "steer"})
        place = {feature: column for column, feature in enumerate(holding)}
        held = torch.zeros(len(rows), 1, len(holding), dtype=torch.bool)
        values = torch.zeros(len(rows), 1, len(holding))
        device = dictionary.W_dec.device
        added = torch.zeros(len(rows), 1, dictionary.d_out, device=device)
        for number, row in enumerate(rows):
            for edit in row:
                if edit.kind == "steer":
                    added[number, 0] += edit.amount * _unit(dictionary, edit.feature)
                    continue
                assert not held[number, 0, place[edit.feature]], f"row {number} holds feature {edit.feature} twice"
                held[number, 0, place[edit.feature]] = True
                values[number, 0, place[edit.feature]] = edit.amount if edit.kind == "clamp" else 0.0
        return cls(torch.tensor(holding, dtype=torch.long, device=device), held.to(device), values.to(device), added)

    @property
    def holds(self) -> bool:
        """Whether any row needs an activation."""
        return len(self.features) > 0

    def delta(self, dictionary: Dictionary, x: Float[Tensor, "row pos d_in"]) -> Float[Tensor, "row #pos d_out"]:
        """What is added to the written site, given what stands at the one that is read."""
        if not self.holds:
            return self.added
        wide = x.to(dictionary.W_enc)
        changes = (self.values - dictionary.encode(wide, self.features)) * self.held
        return changes * dictionary.write_scale(wide) @ dictionary.directions(self.features) + self.added


def _plus(x: Float[Tensor, "row pos d_out"], delta: Float[Tensor, "#row #pos d_out"], counted: Counted) -> Float[Tensor, "row pos d_out"]:
    """The sum in float32 at least, rounded once to the precision of the model."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide + delta.to(x.device) * counted(wide)).to(x.dtype)


def _unit(dictionary: Dictionary, feature: int) -> Float[Tensor, "d_out"]:
    """The feature's direction at length 1; zero where it has none."""
    direction = dictionary.W_dec[feature, 0]
    unit: Tensor = direction / direction.norm().clamp_min(torch.finfo(direction.dtype).tiny)
    return unit
