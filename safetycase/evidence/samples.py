"""Texts of the random samples that findings name by item: for restricted renderings alone."""

from collections.abc import Iterator
from typing import Any

from safetycase.evidence.record import Findings
from safetycase.evidence.tables import Tables


def sample_texts(found: Findings, tables: Tables) -> Iterator[dict[str, Any]]:
    """Prompt and answer of every sample of the findings whose texts this copy of the case holds."""
    samples = getattr(found, "samples", ())
    if not (tables.has("prompts") and tables.has("completions")):
        return
    prompts = {row["item"]: row["text"] for row in tables.table("prompts").rows()}
    answers = {(row["arm"], row["item"]): row["text"] for row in tables.table("completions").rows()}
    for sample in samples:
        if (sample.arm, sample.item) in answers:
            yield {**sample.model_dump(), "prompt": prompts[sample.item], "answer": answers[sample.arm, sample.item]}
