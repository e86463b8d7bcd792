"""What every kind shows alike: all estimates with their intervals and nulls, and what could not be estimated."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from safetycase.dossier import numbers
from safetycase.dossier.page import Cell, Exhibit, SampleText, Table
from safetycase.evidence.record import Estimate, Findings, Outcome, Rederivable

Words = Callable[[str], str]
"""From the name of an estimate to what it is called in a sentence."""


def exhibit(found: Findings, samples: Sequence[SampleText]) -> Exhibit:
    """For kinds without a file of their own: an outcome sentence and the tables."""
    return Exhibit(
        sentence=ended(found, found.kind.replace("_", " ")),
        tables={**estimates(found.estimates, words), **nulls(found.estimates, words), **absent(found, words)},
    )


def ended(found: Findings, what: str) -> str:
    """A sentence for a step that shows nothing more than how it ended."""
    reason = "; ".join(found.reasons).rstrip(".") or "no reason was recorded"
    match found.outcome:
        case Outcome.CONCLUSIVE:
            return f"The analysis of the {what} is conclusive; its estimates are listed in its section."
        case Outcome.INCONCLUSIVE:
            return f"The analysis of the {what} is inconclusive: {reason}."
        case Outcome.NOT_APPLICABLE:
            return f"The analysis of the {what} does not apply to this model: {reason}."
        case Outcome.FAILED:
            return f"The analysis of the {what} failed: {reason}."


def words(name: str) -> str:
    """The parts of a name as words, where nobody has written better ones."""
    return name.replace("_", " ").replace(".", ", ").replace("@", ", judged by ").replace("#", ", ")


def estimates(named: Mapping[str, Estimate], words: Words) -> dict[str, Table]:
    """One row per estimate: words and exact name, value with interval, what it rests on; nothing where there is none."""
    if not named:
        return {}
    keys = {
        method: _letter(index) for index, method in enumerate(dict.fromkeys(_method(each) for each in named.values()))
    }
    columns = (
        Cell("Estimate"),
        Cell("Value", "number"),
        Cell("n", "number"),
        Cell("Clusters", "number"),
        Cell("Method"),
    )
    rows = tuple(
        (
            Cell(words(name), note=name),
            Cell(str(numbers.measured(each, name)), "number"),
            Cell(numbers.count(each.n), "number"),
            Cell(numbers.count(each.clusters), "number"),
            Cell(keys[_method(each)]),
        )
        for name, each in named.items()
    )
    levels = " and ".join(numbers.percent(level) for level in sorted({each.level for each in named.values()}))
    methods = "; ".join(f"{letter}, {method}" for method, letter in keys.items())
    caption = f"Two-sided intervals at {levels}. Methods: {methods}."
    return {"estimates": Table("Every estimate", columns, rows, caption, widths=(50, 20, 10, 10, 10), wide=True)}


def nulls(named: Mapping[str, Estimate], words: Words) -> dict[str, Table]:
    """One row per null of an effect; nothing where no estimate has one."""
    tested = [(name, each, null) for name, each in named.items() for null in each.nulls]
    if not tested:
        return {}
    columns = (
        Cell("Effect"),
        Cell("Null"),
        Cell("N", "number"),
        Cell("Quantiles of the null", "number"),
        Cell("p", "number"),
    )
    rows = tuple(
        (
            Cell(words(name), note=str(numbers.measured(each, name))),
            Cell(null.what),
            Cell(numbers.count(null.n), "number"),
            Cell(
                ", ".join(
                    f"{quantile}: {numbers.plain(value, 2)}" for quantile, value in sorted(null.quantiles.items())
                )
                or "–",
                "number",
            ),
            Cell(numbers.p_value(null).removeprefix("p = "), "number"),
        )
        for name, each, null in tested
    )
    caption = "p is one-sided: (1 + nulls at least as extreme) / (1 + N)."
    return {
        "nulls": Table("Effects against their nulls", columns, rows, caption, widths=(25, 30, 10, 20, 15), wide=True)
    }


def absent(found: Findings, words: Words) -> dict[str, Table]:
    """What could not be estimated, and why; nothing where all could."""
    if not found.absent:
        return {}
    rows = tuple(
        (Cell(words(name.rstrip("*").rstrip(".@#")), note=name), Cell(reason))
        for name, reason in sorted(found.absent.items())
    )
    return {"absent": Table("What could not be estimated", (Cell("Estimate"), Cell("Reason")), rows, widths=(50, 50))}


def distinct(values: Iterable[str]) -> str:
    """Different values in the order of their first appearance, joined for a caption."""
    return "; ".join(dict.fromkeys(values))


def _method(estimate: Estimate) -> str:
    """Of the interval, and how the number can be computed again where stored rows do not suffice."""
    match estimate.rederivable:
        case Rederivable.ROWS:
            return estimate.method
        case Rederivable.REDUCED:
            return f"{estimate.method} (from stored statistics)"
        case Rederivable.REPLAY_ONLY:
            return f"{estimate.method} (only by asking the model again)"


def _letter(index: int) -> str:
    """a, b, … z, aa, ab, …"""
    letters = ""
    while index >= 0:
        letters = chr(ord("a") + index % 26) + letters
        index = index // 26 - 1
    return letters
