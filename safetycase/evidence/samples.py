"""Texts that findings name: of random samples by item, for restricted renderings alone, and of windows of a corpus by number."""

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
