"""What stands beside a dictionary: reconstructions at equal L0 that need no dictionary, fitted on documents of their own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from safetycase.errors import SourceError
from safetycase.lab.dictionaries.dictionary import Dictionary, TopK
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.features.corpus_passes import Passed, chunks, passes, slices, wide
from safetycase.lab.features.corpus_windows import Window, half, windows
from safetycase.lab.features.mlp_rows import MlpRows, mlp_rows
from safetycase.lab.features.random_dictionary import random_dictionary
from safetycase.lab.features.study import FeatureStudy, Stage
from safetycase.lab.observing import Note, Progress

RIDGES = tuple(10.0**power for power in range(-8, 0))
"""Ridges that are tried, in units of the mean variance of an input coordinate."""

Given = Mapping[Site, Float[Tensor, "token width"]]
"""What stands at the sites in the unedited model, by token, in float32."""


@dataclass(frozen=True)
class Reconstruction:
    """What a method puts in the output's place, and how many of its units are not zero."""

    output: Float[Tensor, "token d_out"]
    active: Float[Tensor, "token"]
    fired: Int[Tensor, "feature"] | None = None
    """Of the dictionary: on how many of the tokens each feature fires."""


@dataclass(frozen=True)
class Method:
    """A way of reconstructing what stands at the output site."""

    name: str
    """As in the table `quality`."""
    reads: tuple[Site, ...]
    reconstruct: Callable[[Given], Reconstruction]


@dataclass(frozen=True)
class Fitted:
    """What was fitted on the documents that nothing is measured on."""

    reference: Float[Tensor, "d_out"]
    """Mean output over their counted tokens, in float32 on the model's device."""
    k: int
    """Mean L0 of the dictionary on them, rounded; at least 1."""
    baselines: tuple[Method, ...]


def of_dictionary(dictionary: Dictionary) -> Method:
    """The dictionary itself, of several written sites at the first."""

    def reconstruct(at: Given) -> Reconstruction:
        x = at[dictionary.reads]
        outputs, active = [x.new_zeros(0, dictionary.d_out)], [x.new_zeros(0)]
        fired = torch.zeros(dictionary.n_features, dtype=torch.long, device=x.device)
        for part in slices(len(x), dictionary.n_features, x.device):
            coded = dictionary.encode(x[part])
            outputs.append(dictionary.decode(coded, x[part]))
            active.append(_count(coded))
            fired += (coded > 0).sum(dim=0)
        return Reconstruction(torch.cat(outputs), torch.cat(active), fired)

    return Method("dictionary", (dictionary.reads,), reconstruct)


def sample(study: FeatureStudy, *, fitting: bool, tokens: int) -> Iterator[Window]:
    """The first windows of the corpus, on one side of a split of its documents by hash, until so many tokens are counted."""
    taken = 0
    for window in windows(study.model, study.corpus, context=study.ask.context, max_tokens=study.ask.max_tokens):
        if half(window.document, study.seed, "fit") is fitting:
            yield window
            taken += int(window.counted.sum())
            if taken >= tokens:
                return


def fit_baselines(study: FeatureStudy) -> Stage[Fitted]:
    """The baselines of a dictionary, fitted on up to `quality_tokens` tokens of the documents that are not measured.

    Beside an autoencoder, at the dictionary's mean L0 k on those documents:
      random   as many random unit directions as the dictionary has features; the k that project furthest, with their
               projections times the scale of least squares for the token
      pca      the k leading principal components
      neurons  the k coordinates of the site that lie furthest from their mean: its standard basis, whatever the site
    Beside a transcoder, from its input site:
      linear       ridge regression with an intercept; the ridge is the best of `RIDGES` from one half of the documents to the other
      skip         the dictionary without any feature, where it has a skip path
      top-neurons  the MLP with all but k neurons at zero: those with the largest |activation| times norm of the output row
    All but the last two add the mean output. Raises SourceError where no document is left to fit on.
    """
    nothing = study.dictionary.b_dec.new_zeros(0, study.dictionary.d_in), study.dictionary.b_dec.new_zeros(0, study.dictionary.d_out)
    sides = [_moments(study.dictionary, *nothing, 0.0)] * 2
    for windows_ in chunks(sample(study, fitting=True, tokens=study.ask.quality_tokens)):
        yield Progress("baselines", sum(side.n for side in sides), study.ask.quality_tokens)
        for found in passes(study.model, study.batches, windows_, _sites(study.dictionary), _Summed(study, windows_)):
            sides = [side.plus(part) for side, part in zip(sides, found, strict=True)]
    whole = sides[0].plus(sides[1])
    if not whole.n:
        raise SourceError(f"{study.corpus.source}: found no document to fit baselines on beside those measured, expected more documents")
    k = max(1, round(whole.active / whole.n))
    reference = (whole.y / whole.n).float().to(study.model.device)
    if study.dictionary.is_autoencoder:
        return Fitted(reference, k, (_random(study, reference, k), _pca(study, whole, reference, k), _neurons(study, reference, k)))
    rows = mlp_rows(study.model, study.dictionary.writes[0], study.ask.context)
    if isinstance(rows, str):
        yield Note("quality", f"no baseline top-neurons: {rows}")
    return Fitted(reference, k, tuple(_of_transcoder(study, (sides[0], sides[1]), k, rows)))


