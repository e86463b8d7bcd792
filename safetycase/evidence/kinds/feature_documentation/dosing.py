"""Which dose of steering is taken for a feature: of those that neither overthrow the rest of the output nor garble answers the best."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Trial:
    """What one dose did to a feature's absent prompts of the split validation."""

    dose: float
    """Multiple of the mean residual norm."""
    change: float
    """Mean change of the contrast's log-odds from the unedited model, in nats."""
    kl: float
    """Mean KL divergence off target, in nats."""
    incoherent: float | None = None
    """Share of answers to validation prompts that say nothing; None where none were generated, as for null features."""


@dataclass(frozen=True, slots=True)
class Dosing:
    """The dose of a feature, or why it has none."""

    index: int | None
    """Place of the chosen dose among the trials, from 0; None where every one is passed over: the feature has no steering effect."""
    reason: str = ""
    """Why there is none; empty where there is one."""


def choose_dose(trials: Sequence[Trial], *, max_kl: float, max_incoherent: float) -> Dosing:
    """The dose of the largest mean rise of log-odds among those within both bounds; of equal ones the first.

    The rule is the same for tested and null features, so that the null passes through the selection too, but for coherence: null features
    get no answers, so a tested feature may have fewer doses to choose from. A trial whose numbers are not finite is passed over.
    """
    finite = [bool(np.isfinite(trial.change) and np.isfinite(trial.kl)) for trial in trials]
    quiet = [known and trial.kl <= max_kl for known, trial in zip(finite, trials, strict=True)]
    coherent = [trial.incoherent is None or trial.incoherent <= max_incoherent for trial in trials]
    admitted = [index for index in range(len(trials)) if quiet[index] and coherent[index]]
    if admitted:
        return Dosing(max(admitted, key=lambda index: (trials[index].change, -index)))
    if not trials:
        return Dosing(None, "no dose was tried")
    if not any(finite):
        return Dosing(None, "no dose gave finite numbers")
    if not any(quiet):
        least = min(trial.kl for known, trial in zip(finite, trials, strict=True) if known)
        return Dosing(None, f"every dose moves the rest of the output by more than {max_kl:g} nats (the least: {least:.3g})")
    fewest = min(trial.incoherent or 0.0 for kept, trial in zip(quiet, trials, strict=True) if kept)
    within = f"every dose within {max_kl:g} nats off target"
    return Dosing(None, f"{within} makes more than {max_incoherent:.0%} of answers incoherent (the fewest: {fewest:.0%})")
