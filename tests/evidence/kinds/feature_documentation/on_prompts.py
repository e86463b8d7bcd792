"""Planted tables of what was asked on prompts: readings, edits and their answers, capture, probes and pairs."""

from collections.abc import Iterator
from functools import cache
from typing import cast

import numpy as np
from scipy import special

from safetycase.evidence.judges import judge
from safetycase.evidence.kinds.feature_documentation.params import Read
from safetycase.evidence.tables import Row
from tests.evidence.kinds.feature_documentation.planted import Planted, randomness, slots_of

REFUSAL = "I'm sorry, but I cannot help with that request."
ANSWER = "Sure. First gather the things you need, then follow each of the steps in order, and check the result."
LOOP = "the the the the the the the the the the the the the the the the the the the the"


def items(plan: Planted) -> Iterator[Row]:
    for contrast in plan.contrasts:
        for side in ("present", "absent", *plan.variants):
            splits = (
                (("validation", plan.n_validation), ("test", plan.n_test)) if side in ("present", "absent") else (("test", plan.n_test),)
            )
            for split, n in splits:
                for number in range(n):
                    yield {
                        "item": f"{contrast}-{side}-{split}-{number:03d}", "population": f"{contrast}-{side}", "split": split,
                        "category": f"category {number % 2}", "family": f"{contrast} {side} {number % plan.families}",
                        "length": 12 + number % 5, "used": True, "why_unused": "",
                    }  # fmt: skip


def _of(plan: Planted, contrast: str, side: str, *splits: str) -> list[str]:
    wanted = splits or ("test",)
    return [r["item"] for r in items(plan) if r["population"] == f"{contrast}-{side}" and r["split"] in wanted]


def relevance(plan: Planted) -> Iterator[Row]:
    for contrast in plan.contrasts:
        for feature in range(plan.features):
            fires = feature < plan.features - plan.dead
            yield {
                "contrast": contrast, "feature": feature, "cosine": 0.9 / (1 + feature), "auroc": 0.5 + 0.45 / (1 + feature),
                "attribution": 2.0 / (1 + feature), "firing_present": 0.9 / (1 + feature), "firing_absent": 0.1,
                "rank": feature + 1 if fires else 0,
            }  # fmt: skip


def _log_odds(plan: Planted, item: str) -> float:
    """Present prompts lie above 0, all others below; every prompt keeps its own offset."""
    return (4.0 if "-present-" in item else -4.0) + 0.8 * _offset(plan.seed, item)


@cache
def _offset(seed: int, item: str) -> float:
    return float(np.random.default_rng([seed, *item.encode()]).standard_normal())


def readings(plan: Planted) -> Iterator[Row]:
    """The activation of features that read the contrast rises with the log-odds among present prompts; the others' with nothing."""
    distance = np.sqrt(2) * special.ndtri(plan.auroc)
    for row in items(plan):
        contrast, side = row["population"].split("-", 1)
        own = _offset(plan.seed, row["item"])
        for feature in slots_of(plan):
            causal = feature < (plan.causal if plan.reading is None else plan.reading)
            noise = randomness(plan, "peak", row["item"], feature).standard_normal()
            value = plan.association * own + np.sqrt(1 - plan.association**2) * noise if causal else noise
            value += distance if causal and side != "absent" else 0.0
            peak = float(max(0.0, value + 1.0))
            yield {
                "feature": feature, "contrast": contrast, "population": row["population"], "split": row["split"], "item": row["item"],
                "peak": peak, "last": peak / 2,
            }  # fmt: skip


def baseline(plan: Planted) -> Iterator[Row]:
    for row in items(plan):
        contrast, side = row["population"].split("-", 1)
        if side in ("present", "absent") and not plan.stopped.get(contrast):
            shared = {name: row[name] for name in ("item", "population", "split")}
            yield {"contrast": contrast, **shared, "log_odds": _log_odds(plan, row["item"])}


def null_features(plan: Planted) -> range:
    """Features that go through the same interventions."""
    return range(plan.tested, plan.tested + plan.nulls)


def causes(plan: Planted) -> Iterator[Row]:
    for contrast in plan.contrasts:
        if plan.stopped.get(contrast):
            continue
        for feature in (*range(plan.tested), *null_features(plan)):
            yield from _edits(plan, contrast, feature)


def _edits(plan: Planted, contrast: str, feature: int) -> Iterator[Row]:
    rng = randomness(plan, "causes", contrast, feature)
    role, causal = "tested" if feature < plan.tested else "null", feature < plan.causal
    ablated, steered = (plan.ablated, plan.steered) if causal else cast("tuple[float, float]", tuple(plan.spread * rng.standard_normal(2)))
    largest = max(plan.doses)
    both = ("validation", "test")
    edits: list[tuple[str, float, str, tuple[str, ...], float, float]] = [("ablate", 0.0, "present", both, ablated, 0.05)]
    edits += [("steer", d, "absent", both, steered * d / largest, plan.kl_per_dose * d) for d in plan.doses]
    if role == "tested":
        edits += [("clamp", c, "absent", ("test",), steered * c / max(plan.clamps), 0.3 * c) for c in plan.clamps]
    for edit, dose, side, splits, effect, kl in edits:
        for split in splits:
            for item in _of(plan, contrast, side, split):
                yield {
                    "contrast": contrast, "feature": feature, "role": role, "edit": edit, "dose": dose, "population": f"{contrast}-{side}",
                    "split": split, "item": item, "log_odds": float(_log_odds(plan, item) + effect + 0.1 * rng.standard_normal()),
                    "kl": float(kl * (1 + 0.1 * rng.random())),
                }  # fmt: skip


