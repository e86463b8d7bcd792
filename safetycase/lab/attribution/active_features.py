"""The features that fire on a prompt, in the order of graph nodes, and what they write."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from safetycase.lab.dictionaries.dictionary import Dictionary


@dataclass(frozen=True)
class ActiveFeatures:
    """Ascending by layer, position, feature."""

    indices: Int[Tensor, "active 3"]
    """Layer, position, feature."""
    values: Float[Tensor, "active"]
    starts: tuple[tuple[int, ...], ...]
    """[layer][pos]: the first feature of that layer at that position or later; one more entry ends the layer."""

    def __len__(self) -> int:
        return len(self.values)

    def of_layer(self, layer: int) -> slice:
        """A layer's features."""
        return slice(self.starts[layer][0], self.starts[layer][-1])

    def positions(self, layer: int) -> Int[Tensor, "feature"]:
        """Where a layer's features fire."""
        return self.indices[self.of_layer(layer), 1]

    def written(self, dictionaries: Sequence[Dictionary], source: int, layer: int) -> Float[Tensor, "feature d_out"] | None:
        """What the features of one layer write to the site of another: activation times decoder row; None where they write nothing."""
        dictionary, chosen = dictionaries[source], self.of_layer(source)
        if not source <= layer < source + len(dictionary.writes):
            return None
        return dictionary.W_dec[self.indices[chosen, 2], layer - source] * self.values[chosen, None]


def active_features(
    dictionaries: Sequence[Dictionary], inputs: Sequence[Float[Tensor, "pos d_in"]], zeroed: Sequence[int]
) -> ActiveFeatures:
    """What fires, given what every transcoder reads; nothing at zeroed positions."""
    indices, values, starts, total = [], [], [], 0
    for layer, (dictionary, x) in enumerate(zip(dictionaries, inputs, strict=True)):
        activations = dictionary.encode(x)
        activations[list(zeroed)] = 0
        found = activations.nonzero()
        indices.append(torch.cat([found.new_full((len(found), 1), layer), found], dim=1))
        values.append(activations[found[:, 0], found[:, 1]])
        counts = torch.bincount(found[:, 0], minlength=len(x)).cumsum(0).tolist()
        starts.append((total, *(total + count for count in counts)))
        total += len(found)
    return ActiveFeatures(torch.cat(indices), torch.cat(values), tuple(starts))
