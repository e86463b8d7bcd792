"""The cover: which weights, who says so, how independent they are, and what they could see."""

from collections.abc import Iterator, Sequence

from safetycase.case.claims import Standing
from safetycase.case.declared import Artefact
from safetycase.case.judged import JudgedCase, JudgedModel
from safetycase.case.requirements.covered import RequirementStatus
from safetycase.dossier import numbers
from safetycase.dossier.page import Cover, Fact
from safetycase.dossier.requirements import RECIPIENTS

ROLES = {
    "provider-gpai": "provider of a general-purpose AI model",
    "provider-gpai-open": "provider of a general-purpose AI model under a free and open-source licence",
    "provider-gpai-systemic": "provider of a general-purpose AI model with systemic risk",
    "provider-high-risk": "provider of a high-risk AI system",
    "deployer": "deployer of an AI system",
    "downstream-modifier": "downstream modifier of a model",
    "researcher": "researcher",
    "demo": "demonstration, in no role under any provision",
}
INDEPENDENCE = {
    "none": "none: self-assessment, reviewed by nobody else",
    "internal": "internal: assessed by another part of the same organisation",
    "second-party": "second party: assessed by an organisation with an interest in the model",
    "independent-external": "independent and external, as declared",
}
_SHORT = ("For", "Subject", "Digest", "Provider", "Templates", "Version")
"""What a document of one page says of the case."""
DEMO_FLAG = "Demonstration model: made for this tool, says nothing of any deployed model"
RESTRICTED_FLAG = "Restricted: contains prompts and model outputs, not for publication"


def cover(
    case: JudgedCase,
    asked: Sequence[RequirementStatus],
    *,
    lead: str,
    version: str,
    made: str,
    restricted: bool,
    audience: str | None,
    short: bool = False,
) -> Cover:
    """Role and applicability first, then facts in the order in which an auditor asks for them."""
    flags = ((DEMO_FLAG,) if case.demo else ()) + ((RESTRICTED_FLAG,) if restricted else ())
    return Cover(
        title=case.case.title,
        lead=lead,
        summary="" if short else case.case.summary,
        flags=flags,
        role=f"{case.provider.name}: {ROLES[case.provider.role]}",
        duty=" ".join(_duty(case, asked)),
        facts=tuple(fact for fact in _facts(case, version, made, audience) if not short or fact.term in _SHORT),
    )


def _duty(case: JudgedCase, asked: Sequence[RequirementStatus]) -> Iterator[str]:
    if not asked:
        yield "This document answers no requirement of any instrument."
    else:
        parts = [_counted(len(each), said, each) for said, each in _by_duty(asked) if each]
        yield f"Of {_many(len(asked), 'requirement')} answered here, {'; '.join(parts)}."
    used = {each.pack for each in asked}
    yield from dict.fromkeys(each.role_note for each in case.packs if each.name in used and each.role_note)
    verified = sorted({each.last_verified.isoformat() for each in case.packs if each.name in used})
    if verified:
        stale = [each.name for each in case.packs if each.stale and each.name in used]
        yield f"Texts of law as read on {', '.join(verified)}" + (f"; stale: {', '.join(stale)}." if stale else ".")
    yield "Roles are declared, not checked."


def _by_duty(asked: Sequence[RequirementStatus]) -> Iterator[tuple[str, list[RequirementStatus]]]:
    said = {
        "applies": "bind this role",
        "applies later": "will bind this role",
        "may apply": "may bind it under a condition that stands beside them",
        "commitment": "are commitments of those who signed a code",
        "no duty under the declared role": "bind others and are answered voluntarily",
        "binds nobody": "bind nobody",
    }
    for duty, words in said.items():
        yield words, [each for each in asked if each.duty == duty]


