"""How often each interval method holds the truth, by simulation over a declared grid; writes the table of docs/coverage.md.

    python -m tests.benchmarks.coverage --out docs/coverage.md

The grid is small n, few and unequal clusters, correlation within clusters, rates near 0 and 1, skewed scores. A cell is one
point of the grid; its coverage is the share of runs in which the 95 % interval holds the value that made the data.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import special

from safetycase.evidence import stats

LEVEL = 0.95
BAR = 0.93
SIZES = (20, 40, 100, 128)
CLUSTERS = (10, 20, 30, 60)
ICCS = (0.0, 0.1, 0.3)
RATES = (0.02, 0.05, 0.2, 0.5, 0.9, 0.98)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Design:
    """How n prompts fall into clusters, and how alike prompts of one cluster are."""

    n: int
    clusters: int
    balanced: bool
    icc: float

    def __str__(self) -> str:
        return f"n={self.n} C={self.clusters} {'equal' if self.balanced else '1:C'} icc={self.icc}"

    def labels(self) -> NDArray[np.int_]:
        """Cluster of each item; unequal sizes are proportional to 1, 2, …, C, none is empty."""
        if self.balanced:
            return np.arange(self.n) % self.clusters
        ranks = np.arange(1, self.clusters + 1)
        ends = np.round(ranks.cumsum() / ranks.sum() * (self.n - self.clusters)).astype(int)
        return np.repeat(ranks - 1, 1 + np.diff(ends, prepend=0))


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of the grid: `interval(rng)` makes a data set and its interval, `truth` is what it should hold."""

    method: str
    name: str
    truth: float
    interval: Callable[[np.random.Generator], stats.Interval]


@dataclass(frozen=True, slots=True)
class Coverage:
    """The share of runs whose interval held the truth; runs without an interval are counted apart."""

    method: str
    name: str
    coverage: float
    width: float
    runs: int
    undefined: int


def simulate(cell: Cell, runs: int, seed: int = 0) -> Coverage:
    """Coverage of one cell; a run's randomness depends on the cell's name, the seed and nothing else."""
    rng = np.random.default_rng([seed, *cell.method.encode(), *cell.name.encode()])
    held, widths, undefined = 0, 0.0, 0
    for _ in range(runs):
        try:
            interval = cell.interval(rng)
        except stats.Undefined:
            undefined += 1
            continue
        held += interval.low <= cell.truth <= interval.high
        widths += interval.high - interval.low
    done = max(runs - undefined, 1)
    return Coverage(cell.method, cell.name, held / done, widths / done, runs, undefined)


def designs() -> Iterator[Design]:
    """Every design of the grid; single-item clusters have no size to vary and no correlation within."""
    for n, clusters, balanced, icc in product(SIZES, CLUSTERS, (True, False), ICCS):
        if clusters < n or (clusters == n and balanced and icc == 0.0):
            yield Design(n, clusters, balanced, icc)


