"""What each contrast of a plan asks a model: its prompts by class and split, and the tokens that its log-odds are about."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from safetycase.errors import ModelError, PlanError, SourceError
from safetycase.evidence.kinds.feature_documentation.params import SIDES, Ask, Behaviour, Contrast, population
from safetycase.evidence.tables import Row, Tables
from safetycase.lab.batches import Batches
from safetycase.lab.features.study import AskedContrast, Stage
from safetycase.lab.forward import Tokens, tokenised
from safetycase.lab.generation import Intervention, greedy_answers
from safetycase.lab.model import LoadedModel
from safetycase.lab.observing import Progress
from safetycase.lab.prompt_samples import FEWEST, Sample, take
from safetycase.lab.refusal_answers import text_of
from safetycase.lab.refusal_tokens import declared_tokens, discovered_tokens, first_token_rows, is_refusal
from safetycase.lab.shards import Shards
from safetycase.sources.prompts import PromptSet, Split

Samples = dict[tuple[str, Split], Sample]
"""By population and split."""


def asked_contrasts(model: LoadedModel, shards: Shards, ask: Ask, seed: int, batches: Batches) -> Stage[dict[str, AskedContrast]]:
    """Every contrast with its prompts, token ids and target tokens; yields the tables `items` and `prompts`.

    Prompt sets and upstream steps are those of `shards.inputs`. Raises SourceError where a split of a class holds fewer
    than two prompts, ModelError where a declared token is none, PlanError where an upstream step knows no tokens.
    """
    found: dict[str, AskedContrast] = {}
    for name, declared in ask.contrasts.items():
        yield Progress("contrasts", len(found), len(ask.contrasts))
        samples = contrast_samples(name, declared, shards.inputs.prompts, ask, seed)
        taken = [prompt for sample in samples.values() for prompt in sample.taken]
        ids = tokenised(model, [prompt.text for prompt in taken])
        tokens = dict(zip([prompt.id for prompt in taken], ids, strict=True))
        asked = AskedContrast(name, declared, {key: sample.taken for key, sample in samples.items()}, tokens)
        target = _target(model, shards.inputs.upstream, asked, ask, batches)
        found[name] = replace(asked, target=target.tokens, target_from=target.source, stopped=target.stopped)
        yield from shards.rows("items", name, partial(_item_rows, samples, tokens))
    yield from shards.rows("prompts", "all", partial(_prompt_rows, found))
    return found


def contrast_samples(name: str, declared: Contrast, sets: Mapping[str, PromptSet], ask: Ask, seed: int) -> Samples:
    """Up to `n_discovery` prompts of each class from train and validation, and `n_confirmation` from test.

    Discovery takes of each split its own share, so that both are there. Variants are only read, never selected on: all
    splits of their set stand for the test split where that alone has too few.

    Raises SourceError where a split of a class holds fewer than two prompts.
    """
    samples: Samples = {}
    for side in SIDES:
        prompts = sets[population(name, side)]
        for split, count in _wanted(prompts, ask).items():
            samples[population(name, side), split] = take(prompts.split(split), count, seed)
    for variant in declared.variants:
        prompts = sets[population(name, variant)]
        test = prompts.split("test")
        pool = test if len(test) >= ask.n_confirmation else prompts.prompts
        samples[population(name, variant), "test"] = take(pool, ask.n_confirmation, seed)
    return samples


def shows(behaviour: Behaviour, text: str) -> bool:
    """Whether an answer shows the behaviour: any of its phrases, in any case; a refusal where it declares none."""
    if not behaviour.phrases:
        return is_refusal(text)
    lower = text.lower()
    return any(phrase.lower() in lower for phrase in behaviour.phrases)


@dataclass(frozen=True)
class _Target:
    """Tokens of the log-odds, where they come from, or why there are none."""

    tokens: tuple[int, ...]
    source: str
    stopped: str = ""


def _wanted(prompts: PromptSet, ask: Ask) -> dict[Split, int]:
    """How many prompts of each split: discovery is divided by the sizes of train and validation, at least two of each."""
    sizes: dict[Split, int] = {split: len(prompts.split(split)) for split in ("train", "validation", "test")}
    for split, size in sizes.items():
        if size < FEWEST:
            raise SourceError(
                f"prompt set {prompts.id!r} ({prompts.source}): split {split} holds {size} prompts, expected at least {FEWEST}"
            )
    train, validation = sizes["train"], sizes["validation"]
    share = round(ask.n_discovery * validation / (train + validation))
    n_validation = min(validation, ask.n_discovery - FEWEST, max(FEWEST, share))
    n_train = min(train, ask.n_discovery - n_validation)
    return {"train": n_train, "validation": min(validation, ask.n_discovery - n_train), "test": ask.n_confirmation}


def _target(model: LoadedModel, upstream: Mapping[str, Tables], asked: AskedContrast, ask: Ask, batches: Batches) -> _Target:
    """Declared tokens, else those of the upstream step, else those that begin answers which show the behaviour."""
    declared = asked.declared
    if declared.tokens != "discover":
        return _Target(_checked(model, declared.tokens, f"contrasts.{asked.name}.tokens"), "declared")
    if declared.direction is not None:
        return _of_step(model, upstream, asked.name, declared.direction)
    return _discovered(model, asked, ask, batches)


def _checked(model: LoadedModel, tokens: Sequence[int | str], where: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(declared_tokens(model, tokens)))
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from error


def _of_step(model: LoadedModel, upstream: Mapping[str, Tables], name: str, step: str) -> _Target:
    """The refusal tokens of a step of kind refusal_direction."""
    where = f"contrasts.{name}.direction"
    tables = upstream.get(step)
    if tables is None or not tables.has("setup") or "refusal_tokens" not in tables.table("setup").columns:
        raise PlanError(f"{where}: step {step!r} knows no refusal tokens, expected a step of kind refusal_direction")
    row = next(tables.table("setup").rows())
    if not row["refusal_tokens"]:
        return _Target((), "none", f"step {step} found no refusal tokens: {row['stopped'] or 'it does not say why'}")
    return _Target(_checked(model, row["refusal_tokens"], where), step)


def _discovered(model: LoadedModel, asked: AskedContrast, ask: Ask, batches: Batches) -> _Target:
    """First tokens of the answers to training prompts, by the rule of `refusal_tokens.discovered_tokens`."""
    prompts: list[Tokens] = [tokens for side in SIDES for tokens in asked.tokens_of(asked.of(side, "train"))]
    said = greedy_answers(model, batches, prompts, [Intervention()] * len(prompts), ask.max_new_tokens)
    shown = [shows(asked.declared.behaviour, text_of(model, answer)) for answer in said]
    rows = list(first_token_rows(model, [int(answer.tokens[0]) for answer in said], shown))
    found = tuple(discovered_tokens(rows))
    if found:
        return _Target(found, "discovered")
    behaviour, of = asked.declared.behaviour.name, f"of {len(prompts)} answers to training prompts"
    if not any(shown):
        return _Target((), "none", f"{of}, none shows {behaviour}")
    return _Target((), "none", f"{of}, {sum(shown)} show {behaviour}, but no first token tells them from the others")


def _item_rows(samples: Samples, tokens: Mapping[str, Tokens]) -> Iterator[Row]:
    for (name, split), sample in samples.items():
        beyond = f"beyond the first {len(sample.taken)} of its split"
        taken = {prompt.id for prompt in sample.taken}
        for prompt in (*sample.taken, *sample.left):
            used = prompt.id in taken
            yield {
                "item": prompt.id,
                "population": name,
                "split": split,
                "category": prompt.category,
                "family": prompt.family,
                "length": len(tokens[prompt.id]) if used else 0,
                "used": used,
                "why_unused": "" if used else beyond,
            }


def _prompt_rows(contrasts: Mapping[str, AskedContrast]) -> Iterator[Row]:
    """Every used prompt once, though several contrasts may share it."""
    asked = {p.id: p.text for contrast in contrasts.values() for prompts in contrast.prompts.values() for p in prompts}
    yield from ({"item": item, "text": text} for item, text in asked.items())
