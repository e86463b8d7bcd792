"""Text side by side while one feature is clamped far beyond its maximum: the demonstration known from "Golden Gate Claude"."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from safetycase.errors import ModelError
from safetycase.lab.batches import batches_for
from safetycase.lab.dictionaries.dictionary import Dictionary
from safetycase.lab.features.corpus_passes import Passed, chunks, passes
from safetycase.lab.features.corpus_windows import windows
from safetycase.lab.features.edits import FeatureEdit, edited
from safetycase.lab.features.fit import check_fit
from safetycase.lab.forward import tokenised
from safetycase.lab.generation import Intervention, greedy_answers
from safetycase.lab.model import LoadedModel
from safetycase.lab.refusal_answers import text_of
from safetycase.sources.corpora import Corpus

MEASURED_TOKENS = 20_000
_CONTEXT = 64


@dataclass(frozen=True, slots=True)
class SideBySide:
    """What the model says to a prompt, as it is and with the feature clamped."""

    prompt: str
    plain: str
    clamped: str


def side_by_side(
    model: LoadedModel, dictionary: Dictionary, feature: int, value: float, prompts: Sequence[str], max_new_tokens: int
) -> Iterator[SideBySide]:
    """Greedy answers to each prompt without an edit, and with the feature's activation held at `value` at every position.

    Raises ModelError where the dictionary does not fit the model or has no such feature.
    """
    dictionary = _fitting(model, dictionary, feature)
    batches = batches_for(model)
    for prompt, tokens in zip(prompts, tokenised(model, prompts), strict=True):
        (plain,) = greedy_answers(model, batches, [tokens], [Intervention()], max_new_tokens)
        with edited(model, dictionary, [[FeatureEdit("clamp", feature, value)]]):
            (clamped,) = greedy_answers(model, batches, [tokens], [Intervention()], max_new_tokens)
        yield SideBySide(prompt, text_of(model, plain), text_of(model, clamped))


def measured_maximum(model: LoadedModel, dictionary: Dictionary, feature: int, corpus: Corpus) -> float:
    """The feature's largest activation on the first 20,000 tokens of a corpus.

    Raises ModelError where it does not fire there, or the dictionary does not fit.
    """
    dictionary = _fitting(model, dictionary, feature)
    chosen = torch.tensor([feature], device=model.device)

    def peak(passed: Passed) -> float:
        return float(dictionary.encode(passed.at[dictionary.reads], chosen).max())

    largest, batches = 0.0, batches_for(model)
    for group in chunks(windows(model, corpus, context=_CONTEXT, max_tokens=MEASURED_TOKENS)):
        largest = max(largest, *passes(model, batches, group, [dictionary.reads], peak))
    if largest <= 0:
        raise ModelError(f"feature {feature}: it does not fire on {MEASURED_TOKENS} tokens of {corpus.source}; name its maximum")
    return largest


def _fitting(model: LoadedModel, dictionary: Dictionary, feature: int) -> Dictionary:
    check_fit(model, dictionary, "dictionary")
    if feature >= dictionary.n_features:
        raise ModelError(f"feature {feature}: no such feature, expected 0 to {dictionary.n_features - 1}")
    return dictionary.to(model.device, torch.float32)
