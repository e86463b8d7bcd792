"""How features are treated: ablated on present prompts, steered and clamped on absent ones, in the units of a plan."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from safetycase.evidence.kinds.feature_documentation.params import ABSENT, PRESENT
from safetycase.lab.features.edits import FeatureEdit


@dataclass(frozen=True, slots=True)
class Treatment:
    """An edit as the tables name it: `dose` is a multiple, of the maximum or of the residual norm."""

    side: str
    """The class of prompts that it is tried on."""
    edit: FeatureEdit
    dose: float


@dataclass(frozen=True)
class Treatments:
    """The treatments of features, in the units that the model is edited in."""

    doses: Sequence[float]
    clamps: Sequence[float]
    maximum: Float[Tensor, "feature"]
    """Largest activation of each feature on the corpus."""
    residual_norm: float
    """Mean norm of the residual stream at the written layer."""

    def ablation(self, feature: int) -> Treatment:
        """On present prompts."""
        return Treatment(PRESENT, FeatureEdit("ablate", feature), 0.0)

    def steering(self, feature: int) -> list[Treatment]:
        """On absent prompts, one of every dose."""
        return [Treatment(ABSENT, FeatureEdit("steer", feature, dose * self.residual_norm), dose) for dose in self.doses]

    def clamping(self, feature: int) -> list[Treatment]:
        """On absent prompts, one of every multiple of the feature's maximum; none where that is 0, which would ablate it."""
        maximum = float(self.maximum[feature])
        if maximum <= 0:
            return []
        return [Treatment(ABSENT, FeatureEdit("clamp", feature, clamp * maximum), clamp) for clamp in self.clamps]
