"""Standing warnings: stable ids, texts kept as data, printed whether or not anyone likes them."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import yaml

from safetycase import resources
from safetycase.case.declared import Declared
from safetycase.case.judged import StandingWarning


def standing_warnings(ids: Iterable[str], declared: Declared) -> tuple[StandingWarning, ...]:
    """The warnings of these ids, each once, by id, with the facts of the case filled in."""
    facts = {
        "independence": declared.engagement.independence.replace("-", " "),
        "evaluator": declared.engagement.evaluator,
        "role": declared.provider.role,
    }
    return tuple(StandingWarning(id=each, text=_filled(_texts()[each], facts)) for each in sorted(set(ids)))


def _filled(text: str, facts: dict[str, str]) -> str:
    for name, value in facts.items():
        text = text.replace("{" + name + "}", value)
    return text


@cache
def _texts() -> dict[str, Any]:
    path = resources.directory("templates") / "warnings.yaml"
    texts: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return texts
