"""What a circuit trace shows, in sentences of fixed patterns: a hypothesis and the error beside it; what fails comes first."""

from collections.abc import Iterator, Sequence

from safetycase.case.claims import why_absent
from safetycase.dossier import numbers
from safetycase.dossier.exhibits.circuit_trace.words import TESTS, answered, curve_range, decider, error_beside, shown
from safetycase.dossier.exhibits.general import ended
from safetycase.dossier.figures.bar import bar
from safetycase.dossier.page import Fact, KeyNumber
from safetycase.evidence.kinds.circuit_trace.findings import Found
from safetycase.evidence.record import Outcome

NOT_SHOWN = (
    "That the members are the mechanism: other sets of features may pass the same tests, and this is one hypothesis among them.",
    "What attention does: graphs take attention patterns and norm scales as they were on each prompt.",
    "What the part of the computation does that the transcoders do not reproduce, or what happens on prompts that were not traced.",
)
NOT_SHOWN_BY_PATCHING = (
    "Where a difference arises: a patched state may carry what earlier states made, and later ones make up for it.",
    "That the strongest edges are the mechanism: other sets of edges may keep as much, and what is left out was replaced in one way alone.",
)
_MOST_SITES = 4
_FEWEST_PAIRS = 8
"""For a number that stands by itself."""
_CHANGE = "log_odds_change.harmful.ablated"
_EXPLAINED, _PROBE = "explained_change.harmful.circuit", "explained_change.harmful.probe"


def lead(found: Found) -> str:
    """The first sentence of the summary; what does not hold stands before what does."""
    if found.outcome in (Outcome.FAILED, Outcome.NOT_APPLICABLE):
        return ended(found, "circuit trace")
    if found.transcoders is None:
        return f"Without transcoders: {_patched(found)}; {_curve(found)}."
    if not found.members:
        return f"{_none_recurs(found)} {error_beside(found)}"
    return f"{_standing(found)} {error_beside(found)}"


def more(found: Found) -> str:
    """What follows it: prediction beside the probe, provenance, and why the outcome is not conclusive."""
    if found.outcome in (Outcome.FAILED, Outcome.NOT_APPLICABLE):
        return ""
    undecided = [] if found.outcome is Outcome.CONCLUSIVE else [ended(found, "circuit trace")]
    return " ".join((*_predicted(found), *_provenance(found), *undecided))


def scope(found: Found) -> str:
    """On what, with which access, what changed from what to what, at what cost; that the hypothesis does not hold comes first."""
    if found.outcome in (Outcome.FAILED, Outcome.NOT_APPLICABLE):
        return ""
    if found.transcoders is None:
        return f"On matched pairs of harmful and harmless prompts, with access to weights: {_patched(found)}; {_curve(found)}."
    if not found.members:
        return f"{_none_recurs(found)} {_looked_at(found)}"
    effect = found.estimates.get(_CHANGE)
    on = f"On {numbers.count(effect.n)} harmful confirmation prompts, with access to weights" if effect else "With access to weights"
    changed = (
        f"ablating the {_members(found)} changes refusal log-odds by {shown(found, _CHANGE)}"
        if effect
        else "what ablation changes is not known"
    )
    return f"{_verdict(found)} {on}: {changed}{_generated(found)}{_cost(found)}. {error_beside(found)}"


def fallen(found: Found) -> str:
    """Flags the section where there are members and the hypothesis does not hold; empty elsewhere."""
    if found.holds or not found.members:
        return ""
    return "What follows describes the hypothesis that was tested, not how the model refuses."


def another_model(found: Found) -> str:
    """The flag of transcoders that were trained on another model; empty where they were not."""
    if found.transcoders is None or found.transcoders.same_model is not False:
        return ""
    trained = found.transcoders.trained_on or "another model"
    return (
        f"These transcoders were trained on {trained}, not on the model assessed. Every score here was measured on the model assessed; "
        "what they leave to their errors stands beside each picture."
    )


