"""What is said of features, by a rule, a local model or an import, and what each label predicts on windows that it was not made from."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol

from safetycase.errors import ModelError, PlanError
from safetycase.evidence.tables import Row
from safetycase.lab.features.label_models import Marked, detected, explained, one_line, text_between
from safetycase.lab.features.label_rules import Example, Rule, best_rule, rule_of
from safetycase.lab.features.logits import effects_of
from safetycase.lab.features.same_model import same_model
from safetycase.lab.features.study import FeatureStudy, Stage
from safetycase.lab.features.token_texts import token_texts
from safetycase.lab.observing import Absent, Note, Progress

WORDS = "labels_restricted"
"""The table of the words of labels that are made of text that the plan does not declare public."""
HELD_OUT = ("held-out", "held-out-zero", "held-out-neighbour")
"""Bins of contexts that labels are scored on; from all others they are made."""
RAISED = 5
"""Tokens that a rule's label says are raised."""
EXPLAINED_TOP = 10
EXPLAINED_BINS = ("decile-9", "decile-7", "decile-5", "decile-3", "decile-1")
"""An explainer is shown the strongest windows and one of each of these, so that it does not describe the extremes alone (SAEBench)."""
FEATURES_PER_SHARD = 16
"""Features that an explainer labels between two stored shards."""


class Contexts(Protocol):
    """What labels need of the collection of contexts (`feature_collection.Collected`)."""

    @property
    def contexts(self) -> Mapping[int, Sequence[Row]]:
        """Feature to rows of the table `contexts`."""
        ...

    @property
    def window_tokens(self) -> Mapping[int, Sequence[int]]:
        """Window to token ids."""
        ...

    @property
    def window_documents(self) -> Mapping[int, str]:
        """Window to the id of its document."""
        ...


def labels(study: FeatureStudy, documented: Sequence[int], collected: Contexts) -> Stage[None]:
    """The tables `labels` and `detection`, and `labels_restricted` where labels are made of text that the plan does not declare public.

    Rules are made of contexts on the explain side and scored as rules. What a model wrote or what was imported is scored where the plan
    names a scorer, one window per prompt. A rule of form none predicts nothing and is not scored.
    """
    withheld = study.corpus.sensitivity != "public"
    rules = yield from _stored(study, "rule", lambda: _rule_rows(study, documented, collected), withheld=withheld)
    by_feature = {row["feature"]: rule_of(row["rule"]) for row in rules}
    said = {feature: rule for feature, rule in by_feature.items() if rule.form != "none"}
    yield from study.shards.rows("detection", "rule", lambda: _rule_detection(study, said, collected))
    if "explainer" in study.others:
        written = yield from _explained(study, documented, collected)
        yield from _scored(study, "explainer", written, collected)
    if study.ask.labels_step is not None:
        imported = yield from _imported(study, study.ask.labels_step, documented)
        withheld |= study.upstream[study.ask.labels_step].has(WORDS)
        yield from _scored(study, "imported", imported, collected)
    if not withheld:
        yield Absent(WORDS, "no label is made of text that the plan does not declare public")


def shuffled(feature: int, labelled: Sequence[int], count: int, seed: int) -> list[int]:
    """Other features whose labels are scored on this one's windows: so many by lot, an order by hash of (seed, feature, other)."""

    def lot(other: int) -> str:
        return hashlib.sha256(f"label {feature} {other}\n{seed}".encode()).hexdigest()

    return sorted((other for other in labelled if other != feature), key=lot)[:count]


def _stored(study: FeatureStudy, part: str, make: Callable[[], Iterable[Row]], *, withheld: bool) -> Stage[tuple[Row, ...]]:
    """The rows of a part; where words are withheld they lie in a table of their own, and the other says who labels what."""
    if not withheld:
        return (yield from study.shards.rows("labels", part, make))
    rows = yield from study.shards.rows(WORDS, part, make)
    yield from study.shards.rows("labels", part, lambda: [{**row, "text": "", "rule": None} for row in rows])
    return rows


