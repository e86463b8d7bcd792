"""What a model answers while features are edited, and whether the answers show the behaviour of the contrast."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from safetycase.evidence.judges import is_incoherent, judge, judge_names
from safetycase.evidence.kinds.feature_documentation.params import ABSENT, PRESENT, SIDES, Behaviour, population
from safetycase.evidence.tables import Row
from safetycase.lab.features.contrast_targets import shows
from safetycase.lab.features.edits import edited
from safetycase.lab.features.study import AskedContrast, FeatureStudy, Stage
from safetycase.lab.features.treatments import Treatment
from safetycase.lab.generation import Answer, Intervention, greedy_answers
from safetycase.lab.observing import Progress
from safetycase.lab.refusal_answers import text_of
from safetycase.sources.prompts import Prompt

PHRASES = "phrases"
PHRASES_VERSION = 1
"""Of the rule of `phrases_label`."""
NO_FEATURE = -1
DOSE_ANSWERS = 8
"""Answers to prompts of the split validation under every dose of steering, at most: on these the coherence of a dose is judged."""


def answers(study: FeatureStudy, contrast: AskedContrast, treated: Mapping[int, Sequence[Treatment]]) -> Stage[None]:
    """Yields `completions` and `answers`: of the unedited model on both classes, and of every treatment of every feature.

    The first `behaviour_prompts` confirmation prompts of each class are answered; none, and no table, where that is 0. Under
    steering the first absent prompts of the split validation are answered too, so that a dose can be chosen on them.
    """
    if not study.ask.behaviour_prompts:
        return
    for number, feature in enumerate((NO_FEATURE, *treated)):
        yield Progress(f"answers for {contrast.name}", number, 1 + len(treated))
        part = f"{contrast.name}.baseline" if feature == NO_FEATURE else f"{contrast.name}.feature-{feature}"
        compute = partial(_completion_rows, study, contrast, feature, treated.get(feature, ()))
        rows = yield from study.shards.rows("completions", part, compute)
        yield from study.shards.rows("answers", part, partial(_answer_rows, contrast.declared.behaviour, rows))


def phrases_label(behaviour: Behaviour, text: str) -> str:
    """The label of the judge `phrases`: incoherent, shown or not-shown."""
    if is_incoherent(text):
        return "incoherent"
    return "shown" if shows(behaviour, text) else "not-shown"


def _completion_rows(study: FeatureStudy, contrast: AskedContrast, feature: int, treatments: Sequence[Treatment]) -> Iterator[Row]:
    place = {"contrast": contrast.name, "feature": feature}
    if feature == NO_FEATURE:
        for side in SIDES:
            prompts = _asked(study, contrast, side)
            yield from _rows(study, contrast, side, prompts, {**place, "edit": "none", "dose": 0.0}, _said(study, contrast, prompts))
    for treatment in treatments:
        prompts = _asked(study, contrast, treatment.side)
        if treatment.edit.kind == "steer":
            prompts = (*prompts, *contrast.of(ABSENT, "validation")[: min(DOSE_ANSWERS, study.ask.behaviour_prompts)])
        with edited(study.model, study.dictionary, [[treatment.edit]]):
            said = _said(study, contrast, prompts)
        edit = {**place, "edit": treatment.edit.kind, "dose": treatment.dose}
        yield from _rows(study, contrast, treatment.side, prompts, edit, said)


def _asked(study: FeatureStudy, contrast: AskedContrast, side: str) -> Sequence[Prompt]:
    present, absent = contrast.confirmation()
    return (present if side == PRESENT else absent)[: study.ask.behaviour_prompts]


def _said(study: FeatureStudy, contrast: AskedContrast, prompts: Sequence[Prompt]) -> list[Answer]:
    tokens = contrast.tokens_of(prompts)
    return greedy_answers(study.model, study.batches, tokens, [Intervention()] * len(tokens), study.ask.max_new_tokens)


def _rows(
    study: FeatureStudy, contrast: AskedContrast, side: str, prompts: Sequence[Prompt], place: Row, said: Sequence[Answer]
) -> Iterator[Row]:
    for prompt, answer in zip(prompts, said, strict=True):
        text = text_of(study.model, answer)
        whose = {**place, "population": population(contrast.name, side), "item": prompt.id}
        yield {**whose, "text": text, "finished": answer.finished}


def _answer_rows(behaviour: Behaviour, completions: Sequence[Row]) -> Iterator[Row]:
    """The labels of every text judge, or those of declared phrases."""
    for row in completions:
        place = {name: row[name] for name in ("contrast", "feature", "edit", "dose", "population", "item")}
        if behaviour.phrases:
            yield {**place, "judge": PHRASES, "version": PHRASES_VERSION, "label": phrases_label(behaviour, row["text"])}
            continue
        for name in judge_names():
            judging = judge(name)
            yield {**place, "judge": name, "version": judging.version, "label": str(judging.label(row["text"]))}