def _counted(n: int, words: str, rows: Sequence[RequirementStatus]) -> str:
    dates = sorted({each.since.isoformat() for each in rows if each.since is not None})
    since = f" (from {', '.join(dates)})" if dates and words.endswith("this role") else ""
    verb, _, rest = words.partition(" ")
    one = {"bind": "binds", "are": "is"}.get(verb, verb)
    return f"{n} {one if n == 1 else verb} {rest}{since}"


def _many(n: int, noun: str) -> str:
    return f"the one {noun}" if n == 1 else f"the {n} {noun}s"


def source(model: JudgedModel) -> str:
    """Where the weights come from and what they are."""
    revision = f" at revision {model.revision}" if model.revision else ""
    size = f", {numbers.count(model.n_parameters)} parameters" if model.n_parameters is not None else ""
    return f"{model.source}{revision} ({model.architecture}{size}, {model.dtype})"


def _facts(case: JudgedCase, version: str, made: str, audience: str | None) -> Iterator[Fact]:
    model, engagement = case.subject, case.engagement
    if audience is not None:
        yield Fact("For", f"{RECIPIENTS[audience]}; facts that people state for others are withheld")
    if model is None:
        yield Fact("Subject", "no model was loaded or imported")
    else:
        yield Fact("Subject", source(model))
        if model.weights_sha256 is None:
            yield Fact("Digest", "none: the weights were never here, the evidence is imported")
        else:
            yield Fact("Digest", f"sha256 {numbers.grouped(model.digest)}", "mono")
            yield Fact("of which weights", f"sha256 {numbers.grouped(model.weights_sha256)}", "mono")
        if model.planted:
            yield Fact("Planted truth", model.planted)
    if case.case.intended_use:
        yield Fact("Intended use", case.case.intended_use)
    contact = f" ({case.provider.contact})" if case.provider.contact else ""
    yield Fact("Provider", f"{case.provider.name}{contact}")
    yield Fact("Commissioned by", engagement.commissioned_by)
    yield Fact("Evaluated by", engagement.evaluator)
    yield Fact("Independence", INDEPENDENCE[engagement.independence])
    yield Fact("Access given", "; ".join(engagement.access_given) or "not declared")
    yield Fact("Access refused", "; ".join(engagement.access_refused) or "none declared")
    if engagement.assertions_relied_on:
        yield Fact("Relied on, not checked", "; ".join(engagement.assertions_relied_on))
    if engagement.expires or engagement.retain_until:
        until = (("expires", engagement.expires), ("to be retained until", engagement.retain_until))
        yield Fact("Validity", "; ".join(f"{word} {day.isoformat()}" for word, day in until if day))
    yield Fact("Deployed artefact", attested(engagement.artefact))
    yield Fact("Plan declared", _declared(case))
    if case.overlay:
        yield Fact("Templates", f"not the tool's own: {len(case.overlay)} of an overlay, listed with their digests in case.json")
    yield Fact(
        "Version", f"{version}, newest evidence of {numbers.moment(made)}" if made else f"{version}, without evidence"
    )


def attested(artefact: Artefact) -> str:
    """Who says that what is deployed is what was measured."""
    if not artefact.attested_by:
        return "nobody attests that the deployed weights are these weights"
    when = f" on {artefact.date.isoformat()}" if artefact.date else ""
    statement = f": {artefact.statement}" if artefact.statement else ""
    return f"{artefact.attested_by} attests{when} that the deployed weights are these weights{statement}"


def _declared(case: JudgedCase) -> str:
    if not case.plan_declared:
        return "never run under this plan"
    exploratory = sum(Standing.EXPLORATORY in judgement.standing for judgement in case.judgements)
    order = (
        f"{exploratory} of {len(case.judgements)} claims rest on evidence seen before they were declared (exploratory)"
    )
    plans = f"; {case.plans_seen} distinct plans were run in this case" if case.plans_seen > 1 else ""
    said = order if exploratory else "claims were declared before their evidence was seen"
    return f"{numbers.moment(case.plan_declared)}; {said}{plans}"
