"""Generated answers on the test split under every arm, what the text judges say of them, and what the edits cost."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from jaxtyping import Float
from torch import Tensor

from safetycase.evidence.judges import judge, judge_names
from safetycase.evidence.tables import Row
from safetycase.lab import model_judge
from safetycase.lab.chat import strip_thinking
from safetycase.lab.collateral import collateral
from safetycase.lab.forward import Tokens, tokenised
from safetycase.lab.generation import Answer, Intervention, rows_per_pass
from safetycase.lab.hooks import addition, edit_inputs, edit_outputs, subspace_ablation
from safetycase.lab.model import LoadedModel
from safetycase.lab.model_judge import Judge, label_answers
from safetycase.lab.observing import Event, Progress
from safetycase.lab.refusal_effects import random_directions
from safetycase.lab.refusal_study import Direction, Study

# Prompts per shard: what a kill can lose.
PROMPTS_PER_SHARD = 64


@dataclass(frozen=True)
class _Part:
    """The answers of one shard: some test prompts of one population under one arm."""

    arm: str
    population: str
    start: int
    items: tuple[str, ...]
    prompts: tuple[Tokens, ...]
    intervention: Intervention

    @property
    def name(self) -> str:
        return f"{self.arm}.{self.population}.{self.start}"


def answers(study: Study, selected: Direction | None, successive: Float[Tensor, "k d_model"]) -> Iterator[Event]:
    """The tables `completions` and `labels`: greedy answers of every arm; without a direction, the baseline alone.

    In the arm `prefill` the model's turn begins with the declared words; its text, and what is judged, is what the
    model says after them.
    """
    parts = [part for arm in _arms(study, selected, successive) for part in arm]
    done = 0
    for group in _groups(study, parts):
        yield Progress("answers", done, len(parts))
        found = {} if all(study.shards.finished("completions", part.name) for part in group) else _answers(study, group)
        for part in group:
            rows = yield from study.shards.rows("completions", part.name, partial(_completion_rows, study, part, found))
            yield from study.shards.rows("labels", part.name, partial(_label_rows, rows))
            if study.judge is not None:
                yield from study.shards.rows("labels", f"{part.name}.model", partial(_model_label_rows, study, part, rows, study.judge))
        done += len(group)


def costs(study: Study, selected: Direction, successive: Float[Tensor, "k d_model"]) -> Iterator[Event]:
    """The table `collateral`: what each edit costs on harmless test prompts and the unedited model's own answers."""
    for arm, edit in _edits(study.model, selected, successive).items():
        yield Progress("collateral", 0, 1)

        def compute(arm: str = arm, edit: AbstractContextManager[Any] = edit) -> Iterator[Row]:
            said = [answer.tokens for answer in study.own_answers]
            prompts = study.tokens_of("harmless", "test")
            found = collateral(study.forward, prompts, said, study.test.harmless_logits, edit)
            for item, (kl, loss), tokens in zip(study.items("harmless", "test"), found.tolist(), said, strict=True):
                yield {"arm": arm, "item": item, "kl": kl, "cross_entropy": loss, "tokens": len(tokens)}

        yield from study.shards.rows("collateral", arm, compute)


def text_of(model: LoadedModel, answer: Answer) -> str:
    """The answer as text, after any thinking block, without the token that ends it."""
    tokens = answer.tokens[:-1] if answer.finished else answer.tokens
    text = model.tokenizer.decode(tokens.tolist(), skip_special_tokens=True)
    assert isinstance(text, str), type(text)
    return strip_thinking(text)


def _arms(
    study: Study, selected: Direction | None, successive: Float[Tensor, "k d_model"]
) -> Iterator[list[_Part]]:
    populations = [population for population, split in study.prompts if split == "test"]
    for population in populations:
        yield _parts(study, "baseline", population, Intervention())
    if selected is None:
        return
    edits = {
        "ablated": Intervention(ablated=selected.basis),
        "added": Intervention(added=selected.vector, layer=selected.layer),
    }
    for arm, intervention in edits.items():
        for population in populations:
            yield _parts(study, arm, population, intervention)
    if study.ask.prefill:
        yield _parts(study, "prefill", "harmful", Intervention(), prefill=study.ask.prefill)
    for k in range(2, len(successive) + 1):
        yield _parts(study, f"ablated-{k}", "harmful", Intervention(ablated=successive[:k]))
    if study.ask.generated_nulls:
        directions = random_directions(study, selected, range(study.ask.generated_nulls))
        for number, direction in enumerate(directions / selected.norm):
            yield _parts(study, f"random-{number}", "harmful", Intervention(ablated=direction.unsqueeze(0)))