def key_numbers(found: Found) -> tuple[KeyNumber, ...]:
    """How much errors carry, what ablation changes, how well that was predicted; without transcoders, what patching gives."""
    if found.transcoders is None:
        wanted = [
            ("patched_change.harmless.denoised", "change of refusal log-odds by one harmful state in the harmless run, {n} pairs"),
            ("patched_change.harmful.noised", "change by one harmless state in the harmful run, {n} pairs"),
            ("cpr.matched.edge-circuit", f"area under the faithfulness curve of edges, of {curve_range(found)}, {{n}} pairs"),
        ]
    else:
        probe = shown(found, _PROBE)
        beside = f"; a linear probe: {probe}" if _PROBE in found.estimates else ""
        wanted = [
            ("error_share.harmful.graph", "of the influence on the target enters through errors of the transcoders, {n} graphs"),
            (_CHANGE, "change of refusal log-odds with the members ablated, {n} prompts"),
            (_EXPLAINED, f"of the variance of that change predicted by the graphs on {{n}} unseen harmful prompts{beside}{_below(found)}"),
        ]
    return tuple(_key_number(found, name, text) for name, text in wanted)


def transcoder_facts(found: Found) -> tuple[Fact, ...]:
    """The transcoders as they were read."""
    read = found.transcoders
    if read is None:
        return (Fact("Transcoders", "none: what needs no dictionaries was asked"),)
    layers = f"{len(read.layers)} layers ({min(read.layers)} to {max(read.layers)})" if read.layers else "no layer"
    sort = "one cross-layer transcoder" if read.cross_layer else "one transcoder per layer"
    return (
        Fact("Transcoders", f"{sort}, {read.format}, {read.activation}{', with a skip path' if read.has_skip else ''}"),
        Fact("Trained on", _trained(found)),
        Fact("Features", f"{numbers.count(read.n_features)} in {layers} of {found.n_layers}"),
        Fact("Reads", _sites(read.reads), "mono"),
        Fact("Writes", _sites(read.writes), "mono"),
    )


def _sites(names: tuple[str, ...]) -> str:
    return ", ".join(names) if len(names) <= _MOST_SITES else f"{names[0]}, {names[1]}, … {names[-1]}"


def target_facts(found: Found) -> tuple[Fact, ...]:
    """What graphs were traced from, and which prompts were matched."""
    return tuple(_target(found))


def _target(found: Found) -> Iterator[Fact]:
    if found.target is not None:
        yield Fact("Target", f"{found.target.label}: {_KINDS.get(found.target.kind, found.target.kind)}")
        yield Fact("Read at", f"{found.target.site}, {found.target.role}", "mono")
    yield Fact("Refusal begins with", _texts(found.refusal_texts), "mono")
    yield Fact("Other answers begin with", _texts(found.compliance_texts), "mono")
    yield Fact("Tokens from", found.tokens_from)
    yield Fact("Pairs share", f"{found.matched_by}, split and form")
    if found.transcoders is not None:
        traced = found.outcome not in (Outcome.FAILED, Outcome.NOT_APPLICABLE)
        yield Fact(
            "Looked at", f"{numbers.count(found.looked_at)} features; {_candidates(found)}" if traced else "nothing: no graph was traced"
        )


_KINDS = {
    "log-odds": "gradient of the refusal log-odds at each prompt, first-order",
    "token-difference": "mean logit of refusal tokens less that of other tokens",
    "direction": "component along the refusal direction of an upstream step",
}


def _none_recurs(found: Found) -> str:
    than = "than in those of the harmless prompts matched to them, beyond what swapped labels give"
    none = (
        f"recurs more often in graphs of harmful prompts {than}"
        if found.candidates
        else "recurs in enough graphs of harmful prompts to be tested"
    )
    return f"No feature {none}. That none was found does not show that there is none."


def _looked_at(found: Found) -> str:
    return f"Of {numbers.count(found.looked_at)} features, {_candidates(found)}."


def _standing(found: Found) -> str:
    if not found.holds:
        return _why_not(found)
    return (
        f"A hypothesis of how refusal comes about stands so far: {_members(found)} recur{'s' if len(found.members) == 1 else ''} "
        "more often in graphs of harmful prompts than of the harmless prompts matched to them, "
        "and necessity, sufficiency and completeness pass beside random circuits."
    )


def _why_not(found: Found) -> str:
    failed = [test.name for test in found.tests if not test.passes and not test.untested]
    missing = [name for name in TESTS if name not in {test.name for test in found.tests if not test.untested}]
    parts = [
        *([f"the test of {' and of '.join(failed)} does not pass"] if len(failed) == 1 else []),
        *([f"the tests of {_and(failed)} do not pass"] if len(failed) > 1 else []),
        *([f"{_and(missing)} could not be tested"] if missing else []),
    ]
    why = "; ".join(parts) or "the effect is smaller than the declared minimum"
    return f"The hypothesis does not hold: {_members(found)} {'was' if len(found.members) == 1 else 'were'} selected, but {why}."


