"""Feature cards as the JSON that Neuronpedia and circuit-tracer's frontend read: one file per feature, and an index of them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from safetycase.evidence.kinds.feature_documentation.findings import Card, Context, Found

_ENDS = {"top": "Top activations", "zero": "Does not fire", "held-out": "Missed by a label"}


def neuronpedia(found: Found, windows: Mapping[int, Sequence[str]]) -> dict[str, bytes]:
    """File name to bytes: `<index>.json` per card, and `index.json` with what they belong to.

    `windows` are the tokens of windows by number; examples whose tokens are not given are left out, as no reader could show them.
    Beside the fields that both tools ask for (`index`, `examples_quantiles`) stand density, logits, labels as explanations with
    their author where their words are not withheld, and no score of ours: none means there what it means here.
    """
    files = {f"{card.feature}.json": _bytes(_feature(card, windows)) for card in found.cards}
    index = {
        "model": found.dictionary.trained_on,
        "source": found.dictionary.reads,
        "feature_indices": [card.feature for card in found.cards],
        "corpus": found.corpus.source,
        "licence": found.corpus.licence,
        "question": found.question,
    }
    return {"index.json": _bytes(index), **files}


def _feature(card: Card, windows: Mapping[int, Sequence[str]]) -> dict[str, Any]:
    return {
        "index": card.feature,
        "examples_quantiles": list(_quantiles(card, windows)),
        "top_logits": [effect.text for effect in card.top_logits],
        "bottom_logits": [effect.text for effect in card.bottom_logits],
        "pos_str": [effect.text for effect in card.top_logits],
        "pos_values": [effect.value for effect in card.top_logits],
        "neg_str": [effect.text for effect in card.bottom_logits],
        "neg_values": [effect.value for effect in card.bottom_logits],
        "act_min": 0.0,
        **({"act_max": card.maximum} if card.maximum or card.status == "dead" else {}),
        **({"activation_frequency": card.density} if card.density is not None and card.status != "unknown" else {}),
        "explanations": [
            {"description": label.text, "explanationModelName": label.made_by, "typeName": f"safetycase-{label.author}"}
            for label in card.labels
            if label.text
        ],
    }


def _quantiles(card: Card, windows: Mapping[int, Sequence[str]]) -> Iterator[dict[str, Any]]:
    """Examples by bin: top, deciles from strongest to weakest, silent ones, those that a label misses."""
    by_bin: dict[str, list[Context]] = {}
    for context in card.contexts:
        by_bin.setdefault(context.bin, []).append(context)
    for name in sorted(by_bin, key=_order):
        examples = [_example(context, windows[context.window]) for context in by_bin[name] if context.window in windows]
        if examples:
            yield {"quantile_name": _ENDS.get(name, f"Decile {name.removeprefix('decile-')}"), "examples": examples}


def _order(name: str) -> int:
    if name == "top":
        return -11
    decile = name.removeprefix("decile-")
    return -int(decile) if decile.isdecimal() else ("zero", "held-out").index(name)


def _example(context: Context, tokens: Sequence[str]) -> dict[str, Any]:
    peak = max(range(len(context.activations)), key=context.activations.__getitem__)
    return {
        "tokens": list(tokens),
        "tokens_acts_list": list(context.activations),
        "train_token_ind": peak,
        "is_repeated_datapoint": False,
    }


def _bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
