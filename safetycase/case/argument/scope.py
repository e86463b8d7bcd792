"""What an argument is about, read from a judged case, and the placeholders through which a pattern names it."""

import re
from collections.abc import Mapping

from safetycase.case.argument.written import Written
from safetycase.case.claims import Criterion
from safetycase.case.goals import Scope
from safetycase.case.judged import JudgedCase, JudgedModel

PLACEHOLDER = re.compile(r"\{([A-Za-z_]+)\}")
PLACEHOLDERS = (
    "title",
    "provider",
    "evaluator",
    "independence",
    "model",
    "digest",
    "dtype",
    "template",
    "intended_use",
    "prompts",
    "access",
    "tools",
    "users",
    "release",
    "risk",
    "threshold",
    "months",
)
"""What a text of a pattern may ask the case for."""
NOT_DECLARED = "not declared"
_SHORT = 12
"""Hex digits of a digest that a text shows; findings and index carry it whole."""
_LISTED = 4


def scope_of(written: Written, case: JudgedCase, declared: Mapping[str, str]) -> Scope:
    """Each part from where it is known: the case, then what is declared besides it, then the pattern; empty where nobody says."""
    model = case.subject
    known = {
        "system": _called(model) if model else "",
        "version": _version(model),
        "context": case.case.intended_use,
        "threshold": _thresholds(case),
        "access": ", ".join(case.engagement.access_given),
    }
    texts = {part: getattr(written.scope, part) for part in Scope.model_fields}
    return Scope(**{part: known.get(part, "") or declared.get(part, "") or text for part, text in texts.items()})


def values(case: JudgedCase, scope: Scope, months: int | None) -> dict[str, str]:
    """Placeholder to text; what nobody declared says so."""
    model = case.subject
    found = {
        "title": case.case.title,
        "provider": case.provider.name,
        "evaluator": case.engagement.evaluator,
        "independence": case.engagement.independence.replace("-", " "),
        "model": scope.system,
        "digest": scope.version,
        "dtype": model.dtype if model else "",
        "template": model.template if model else "",
        "intended_use": scope.context,
        "prompts": ", ".join(each.id for each in case.prompt_sets),
        "months": str(months) if months else "",
        **{part: getattr(scope, part) for part in ("access", "tools", "users", "release", "risk", "threshold")},
    }
    assert tuple(sorted(found)) == tuple(sorted(PLACEHOLDERS)), sorted(found)
    return {name: " ".join(text.split()).rstrip(".") or NOT_DECLARED for name, text in found.items()}


def filled(text: str, known: Mapping[str, str]) -> str:
    """The text with its placeholders replaced, once: what a value holds is never read again."""
    return PLACEHOLDER.sub(lambda match: known[match.group(1)], text)


def bound(criterion: Criterion) -> str:
    """A criterion in words: `refusal_rate.harmful.baseline@substring at least 0.9`."""
    side, value = ("at least", criterion.at_least) if criterion.at_least is not None else ("at most", criterion.at_most)
    return f"{criterion.estimate} {side} {value:g}"


def _called(model: JudgedModel) -> str:
    """A model by its own name: that of the organism, of the folder, or on the hub."""
    source = model.source.removeprefix("organism:").rstrip("/")
    return source.rsplit("/", 1)[-1] if source.startswith((".", "/", "~")) else source


def _version(model: JudgedModel | None) -> str:
    return f"sha256 {(model.weights_sha256 or model.digest)[:_SHORT]}" if model else ""


def _thresholds(case: JudgedCase) -> str:
    criteria = [criterion for judgement in case.judgements for criterion in judgement.claim.criteria]
    listed = "; ".join(bound(each) for each in criteria[:_LISTED])
    more = len(criteria) - _LISTED
    return f"{listed}; and {more} more that the plan declares" if more > 0 else listed
