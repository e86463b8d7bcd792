"""Standing warnings: stable ids, texts kept as data, printed whether or not anyone likes them."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import yaml

from safetycase import resources
from safetycase.case.declared import Declared
from safetycase.case.judged import JudgedCase, StandingWarning


def standing_warnings(ids: Iterable[str], facts: Mapping[str, str]) -> tuple[StandingWarning, ...]:
    """The warnings of these ids, each once, by id, with facts filled in for the placeholders of their texts."""
    return tuple(StandingWarning(id=each, text=_filled(_texts()[each], facts)) for each in sorted(set(ids)))


def case_facts(case: Declared | JudgedCase) -> dict[str, str]:
    """What the warnings of any document of a case may name."""
    return {
        "independence": case.engagement.independence.replace("-", " "),
        "evaluator": case.engagement.evaluator,
        "role": case.provider.role,
        "redactions": "; ".join(case.engagement.redactions) or "none declared",
        "withheld": "nothing for this reader",
        "fields": "it asks for none",
        "verified": "no day",
        "stale": "",
    }


def _filled(text: str, facts: Mapping[str, str]) -> str:
    for name, value in facts.items():
        text = text.replace("{" + name + "}", value)
    return text


@cache
def _texts() -> dict[str, Any]:
    path = resources.directory("templates") / "warnings.yaml"
    texts: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return texts
