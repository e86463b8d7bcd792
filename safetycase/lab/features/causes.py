"""What features do to a contrast's log-odds when they are ablated, clamped and steered, beside features that stand for chance."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from safetycase.evidence.kinds.feature_documentation.params import ABSENT, PRESENT, population
from safetycase.evidence.tables import Row, Table
from safetycase.lab.features.answers import answers
from safetycase.lab.features.edited_passes import EditedPasses, edited_passes
from safetycase.lab.features.null_features import matched_features
from safetycase.lab.features.relevance import discovery_peaks
from safetycase.lab.features.study import AskedContrast, FeatureStudy, Stage
from safetycase.lab.features.treatments import Treatment, Treatments
from safetycase.lab.forward import Reduce, forward_for
from safetycase.lab.observing import Progress
from safetycase.lab.scores import refusal_log_odds
from safetycase.sources.prompts import Prompt

DOSE_PROMPTS = 24
"""Of the split validation, per class: on these the dose of steering is chosen."""
NULLS_PER_SHARD = 8
"""What a kill can lose."""

Role = Literal["tested", "null"]


def causes(
    study: FeatureStudy, contrast: AskedContrast, ranking: Sequence[int], maximum: Float[Tensor, "feature"], residual_norm: float
) -> Stage[str]:
    """Yields `causes`, `completions` and `answers`; returns how null features were matched, or why there are none.

    Tested are the first `causal_features` of the ranking. They and their null features are ablated on present prompts and
    steered at every dose on absent ones, on some prompts of the split validation and those of test; tested ones are
    also clamped on absent test prompts. The contrast has target tokens; without a feature to test nothing is edited, and the unedited
    model answers alone.
    """
    tested = ranking[: min(study.ask.causal_features, study.ask.per_contrast)]
    treatments = Treatments(study.ask.doses, study.ask.clamps, maximum, residual_norm)
    if not tested:
        yield from answers(study, contrast, {})
        return "nothing was edited: no feature was to be tested" if ranking else "nothing was edited: no feature fires on discovery prompts"
    bench = _Bench(study, contrast, treatments)
    for number, feature in enumerate(tested):
        yield Progress(f"causes for {contrast.name}", number, len(tested))
        part = f"{contrast.name}.feature-{feature}"
        yield from study.shards.rows("causes", part, partial(bench.rows, [feature], "tested"))
    norms = study.dictionary.directions().norm(dim=-1).cpu()
    nulls = matched_features(norms, discovery_peaks(study, contrast), tested, study.ask.null_features)
    for part, group in _null_shards(study, contrast, nulls.features).items():
        yield Progress(f"null features for {contrast.name}", int(part.rpartition("-")[2]), len(nulls.features))
        yield from study.shards.rows("causes", part, partial(bench.rows, group, "null"))
    treated = {each: [treatments.ablation(each), *treatments.steering(each), *treatments.clamping(each)] for each in tested}
    yield from answers(study, contrast, treated)
    return nulls.note


def off_target_divergence(
    reference: Float[Tensor, "row other"], logits: Float[Tensor, "row vocab"], others: Bool[Tensor, "vocab"]
) -> Float[Tensor, "row"]:
    """KL divergence in nats from the reference, in float64, among `others`: both distributions renormalised over these tokens.

    `reference` holds log-probabilities that already are.
    """
    log_p = reference.double()
    return (log_p.exp() * (log_p - logits[:, others].double().log_softmax(dim=-1))).sum(dim=-1)


@dataclass(frozen=True)
class _Bench:
    """Prompts of both classes, ready to be run under edits; made when the first shard is computed."""

    study: FeatureStudy
    contrast: AskedContrast
    treatments: Treatments

    def rows(self, features: Sequence[int], role: Role) -> Iterator[Row]:
        """Of the table `causes`."""
        name, treatments = self.contrast.name, self.treatments
        yield from self._present.rows(name, [treatments.ablation(feature) for feature in features], role)
        yield from self._absent.rows(name, [each for feature in features for each in treatments.steering(feature)], role)
        clamped = [each for feature in features for each in treatments.clamping(feature)]
        if role == "tested" and clamped:
            yield from self._confirmation.rows(name, clamped, role)

    @cached_property
    def _present(self) -> "_Side":
        return self._side(PRESENT, (*self.contrast.of(PRESENT, "validation")[:DOSE_PROMPTS], *self.contrast.of(PRESENT, "test")))

    @cached_property
    def _absent(self) -> "_Side":
        return self._side(ABSENT, (*self.contrast.of(ABSENT, "validation")[:DOSE_PROMPTS], *self.contrast.of(ABSENT, "test")))

    @cached_property
    def _confirmation(self) -> "_Side":
        return self._side(ABSENT, self.contrast.of(ABSENT, "test"))

    def _side(self, side: str, prompts: Sequence[Prompt]) -> "_Side":
        tokens = self.contrast.tokens_of(prompts)
        forward = forward_for(self.study.model, self.study.batches, tokens)
        passes = edited_passes(forward, self.study.dictionary, tokens)
        return _Side(population(self.contrast.name, side), tuple(prompts), passes, self.contrast.target)


@dataclass(frozen=True)
class _Side:
    """Some prompts of one class."""

    population: str
    prompts: tuple[Prompt, ...]
    passes: EditedPasses
    target: tuple[int, ...]

    def rows(self, contrast: str, treatments: Sequence[Treatment], role: Role) -> Iterator[Row]:
        found = self.passes.under([[treatment.edit] for treatment in treatments], self._scores)
        for treatment, scores in zip(treatments, found.tolist(), strict=True):
            edit = {"feature": treatment.edit.feature, "role": role, "edit": treatment.edit.kind, "dose": treatment.dose}
            for prompt, (log_odds, kl) in zip(self.prompts, scores, strict=True):
                place = {"contrast": contrast, "population": self.population, "split": prompt.split, "item": prompt.id}
                yield {**place, **edit, "log_odds": log_odds, "kl": kl}

    @cached_property
    def _scores(self) -> Reduce:
        """Log-odds and divergence off target of each row."""
        target = torch.tensor(self.target)

        def kept(logits: Float[Tensor, "row vocab"], prompt: Int[Tensor, "row"]) -> Float[Tensor, "row other"]:
            return logits[:, _others(logits, target)].log_softmax(dim=-1)

        reference = self.passes.plain(kept)

        def scores(logits: Float[Tensor, "row vocab"], prompt: Int[Tensor, "row"]) -> Float[Tensor, "row 2"]:
            divergence = off_target_divergence(reference[prompt.to(reference.device)], logits, _others(logits, target))
            return torch.stack([refusal_log_odds(logits, target), divergence], dim=1)

        return scores


def _null_shards(study: FeatureStudy, contrast: AskedContrast, chosen: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Shard to its null features. Those of an earlier attempt keep theirs, and others are filled up with what is in none of them.

    The peaks that null features are matched by are measured again when a run is resumed: rounding may then choose others.
    """
    sizes = {
        f"{contrast.name}.nulls-{start}": len(chosen[start : start + NULLS_PER_SHARD]) for start in range(0, len(chosen), NULLS_PER_SHARD)
    }
    stored = {part: study.shards.inputs.finished("causes", part) for part in sizes}
    kept = {part: tuple(dict.fromkeys(table["feature"].tolist())) for part, table in stored.items() if isinstance(table, Table)}
    taken = {feature for group in kept.values() for feature in group}
    left = iter([feature for feature in chosen if feature not in taken])
    return {part: kept.get(part) or tuple(islice(left, size)) for part, size in sizes.items()}


def _others(logits: Float[Tensor, "row vocab"], target: Int[Tensor, "token"]) -> Bool[Tensor, "vocab"]:
    """All tokens but the contrast's."""
    others = torch.ones(logits.shape[1], dtype=torch.bool, device=logits.device)
    others[target.to(logits.device)] = False
    return others