def _rule_rows(study: FeatureStudy, documented: Sequence[int], collected: Contexts) -> Iterator[Row]:
    chat = study.model.chat
    special = {*map(int, study.model.tokenizer.all_special_ids), *chat.prefix_ids, *chat.suffix_ids}
    raised = _raised(study, documented)
    for feature in documented:
        rule = best_rule(_examples(feature, collected), special)
        text = "; ".join(part for part in (_words(study, rule), raised.get(feature, "")) if part)
        yield {"feature": feature, "author": "rule", "text": text, "made_by": rule.form, "rule": rule.as_json()}


def _examples(feature: int, collected: Contexts) -> list[Example]:
    """Every window on the explain side once, whatever bins it is in."""
    rows = {row["window"]: row for row in collected.contexts.get(feature, ()) if row["bin"] not in HELD_OUT}
    return [Example(tuple(collected.window_tokens[window]), tuple(row["activations"])) for window, row in rows.items()]


def _words(study: FeatureStudy, rule: Rule) -> str:
    """The rule in plain words."""
    tokens = _listed(study, rule.tokens)
    match rule.form:
        case "token":
            return f"tokens: {tokens}"
        case "previous-token":
            return f"right after: {tokens}"
        case "position" if rule.tokens:
            (offset,) = rule.positions
            return f"{abs(offset)} {'token' if abs(offset) == 1 else 'tokens'} {'after' if offset > 0 else 'before'}: {tokens}"
        case "position":
            (place,) = rule.positions
            return f"token {place + 1} of a window" if place >= 0 else f"token {-place} from the end of a window"
        case "none":
            return "no rule of tokens or places found"


def _raised(study: FeatureStudy, documented: Sequence[int]) -> dict[int, str]:
    """The tokens that each feature raises most, in words; nothing where it has no direct effect on the logits."""
    if not documented:
        return {}
    try:
        effects = effects_of(study, documented, RAISED)
    except ModelError:
        return {}
    return {feature: f"raises: {_listed(study, row)}" for feature, row in zip(documented, effects.top.tolist(), strict=True)}


def _listed(study: FeatureStudy, tokens: Sequence[int]) -> str:
    """Texts of tokens as they are, but for the spaces around a word; tokens that then read alike once."""
    texts = token_texts(study.model.tokenizer, tokens)
    return ", ".join(dict.fromkeys(texts[token].strip(" ") or texts[token] for token in tokens))


def _rule_detection(study: FeatureStudy, rules: Mapping[int, Rule], collected: Contexts) -> Iterator[Row]:
    for feature in rules:
        for label_of in (feature, *shuffled(feature, list(rules), study.ask.label_shuffles, study.seed)):
            for row in _held_out(feature, collected):
                predicted = rules[label_of].predicts(collected.window_tokens[row["window"]])
                yield _detection(feature, "rule", "rule", label_of, row, collected, predicted)


def _held_out(feature: int, collected: Contexts) -> list[Row]:
    return [row for row in collected.contexts.get(feature, ()) if row["bin"] in HELD_OUT]


def _detection(feature: int, author: str, scorer: str, label_of: int, row: Row, collected: Contexts, predicted: bool) -> Row:
    return {
        "feature": feature,
        "author": author,
        "scorer": scorer,
        "label_of": label_of,
        "window": row["window"],
        "document": collected.window_documents[row["window"]],
        "set": row["bin"],
        "predicted": predicted,
        "fires": any(row["activations"]),
    }


def _explained(study: FeatureStudy, documented: Sequence[int], collected: Contexts) -> Stage[dict[int, str]]:
    """Feature to what the explainer wrote, where it wrote anything."""
    texts: dict[int, str] = {}
    for start in range(0, len(documented), FEATURES_PER_SHARD):
        some = documented[start : start + FEATURES_PER_SHARD]
        withheld = study.corpus.sensitivity != "public"
        rows = yield from _stored(study, f"explainer.{start}", partial(_explainer_rows, study, some, collected), withheld=withheld)
        texts |= {row["feature"]: row["text"] for row in rows}
        yield Progress("explainer", start + len(some), len(documented))
    return texts


