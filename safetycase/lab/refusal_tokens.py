"""The first tokens of a refusal: declared in the plan, or found on training prompts."""

from collections import Counter
from collections.abc import Iterator, Sequence

from safetycase.errors import ModelError
from safetycase.evidence.judges import judge
from safetycase.evidence.tables import Row
from safetycase.lab.batches import vocabulary_size
from safetycase.lab.model import LoadedModel

# Either judge's word makes an answer a refusal here: the tokens are to cover every phrasing.
JUDGES = ("arditi-12", "substring")
LEAST_SHARE = 0.05
"""A refusal token begins at least this share of all refusals."""
LEAST_PRECISION = 0.8
"""Least chance that an answer which it begins is a refusal, were refusals and other answers equally many."""


def declared_tokens(model: LoadedModel, declared: Sequence[int | str]) -> list[int]:
    """The ids of tokens that a plan names by id or by text.

    Raises ModelError where a text is not exactly one token or an id lies outside the vocabulary.
    """
    return [_declared(model, token) for token in declared]


def is_refusal(text: str) -> bool:
    """Whether a text judge takes the answer for a refusal."""
    return any(judge(name).label(text) == "refuse" for name in JUDGES)


def first_token_rows(model: LoadedModel, first_tokens: Sequence[int], refused: Sequence[bool]) -> Iterator[Row]:
    """Rows of the table `first_tokens`, those that begin most refusals first."""
    refusals = Counter(token for token, was in zip(first_tokens, refused, strict=True) if was)
    answers = Counter(token for token, was in zip(first_tokens, refused, strict=True) if not was)
    for token in sorted({*refusals, *answers}, key=lambda token: (-refusals[token], -answers[token], token)):
        text = model.tokenizer.decode([token])
        yield {"token": token, "text": text, "refusals": refusals[token], "answers": answers[token]}


def discovered_tokens(rows: Sequence[Row]) -> list[int]:
    """Tokens that begin refusals and little else, by `LEAST_SHARE` and `LEAST_PRECISION`.

    The precision is (n r + 1) / (n (r + a) + 2), where r is the token's share among refusals, a its share among other
    answers and n the size of the smaller group (Laplace's rule on balanced classes): a token of two refusals in all
    is not yet evidence.
    """
    refusals, answers = (sum(row[side] for row in rows) for side in ("refusals", "answers"))
    n = min(refusals, answers) or refusals
    found = []
    for row in rows:
        share = row["refusals"] / refusals if refusals else 0.0
        other = row["answers"] / answers if answers else 0.0
        if share >= LEAST_SHARE and (n * share + 1) / (n * (share + other) + 2) >= LEAST_PRECISION:
            found.append(int(row["token"]))
    return found


def _declared(model: LoadedModel, token: int | str) -> int:
    vocabulary = vocabulary_size(model)
    if isinstance(token, int):
        if not 0 <= token < vocabulary:
            raise ModelError(f"refusal token {token}: no such id, expected 0 to {vocabulary - 1}")
        return token
    ids: list[int] = model.tokenizer(token, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        pieces = model.tokenizer.convert_ids_to_tokens(ids)
        raise ModelError(f"refusal token {token!r}: found {len(ids)} tokens {pieces}, expected a text that is one token")
    return ids[0]
