"""How good the dictionary is as a whole: reconstruction, loss recovered, dead and dense features, each beside its baselines."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence import stats
from safetycase.evidence.estimates import Estimates
from safetycase.evidence.kinds.feature_documentation.names import LOSSES, METHODS, QUALITY
from safetycase.evidence.kinds.feature_documentation.observed import UNCOUNTED, Observed
from safetycase.evidence.kinds.feature_documentation.params import Read
from safetycase.evidence.record import Unit
from safetycase.evidence.stats import Interval, Undefined
from safetycase.evidence.tables import Table

BESIDE_AUTOENCODERS = ("random", "pca", "neurons")
CONDITIONS = ("clean", "ablated", "dictionary")
UNITS: Mapping[str, Unit] = {"l0": Unit.COUNT, "cosine": Unit.COSINE}


def quality(seen: Observed, read: Read, estimates: Estimates) -> None:
    """Put every estimate of the dictionary and its baselines; intervals are over documents of the corpus."""
    _put_reconstruction(seen, read, estimates)
    _put_losses(seen, read, estimates)
    _put_firing(seen, read, estimates)


def measured_methods(seen: Observed) -> tuple[str, ...]:
    """The dictionary and the baselines whose reconstruction was measured."""
    found = set(seen.tables.table("quality")["method"].tolist()) if seen.tables.has("quality") else set()
    return tuple(method for method in METHODS if method in found)


def _put_reconstruction(seen: Observed, read: Read, estimates: Estimates) -> None:
    why = _why_no_baseline(seen) if seen.tables.has("quality") else seen.tables.why_absent("quality")
    estimates.miss([f"{quantity}.corpus.*" for quantity in QUALITY], why)
    for method in measured_methods(seen):
        rows = seen.tables.table("quality").where(method=method)
        for quantity in QUALITY:
            made = partial(_reconstruction, quantity, rows, float(seen.setup["spread_offset"]), read.level)
            estimates.put(f"{quantity}.corpus.{method}", made, UNITS.get(quantity, Unit.FRACTION))


def _why_no_baseline(seen: Observed) -> str:
    dictionary = seen.setup["dictionary"]
    if [dictionary["reads"]] == list(dictionary["writes"]):
        return "linear, skip and top-neurons stand beside transcoders alone: this dictionary is an autoencoder"
    no_skip = "" if dictionary["has_skip"] else "; it has no skip path"
    return f"random, pca and neurons stand beside autoencoders alone: this dictionary is a transcoder{no_skip}"


def _reconstruction(quantity: str, rows: Table, offset: float, level: float) -> Interval:
    if quantity == "l0":
        return _active(rows, level)
    if quantity == "cosine":
        return _per_token(rows, rows["cosine"], level, (-1.0, 1.0))
    if quantity == "explained_variance_legacy":
        made = _per_token(rows, rows["legacy"], level, (0.0, 1.0) if np.ptp(rows["legacy"] / rows["tokens"]) <= 1e-12 else None)
        return replace(made, method=f"legacy formula, the mean over tokens of 1 - error / spread; {made.method}")
    unexplained = _over(rows, rows["error"], rows["spread"] - offset * rows["tokens"], level)
    if quantity == "unexplained_variance":
        return replace(unexplained, method=f"squared error / variance, both summed over tokens; {unexplained.method}")
    explained = _complement(unexplained)
    return replace(explained, method=f"1 - squared error / variance, both summed over tokens; {explained.method}")


def _per_token(rows: Table, sums: NDArray[np.float64], level: float, bounds: tuple[float, float] | None = None) -> Interval:
    made = stats.ratio(sums, rows["tokens"], rows["document"].astype(np.str_), level, bounds)
    return replace(made, n=int(rows["tokens"].sum()))


def _active(rows: Table, level: float) -> Interval:
    """Active features per token; a dictionary that keeps the k largest has the same number everywhere, and an interval without width."""
    each = rows["active"] / rows["tokens"]
    if np.ptp(each) <= 1e-12 * float(np.abs(each).max()):
        value, n, documents = float(each[0]), int(rows["tokens"].sum()), len(rows)
        return Interval(value, value, value, level, n, documents, f"the same on every token of {documents} documents")
    return _per_token(rows, rows["active"], level)


def _over(rows: Table, error: NDArray[np.float64], spread: NDArray[np.float64], level: float) -> Interval:
    """A share of a variance: where all documents agree to the last digit, 0 and 1 give the interval its width."""
    total = float(spread.sum())
    if total <= 0:
        raise Undefined("the output does not vary on the corpus: there is no variance to explain")
    residuals = error - error.sum() / total * spread
    equal = bool(np.abs(residuals).max() <= 1e-12 * max(float(np.abs(error).max()), float(np.abs(spread).max())))
    made = stats.ratio(error, spread, rows["document"].astype(np.str_), level, (0.0, 1.0) if equal else None)
    low = min(max(made.low, 0.0), made.value)  # squared errors are never negative
    return replace(made, low=low, n=int(rows["tokens"].sum()))


def _complement(made: Interval) -> Interval:
    return replace(made, value=1 - made.value, low=1 - made.high, high=1 - made.low)


def _put_losses(seen: Observed, read: Read, estimates: Estimates) -> None:
    names = [*(f"{quantity}.corpus.*" for quantity in LOSSES), *(f"cross_entropy.corpus.{each}" for each in CONDITIONS)]
    if not seen.tables.has("splice"):
        estimates.miss(names, seen.tables.why_absent("splice"))
        return
    by_condition = {key[0]: rows for key, rows in seen.tables.table("splice").by("condition").items()}
    estimates.miss(names[: len(LOSSES)], _why_no_baseline(seen))
    for condition in CONDITIONS:
        if condition not in by_condition:
            estimates.miss([f"cross_entropy.corpus.{condition}"], "this loss was not measured")
            continue
        rows = by_condition[condition]
        made = partial(_per_token, rows, rows["cross_entropy"], read.level)
        estimates.put(f"cross_entropy.corpus.{condition}", made, Unit.NATS_PER_TOKEN)
    for method in METHODS:
        if method in by_condition:
            for quantity, column in zip(LOSSES, ("cross_entropy", "kl"), strict=True):
                name = f"{quantity}.corpus.{method}"
                estimates.put(name, partial(_recovered, column, method, by_condition, seen.setup["ablation"], read.level), Unit.FRACTION)


def _recovered(column: str, method: str, by_condition: Mapping[str, Table], ablation: str, level: float) -> Interval:
    """The share of what ablating the output costs that the reconstruction gives back, over documents in which all three were measured."""
    losses = {name: _by_document(by_condition.get(name), column) for name in ("clean", "ablated", method)}
    documents = sorted(set.intersection(*(set(each) for each in losses.values())))
    if not documents:
        raise Undefined("loss was not measured clean, ablated and with this reconstruction on the same documents")
    clean, ablated, spliced = (np.array([losses[name][each][0] for each in documents]) for name in ("clean", "ablated", method))
    tokens = np.array([losses["clean"][each][1] for each in documents])
    names = np.array(documents)
    cost = _cost(ablated - clean, tokens, names, level)
    if cost is None or cost.low <= 0:
        said = "is the same everywhere" if cost is None else f"is {cost.value:.3g} nats per token ({cost.low:.3g} to {cost.high:.3g})"
        raise Undefined(f"what {ablation} ablation costs {said}, not bounded above zero: there is no loss to recover")
    made = stats.ratio(ablated - spliced, ablated - clean, names, level)
    what = "(ablated - spliced) / (ablated - clean) cross-entropy" if column == "cross_entropy" else "1 - KL spliced / KL ablated"
    return replace(made, n=int(tokens.sum()), method=f"{what}, {ablation} ablation; {made.method}")


def _cost(gap: NDArray[np.float64], tokens: NDArray[np.float64], documents: NDArray[np.str_], level: float) -> Interval | None:
    """Of ablation, per token; None where it is nowhere anything."""
    return stats.ratio(gap, tokens, documents, level, (0.0, 2 * float(np.abs(gap / tokens).max()))) if gap.any() else None


def _by_document(rows: Table | None, column: str) -> dict[str, tuple[float, float]]:
    """Document to its sum and its tokens."""
    if rows is None:
        return {}
    values = zip(rows[column].tolist(), rows["tokens"].tolist(), strict=True)
    return dict(zip(rows["document"].tolist(), values, strict=True))


def _put_firing(seen: Observed, read: Read, estimates: Estimates) -> None:
    fired, tokens = seen.tables.table("density")["fired"], seen.tokens
    shares = {
        "dead_share.features.corpus": (fired == 0, f"dead: fired on none of {tokens} tokens"),
        "dense_share.features.corpus": (fired > read.dense * tokens, f"dense: fired on more than {read.dense:.0%} of {tokens} tokens"),
    }
    n_features = int(seen.setup["dictionary"]["n_features"])
    if not tokens or fired.size < n_features:
        estimates.miss(shares, f"{fired.size} of {n_features} features were counted" if tokens else UNCOUNTED)
        return
    for name, (counted, what) in shares.items():
        estimates.put(name, partial(_share_of_features, counted, what, read.level), Unit.FRACTION)


def _share_of_features(counted: NDArray[np.bool_], what: str, level: float) -> Interval:
    made = stats.rate(counted, None, level)
    return replace(made, method=f"{what}, all features counted; as if these were drawn by lot, and not of other documents: {made.method}")