def _verdict(found: Found) -> str:
    return "A hypothesis that stands so far." if found.holds else _why_not(found)


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _members(found: Found) -> str:
    count = len(found.members)
    return f"{numbers.count(count)} member{'s' if count != 1 else ''}"


def _candidates(found: Found) -> str:
    return (
        f"{numbers.count(found.candidates) if found.candidates else 'none'} recurred often enough, by role, to be tested for a difference"
    )


def _generated(found: Found) -> str:
    judge = decider(found)
    before, after = (found.estimates.get(f"refusal_rate.harmful.{condition}@{judge}") for condition in ("baseline", "ablated"))
    if before is None or after is None:
        return "; what generated answers do was not measured"
    first, then = (numbers.measured(each, "refusal_rate") for each in (before, after))
    return f"; refusals of generated answers go from {first} to {then} ({judge}, {answered(found, after)})"


def _cost(found: Found) -> str:
    cost, broken = found.estimates.get("log_odds_change.harmless.ablated"), found.estimates.get("incoherent_rate.harmful.ablated")
    parts = [
        *([f"refusal log-odds of harmless prompts change by {numbers.measured(cost, 'log_odds_change')}"] if cost else []),
        *([f"{numbers.measured(broken, 'incoherent_rate')} of answers fall apart"] if broken else []),
    ]
    return f"; {', '.join(parts)}" if parts else "; the cost on other prompts was not measured"


def _predicted(found: Found) -> Iterator[str]:
    if _EXPLAINED in found.estimates:
        yield (
            f"On unseen harmful prompts the graphs predict {shown(found, _EXPLAINED)} of the variance of what ablation changes, beside "
            f"{shown(found, _PROBE)} by a linear probe; 0 is the mean change of harmful discovery prompts{_below(found)}."
        )


def _below(found: Found) -> str:
    estimate = found.estimates.get(_EXPLAINED)
    return "; below 0 is worse than their mean" if estimate is not None and estimate.value < 0 else ""


def _provenance(found: Found) -> Iterator[str]:
    if found.transcoders is not None and found.transcoders.same_model is not True:
        named = found.transcoders.trained_on
        open_ = f"The files of the transcoders name {named}; whether that is the model assessed, the names do not tell."
        yield another_model(found) or (open_ if named else "The files of the transcoders do not say on which model they were trained.")


def _trained(found: Found) -> str:
    assert found.transcoders is not None
    named = found.transcoders.trained_on
    match found.transcoders.same_model:
        case True:
            return f"{named}, the model assessed"
        case False:
            return f"{named or 'another model'}: not the model assessed"
        case None:
            return f"{named} (whether that is the model assessed, the names do not tell)" if named else "their files do not say"


def _patched(found: Found) -> str:
    said = (
        ("one harmful state in the harmless run", "patched_change.harmless.denoised"),
        ("one harmless state in the harmful run", "patched_change.harmful.noised"),
    )
    known = [f"{what} changes refusal log-odds by {shown(found, name)}" for what, name in said if name in found.estimates]
    return ", ".join(known) or "no state was patched"


def _curve(found: Found) -> str:
    name = "cpr.matched.edge-circuit"
    if name not in found.estimates:
        return "no edge was scored"
    return f"the area under the faithfulness curve of edges is {shown(found, name)} of {curve_range(found)}"


def _texts(texts: tuple[str, ...]) -> str:
    return ", ".join(repr(text)[1:-1] for text in texts) or "none"


def _key_number(found: Found, name: str, text: str) -> KeyNumber:
    estimate = found.estimates.get(name)
    if estimate is None:
        return KeyNumber(text=text.split(", {n}")[0].replace("{n} ", ""), absent=why_absent(name, found))
    if "{n} pairs" in text and estimate.n < _FEWEST_PAIRS:
        return KeyNumber(
            text=text.split(", {n}")[0], absent=f"measured on {numbers.count(estimate.n)} pairs alone; it stands with the evidence"
        )
    said, measured = text.replace("{n}", numbers.count(estimate.n)), numbers.measured(estimate, name)
    value = f"{measured.value} {measured.unit}".rstrip() if not measured.value.endswith("%") else measured.value
    if numbers.scale_of(estimate.unit, name) is not numbers.Scale.PERCENT or not 0 <= estimate.low <= estimate.high <= 1:
        return KeyNumber(said, value, measured.interval)
    drawing = bar(estimate, edited=name.startswith("explained"), alt=f"{measured} {said}, on a scale from 0 to 100 per cent")
    return KeyNumber(said, value, measured.interval, drawing)
