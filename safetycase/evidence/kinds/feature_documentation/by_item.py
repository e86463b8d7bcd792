"""What each prompt contributes to the means and rates of features, so that two versions can be compared prompt by prompt."""

from collections.abc import Iterator, Mapping

from safetycase.evidence.kinds import ByItem, ItemValue
from safetycase.evidence.kinds.feature_documentation.answers import INCOHERENT, SHOWN, Answers, Labels, answers_of, judges_of
from safetycase.evidence.kinds.feature_documentation.capture import changes_of
from safetycase.evidence.kinds.feature_documentation.causes import ASKED_OF, EDITS, dose_of
from safetycase.evidence.kinds.feature_documentation.changes import Changes, Edited, dosing, edited
from safetycase.evidence.kinds.feature_documentation.names import steered
from safetycase.evidence.kinds.feature_documentation.observed import Observed, observed
from safetycase.evidence.kinds.feature_documentation.params import ABSENT, PRESENT, Read, population
from safetycase.evidence.kinds.feature_documentation.probes import absorption_of
from safetycase.evidence.kinds.feature_documentation.readings import peaks_of
from safetycase.evidence.tables import Tables

Values = Mapping[str, float]
"""Item to value."""


def by_item(tables: Tables, read: Read) -> ByItem:
    """Estimate to item to value and family; the mean over the items is the value that `derive` gives the estimate.

    Left out is what is no mean over confirmation prompts: what rests on documents or windows of the corpus, AUROCs, correlations, ratios.
    """
    seen = observed(tables)
    made = edited(seen)
    named = [*_firing(seen)]
    for contrast in seen.contrasts:
        answers = {name: answers_of(seen, contrast, name) for name in judges_of(seen, contrast, read)}
        named += [*_unedited(seen, contrast), *_capture(seen, contrast), *_absorption(seen, contrast)]
        named += _causes(seen, contrast, made, answers, read)
    return {
        name: {item: ItemValue(float(value), seen.families[item]) for item, value in sorted(values.items())}
        for name, values in named
        if values
    }


def _firing(seen: Observed) -> Iterator[tuple[str, Values]]:
    for (feature, name), peaks in peaks_of(seen).items():
        for slot in seen.slots.get(feature, ()):
            yield f"firing_rate.{name}.prompts#{slot}", {item: float(peak > 0) for item, peak in peaks.items()}


def _unedited(seen: Observed, contrast: str) -> Iterator[tuple[str, Values]]:
    log_odds = seen.baseline.get(contrast, {})
    for side in (PRESENT, ABSENT):
        where = population(contrast, side)
        yield f"log_odds.{where}.baseline", {item: log_odds[item] for item in seen.test_items.get(where, ()) if item in log_odds}


def _capture(seen: Observed, contrast: str) -> Iterator[tuple[str, Values]]:
    for (direction, part), change in changes_of(seen, contrast).items():
        yield f"log_odds_change.{population(contrast, PRESENT)}.{part}#{direction}", change


def _absorption(seen: Observed, contrast: str) -> Iterator[tuple[str, Values]]:
    found = absorption_of(seen, contrast)
    if not isinstance(found, str):
        yield f"absorption_rate.{population(contrast, PRESENT)}.full", found["full"]
        yield f"absorbed_fraction.{population(contrast, PRESENT)}.partial", found["fraction"]


def _causes(
    seen: Observed, contrast: str, made: Edited, answers: Mapping[str, Answers | str], read: Read
) -> Iterator[tuple[str, Values]]:  # fmt: skip
    yield from _baseline_answers(contrast, answers)
    tested = made.roles.get((contrast, "tested"), ())
    for slot, feature in seen.ranked(contrast):
        if feature not in tested:
            continue
        dose = dose_of(seen, dosing(seen, made, next(iter(answers.values())), contrast, feature, read))
        yield from _log_odds(seen, contrast, made, slot, feature, dose)
        for number, (judge, said) in enumerate(answers.items()):
            if not isinstance(said, str):
                yield from _answered(said, judge, slot, feature, dose, first=number == 0)


def _log_odds(seen: Observed, contrast: str, made: Edited, slot: str, feature: int, dose: float | None) -> Iterator[tuple[str, Values]]:
    present, absent = population(contrast, PRESENT), population(contrast, ABSENT)
    yield f"log_odds_change.{present}.ablated#{slot}", _change(made.of(contrast, feature, "ablate", 0.0, PRESENT))
    yield f"kl.{present}.ablated#{slot}", _kl(made.of(contrast, feature, "ablate", 0.0, PRESENT))
    if dose is not None:
        chosen = made.of(contrast, feature, "steer", dose, ABSENT)
        yield f"log_odds_change.{absent}.steered#{slot}", _change(chosen)
        yield f"kl.{absent}.steered#{slot}", _kl(chosen)
    for index, each in enumerate(seen.setup["doses"], start=1):
        yield f"log_odds_change.{absent}.{steered(index)}#{slot}", _change(made.of(contrast, feature, "steer", each, ABSENT))
    for index, each in enumerate(seen.setup["clamps"], start=1):
        yield f"log_odds_change.{absent}.clamped-{index}#{slot}", _change(made.of(contrast, feature, "clamp", each, ABSENT))


def _change(changes: Changes | None) -> Values:
    return {} if changes is None else dict(zip(changes.items, changes.change.tolist(), strict=True))


def _kl(changes: Changes | None) -> Values:
    return {} if changes is None else dict(zip(changes.items, changes.kl.tolist(), strict=True))


def _baseline_answers(contrast: str, answers: Mapping[str, Answers | str]) -> Iterator[tuple[str, Values]]:
    for judge, said in answers.items():
        for side in (PRESENT, ABSENT):
            if not isinstance(said, str):
                yield f"behaviour_rate.{population(contrast, side)}.baseline@{judge}", _shown(said.baseline(side))


def _answered(answers: Answers, judge: str, slot: str, feature: int, dose: float | None, *, first: bool) -> Iterator[tuple[str, Values]]:
    for condition, side in ASKED_OF.items():
        if condition == "steered" and dose is None:
            continue
        where, before = population(answers.contrast, side), answers.baseline(side)
        labels = answers.of(feature, EDITS[condition], dose or 0.0 if condition == "steered" else 0.0, side)
        yield f"behaviour_rate.{where}.{condition}@{judge}#{slot}", _shown(labels)
        changed = {item: float(labels[item] in SHOWN) - float(before[item] in SHOWN) for item in labels if item in before}
        yield f"behaviour_rate_change.{where}.{condition}@{judge}#{slot}", changed
        if first:
            yield f"incoherent_rate.{where}.{condition}#{slot}", {item: float(label == INCOHERENT) for item, label in labels.items()}


def _shown(labels: Labels) -> Values:
    return {item: float(label in SHOWN) for item, label in labels.items()}