def _parts(study: Study, arm: str, population: str, intervention: Intervention, prefill: str = "") -> list[_Part]:
    items = study.items(population, "test")
    prompts = study.tokens_of(population, "test")
    if prefill:
        prompts = tokenised(study.model, [prompt.text for prompt in study.prompts[population, "test"]], prefill)
    return [
        _Part(arm, population, start, tuple(items[start:stop]), tuple(prompts[start:stop]), intervention)
        for start in range(0, len(items), PROMPTS_PER_SHARD)
        for stop in [start + PROMPTS_PER_SHARD]
    ]


def _groups(study: Study, parts: Sequence[_Part]) -> Iterator[list[_Part]]:
    """Parts that are answered in one pass: as many as fill a batch, so that small models do not crawl."""
    prompts = [prompt for part in parts for prompt in part.prompts]
    room = rows_per_pass(study.forward.batches, prompts, study.ask.max_new_tokens)
    group: list[_Part] = []
    for part in parts:
        if group and sum(len(each.items) for each in (*group, part)) > room:
            yield group
            group = []
        group.append(part)
    yield group


def _answers(study: Study, group: Sequence[_Part]) -> Mapping[str, list[Answer]]:
    """Answers by name of part."""
    prompts = [prompt for part in group for prompt in part.prompts]
    found = study.answers(prompts, [part.intervention for part in group for _ in part.items])
    by_part: dict[str, list[Answer]] = {}
    for part in group:
        by_part[part.name], found = found[: len(part.items)], found[len(part.items) :]
    return by_part


def _completion_rows(study: Study, part: _Part, found: Mapping[str, list[Answer]]) -> Iterator[Row]:
    for item, answer in zip(part.items, found[part.name], strict=True):
        yield {
            "arm": part.arm,
            "population": part.population,
            "item": item,
            "text": text_of(study.model, answer),
            "finished": answer.finished,
        }


def _label_rows(completions: Sequence[Row]) -> Iterator[Row]:
    for name in judge_names():
        judging = judge(name)
        for row in completions:
            yield {
                "arm": row["arm"],
                "population": row["population"],
                "item": row["item"],
                "judge": name,
                "version": judging.version,
                "label": str(judging.label(row["text"])),
            }


def _model_label_rows(study: Study, part: _Part, completions: Sequence[Row], judging: Judge) -> Iterator[Row]:
    """The label of the model in the role of judge, for each answer of a part."""
    texts = {prompt.id: prompt.text for prompt in study.prompts[part.population, "test"]}
    said = label_answers(judging, [texts[row["item"]] for row in completions], [row["text"] for row in completions])
    for row, label in zip(completions, said, strict=True):
        place = {name: row[name] for name in ("arm", "population", "item")}
        yield {**place, "judge": model_judge.NAME, "version": model_judge.VERSION, "label": label}


def _edits(
    model: LoadedModel, selected: Direction, successive: Float[Tensor, "k d_model"]
) -> dict[str, AbstractContextManager[Any]]:
    def ablating(basis: Tensor) -> AbstractContextManager[Any]:
        edit = subspace_ablation(basis.float().to(model.device))
        return edit_outputs(dict.fromkeys(model.sites.writers, edit))

    block = model.sites.blocks[selected.layer].module
    vector = selected.vector.float().to(model.device)
    return {
        "baseline": nullcontext(),
        "ablated": ablating(selected.basis),
        "added": edit_inputs({block: addition(vector)}),
        **{f"ablated-{k}": ablating(successive[:k]) for k in range(2, len(successive) + 1)},
    }
