"""The first tokens of refusals and of other answers: declared, taken from an upstream step, or found on discovery prompts."""

from collections.abc import Mapping, Sequence

from safetycase.errors import ModelError, PlanError
from safetycase.evidence.kinds.circuit_trace.params import Ask, Tokens
from safetycase.evidence.tables import Row, Tables
from safetycase.lab.batches import Batches
from safetycase.lab.forward import Tokens as Ids
from safetycase.lab.generation import Intervention, greedy_answers
from safetycase.lab.model import LoadedModel
from safetycase.lab.refusal_answers import text_of
from safetycase.lab.refusal_tokens import LEAST_SHARE, declared_tokens, discovered_tokens, first_token_rows, is_refusal
from safetycase.lab.tracing.study import AskedTokens

MOST_COMPLIANCE_TOKENS = 10


def asked_tokens(model: LoadedModel, batches: Batches, prompts: Sequence[Ids], ask: Ask, upstream: Mapping[str, Tables]) -> AskedTokens:
    """Refusal and compliance tokens; nothing is answered where the plan declares both.

    Discovered refusal tokens follow the rule of `refusal_tokens.discovered_tokens`; compliance tokens are those that begin at least
    1 in 20 of the other answers, the most frequent first. Raises ModelError where a declared token is none, PlanError where
    the step `direction` knows no tokens.
    """
    refusal, source, stopped = _declared_or_upstream(model, ask, upstream)
    compliance = _checked(model, ask.compliance_tokens, "compliance_tokens")
    if stopped or (refusal and compliance):
        return _apart(refusal, compliance, source, stopped)
    said = greedy_answers(model, batches, prompts, [Intervention()] * len(prompts), ask.max_new_tokens)
    refused = [is_refusal(text_of(model, answer)) for answer in said]
    rows = list(first_token_rows(model, [int(answer.tokens[0]) for answer in said], refused))
    if not refusal:
        refusal, source = tuple(discovered_tokens(rows)), "discovered"
        if not refusal:
            return AskedTokens((), compliance, "none", _why_none(refused))
    return _apart(refusal, compliance or _of_other_answers(rows, refusal), source, "")


def _declared_or_upstream(model: LoadedModel, ask: Ask, upstream: Mapping[str, Tables]) -> tuple[tuple[int, ...], str, str]:
    """Refusal tokens, where they come from, and why there can be none."""
    if ask.refusal_tokens != "discover":
        return _checked(model, ask.refusal_tokens, "refusal_tokens"), "declared", ""
    if ask.direction is None:
        return (), "none", ""
    tables = upstream.get(ask.direction)
    if tables is None or not tables.has("setup") or "refusal_tokens" not in tables.table("setup").columns:
        raise PlanError(f"direction: step {ask.direction!r} knows no refusal tokens, expected a step of kind refusal_direction")
    row = next(tables.table("setup").rows())
    if not row["refusal_tokens"]:
        return (), "none", f"step {ask.direction} found no refusal tokens: {row['stopped'] or 'it does not say why'}"
    return _checked(model, row["refusal_tokens"], "direction"), ask.direction, ""


def _checked(model: LoadedModel, tokens: Tokens, where: str) -> tuple[int, ...]:
    if tokens == "discover":
        return ()
    try:
        return tuple(dict.fromkeys(declared_tokens(model, tokens)))
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from error


def _of_other_answers(rows: Sequence[Row], refusal: Sequence[int]) -> tuple[int, ...]:
    answers = sum(row["answers"] for row in rows)
    others = sorted(
        (row for row in rows if row["token"] not in refusal and row["answers"]), key=lambda row: (-row["answers"], row["token"])
    )
    often = [row for row in others if row["answers"] >= LEAST_SHARE * answers] or others
    return tuple(row["token"] for row in often[:MOST_COMPLIANCE_TOKENS])


def _apart(refusal: tuple[int, ...], compliance: tuple[int, ...], source: str, stopped: str) -> AskedTokens:
    both = set(refusal) & set(compliance)
    if both:
        raise ModelError(f"compliance_tokens: token {min(both)} is a refusal token too, expected tokens that tell answers from refusals")
    return AskedTokens(refusal, compliance, source, stopped)


def _why_none(refused: Sequence[bool]) -> str:
    of = f"of {len(refused)} answers to discovery prompts"
    if not any(refused):
        return f"{of}, none is a refusal"
    count = "1 is a refusal" if sum(refused) == 1 else f"{sum(refused)} are refusals"
    return f"{of}, {count}, but no first token tells refusals from the others"
