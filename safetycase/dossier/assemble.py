"""From a judged case and its findings to one frozen object: all that a document may show, nothing left to compute."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count

from safetycase.case.claims import Standing
from safetycase.case.judged import JudgedCase, JudgedStep
from safetycase.dossier import annexes, doctypes, exhibits, numbers
from safetycase.dossier.cover import cover, subject
from safetycase.dossier.doctypes import DossierType
from safetycase.dossier.exhibits.general import sentence
from safetycase.dossier.page import Dossier, Exhibit, Profile, SampleText, StepSection, Summary, Table, WarningText
from safetycase.dossier.verdicts import tally, verdict_groups
from safetycase.evidence.record import Findings, Outcome

_HEAD_LENGTH = 46
_MOST_SENTENCES = 4


def assemble(
    case: JudgedCase,
    findings: Mapping[str, Findings],
    *,
    dossier_type: str,
    version: str,
    profile: Profile,
    samples: Mapping[str, Sequence[SampleText]],
    made: str,
) -> Dossier:
    """The document of one case.

    `findings` and `samples` are by step, findings at the level that pages show; texts of samples enter only the
    restricted profile. `made` is the ISO 8601 time of the newest evidence, empty where there is none.
    Raises RenderError for an unknown type of document.
    """
    kind = doctypes.dossier_type(dossier_type)
    restricted = profile == "restricted"
    numbering = _Numbering()
    steps = tuple(
        _section(number, step, case, findings.get(step.id), samples.get(step.id, ()) if restricted else (), numbering)
        for number, step in enumerate(case.steps, start=1)
    )
    model = subject(case)
    return Dossier(
        type=dossier_type,
        type_title=kind.title,
        version=version,
        made=made,
        profile=profile,
        head=f"{_shortened(case.case.title)} · {kind.title.lower()} {version}",
        head_digest=f"sha256 {numbers.shortened(model.digest)}" if model and model.weights_sha256 else "no weights were read",
        foot=kind.foot,
        mark=" · ".join(
            word for word, holds in (("Demonstration model", case.demo), ("Restricted", restricted)) if holds
        ),
        cover=cover(case, lead=kind.lead, version=version, made=made, restricted=restricted),
        summary=_summary(case, steps, kind),
        steps=steps,
        instrument_check=kind.instrument_check,
        models=numbering.table(annexes.models(case)),
        prompt_sets=numbering.table(annexes.prompt_sets(case)),
        warnings=tuple(WarningText(each.id, each.text) for each in case.warnings),
        attempts=numbering.table(annexes.attempts(case)),
        attempts_note=annexes.attempts_note(case),
        index=annexes.index(case),
        method=kind.method,
        judging=tuple(_judging(case)),
        glossary=tuple((each.term, each.text) for each in kind.glossary),
        tool=f"safetycase {case.tool_version}",
    )


class _Numbering:
    """Figures and tables bear numbers in the order of the pages."""

    def __init__(self) -> None:
        self._figures, self._tables = count(1), count(1)

    def exhibit(self, shown: Exhibit) -> Exhibit:
        figures = {name: replace(figure, number=next(self._figures)) for name, figure in shown.figures.items()}
        return replace(shown, figures=figures, tables={name: self.table(table) for name, table in shown.tables.items()})

    def table(self, table: Table) -> Table:
        return replace(table, number=next(self._tables))


def _section(
    number: int,
    step: JudgedStep,
    case: JudgedCase,
    found: Findings | None,
    samples: Sequence[SampleText],
    numbering: _Numbering,
) -> StepSection:
    shown = exhibits.exhibit(found, samples) if found is not None else Exhibit(sentence=_unanswered(step))
    title = step.kind.replace("_", " ").capitalize()
    alone = sum(each.kind == step.kind for each in case.steps) == 1
    return StepSection(
        number=number,
        anchor=f"evidence-{number}",
        id=step.id,
        kind=step.kind,
        title=title if alone else f"{title}: {step.id}",
        question=step.question_text,
        template=f"evidence/{step.kind}.html.j2",
        outcome=step.outcome.value.replace("_", " ") if step.outcome else "not run",
        reasons=tuple(map(sentence, step.reasons)),
        exhibit=numbering.exhibit(shown),
        limitations=found.limitations if found is not None else (),
        params=annexes.params({**step.params, **(found.read if found is not None else {})}),
        first_of_kind=step is next(each for each in case.steps if each.kind == step.kind),
        imported=f"{step.imported.format}, {step.imported.source}" if step.imported else "",
    )


def _unanswered(step: JudgedStep) -> str:
    what = step.kind.replace("_", " ")
    if step.outcome is Outcome.FAILED:
        return (
            f"The analysis of the {what} failed. {' '.join(map(sentence, step.reasons)) or 'No reason was recorded.'}"
        )
    return f"The analysis of the {what} has not been run."


def _summary(case: JudgedCase, steps: Sequence[StepSection], kind: DossierType) -> Summary:
    anchors = {step.id: f"#{step.anchor}" for step in steps}
    return Summary(
        sentences=tuple(_sentences(steps)),
        tally=tally(case.judgements),
        key_numbers=next((step.exhibit.key_numbers for step in steps if step.exhibit.key_numbers), ()),
        verdicts=verdict_groups(case, anchors),
        verdict_note=_verdict_note(case),
        not_shown=tuple(
            dict.fromkeys([each for step in steps for each in step.exhibit.not_shown] + list(kind.not_shown))
        ),
    )


def _sentences(steps: Sequence[StepSection]) -> Iterator[tuple[str, str]]:
    """One for each step; the title leads where there are several."""
    if not steps:
        yield "The plan declares no steps; nothing was measured.", ""
    for step in steps[:_MOST_SENTENCES]:
        lead = step.exhibit.sentence
        yield lead if len(steps) == 1 else f"{step.title}. {lead}", step.exhibit.more
    if len(steps) > _MOST_SENTENCES:
        yield f"{len(steps) - _MOST_SENTENCES} further steps are described in their sections.", ""


def _verdict_note(case: JudgedCase) -> str:
    if not any(judgement.criteria for judgement in case.judgements):
        return ""
    each = numbers.percent(case.simultaneous_level)
    return (
        "Judged by the bound of an interval, never by its point. "
        f"Intervals of this table hold together, each at {each}; see Method."
    )


def _judging(case: JudgedCase) -> Iterator[str]:
    criteria = sum(len(judgement.criteria) for judgement in case.judgements)
    if criteria:
        yield (
            f"All {criteria} criteria of this plan form one family: each claim is judged by intervals at "
            f"{numbers.percent(case.simultaneous_level)}, so that they hold together; intervals in the sections stand "
            "alone and are narrower. A claim is as strong as its weakest criterion. "
            f"A bound within {case.tolerance:g} of its threshold, relative or absolute, is inconclusive."
        )
    present = {each for judgement in case.judgements for each in judgement.standing}
    if present:
        said = "; ".join(f"{each.value}, {_STANDINGS[each]}" for each in Standing if each in present)
        yield f"Standing of verdicts: {said}."


_STANDINGS = {
    Standing.EXPLORATORY: "the claim was declared or edited after its evidence was seen",
    Standing.IMPORTED: "the observation was made elsewhere and cannot be replayed here",
    Standing.INDICATIVE: "no person has labelled answers of this arm, or agrees too little with the judge",
    Standing.UNCALIBRATED: "how often the instrument is right has not been measured",
    Standing.SUSPECT: "the evidence changed since the claim was reviewed",
    Standing.EXPIRED: "the evidence is older than the case allows",
}


def _shortened(title: str) -> str:
    return title if len(title) <= _HEAD_LENGTH else f"{title[: _HEAD_LENGTH - 1].rstrip()}…"
