"""Samples of fixed size out of a stream of windows: the largest keys of each feature, whatever the order they come in."""

import hashlib

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

NOTHING = torch.iinfo(torch.int64).min
"""The key of a window that is not a candidate."""

SIGNIFICANT_DIGITS = 5
"""Of an activation, as it is compared and stored: what rounding in another order leaves alone."""

# A window's number takes the lower half of a key that ranks by peak.
_NUMBER_BITS = 32
_MOST_WINDOWS = 1 << _NUMBER_BITS


Kept = tuple[int, NDArray[np.float32]]
"""Number of a window, and the activations on its tokens, from its first; none where they are not kept."""


class Reservoir:
    """For each of some features the windows with the largest keys so far, with the activations on their tokens where they are kept.

    Keys of a feature's windows differ, so that what is kept at the end depends on the windows alone. Memory is fixed from the start.
    """

    def __init__(self, features: int, size: int, width: int = 0) -> None:
        """`width` is the most tokens of a window; 0 keeps no activations."""
        self.keys = torch.full((features, size), NOTHING)
        self.windows = torch.full((features, size), -1)
        # Filled, not merely reserved: memory that is taken now is not taken later.
        self.activations = torch.full((features, size, width), 0.0)

    def offer(
        self,
        keys: Int[Tensor, "feature candidate"],
        windows: Int[Tensor, "candidate"],
        activations: Float[Tensor, "candidate feature width"],
    ) -> None:
        """Take in what is larger than the smallest key that is kept; `NOTHING` never is."""
        features = (keys > self.keys.amin(dim=1, keepdim=True)).any(dim=1).nonzero()[:, 0]
        if not len(features):
            return
        offered = keys[features]
        stays, enters = self._kept(self.keys[features], offered)
        # In every row as many slots are given up as candidates enter, and both lists run row by row.
        row, slot = (~stays).nonzero(as_tuple=True)
        entered_row, candidate = enters.nonzero(as_tuple=True)
        feature = features[row]
        self.keys[feature, slot] = offered[entered_row, candidate]
        self.windows[feature, slot] = windows[candidate]
        if self.activations.shape[-1]:
            self.activations[feature, slot] = activations[candidate, feature]

    def ordered(self, feature: int) -> list[Kept]:
        """Number and activations of the windows of one feature, largest key first."""
        keys, windows, activations = (each[feature].numpy() for each in (self.keys, self.windows, self.activations))
        return [(int(windows[slot]), activations[slot]) for slot in np.argsort(keys)[::-1].tolist() if keys[slot] != NOTHING]

    @staticmethod
    def _kept(
        held: Int[Tensor, "row slot"], offered: Int[Tensor, "row candidate"]
    ) -> tuple[Bool[Tensor, "row slot"], Bool[Tensor, "row candidate"]]:
        """Which of both are among the largest, as many as there are slots."""
        both = torch.cat([held, offered], dim=1)
        largest = both.topk(held.shape[1], dim=1, sorted=False).indices
        kept = torch.zeros_like(both, dtype=torch.bool).scatter_(1, largest, torch.ones_like(largest, dtype=torch.bool))
        return kept[:, : held.shape[1]], kept[:, held.shape[1] :]


def peak_keys(peaks: Float[Tensor, "feature window"], windows: Int[Tensor, "window"]) -> Int[Tensor, "feature window"]:
    """Keys in the order of the peaks, rounded to five significant digits; of equal ones the window that comes first is larger."""
    assert not len(windows) or int(windows.max()) < _MOST_WINDOWS, "more windows than a key can tell apart"
    # The bits of floats from 0 up, read as an integer, are in the order of the floats; below 0 in the opposite order.
    bits = rounded(peaks).float().contiguous().view(torch.int32).long()
    ordered: Tensor = torch.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    return ordered * _MOST_WINDOWS + (_MOST_WINDOWS - 1 - windows)


def priority(seed: int, window: int) -> int:
    """A key that ranks windows at random, the same for all features: a feature's largest are a uniform sample of its windows."""
    return int.from_bytes(hashlib.blake2b(f"{seed}\nwindow\n{window}".encode(), digest_size=8).digest()) >> 1


def rounded(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """To five significant digits, in float64."""
    exact = values.double()
    exponent = exact.abs().clamp_min(torch.finfo(torch.float64).tiny).log10().floor()
    scale = torch.pow(10.0, (SIGNIFICANT_DIGITS - 1 - exponent).clamp(-300, 300))
    found: Tensor = (exact * scale).round() / scale
    return found
