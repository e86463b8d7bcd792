"""Verdicts as rows: by shape, then word, then colour; what counts against the model comes first."""

from collections import Counter
from collections.abc import Mapping, Sequence

from safetycase.case.claims import CriterionJudgement, Judgement, Standing, Verdict
from safetycase.case.judged import JudgedCase, JudgedStep
from safetycase.dossier import exhibits, numbers
from safetycase.dossier.page import Measurement, VerdictGroup, VerdictRow

SHAPES = {Verdict.SUPPORTED: "●", Verdict.REFUTED: "▲", Verdict.INCONCLUSIVE: "○", Verdict.NO_EVIDENCE: "○"}
AGAINST = "Against the model"
_UNSUPPORTED = "For the model, not supported"
_FOR = "For the model, supported"
_ADVERSE = "Adverse, not supported"
_DESCRIPTIVE = "Descriptive"
_GROUPS = (AGAINST, _UNSUPPORTED, _FOR, _ADVERSE, _DESCRIPTIVE)


def verdict_groups(case: JudgedCase, anchors: Mapping[str, str]) -> tuple[VerdictGroup, ...]:
    """What counts against the model, what fails to count for it, and the rest; groups without claims are left out.

    `anchors` leads from a step to its section of the document.
    """
    steps = {step.id: step for step in case.steps}
    groups: dict[str, list[VerdictRow]] = {title: [] for title in _GROUPS}
    for judgement in sorted(case.judgements, key=lambda each: not each.adverse_finding):
        groups[_group(judgement)].append(_row(judgement, steps, anchors))
    return tuple(VerdictGroup(title, title == AGAINST, tuple(rows)) for title, rows in groups.items() if rows)


def tally(judgements: Sequence[Judgement]) -> str:
    """How many claims got which verdict, in one sentence."""
    if not judgements:
        return "The plan declares no claims; nothing is judged."
    counts = Counter(each.verdict for each in judgements)
    parts = [f"{counts[verdict]} {_predicate(verdict, counts[verdict])}" for verdict in Verdict if counts[verdict]]
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    aged = sum(bool({Standing.SUSPECT, Standing.EXPIRED} & {*each.standing}) for each in judgements)
    verb = "is" if aged == 1 else "are"
    renewed = f" {aged} of these verdicts {verb} suspect or expired and support nothing until renewed." if aged else ""
    what = "claim that the plan declares" if len(judgements) == 1 else "claims that the plan declares"
    return f"Of {len(judgements)} {what}, {listed}.{renewed}"


def short_id(step: JudgedStep) -> str:
    """The step and the start of its question's digest; empty for a step without a question."""
    return f"{step.id}-{step.question[:6]}" if step.question else ""


def _group(judgement: Judgement) -> str:
    if judgement.against_the_model:
        return AGAINST
    match judgement.claim.bears:
        case "favourable":
            return _UNSUPPORTED if judgement.unsupported else _FOR
        case "adverse":
            return _ADVERSE
        case "descriptive":
            return _DESCRIPTIVE


def _predicate(verdict: Verdict, n: int) -> str:
    match verdict:
        case Verdict.SUPPORTED | Verdict.REFUTED | Verdict.INCONCLUSIVE:
            return f"{'is' if n == 1 else 'are'} {verdict.value}"
        case Verdict.NO_EVIDENCE:
            return f"{'has' if n == 1 else 'have'} no evidence"


def _row(judgement: Judgement, steps: Mapping[str, JudgedStep], anchors: Mapping[str, str]) -> VerdictRow:
    return VerdictRow(
        id=judgement.id,
        text=judgement.claim.text,
        verdict=judgement.verdict.value,
        shape=SHAPES[judgement.verdict],
        standing=tuple(each.value for each in judgement.standing),
        measurements=tuple(_measurement(each, steps.get(each.criterion.step), anchors) for each in judgement.criteria),
    )


def _measurement(judged: CriterionJudgement, step: JudgedStep | None, anchors: Mapping[str, str]) -> Measurement:
    criterion, estimate = judged.criterion, judged.estimate
    side, value = ("at least", criterion.at_least) if criterion.at_least is not None else ("at most", criterion.at_most)
    assert value is not None, criterion
    kind = step.kind if step else ""
    unit = estimate.unit if estimate else exhibits.unit(kind, criterion.estimate)
    called = exhibits.words(kind, criterion.estimate)
    return Measurement(
        threshold=f"{called}: {side} {numbers.bound(value, unit, criterion.estimate)}",
        measured=str(numbers.measured(estimate, criterion.estimate)) if estimate else "no estimate",
        reason=judged.reason,
        evidence=short_id(step) if step else "",
        href=anchors.get(criterion.step, ""),
    )