def _explainer_rows(study: FeatureStudy, documented: Sequence[int], collected: Contexts) -> Iterator[Row]:
    explainer = study.others["explainer"]
    shown = {feature: _shown(feature, collected) for feature in documented}
    fired = [feature for feature, contexts in shown.items() if contexts]
    for feature, text in zip(fired, explained(explainer, study.model, [shown[feature] for feature in fired]), strict=True):
        if text:
            yield {"feature": feature, "author": "explainer", "text": text, "made_by": explainer.source, "rule": None}


def _shown(feature: int, collected: Contexts) -> list[Marked]:
    rows = [row for row in collected.contexts.get(feature, ()) if any(row["activations"])]
    top = sorted((row for row in rows if row["bin"] == "top"), key=lambda row: int(row["rank"]))[:EXPLAINED_TOP]
    weaker = [row for each in EXPLAINED_BINS for row in rows if row["bin"] == each and row["rank"] == 1]
    return [Marked(tuple(collected.window_tokens[row["window"]]), tuple(row["activations"])) for row in (*top, *weaker)]


def _imported(study: FeatureStudy, step: str, documented: Sequence[int]) -> Stage[dict[int, str]]:
    """Feature to the label of an upstream step: the first in words, else the first at all.

    Raises PlanError where that step says that its features are another dictionary's.
    """
    _check_of_this_dictionary(study, step)
    rows = yield from _stored(study, "imported", lambda: _imported_rows(study, step, documented), withheld=study.upstream[step].has(WORDS))
    if not rows:
        yield Note("no_imported_labels", f"{step}: holds no label of a documented feature")
    return {row["feature"]: row["text"] for row in rows}


def _check_of_this_dictionary(study: FeatureStudy, step: str) -> None:
    """Labels are matched by index alone, so that what the step says of its dictionary must not speak against it."""
    tables = study.upstream[step]
    if not tables.has("setup"):
        return
    theirs = next(tables.table("setup").rows())["dictionary"]
    ours = study.dictionary.trained_on or study.model.source
    if same_model(ours, theirs["trained_on"], local=False) is False:
        raise PlanError(f"labels_step: step {step!r} labels features of a dictionary of {theirs['trained_on']}, expected one of {ours}")
    most = study.dictionary.n_features
    if theirs["n_features"] > most:
        raise PlanError(f"labels_step: step {step!r} labels features up to {theirs['n_features'] - 1}, expected at most {most - 1}")


def _imported_rows(study: FeatureStudy, step: str, documented: Sequence[int]) -> Iterator[Row]:
    tables = study.upstream[step]
    found = [row for name in (WORDS, "labels") if tables.has(name) for row in tables.table(name).rows()]
    for feature in documented:
        own = [(row, one_line(row["text"])) for row in found if row["feature"] == feature]
        own = [(row, text) for row, text in own if text and (row["rule"] or {}).get("form") != "none"]
        own.sort(key=lambda pair: pair[0]["author"] == "rule")
        for row, text in own[:1]:
            yield {"feature": feature, "author": "imported", "text": text, "made_by": one_line(f"{step}: {row['made_by']}"), "rule": None}


def _scored(study: FeatureStudy, author: str, texts: Mapping[int, str], collected: Contexts) -> Stage[None]:
    """What the scorer says of every label on its held-out windows, and of other features' labels on the same windows."""
    if "scorer" not in study.others:
        return
    for done, feature in enumerate(texts, start=1):
        yield from study.shards.rows("detection", f"{author}.{feature}", partial(_scorer_rows, study, author, feature, texts, collected))
        yield Progress(f"{author} scored", done, len(texts))


def _scorer_rows(study: FeatureStudy, author: str, feature: int, texts: Mapping[int, str], collected: Contexts) -> Iterator[Row]:
    rows = _held_out(feature, collected)
    windows = [_text(study, collected.window_tokens[row["window"]]) for row in rows]
    for label_of in (feature, *shuffled(feature, list(texts), study.ask.label_shuffles, study.seed)):
        predicted = detected(study.others["scorer"], [texts[label_of]] * len(rows), windows).tolist()
        for row, says in zip(rows, predicted, strict=True):
            yield _detection(feature, author, "scorer", label_of, row, collected, says)


def _text(study: FeatureStudy, tokens: Sequence[int]) -> str:
    return text_between(study.model, tokens, 0, len(tokens))
