"""Texts that findings name: of samples, prompts and withheld labels, for restricted renderings alone, and of windows of a corpus."""

from collections.abc import Iterator, Mapping
from typing import Any

from safetycase.evidence.record import Findings
from safetycase.evidence.tables import Tables


def sample_texts(found: Findings, tables: Tables) -> Iterator[dict[str, Any]]:
    """Prompt and answer of every sample of the findings whose texts this copy of the case holds."""
    samples = getattr(found, "samples", ())
    if not samples or not (tables.has("prompts") and tables.has("completions")):
        return
    prompts = {row["item"]: row["text"] for row in tables.table("prompts").rows()}
    answers = {(row["arm"], row["item"]): row["text"] for row in tables.table("completions").rows()}
    for sample in samples:
        if (sample.arm, sample.item) in answers:
            yield {**sample.model_dump(), "prompt": prompts[sample.item], "answer": answers[sample.arm, sample.item]}


def window_texts(found: Findings, tables: Tables, table: str) -> Mapping[int, tuple[str, ...]]:
    """Number of a window to the texts of its tokens, for every window that a card of the findings names."""
    cards = getattr(found, "cards", ())
    wanted = {each.window for card in cards for each in card.contexts} | {
        window for card in cards for label in card.labels for window in label.misses
    }
    if not wanted or not tables.has(table):
        return {}
    return {row["window"]: tuple(row["tokens"]) for row in tables.table(table).where(window=wanted).rows()}


def label_texts(found: Findings, tables: Tables) -> Mapping[tuple[int, str], str]:
    """(feature, author) to the words of every label whose words the findings withhold, as far as this copy of the case holds them."""
    cards = getattr(found, "cards", ())
    wanted = {(card.feature, label.author) for card in cards for label in card.labels if not label.text}
    if not wanted or not tables.has("labels_restricted"):
        return {}
    rows = tables.table("labels_restricted").rows()
    return {(row["feature"], row["author"]): row["text"] for row in rows if (row["feature"], row["author"]) in wanted}


def token_texts(found: Findings, tables: Tables) -> Mapping[str, tuple[str, ...]]:
    """Item id to the texts of its tokens, for every prompt whose graph the findings show, as far as this copy of the case holds them."""
    wanted = {each.item for each in getattr(found, "examples", ())}
    if not wanted or not tables.has("example_tokens"):
        return {}
    rows = tables.table("example_tokens").rows()
    return {row["item"]: tuple(row["tokens"]) for row in rows if row["item"] in wanted}


def with_labels(found: Findings, texts: Mapping[tuple[int, str], str]) -> Findings:
    """The findings with these words in place of withheld ones."""
    if not texts:
        return found
    cards = []
    for card in getattr(found, "cards", ()):
        told = [
            label if label.text else label.model_copy(update={"text": texts.get((card.feature, label.author), "")}) for label in card.labels
        ]
        cards.append(card.model_copy(update={"labels": tuple(told)}))
    return found.model_copy(update={"cards": tuple(cards)})
