"""What graphs are traced from, as it is measured in the free model and as a target of attribution."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.lab.attribution.frozen_pass import FrozenPass
from safetycase.lab.attribution.targets import TargetVector, direction, log_odds_gradient, logit_difference
from safetycase.lab.attribution.unembedding import uncapped
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.model import LoadedModel
from safetycase.lab.prompt_roles import roles
from safetycase.lab.scores import refusal_log_odds
from safetycase.lab.site_access import record_sites

Read = Callable[[Float[Tensor, "row vocab"]], Float[Tensor, "row"]]


@dataclass(frozen=True)
class Functional:
    """The refusal log-odds, the difference of two token sets' mean logits, or a direction at a site and position."""

    kind: str
    """log-odds, token-difference or direction, as the plan names them."""
    refusal: tuple[int, ...]
    compliance: tuple[int, ...]
    direction: Float[Tensor, "d_model"] | None = None
    """A unit vector."""
    layer: int = 0
    """Block at whose input the direction is read."""
    position: int = -1
    """Counted from the end of the prompt."""

    @property
    def label(self) -> str:
        """As a reader meets it."""
        return {
            "log-odds": "refusal log-odds (first-order)",
            "token-difference": "refusal less compliance tokens",
            "direction": "refusal direction",
        }[self.kind]

    @property
    def site(self) -> str:
        """Where it is read."""
        return f"resid_pre.{self.layer}" if self.kind == "direction" else "final_norm"

    def role(self, model: LoadedModel, n_tokens: int) -> str:
        """Of the position where it is read."""
        return roles(model.chat, n_tokens)[self.position if self.kind == "direction" else -1]

    def log_odds(self, logits: Float[Tensor, "row vocab"]) -> Float[Tensor, "row"]:
        """Of the refusal tokens, in nats, in float64."""
        return refusal_log_odds(logits, torch.tensor(self.refusal))

    def target(self, pass_: FrozenPass) -> TargetVector:
        """What attribution starts from on one prompt."""
        match self.kind:
            case "log-odds":
                return log_odds_gradient(pass_, self.refusal, self.label)
            case "token-difference":
                return logit_difference(pass_, self.refusal, self.compliance, self.label)
            case _:
                assert self.direction is not None
                return direction(pass_, self.direction, Site("resid_pre", self.layer), self.position, label=self.label)

    @contextmanager
    def reading(self, model: LoadedModel) -> Iterator[Read]:
        """Yields what reads the functional off the passes that run while it is open."""
        if self.kind != "direction":
            yield lambda logits: self._of_logits(model, logits)
            return
        site = Site("resid_pre", self.layer)
        with record_sites(model, [site]) as at:
            yield lambda logits: at[site][:, self.position].double() @ self._unit.to(at[site].device)

    @property
    def _unit(self) -> Float[Tensor, "d_model"]:
        assert self.direction is not None
        return self.direction.double()

    def _of_logits(self, model: LoadedModel, logits: Float[Tensor, "row vocab"]) -> Float[Tensor, "row"]:
        if self.kind == "log-odds":
            return self.log_odds(logits)
        wide = uncapped(model, logits)  # as the target of attribution, which is linear in what the final norm puts out
        return wide[:, list(self.refusal)].mean(dim=-1) - wide[:, list(self.compliance)].mean(dim=-1)
