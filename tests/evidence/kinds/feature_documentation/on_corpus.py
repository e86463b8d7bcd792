"""Planted tables of what was read on the corpus: reconstruction, densities, contexts, labels and their scores."""

from collections.abc import Iterator

import numpy as np

from safetycase.evidence.tables import Row
from tests.evidence.kinds.feature_documentation.planted import WINDOW_TOKENS, Planted, document, length, randomness, slots_of

WORDS = (
    " how",
    " build",
    " a",
    " cake",
    " bomb",
    "<b>",
    "\n",
    " naïve",
    "日本",
    " 🙂",
    "\u202e",
    " kill",
    "\ufffd",
    " the",
    " safe",
    "&amp;",
)
"""Texts of the corpus: ordinary words, mark-up, line ends, other scripts, right-to-left marks and broken bytes."""


def _methods(plan: Planted) -> tuple[str, ...]:
    return ("dictionary", "random", "pca", "neurons") if plan.autoencoder else ("dictionary", "linear", "top-neurons")


def _explained(plan: Planted, method: str) -> float:
    return plan.explained if method == "dictionary" else plan.explained / (3 if method == "random" else 2)


def quality(plan: Planted) -> Iterator[Row]:
    """Documents differ in how hard they are; the spread lies by the offset above the variance."""
    rng = randomness(plan, "quality")
    variance = 4.0 * rng.gamma(20, 1 / 20, plan.documents)
    for method in _methods(plan):
        unexplained = 1 - _explained(plan, method)
        noise = rng.gamma(50, 1 / 50, plan.documents) if 0 < unexplained < 1 else np.ones(plan.documents)
        for n in range(plan.documents):
            tokens = length(n)
            error = tokens * variance[n] * unexplained * noise[n]
            yield {
                "document": document(n), "method": method, "tokens": tokens, "active": 8.0 * tokens + n % 3, "error": float(error),
                "spread": float(tokens * (variance[n] + 0.25)), "power": float(tokens * (variance[n] + 1.0)),
                "cosine": float(tokens * (1 - unexplained / 2 * noise[n])), "legacy": float(tokens * (1 - unexplained * noise[n] * 1.02)),
            }  # fmt: skip


def splice(plan: Planted) -> Iterator[Row]:
    rng = randomness(plan, "splice")
    clean = 2.0 + 0.1 * rng.standard_normal(plan.documents)
    worse = plan.hurts + 0.3 * rng.standard_normal(plan.documents)
    for condition in ("clean", "ablated", *_methods(plan)):
        lost = {"clean": 0.0, "ablated": 1.0, "dictionary": 1 - plan.recovered}.get(condition, 0.6)
        noise = 0.02 * rng.standard_normal(plan.documents) if condition not in ("clean", "ablated") else np.zeros(plan.documents)
        for n in range(plan.documents):
            extra = lost * worse[n] + noise[n]
            yield {
                "document": document(n), "condition": condition, "tokens": length(n),
                "cross_entropy": float(length(n) * (clean[n] + extra)),
                "kl": float(length(n) * abs(extra)),
            }  # fmt: skip


def _fires_on(plan: Planted, feature: int) -> list[int]:
    """Tokens on which a feature fires, by document."""
    if feature >= plan.features - plan.dead:
        return [0] * plan.documents
    share = 0.4 if feature >= plan.features - plan.dead - plan.dense else 0.01 + 0.03 * ((feature * 37) % 11) / 11
    rng = randomness(plan, "fires", feature)
    return [int(rng.binomial(length(n), share)) for n in range(plan.documents)]


