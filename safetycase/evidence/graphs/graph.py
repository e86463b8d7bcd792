"""The attribution graph of one prompt: its nodes in a fixed order, its edges, and what of each target no node accounts for."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence.graphs.adjacency import Adjacency

TargetKind = Literal["logit", "logit-difference", "log-odds", "direction", "vector"]
"""`log-odds` is the gradient at the prompt: a first-order account of a function that is not linear."""


@dataclass(frozen=True)
class Target:
    """A linear functional of the residual stream, whose inputs are traced."""

    kind: TargetKind
    label: str
    """As a reader meets it: a token's text, `refusal - compliance`, `refusal direction`."""
    weight: float
    """Of its influence among the targets: a token's probability; 1 for a single target."""
    site: str
    """Where it is read: `final_norm`, or a site such as `resid_pre.2`."""
    position: int
    token: int | None = None
    """Of a logit, its id in the vocabulary."""


@dataclass(frozen=True)
class RowSums:
    """What the edge-sum identity adds up, for every feature node and then every target: all [row].

    edges + decoder_bias + zeroed + model_bias = found, to rounding (`mechinterp` section 5.8): the exactness check of every graph.
    """

    edges: NDArray[np.float64]
    """Sum of the row: what nodes account for. Of a pruned feature set, over all active features, chosen or not."""
    decoder_bias: NDArray[np.float64]
    """Through the decoders' b_dec, at positions that are not zeroed."""
    zeroed: NDArray[np.float64]
    """Through the MLP outputs at zeroed positions, which have no nodes."""
    model_bias: NDArray[np.float64]
    """Through biases of attention and norms, where the architecture has any."""
    found: NDArray[np.float64]
    """What the model computed there: encoder row times input (the pre-activation less the encoder's bias), or the functional's value."""


@dataclass(frozen=True)
class AttributionGraph:
    """Nodes are numbered features | errors (layer by layer) | tokens | targets, as in circuit-tracer.

    Errors: node n_features + layer * n_positions + position, also at zeroed positions, where they are 0.
    """

    prompt: str
    input_tokens: NDArray[np.int64]
    """[pos] ids."""
    token_texts: tuple[str, ...]
    n_layers: int
    active_features: NDArray[np.int64]
    """[active, 3]: layer, position, feature; ascending."""
    activation_values: NDArray[np.float32]
    """[active]"""
    selected_features: NDArray[np.int64]
    """[feature node]: places among the active features, ascending; all of them unless a budget was set."""
    targets: tuple[Target, ...]
    adjacency: Adjacency
    sums: RowSums | None
    """None of a graph that another tool made and that does not tell."""
    zeroed_positions: tuple[int, ...]
    """Where features and errors are no nodes: the beginning-of-text token."""
    vocabulary: int
    dtype: str = "float32"

    @property
    def n_positions(self) -> int:
        """Tokens of the prompt."""
        return len(self.input_tokens)

    @property
    def n_features(self) -> int:
        """Feature nodes."""
        return len(self.selected_features)

    @property
    def n_errors(self) -> int:
        """Error nodes: one per layer and position."""
        return self.n_layers * self.n_positions

    @property
    def size(self) -> int:
        """Nodes of all kinds."""
        return self.n_features + self.n_errors + self.n_positions + len(self.targets)

    @property
    def errors(self) -> slice:
        """The error nodes."""
        return slice(self.n_features, self.n_features + self.n_errors)

    @property
    def tokens(self) -> slice:
        """The token nodes."""
        return slice(self.errors.stop, self.errors.stop + self.n_positions)

    @property
    def target_nodes(self) -> slice:
        """The target nodes."""
        return slice(self.tokens.stop, self.size)

    @property
    def features(self) -> NDArray[np.int64]:
        """[feature node, 3]: layer, position, feature."""
        return self.active_features[self.selected_features]

    @property
    def depths(self) -> NDArray[np.int64]:
        """[node]: its layer; -1 for tokens, n_layers for targets. Every edge leads from a smaller depth to a larger one."""
        errors = np.repeat(np.arange(self.n_layers), self.n_positions)
        tokens, targets = np.full(self.n_positions, -1), np.full(len(self.targets), self.n_layers)
        return np.concatenate([self.features[:, 0], errors, tokens, targets]).astype(np.int64)

    @property
    def target_weights(self) -> NDArray[np.float64]:
        """[target]"""
        return np.array([target.weight for target in self.targets], dtype=np.float64)

    @property
    def target_ids(self) -> NDArray[np.int64]:
        """[target]: a token's id, once; of any other target vocabulary + its place, as circuit-tracer numbers what is no token."""
        ids: list[int] = []
        for place, target in enumerate(self.targets):
            plain = target.kind == "logit" and target.token is not None and target.token not in ids
            ids.append(target.token if plain and target.token is not None else self.vocabulary + place)
        return np.array(ids, dtype=np.int64)