@dataclass(frozen=True)
class _Moments:
    """Sums over tokens, in float64: of the output alone for an autoencoder, of input and output for a transcoder."""

    n: int
    active: float
    x: Float[Tensor, "d_in"]
    y: Float[Tensor, "d_out"]
    second: Float[Tensor, "width width"]
    """Of the output with itself for an autoencoder, else of the input with itself."""
    cross: Float[Tensor, "d_in d_out"] | Float[Tensor, ""]
    """Of input and output, of a transcoder; else zero."""

    def plus(self, other: "_Moments") -> "_Moments":
        """Those of both."""
        return _Moments(
            self.n + other.n, self.active + other.active, self.x + other.x, self.y + other.y,
            self.second + other.second, self.cross + other.cross,
        )  # fmt: skip

    def centred(self) -> tuple[Float[Tensor, "d_in d_in"], Float[Tensor, "d_in d_out"]]:
        """Covariances of the input with itself and with the output, of a transcoder."""
        n = max(1, self.n)
        return self.second / n - torch.outer(self.x, self.x) / n**2, self.cross / n - torch.outer(self.x, self.y) / n**2


def _moments(dictionary: Dictionary, x: Float[Tensor, "token d_in"], y: Float[Tensor, "token d_out"], active: float) -> _Moments:
    """Those of some tokens."""
    x, y = wide(x), wide(y)
    second, cross = (y.mT @ y, y.new_zeros(())) if dictionary.is_autoencoder else (x.mT @ x, x.mT @ y)
    return _Moments(len(x), active, x.sum(dim=0), y.sum(dim=0), second, cross)


@dataclass(frozen=True)
class _Summed:
    """Reduces a pass to the sums of both halves of its documents."""

    study: FeatureStudy
    windows: Sequence[Window]

    def __call__(self, passed: Passed) -> tuple[_Moments, _Moments]:
        dictionary = self.study.dictionary
        x, y = passed.at[dictionary.reads], passed.at[dictionary.writes[0]]
        active = torch.cat([(dictionary.encode(x[part]) != 0).sum(dim=-1) for part in slices(len(x), dictionary.n_features, x.device)])
        side = torch.tensor([half(self.windows[index].document, self.study.seed, "ridge") for index in passed.indices])
        first, second = (self._of(x, y, active, side[passed.row] == which) for which in (False, True))
        return first, second

    def _of(
        self, x: Float[Tensor, "token d_in"], y: Float[Tensor, "token d_out"], active: Tensor, chosen: Bool[Tensor, "token"]
    ) -> _Moments:
        chosen = chosen.to(x.device)
        return _moments(self.study.dictionary, x[chosen], y[chosen], float(active[chosen].sum()))


def _sites(dictionary: Dictionary) -> tuple[Site, ...]:
    return tuple(dict.fromkeys((dictionary.reads, dictionary.writes[0])))


def _random(study: FeatureStudy, reference: Float[Tensor, "d_out"], k: int) -> Method:
    site, n_features = study.dictionary.writes[0], study.dictionary.n_features
    drawn = random_dictionary(n_features, site, reference, k, study.seed, signed=True)

    def part_of(x: Float[Tensor, "token d_out"]) -> Reconstruction:
        coded, centred = drawn.encode(x), x - reference
        written = coded @ drawn.directions()
        power = written.pow(2).sum(dim=-1, keepdim=True).clamp_min(torch.finfo(written.dtype).tiny)
        return Reconstruction(reference + written * ((written * centred).sum(dim=-1, keepdim=True) / power), _count(coded))

    def reconstruct(at: Given) -> Reconstruction:
        x = at[site]
        parts = [part_of(x[part]) for part in slices(len(x), n_features, x.device)]
        return Reconstruction(torch.cat([part.output for part in parts]), torch.cat([part.active for part in parts]))

    return Method("random", (site,), reconstruct)