def cells() -> Iterator[Cell]:
    """The declared grid."""
    for design in designs():
        for p in RATES:
            yield rate_cell(design, p)
        for shape in ("normal", "skewed"):
            yield mean_cell(design, shape)
            yield paired_cell(design, shape)
        for before, after in ((0.98, 0.02), (0.9, 0.3), (0.5, 0.4), (0.05, 0.05), (0.02, 0.98)):
            yield rate_difference_cell(design, before, after)
        for area, shape in product((0.6, 0.8, 0.9, 0.97), ("normal", "mixture")):
            yield auroc_cell(design, area, shape)
    for n, labelled, p in product(SIZES, (20, 50, 100), RATES):
        for sensitivity, specificity in ((0.98, 0.98), (0.9, 0.8), (0.75, 0.95)):
            yield corrected_cell(n, labelled, p, sensitivity, specificity)
    for n, candidates, gap in product(SIZES, (5, 20), (0.0, 0.5)):
        yield selection_cell(n, candidates, gap)
    for n, margin, kappa in product(SIZES, (0.2, 0.5), (0.3, 0.6, 0.9)):
        yield kappa_cell(n, margin, kappa)
    for documents, unequal, shape in product(CLUSTERS, (0.0, 0.5, 1.0), ("normal", "skewed")):
        yield ratio_cell(documents, unequal, shape)
    for clusters, effect in product(CLUSTERS, (1.0, 3.0)):
        yield share_cell(clusters, effect)
    few = (Design(n, clusters, balanced, icc) for n, clusters, balanced, icc in product((24, 48), (6, 8), (True, False), (*ICCS, 0.6)))
    for design, rho in product((*few, *(d for d in designs() if d.n // d.clusters >= 2)), (0.0, 0.6)):
        yield partial_cell(design, rho)
    for held_out, density, sensitivity, wrong in product((20, 40, 100), (0.005, 0.05, 0.3), (0.5, 0.9), (0.01, 0.1)):
        yield precision_cell(held_out, density, sensitivity, wrong)
    for documents, density, spread in product((20, 60, 200), (0.005, 0.05, 0.3), (1.0, 4.0)):
        yield prevalence_cell(documents, density, spread)


def rate_cell(design: Design, p: float) -> Cell:
    """Beta-binomial clusters."""
    labels = design.labels()

    def interval(rng: np.random.Generator) -> stats.Interval:
        return stats.rate(rng.random(design.n) < _cluster_rates(rng, design, p)[labels], labels, LEVEL)

    return Cell("rate", f"{design} p={p}", p, interval)


def mean_cell(design: Design, shape: str) -> Cell:
    """Normal scores, or exponential ones (skewness 2), with a cluster effect of the same shape."""
    labels = design.labels()

    def interval(rng: np.random.Generator) -> stats.Interval:
        return stats.mean(_scores(rng, design, labels, shape), labels, LEVEL)

    return Cell("mean, BCa" if design.clusters >= 30 else "mean, t", f"{design} {shape}", 0.0, interval)


def paired_cell(design: Design, shape: str) -> Cell:
    """Scores before and after share their prompt's score; the change is itself clustered and of the named shape."""
    labels = design.labels()

    def interval(rng: np.random.Generator) -> stats.Interval:
        before = _scores(rng, design, labels, "normal")
        after = before - 1.0 + 0.5 * _scores(rng, design, labels, shape)
        return stats.paired_difference(after, before, labels, LEVEL)

    method = "paired difference, BCa" if design.clusters >= 30 else "paired difference, t"
    return Cell(method, f"{design} {shape}", -1.0, interval)


def rate_difference_cell(design: Design, before: float, after: float) -> Cell:
    """Two thresholds on two normal scores that correlate 0.5 over prompts and over clusters."""
    labels = design.labels()
    thresholds = special.ndtri([before, after])

    def interval(rng: np.random.Generator) -> stats.Interval:
        shared, first, second = (_scores(rng, design, labels, "normal") for _ in range(3))
        refused = [np.sqrt(0.5) * (shared + own) < t for own, t in zip((first, second), thresholds, strict=True)]
        return stats.rate_difference(refused[1], refused[0], labels, LEVEL)

    return Cell("rate difference", f"{design} {before}->{after}", after - before, interval)


def auroc_cell(design: Design, area: float, shape: str) -> Cell:
    """Normal scores a distance apart, or positives of which a share scores as negatives do and the rest above them all."""
    labels = design.labels()
    distance = np.sqrt(2) * special.ndtri(area)

    def interval(rng: np.random.Generator) -> stats.Interval:
        negative = _scores(rng, design, labels, "normal")
        if shape == "normal":
            positive = distance + _scores(rng, design, labels, "normal")
        else:
            alike = rng.random(design.n) < _cluster_rates(rng, design, 2 * (1 - area))[labels]
            positive = np.where(alike, rng.normal(size=design.n), 100.0)
        return stats.auroc(positive, negative, LEVEL, labels, labels + design.clusters)

    return Cell("auroc", f"{design} {shape} area={area}", area, interval)


def corrected_cell(n: int, labelled: int, p: float, sensitivity: float, specificity: float) -> Cell:
    """A judge with known errors on n answers, scored on `labelled` answers of each kind."""
    observed = p * sensitivity + (1 - p) * (1 - specificity)

    def interval(rng: np.random.Generator) -> stats.Interval:
        apparent, found, passed = (
            stats.rate(rng.random(size) < share, None, LEVEL)
            for size, share in ((n, observed), (labelled, sensitivity), (labelled, specificity))
        )
        return stats.corrected_rate(apparent, found, passed, LEVEL)

    name = f"n={n} labelled={labelled}+{labelled} p={p} sens={sensitivity} spec={specificity}"
    return Cell("corrected rate", name, p, interval)


def selection_cell(n: int, candidates: int, gap: float) -> Cell:
    """The best of several candidates on 64 training prompts, its effect on n test prompts, 40 re-run selections.

    The truth is the mean effect over training sets, by simulation: what re-running everything would give on average.
    """
    effects = np.linspace(gap, 0.0, candidates)

    def pick(rng: np.random.Generator, scores: Floats) -> NDArray[np.int_]:
        draws = rng.integers(64, size=(40, 64))
        resampled = scores[draws].mean(1)
        return np.concatenate([[scores.mean(0).argmax()], resampled.argmax(1)])

    def interval(rng: np.random.Generator) -> stats.Interval:
        picks = pick(rng, effects + rng.normal(size=(64, candidates)))
        test = effects + rng.normal(size=(n, 1)) + 0.5 * rng.normal(size=(n, candidates))
        conditional = stats.mean(test[:, picks[0]], None, LEVEL)
        return stats.with_selection(conditional, test.mean(0)[picks[1:]], LEVEL)

    training = effects + np.random.default_rng(0).normal(size=(100_000, candidates)) / 8
    truth = float(effects[training.argmax(1)].mean())
    return Cell("with selection", f"n={n} candidates={candidates} gap={gap}", truth, interval)


def kappa_cell(n: int, margin: float, kappa: float) -> Cell:
    """Two raters with the same margin: with chance kappa the second copies the first, else draws anew."""

    def interval(rng: np.random.Generator) -> stats.Interval:
        first, own = rng.random((2, n)) < margin
        return stats.cohens_kappa(first, np.where(rng.random(n) < kappa, first, own), LEVEL)

    return Cell("kappa", f"n={n} margin={margin} kappa={kappa}", kappa, interval)


def ratio_cell(documents: int, unequal: float, shape: str) -> Cell:
    """Error over spread, both summed per document; documents differ in length (`unequal`: its coefficient of variation) and in hardness."""

    def interval(rng: np.random.Generator) -> stats.Interval:
        tokens = rng.gamma(unequal**-2, unequal**2, documents) if unequal else np.ones(documents)
        spread = tokens * rng.gamma(5, 1 / 5, documents)
        error = rng.exponential(size=documents) if shape == "skewed" else rng.normal(1, 0.3, documents)
        return stats.ratio(0.2 * spread * error, spread, None, LEVEL)

    return Cell("ratio of sums", f"documents={documents} cv={unequal} {shape}", 0.2, interval)


def share_cell(clusters: int, effect: float) -> Cell:
    """A part of an effect over the whole, three prompts per family, where the whole is uncertain too and may be of either sign."""
    labels = np.repeat(np.arange(clusters), 3)

    def interval(rng: np.random.Generator) -> stats.Interval:
        whole = -effect + 2 * _scores(rng, Design(labels.size, clusters, True, 0.3), labels, "normal")
        return stats.ratio(0.7 * whole + rng.normal(size=labels.size), whole, labels, LEVEL)

    return Cell("share of a change", f"C={clusters} effect={effect}", 0.7, interval)


def partial_cell(design: Design, rho: float) -> Cell:
    """Two scores that correlate within categories, shifted by category and by length."""
    labels = design.labels()
    categories = [str(label % 2) for label in labels]
    shift = np.array([float(each) for each in categories])

    def interval(rng: np.random.Generator) -> stats.Interval:
        x, own = (_scores(rng, design, labels, "normal") for _ in range(2))
        length = rng.integers(10, 20, design.n).astype(np.float64)
        y = rho * x + np.sqrt(1 - rho**2) * own
        adjusted = stats.partial_correlation(
            x + shift + 0.1 * length, y - 2 * shift + 0.1 * length, categories, length, labels, LEVEL, flips=1
        )
        return adjusted.correlation

    return Cell("partial correlation", f"{design} rho={rho}", rho, interval)


def precision_cell(held_out: int, density: float, sensitivity: float, wrong: float) -> Cell:
    """A label's errors on as many firing as silent windows, and how often the feature fires in 2,000 windows."""
    truth = density * sensitivity / (density * sensitivity + (1 - density) * wrong)

    def interval(rng: np.random.Generator) -> stats.Interval:
        found, alarms, fires = (
            stats.rate(rng.random(size) < share, None, LEVEL)
            for size, share in ((held_out, sensitivity), (held_out, wrong), (2000, density))
        )
        return stats.precision_at(found, alarms, fires, LEVEL)

    return Cell("precision at density", f"n={held_out}+{held_out} density={density} sens={sensitivity} false={wrong}", truth, interval)


def prevalence_cell(documents: int, density: float, spread: float) -> Cell:
    """Documents of 2 to 20 windows that differ in how often a feature fires there: betas of which `spread` says how unlike they are."""

    def interval(rng: np.random.Generator) -> stats.Interval:
        windows = rng.integers(2, 21, documents)
        rates = rng.beta(density / (spread * density), (1 - density) / (spread * density), documents)
        fired = rng.binomial(windows, rates)
        tokens = fired + rng.poisson(2 * fired)  # a window in which it fires holds one token or several
        return stats.prevalence(int(fired.sum()), int(windows.sum()), tokens[tokens > 0], documents, LEVEL)

    return Cell("prevalence", f"documents={documents} density={density} spread={spread}", density, interval)


def _cluster_rates(rng: np.random.Generator, design: Design, p: float) -> Floats:
    if design.icc == 0.0:
        return np.full(design.clusters, p)
    spread = (1 - design.icc) / design.icc
    return rng.beta(p * spread, (1 - p) * spread, design.clusters)


def _scores(rng: np.random.Generator, design: Design, labels: NDArray[np.int_], shape: str) -> Floats:
    """Mean 0, variance 1, correlation `icc` within clusters."""

    def draw(size: int) -> Floats:
        return rng.exponential(size=size) - 1 if shape == "skewed" else rng.normal(size=size)

    scores: Floats = np.sqrt(design.icc) * draw(design.clusters)[labels] + np.sqrt(1 - design.icc) * draw(design.n)
    return scores


def report(results: list[Coverage], runs: int, every: int) -> str:
    """The table by method, and every cell below the bar."""
    error = np.sqrt(BAR * (1 - BAR) / runs)
    lines = [
        "# Coverage of the intervals",
        "",
        "How often each 95 % interval of `safetycase.evidence.stats` holds the value that made the data, by simulation",
        f"({runs} runs per cell, Monte Carlo error of one cell ±{100 * error:.1f} points; the bar is {BAR:.0%}).",
        "Regenerate: `python -m tests.benchmarks.coverage --out docs/coverage.md`.",
        "",
        f"Grid: n {SIZES}, clusters {CLUSTERS} of equal size and of sizes 1:2:…:C, correlation within clusters {ICCS};",
        f"rates {RATES}; normal and exponential scores. The other axes stand in the names of the cells.",
        f"Of its cells, taken in order, {'all were' if every == 1 else f'one in {every} was'} run for this page.",
        "",
        "| method | cells | lowest | median | highest | cells below the bar | mean width |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for method in dict.fromkeys(r.method for r in results):
        shares = np.array([r.coverage for r in results if r.method == method])
        width = np.mean([r.width for r in results if r.method == method])
        lines.append(
            f"| {method} | {shares.size} | {shares.min():.3f} | {np.median(shares):.3f} | {shares.max():.3f} "
            f"| {(shares < BAR).sum()} | {width:.3f} |"
        )
    low = sorted((r for r in results if r.coverage < BAR), key=lambda r: r.coverage)
    lines += ["", "Cells below the bar:" if low else "No cell lies below the bar.", ""]
    lines += [f"- {r.method}, {r.name}: {r.coverage:.3f}" for r in low]
    undefined = sum(r.undefined for r in results)
    lines.append(f"Runs in which no interval could be given: {undefined} of {runs * len(results)}.")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


@cache
def _grid() -> tuple[Cell, ...]:
    return tuple(cells())


def _run(task: tuple[int, int]) -> Coverage:
    index, runs = task
    return simulate(_grid()[index], runs)


def main() -> None:
    """Simulate the grid (or the methods named by --only) and write the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--only", default="", help="a part of a method's name")
    parser.add_argument("--every", type=int, default=1, help="only every k-th cell")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    start = time.perf_counter()
    tasks = [(i, options.runs) for i, cell in enumerate(_grid()) if options.only in cell.method][:: options.every]
    with ProcessPoolExecutor(options.workers) as pool:
        results = list(pool.map(_run, tasks, chunksize=8))
    text = report(results, options.runs, options.every)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    sys.stderr.write(f"{len(tasks)} cells in {time.perf_counter() - start:.0f} s\n")


if __name__ == "__main__":
    main()