def density(plan: Planted) -> Iterator[Row]:
    for feature in range(plan.features):
        fired = _fires_on(plan, feature)
        total = sum(fired)
        yield {
            "feature": feature, "fired": total, "documents": sum(each > 0 for each in fired),
            "windows": min(total, sum(length(n) for n in range(plan.documents)) // WINDOW_TOKENS), "total": 1.5 * total,
            "squares": 2.5 * total, "maximum": 6.0 + feature % 4 if total else 0.0,
        }  # fmt: skip


def firing(plan: Planted) -> Iterator[Row]:
    for feature in slots_of(plan):
        for n, fired in enumerate(_fires_on(plan, feature)):
            if fired:
                yield {"feature": feature, "document": document(n), "fired": fired}


def documented(plan: Planted) -> Iterator[Row]:
    for feature, named in slots_of(plan).items():
        yield {"feature": feature, "slots": list(named), "decoder_norm": 1.0 + feature / 100, "encoder_bias": -0.1, "threshold": None}


def logits(plan: Planted) -> Iterator[Row]:
    for feature in slots_of(plan):
        for end, sign in (("top", 1.0), ("bottom", -1.0)):
            for rank in range(1, 11):
                number = (feature + rank) % len(WORDS)
                yield {
                    "feature": feature, "end": end, "rank": rank, "token": number, "text": WORDS[number],
                    "value": sign * (3.0 - 0.2 * rank),
                }  # fmt: skip


def neighbours(plan: Planted) -> Iterator[Row]:
    for feature in slots_of(plan):
        for n in range(1, 11):
            yield {"feature": feature, "other": feature + n, "relation": "decoder", "value": 0.8 / n, "together": 5 * n}
        for n in range(1, 6):
            yield {"feature": feature, "other": feature + 2 * n, "relation": "cofiring", "value": 3.0 / n, "together": 40 - n}


def _bins(plan: Planted) -> Iterator[tuple[str, int]]:
    yield "top", 5
    yield from ((f"decile-{n}", 2) for n in range(1, 11))
    yield "zero", 3
    yield from ((name, plan.held_out) for name in ("held-out", "held-out-zero", "held-out-neighbour"))


def _placed(plan: Planted) -> Iterator[tuple[int, str, int, int]]:
    """Feature, bin, rank and window of every context; windows are shared by no two."""
    window = 0
    for feature in slots_of(plan):
        for name, n in _bins(plan):
            for rank in range(1, n + 1):
                yield feature, name, rank, window
                window += 1


def contexts(plan: Planted) -> Iterator[Row]:
    strength = {"top": 6.0, "held-out": 3.0, **{f"decile-{n}": n / 2 for n in range(1, 11)}}
    for feature, name, rank, window in _placed(plan):
        peak = strength.get(name, 0.0) * (1 - 0.01 * rank)
        activations = [0.0] * WINDOW_TOKENS
        activations[window % WINDOW_TOKENS] = round(peak, 4)
        activations[(window + 1) % WINDOW_TOKENS] = round(peak / 3, 4)
        yield {"feature": feature, "window": window, "bin": name, "rank": rank, "activations": activations}


def windows(plan: Planted) -> Iterator[Row]:
    for _, _, _, window in _placed(plan):
        ids = [(window + n) % len(WORDS) for n in range(WINDOW_TOKENS)]
        yield {"window": window, "document": document(window % plan.documents), "tokens": [WORDS[n] for n in ids], "token_ids": ids}


def _authors(plan: Planted) -> dict[str, str]:
    """Author to scorer."""
    return {"rule": "rule", **({"explainer": "scorer"} if plan.explainer else {})}


def labels(plan: Planted) -> Iterator[Row]:
    for feature in slots_of(plan):
        for author in _authors(plan):
            rule = {"form": "token", "tokens": [feature % len(WORDS)]} if author == "rule" else None
            made_by = "one token of the window" if author == "rule" else "explainer model"
            yield {
                "feature": feature,
                "author": author,
                "text": f"the token {WORDS[feature % len(WORDS)]!r}",
                "made_by": made_by,
                "rule": rule,
            }


def detection(plan: Planted) -> Iterator[Row]:
    """The feature's own label by the planted rates; those of other features say yes to one window in five, whatever it holds."""
    rng = randomness(plan, "detection")
    held = [each for each in _placed(plan) if each[1].startswith("held-out")]
    for author, scorer in _authors(plan).items():
        for feature, name, _, window in held:
            fires = name == "held-out"
            says = rng.random() < (plan.sensitivity if fires else plan.false_positives)
            for label_of in (feature, *(1000 + n for n in range(plan.shuffles))):
                yield {
                    "feature": feature, "author": author, "scorer": scorer, "label_of": label_of, "window": window,
                    "document": document(window % plan.documents), "set": name,
                    "predicted": bool(says if label_of == feature else rng.random() < 0.2), "fires": fires,
                }  # fmt: skip