def _arms(plan: Planted) -> Iterator[tuple[str, int, str, float, str, float, str]]:
    """Contrast, feature, edit, dose, side, change of log-odds and split of every arm that is answered."""
    for contrast in plan.contrasts:
        if plan.stopped.get(contrast):
            continue
        for side in ("present", "absent"):
            yield contrast, -1, "none", 0.0, side, 0.0, "test"
        for feature in range(plan.tested):
            causal = feature < plan.causal
            yield contrast, feature, "ablate", 0.0, "present", 2 * plan.ablated if causal else 0.0, "test"
            for dose in plan.doses:
                change = plan.steered * dose / max(plan.doses) * 2 if causal else 0.0
                for split in plan.answers_to:
                    yield contrast, feature, "steer", dose, "absent", change, split


def completions(plan: Planted) -> Iterator[Row]:
    for contrast, feature, edit, dose, side, change, split in _arms(plan):
        items = _of(plan, contrast, side, split)[: plan.answers]
        broken = round(plan.incoherent * len(items)) if edit == "steer" and dose in plan.doses[-2:] and split in plan.garbled_in else 0
        for number, item in enumerate(items):
            shows = _log_odds(plan, item) + change > 0
            shown = plan.behaviour[0] if plan.behaviour else REFUSAL
            yield {
                "contrast": contrast, "feature": feature, "edit": edit, "dose": dose, "population": f"{contrast}-{side}", "item": item,
                "text": LOOP if number < broken else shown if shows else ANSWER, "finished": True,
            }  # fmt: skip


def answers(plan: Planted) -> Iterator[Row]:
    for row in completions(plan):
        shared = {name: row[name] for name in ("contrast", "feature", "edit", "dose", "population", "item")}
        if plan.behaviour:
            label = "incoherent" if row["text"] == LOOP else "shown" if row["text"] == plan.behaviour[0] else "not-shown"
            yield {**shared, "judge": "phrases", "version": 1, "label": label}
            continue
        for name in Read().judges:
            yield {**shared, "judge": name, "version": judge(name).version, "label": judge(name).label(row["text"])}


def capture(plan: Planted) -> Iterator[Row]:
    rng = randomness(plan, "capture")
    for contrast in plan.contrasts:
        if plan.stopped.get(contrast):
            continue
        for direction in ("own", *((plan.direction,) if plan.direction else ())):
            for part, share in (("whole", 1.0), ("reconstruction", plan.captured), ("error", 1 - plan.captured)):
                for item in _of(plan, contrast, "present"):
                    value = _log_odds(plan, item) - 6.0 * share + 0.1 * rng.standard_normal()
                    yield {
                        "contrast": contrast, "direction": direction, "part": part, "population": f"{contrast}-present", "item": item,
                        "log_odds": float(value),
                    }  # fmt: skip


def probes(plan: Planted) -> Iterator[Row]:
    rng = randomness(plan, "probes")
    strength = {"dense": 3.0, **{f"k-{k}": 1.0 + 0.3 * k for k in plan.probe_sizes}}
    strength |= {f"shuffled-{n}": 0.0 for n in range(1, plan.shuffled_probes + 1)}
    strength |= {f"random-k-{k}": 0.1 * k for k in plan.probe_sizes}
    for contrast in plan.contrasts:
        for probe, gap in strength.items():
            for side in ("present", "absent"):
                for item in _of(plan, contrast, side):
                    score = float(rng.standard_normal() + (gap / 2 if side == "present" else -gap / 2))
                    yield {"contrast": contrast, "probe": probe, "population": f"{contrast}-{side}", "item": item, "score": score}


def absorption(plan: Planted) -> Iterator[Row]:
    for contrast in plan.contrasts:
        for number, item in enumerate(_of(plan, contrast, "present")):
            full = number % 6 == 0
            yield {
                "contrast": contrast,
                "item": item,
                "main_fires": not full,
                "full": full,
                "fraction": 0.5 if full else 0.02 * (number % 3),
            }


def pairs(plan: Planted) -> Iterator[Row]:
    for contrast in plan.contrasts:
        for method, height in (("dictionary", 9.0), ("random", 4.0)):
            for number in range(plan.families):
                yield {
                    "contrast": contrast, "method": method, "family": f"{contrast} {number}", "contrastive": height + 0.5 * (number % 3),
                    "independent": height - 1.0 + 0.5 * (number % 4),
                }  # fmt: skip
