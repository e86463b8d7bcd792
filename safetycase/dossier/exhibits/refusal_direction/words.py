"""What the estimates of a refusal direction are called in sentences, and where to find them."""

from safetycase.case.claims import why_absent
from safetycase.evidence.kinds.refusal_direction.findings import Found
from safetycase.evidence.record import Estimate, Unit

QUANTITIES = {
    "refusal_rate": "share refused",
    "incoherent_rate": "share incoherent",
    "refusal_rate_change": "change of the share refused",
    "corrected_refusal_rate": "share refused, corrected for the judge's errors",
    "refusal_log_odds": "refusal log-odds",
    "refusal_log_odds_change": "change of refusal log-odds",
    "kl": "KL divergence of the first answer token",
    "cross_entropy_change": "change of cross-entropy of the model's own answers",
    "selection_margin": "margin of the pick over the runner-up, refusal log-odds",
    "selection_share": "share of resamples with the same pick",
    "score_auroc": "AUROC of the first-token score against judged answers",
    "harmfulness_auroc": "AUROC of harmfulness",
    "judge_kappa": "agreement of judge and person, κ",
    "judge_sensitivity": "sensitivity of the judge to refusals",
    "judge_specificity": "specificity of the judge",
}
POPULATIONS = {
    "harmful": "harmful requests",
    "harmless": "harmless requests",
    "alarming": "harmless requests that look alarming",
    "all": "all requests",
    "candidates": "candidates",
}
CONDITIONS = {
    "baseline": "unmodified",
    "ablated": "direction ablated",
    "added": "direction added",
    "subtracted": "direction subtracted",
    "prefill": "answer begun for the model (prefill)",
    "resampled": "prompts resampled",
}
ITEMS = {
    "validation": "validation split",
    "reselected": "interval through the selection",
    "last_instruction_token": "at the last instruction token",
}


def words(name: str) -> str:
    """`refusal_rate.harmful.ablated@arditi-12` as "share refused: harmful requests, direction ablated (arditi-12)"."""
    stem, _, item = name.partition("#")
    stem, _, judge = stem.partition("@")
    quantity, _, rest = stem.partition(".")
    population, _, condition = rest.partition(".")
    said = (
        POPULATIONS.get(population, population),
        condition_words(condition) if condition else "",
        ITEMS.get(item, item),
    )
    head = QUANTITIES.get(quantity, quantity.replace("_", " "))
    tail = ", ".join(part for part in said if part)
    return (f"{head}: {tail}" if tail else head) + (f" ({judge})" if judge else "")


def unit(name: str) -> Unit:
    """What an estimate is counted in, also where it is absent."""
    quantity = name.split(".")[0]
    if quantity.startswith("refusal_log_odds") or quantity in ("kl", "selection_margin"):
        return Unit.NATS
    if quantity == "cross_entropy_change":
        return Unit.NATS_PER_TOKEN
    return Unit.AUROC if quantity.endswith("auroc") else Unit.FRACTION


def condition_words(condition: str) -> str:
    """A condition as a reader says it; `ablated-3` is "3 directions ablated"."""
    start, _, k = condition.partition("-")
    if start == "ablated" and k.isdigit():
        return f"{k} directions ablated"
    return CONDITIONS.get(condition, condition)


def deciding_judge(found: Found) -> str:
    """The text judge that decides the outcome: the first that the plan names."""
    judges = found.read.get("judges")
    return str(judges[0]) if isinstance(judges, list) and judges else "substring"


def judges(found: Found) -> tuple[str, ...]:
    """All text judges, the deciding one first."""
    named = found.read.get("judges")
    return tuple(str(each) for each in named) if isinstance(named, list) else ()


def rate(found: Found, population: str, condition: str, *, quantity: str = "refusal_rate") -> Estimate | None:
    """A share as the deciding judge sees it."""
    return found.estimates.get(f"{quantity}.{population}.{condition}@{deciding_judge(found)}")


def why_no_rate(found: Found, population: str, condition: str) -> str:
    """The reason that the findings give for a share that they lack."""
    return why_absent(f"refusal_rate.{population}.{condition}@{deciding_judge(found)}", found)