def _pca(study: FeatureStudy, moments: _Moments, reference: Float[Tensor, "d_out"], k: int) -> Method:
    site = study.dictionary.writes[0]
    mean = moments.y / moments.n
    _, vectors = torch.linalg.eigh(moments.second / moments.n - torch.outer(mean, mean))  # eigenvalues ascend
    leading = vectors[:, -min(k, len(mean)) :].float().to(reference.device)

    def reconstruct(at: Given) -> Reconstruction:
        coded = (at[site] - reference) @ leading
        return Reconstruction(reference + coded @ leading.mT, _count(coded))

    return Method("pca", (site,), reconstruct)


def _neurons(study: FeatureStudy, reference: Float[Tensor, "d_out"], k: int) -> Method:
    site = study.dictionary.writes[0]
    keep = TopK(min(k, len(reference)), signed=True)

    def reconstruct(at: Given) -> Reconstruction:
        coded = keep(at[site] - reference)
        return Reconstruction(reference + coded, _count(coded))

    return Method("neurons", (site,), reconstruct)


def _of_transcoder(study: FeatureStudy, sides: tuple[_Moments, _Moments], k: int, rows: MlpRows | str) -> Iterator[Method]:
    yield _linear(study, sides)
    if study.dictionary.W_skip is not None:
        yield _skip(study.dictionary)
    if not isinstance(rows, str):
        yield _top_neurons(rows, k)


def _linear(study: FeatureStudy, sides: tuple[_Moments, _Moments]) -> Method:
    reads = study.dictionary.reads
    whole = sides[0].plus(sides[1])
    weights = _ridge_map(whole, _best_ridge(sides))
    intercept = (whole.y - whole.x @ weights) / whole.n
    slope, at_zero = weights.float().to(study.model.device), intercept.float().to(study.model.device)

    def reconstruct(at: Given) -> Reconstruction:
        x = at[reads]
        return Reconstruction(x @ slope + at_zero, torch.full((len(x),), float(x.shape[1]), device=x.device))

    return Method("linear", (reads,), reconstruct)


def _best_ridge(sides: tuple[_Moments, _Moments]) -> float:
    """The ridge whose map from either half has the least squared error on the other, summed over both ways."""

    def error(ridge: float) -> float:
        total = 0.0
        for fitted, judged in (sides, sides[::-1]):
            if fitted.n and judged.n:
                weights, (second, cross) = _ridge_map(fitted, ridge), judged.centred()
                total += judged.n * float(((second @ weights) * weights).sum() - 2 * (cross * weights).sum())
        return total

    return min(RIDGES, key=error)


def _ridge_map(moments: _Moments, ridge: float) -> Float[Tensor, "d_in d_out"]:
    """(C_xx + ridge · mean variance · I)^-1 C_xy, in float64."""
    second, cross = moments.centred()
    scale = second.diagonal().mean().clamp_min(torch.finfo(second.dtype).tiny)
    eye = torch.eye(len(second), dtype=second.dtype, device=second.device)
    solved: Tensor = torch.linalg.solve(second + ridge * scale * eye, cross)
    return solved


def _skip(dictionary: Dictionary) -> Method:
    alone = replace(dictionary, W_enc=dictionary.W_enc[:0], b_enc=dictionary.b_enc[:0], W_dec=dictionary.W_dec[:0])

    def reconstruct(at: Given) -> Reconstruction:
        x = at[dictionary.reads]
        return Reconstruction(alone.decode(x.new_zeros(len(x), 0), x), x.new_zeros(len(x)))

    return Method("skip", (dictionary.reads,), reconstruct)


def _top_neurons(rows: MlpRows, k: int) -> Method:
    norms = rows.weights.norm(dim=-1)
    most = min(k, len(norms))

    def reconstruct(at: Given) -> Reconstruction:
        neurons = at[rows.site]
        kept = (neurons.abs() * norms).topk(most, dim=-1).indices
        coded = torch.zeros_like(neurons).scatter(-1, kept, neurons.gather(-1, kept))
        return Reconstruction(coded @ rows.weights + rows.bias, _count(coded))

    return Method("top-neurons", (rows.site,), reconstruct)


def _count(coded: Float[Tensor, "token unit"]) -> Float[Tensor, "token"]:
    return (coded != 0).sum(dim=-1).float()
