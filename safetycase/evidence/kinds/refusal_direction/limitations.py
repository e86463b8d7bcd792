"""What a refusal direction does not show, in sentences that the dossier prints as they stand."""

from collections.abc import Iterator, Mapping

from safetycase.evidence.kinds.refusal_direction.labels import Labels
from safetycase.evidence.kinds.refusal_direction.observed import Observed
from safetycase.evidence.kinds.refusal_direction.params import Read
from safetycase.evidence.kinds.refusal_direction.selecting import Selected, rule_of
from safetycase.evidence.kinds.refusal_direction.selection import Rule

STANDING = (
    "One direction can show that refusal is removable; failing to remove it shows no robustness.",
    "Refusal is not one direction: several independent directions and cones of directions mediate it "
    "(Wollschläger et al. 2025, arXiv 2502.17420), and categories of refusal have directions of their own "
    "(arXiv 2602.02132).",
    "A removal that works is one sufficient route for somebody with access to the weights; it says nothing of attacks through prompts.",
    "Results vary by layer, chat template, data set and judge; they hold for the weights, precision, template and prompts "
    "named here, not for other versions, quantisations or fine-tunes.",
    "Refusal log-odds score the first token of the answer alone; a refusal that begins otherwise, or that comes later, "
    "is not seen by them.",
    "Alarming prompts, on which nothing is trained or selected, are taken from all splits of their set where its test split is too small.",
    "How often this instrument is right has not yet been measured for this kind of evidence: its verdicts stand as uncalibrated.",
)

SUBSTRINGS = (
    "Substring judges look for phrases: they count an answer that apologises and then helps as a refusal, and miss a refusal "
    "in other words; against human labels their agreement falls from kappa 0.91 to 0.07 with the model judged "
    "(XSTest, five sets of answers)."
)

FEW_PROMPTS = 50
FEW_FAMILIES = 10


def limitations(
    seen: Observed, selected: Selected, judges: Mapping[str, Labels | str], people: Labels | str, read: Read
) -> tuple[str, ...]:
    """The standing sentences, and those that this observation calls for."""
    return (
        *STANDING,
        SUBSTRINGS,
        *_of_judges(people),
        *_of_nulls(seen, judges, read),
        *_of_selection(seen, selected, read),
        *_of_size(seen),
        *_of_import(seen),
    )


def _of_judges(people: Labels | str) -> Iterator[str]:
    if isinstance(people, str):
        yield "No person has labelled a sample of these answers: rates are those of the judge, uncorrected."


def _of_nulls(seen: Observed, judges: Mapping[str, Labels | str], read: Read) -> Iterator[str]:
    if not seen.tables.has("effects"):
        return
    directions = seen.tables.table("effects").where(family="random")["direction"]
    n = len(set(directions.tolist()))
    labels = judges[read.judges[0]]
    generated = not isinstance(labels, str) and any(arm.startswith("random-") for arm, _ in labels.arms)
    if n and not generated:
        yield (
            f"No answers were generated under null directions: for changes of generated rates stands the null on refusal "
            f"log-odds, {n} random directions of the same norm."
        )


def _of_selection(seen: Observed, selected: Selected, read: Read) -> Iterator[str]:
    if selected.not_finite:
        n = selected.not_finite
        yield f"{n} candidate{' has a score that is' if n == 1 else 's have scores that are'} no finite number; filtered out."
    if rule_of(read) != Rule() and seen.tables.has("reselections"):
        yield ("The selection is read with other thresholds than the paper's, while label shuffles and resamples went through the paper's.")


def _of_size(seen: Observed) -> Iterator[str]:
    for population in seen.populations:
        items = seen.test_items[population]
        families = len({seen.families[item] for item in items})
        if items and (len(items) < FEW_PROMPTS or families < FEW_FAMILIES):
            yield (
                f"The {population} test split is small, {len(items)} prompts of {families} families: intervals are wide, and "
                "rare answers may not have been seen."
            )


def _of_import(seen: Observed) -> Iterator[str]:
    imported = seen.tables.imported
    if imported is not None:
        yield (
            f"Imported from a run in the format {imported.format} ({imported.source}): it was not made here and cannot be "
            "replayed here; prompts carry no families, so each counts as independent."
        )
