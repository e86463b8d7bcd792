"""What each prompt contributes to the means and rates of a refusal direction, so that two versions can be compared prompt by prompt."""

from collections.abc import Iterable, Iterator, Mapping

from safetycase.evidence.kinds import ByItem, ItemValue
from safetycase.evidence.kinds.refusal_direction.effects import ASKED_OF, Condition, changes_by_direction
from safetycase.evidence.kinds.refusal_direction.fragility import fragility_ks
from safetycase.evidence.kinds.refusal_direction.labels import REFUSE, Labels, labels_of
from safetycase.evidence.kinds.refusal_direction.observed import Observed, observed
from safetycase.evidence.kinds.refusal_direction.params import Read
from safetycase.evidence.kinds.refusal_direction.rates import BY_CATEGORY, QUANTITIES, conditions_of
from safetycase.evidence.tables import Tables

Values = Mapping[str, float]
"""Item to value."""


def by_item(tables: Tables, read: Read) -> ByItem:
    """Estimate to item to value and family; the mean over the items is the value that `derive` gives the estimate.

    Left out is what is no mean over test prompts (agreement, AUROC, rates corrected by labels, what rests on selecting again), and what
    the tables do not hold.
    """
    seen = observed(tables)
    named = [*_log_odds(seen), *_costs(seen)]
    for judge in read.judges:
        labels = labels_of(tables, judge)
        if isinstance(labels, Labels):
            named += _rates(seen, judge, labels)
    return {
        name: {item: ItemValue(float(value), seen.families[item]) for item, value in sorted(values.items())}
        for name, values in named
        if values
    }


def _log_odds(seen: Observed) -> Iterator[tuple[str, Values]]:
    for population, items in seen.test_items.items():
        yield f"refusal_log_odds.{population}.baseline", {item: seen.baseline[item] for item in items if item in seen.baseline}
    for condition, population in ASKED_OF.items():
        edited, change = _of_direction(seen, "selected", condition, "selected")
        yield f"refusal_log_odds.{population}.{condition}", edited
        yield f"refusal_log_odds_change.{population}.{condition}", change
    for k in fragility_ks(seen):
        yield f"refusal_log_odds.harmful.ablated-{k}", _of_direction(seen, "fragility", "ablated", f"k-{k}")[0]


def _of_direction(seen: Observed, family: str, condition: Condition, direction: str) -> tuple[Values, Values]:
    """Refusal log-odds under a direction, and their change; both empty where it was not asked about."""
    found = changes_by_direction(seen, family, condition).get(direction)
    if found is None:
        return {}, {}
    return _values(found.items, found.edited), _values(found.items, found.change)


def _costs(seen: Observed) -> Iterator[tuple[str, Values]]:
    if not seen.tables.has("collateral"):
        return
    table = seen.tables.table("collateral")
    unedited = table.where(arm="baseline")
    before = _values(unedited["item"], unedited["cross_entropy"])
    for condition in ("ablated", "added", *(f"ablated-{k}" for k in fragility_ks(seen))):
        arm = table.where(arm=condition)
        after = _values(arm["item"], arm["cross_entropy"])
        yield f"kl.harmless.{condition}", _values(arm["item"], arm["kl"])
        yield f"cross_entropy_change.harmless.{condition}", {item: after[item] - before[item] for item in after if item in before}


def _rates(seen: Observed, judge: str, labels: Labels) -> Iterator[tuple[str, Values]]:
    for population in seen.populations:
        before = labels.of("baseline", population)
        for condition in conditions_of(seen, population):
            answers = labels.of(condition, population)
            for quantity, label in QUANTITIES.items():
                name = f"{quantity}.{population}.{condition}@{judge}"
                yield name, {item: float(said == label) for item, said in answers.items()}
                for category in seen.strata[population] if condition in BY_CATEGORY else ():
                    own = {item: float(said == label) for item, said in answers.items() if seen.categories[item] == category}
                    yield f"{name}#{category}", own
            if condition != "baseline":
                both = answers.keys() & before.keys()
                changed = {item: float(answers[item] == REFUSE) - float(before[item] == REFUSE) for item in both}
                yield f"refusal_rate_change.{population}.{condition}@{judge}", changed


def _values(items: Iterable[str], values: Iterable[float]) -> Values:
    return dict(zip(items, values, strict=True))
