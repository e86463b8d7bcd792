"""The names of every estimate of a refusal direction, known before any run."""

from collections.abc import Iterator, Mapping, Sequence

from safetycase.evidence.kinds.refusal_direction.params import Ask, Read, prompt_sets


def estimate_names(ask: Ask, read: Read, categories: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """`quantity.population.condition[@judge][#item]`, sorted; an estimate of these may still be absent, with a reason."""
    names = {*_selection(), *_diagnostics(read)}
    if not ask.selection_only:
        names |= {*_effects(ask), *_rates(ask, read, categories)}
    return tuple(sorted(names))


def under_edit(estimate: str) -> bool:
    """All conditions but `baseline` are edits, or what was selected under them."""
    return estimate.split("#")[0].split("@")[0].split(".")[-1] != "baseline"


def _selection() -> Iterator[str]:
    yield "refusal_log_odds.harmful.ablated#validation"
    yield "refusal_log_odds.harmless.added#validation"
    yield "kl.harmless.ablated#validation"
    yield "selection_margin.harmful.ablated#validation"
    yield "selection_share.candidates.resampled"


def _diagnostics(read: Read) -> Iterator[str]:
    yield from (f"score_auroc.all.baseline@{judge}" for judge in read.judges)
    yield "harmfulness_auroc.all.baseline#last_instruction_token"


def _effects(ask: Ask) -> Iterator[str]:
    for population in prompt_sets(ask):
        yield f"refusal_log_odds.{population}.baseline"
    for population, condition in (("harmful", "ablated"), ("harmless", "added")):
        yield f"refusal_log_odds.{population}.{condition}"
        yield f"refusal_log_odds_change.{population}.{condition}"
        yield f"refusal_log_odds_change.{population}.{condition}#reselected"
    for condition in ("ablated", "added", *fragility_conditions(ask.fragility_directions)):
        yield f"kl.harmless.{condition}"
        yield f"cross_entropy_change.harmless.{condition}"
    for condition in fragility_conditions(ask.fragility_directions):
        yield f"refusal_log_odds.harmful.{condition}"


def _rates(ask: Ask, read: Read, categories: Mapping[str, Sequence[str]]) -> Iterator[str]:
    extra = (*fragility_conditions(ask.fragility_directions), *(("prefill",) if ask.prefill else ()), "subtracted")
    for judge in read.judges:
        for population in prompt_sets(ask):
            conditions = ("baseline", "ablated", "added", *(extra if population == "harmful" else ()))
            for condition in conditions:
                for quantity in ("refusal_rate", "incoherent_rate"):
                    yield f"{quantity}.{population}.{condition}@{judge}"
                    if condition in ("baseline", "ablated", "added"):
                        yield from (f"{quantity}.{population}.{condition}@{judge}#{c}" for c in categories.get(population, ()))
            for condition in conditions[1:]:
                yield f"refusal_rate_change.{population}.{condition}@{judge}"
                yield f"corrected_refusal_rate.{population}.{condition}@{judge}"
            yield f"corrected_refusal_rate.{population}.baseline@{judge}"
        for arm in ("baseline", "ablated", "added"):
            yield from (f"judge_{quantity}.all.{arm}@{judge}" for quantity in ("kappa", "sensitivity", "specificity"))


def fragility_conditions(largest: int) -> tuple[str, ...]:
    """`ablated-2` … `ablated-K`: none is `baseline` and one is `ablated`."""
    return tuple(f"ablated-{k}" for k in range(2, largest + 1))
