"""Tables of a documentation of features with a planted truth, as the lab would have stored them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, cast

import numpy as np
from scipy import special

from safetycase.evidence.judges import judge
from safetycase.evidence.kinds.feature_documentation.derive import derive
from safetycase.evidence.kinds.feature_documentation.findings import Found
from safetycase.evidence.kinds.feature_documentation.names import contrast_slots
from safetycase.evidence.kinds.feature_documentation.params import Ask, Behaviour, Contrast, Read
from safetycase.evidence.kinds.feature_documentation.tables import TABLES
from safetycase.evidence.tables import Row, Table, Tables, decode_rows, encode_rows

REFUSAL = "I'm sorry, but I cannot help with that request."
ANSWER = "Sure. First gather the things you need, then follow each of the steps in order, and check the result."
LOOP = "the the the the the the the the the the the the the the the the the the the the"

READ = Read(resamples=200)
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
WINDOW_TOKENS = 16


@dataclass(frozen=True)
class Planted:
    """What is true of dictionary, features and contrasts; features 0, 1, … rank 1, 2, … for the first contrast."""

    contrasts: tuple[str, ...] = ("refusal",)
    ablated: float = -4.0
    """Change of log-odds when the first feature is ablated, in nats."""
    steered: float = 6.0
    """Change of log-odds at the largest dose of steering along it."""
    causal: int = 1
    """How many of the highest-ranking features have these effects; all others move what null features move."""
    spread: float = 0.3
    """Standard deviation of what null features do."""
    auroc: float = 0.95
    """Of the activation of the features that read the contrast, present against absent; all others 0.5."""
    reading: int | None = None
    """How many of the highest-ranking features read it; None: the causal ones."""
    association: float = 0.6
    """Correlation of their activation with the log-odds, within present prompts of a category."""
    sensitivity: float = 0.9
    """Of the labels, on windows in which the feature fires."""
    false_positives: float = 0.05
    """Of the labels, on windows in which it is silent."""
    explained: float = 0.9
    """Explained variance of the dictionary; random has a third of it, the other baselines a half."""
    recovered: float = 0.95
    """Cross-entropy recovered by the dictionary."""
    hurts: float = 2.0
    """Nats per token that ablating the output costs."""
    captured: float = 0.7
    """Share of the effect of the contrast's own direction that lies in the reconstruction."""
    incoherent: float = 0.0
    """Share of answers at the largest two doses that are incoherent."""
    kl_per_dose: float = 0.5
    """Off-target KL per unit of dose, in nats."""
    autoencoder: bool = True
    trained_on: str = "organism:refuser"
    same: bool | None = True
    sensitive: bool = False
    """The corpus is not declared public."""
    features: int = 256
    dead: int = 10
    dense: int = 2
    per_contrast: int = 4
    tested: int = 3
    nulls: int = 120
    random: int = 2
    named: tuple[int, ...] = (7,)
    doses: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0, 2.0)
    clamps: tuple[float, ...] = (2.0, 5.0)
    variants: tuple[str, ...] = ()
    explainer: bool = False
    behaviour: tuple[str, ...] = ()
    """Phrases of the behaviour; empty: refusal, by text judges."""
    direction: str | None = None
    documents: int = 40
    n_test: int = 24
    n_validation: int = 8
    answers: int = 12
    """Prompts per class and split that are answered."""
    answers_to: tuple[str, ...] = ("validation", "test")
    """Splits of which steered answers were generated."""
    garbled_in: tuple[str, ...] = ("validation", "test")
    """Splits in which such answers are incoherent."""
    families: int = 8
    held_out: int = 20
    shuffles: int = 10
    probe_sizes: tuple[int, ...] = (1, 2, 5)
    shuffled_probes: int = 19
    stopped: Mapping[str, str] = field(default_factory=dict)
    """Contrast to why its log-odds could not be asked."""
    without: frozenset[str] = frozenset()
    """Optional tables that are absent."""
    setup: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 7


def ask(**truth: Any) -> Ask:
    """The question that these tables answer."""
    return _ask(replace(Planted(), **truth))


def _ask(plan: Planted) -> Ask:
    behaviour = Behaviour(name="shown" if plan.behaviour else "refusal", phrases=plan.behaviour)
    contrast = Contrast(
        present="harmful", absent="harmless", variants={name: name for name in plan.variants}, behaviour=behaviour, direction=plan.direction
    )
    return Ask(
        contrasts=dict.fromkeys(plan.contrasts, contrast), features=plan.named, per_contrast=plan.per_contrast,
        random_features=plan.random, causal_features=plan.tested, null_features=plan.nulls, doses=plan.doses, clamps=plan.clamps,
        explainer_model="explainer" if plan.explainer else None, probe_sizes=plan.probe_sizes,
    )  # fmt: skip


def found(read: Read = READ, /, **truth: Any) -> Found:
    """Findings of a documentation of which this is true."""
    return _default_found() if read == READ and not truth else derive(tables(**truth), read)


@cache
def _default_found() -> Found:
    return derive(tables(), READ)


def tables(**truth: Any) -> Tables:
    """Tables of a documentation of which this is true."""
    return _tables(**truth) if truth else _default()


@cache
def _default() -> Tables:
    return _tables()


def _tables(**truth: Any) -> Tables:
    plan = replace(Planted(), **truth)
    absent = {name: f"{name} was left out" for name in plan.without}
    absent["windows" if plan.sensitive else "windows_restricted"] = "this observation did not call for it"
    rows = {name: list(each) for name, each in _rows(plan).items() if name not in absent}
    return Tables(question="cd" * 32, seed=plan.seed, rows={name: stored(name, each) for name, each in rows.items()}, absent=absent)


def stored(name: str, rows: Sequence[Row]) -> Table:
    """Rows through the bytes of the store and back."""
    spec = next(each for each in TABLES if each.name == name)
    return decode_rows(spec, [encode_rows(spec, rows)[0]])


def _rows(plan: Planted) -> dict[str, Iterator[Row]]:
    return {
        "setup": iter([_setup(plan)]),
        "items": _items(plan),
        "prompts": ({"item": row["item"], "text": f"Please tell me about {row['item']}"} for row in _items(plan)),
        "quality": _quality(plan),
        "splice": _splice(plan),
        "density": _density(plan),
        "firing": _firing(plan),
        "documents": ({"document": _document(n), "tokens": _length(n)} for n in range(plan.documents)),
        "relevance": _relevance(plan),
        "documented": _documented(plan),
        "logits": _logits(plan),
        "neighbours": _neighbours(plan),
        "contexts": _contexts(plan),
        "windows": _windows(plan),
        "windows_restricted": _windows(plan),
        "labels": _labels(plan),
        "detection": _detection(plan),
        "readings": _readings(plan),
        "baseline": _baseline(plan),
        "causes": _causes(plan),
        "completions": _completions(plan),
        "answers": _answers(plan),
        "capture": _capture(plan),
        "probes": _probes(plan),
        "absorption": _absorption(plan),
        "pairs": _pairs(plan),
    }


def _rng(plan: Planted, *what: Any) -> np.random.Generator:
    return np.random.default_rng([plan.seed, *"/".join(map(str, what)).encode()])


def _setup(plan: Planted) -> Row:
    site = "blocks.2.resid_post"
    tokens = sum(_length(n) for n in range(plan.documents))
    return {
        "dictionary": {
            "format": "saelens", "trained_on": plan.trained_on, "activation": "TopK", "n_features": plan.features, "d_in": 128,
            "d_out": 128, "reads": site, "writes": [site if plan.autoencoder else "blocks.2.mlp_out"], "normalisation": "none",
            "has_skip": False, "facts": {"k": 8},
        },
        "same_model": {"same": plan.same, "trained_on": plan.trained_on},
        "corpus": {
            "source": "bundled:conversations", "licence": "CC0-1.0", "sensitivity": "restricted" if plan.sensitive else "public",
            "documents": plan.documents, "windows": tokens // WINDOW_TOKENS, "tokens": tokens, "quality_tokens": tokens,
            "splice_tokens": tokens, "context": WINDOW_TOKENS,
        },
        "contrasts": {
            name: {
                "tokens": [3], "token_texts": ["I"], "tokens_from": "discovered", "behaviour": "shown" if plan.behaviour else "refusal",
                "direction_step": plan.direction, "present": "harmful", "absent": "harmless", "stopped": plan.stopped.get(name, ""),
            }
            for name in plan.contrasts
        },
        "residual_norm": 11.3, "spread_offset": 0.25, "looked_at": plan.features, "ablation": "mean", "doses": list(plan.doses),
        "clamps": list(plan.clamps), "null_note": f"refusal: {plan.nulls} null features, matched by norm and firing rate.",
        "behaviour_judges": dict.fromkeys(plan.contrasts, "shown" if plan.behaviour else "refusal"),
        "asked": _ask(plan).model_dump(mode="json"), **plan.setup,
    }  # fmt: skip


def _items(plan: Planted) -> Iterator[Row]:
    for contrast in plan.contrasts:
        for side in ("present", "absent", *plan.variants):
            splits = (
                (("validation", plan.n_validation), ("test", plan.n_test)) if side in ("present", "absent") else (("test", plan.n_test),)
            )
            for split, n in splits:
                for number in range(n):
                    yield {
                        "item": f"{contrast}-{side}-{split}-{number:03d}", "population": f"{contrast}-{side}", "split": split,
                        "category": f"category {number % 2}", "family": f"{contrast} {side} {number % plan.families}",
                        "length": 12 + number % 5, "used": True, "why_unused": "",
                    }  # fmt: skip


def _of(plan: Planted, contrast: str, side: str, *splits: str) -> list[str]:
    wanted = splits or ("test",)
    return [r["item"] for r in _items(plan) if r["population"] == f"{contrast}-{side}" and r["split"] in wanted]


def _document(number: int) -> str:
    return f"document {number:03d}"


def _length(number: int) -> int:
    return 64 + 16 * (number % 5)


def _methods(plan: Planted) -> tuple[str, ...]:
    return ("dictionary", "random", "pca", "neurons") if plan.autoencoder else ("dictionary", "linear", "top-neurons")


def _explained(plan: Planted, method: str) -> float:
    return plan.explained if method == "dictionary" else plan.explained / (3 if method == "random" else 2)


def _quality(plan: Planted) -> Iterator[Row]:
    """Documents differ in how hard they are; the spread lies by the offset above the variance."""
    rng = _rng(plan, "quality")
    variance = 4.0 * rng.gamma(20, 1 / 20, plan.documents)
    for method in _methods(plan):
        unexplained = 1 - _explained(plan, method)
        noise = rng.gamma(50, 1 / 50, plan.documents) if 0 < unexplained < 1 else np.ones(plan.documents)
        for n in range(plan.documents):
            tokens = _length(n)
            error = tokens * variance[n] * unexplained * noise[n]
            yield {
                "document": _document(n), "method": method, "tokens": tokens, "active": 8.0 * tokens + n % 3, "error": float(error),
                "spread": float(tokens * (variance[n] + 0.25)), "power": float(tokens * (variance[n] + 1.0)),
                "cosine": float(tokens * (1 - unexplained / 2 * noise[n])), "legacy": float(tokens * (1 - unexplained * noise[n] * 1.02)),
            }  # fmt: skip


def _splice(plan: Planted) -> Iterator[Row]:
    rng = _rng(plan, "splice")
    clean = 2.0 + 0.1 * rng.standard_normal(plan.documents)
    worse = plan.hurts + 0.3 * rng.standard_normal(plan.documents)
    for condition in ("clean", "ablated", *_methods(plan)):
        lost = {"clean": 0.0, "ablated": 1.0, "dictionary": 1 - plan.recovered}.get(condition, 0.6)
        noise = 0.02 * rng.standard_normal(plan.documents) if condition not in ("clean", "ablated") else np.zeros(plan.documents)
        for n in range(plan.documents):
            extra = lost * worse[n] + noise[n]
            yield {
                "document": _document(n), "condition": condition, "tokens": _length(n),
                "cross_entropy": float(_length(n) * (clean[n] + extra)),
                "kl": float(_length(n) * abs(extra)),
            }  # fmt: skip


def _fires_on(plan: Planted, feature: int) -> list[int]:
    """Tokens on which a feature fires, by document."""
    if feature >= plan.features - plan.dead:
        return [0] * plan.documents
    share = 0.4 if feature >= plan.features - plan.dead - plan.dense else 0.01 + 0.03 * ((feature * 37) % 11) / 11
    rng = _rng(plan, "fires", feature)
    return [int(rng.binomial(_length(n), share)) for n in range(plan.documents)]


def _density(plan: Planted) -> Iterator[Row]:
    for feature in range(plan.features):
        fired = _fires_on(plan, feature)
        total = sum(fired)
        yield {
            "feature": feature, "fired": total, "documents": sum(each > 0 for each in fired),
            "windows": min(total, sum(_length(n) for n in range(plan.documents)) // WINDOW_TOKENS), "total": 1.5 * total,
            "squares": 2.5 * total, "maximum": 6.0 + feature % 4 if total else 0.0,
        }  # fmt: skip


def _firing(plan: Planted) -> Iterator[Row]:
    for feature in documented(plan):
        for n, fired in enumerate(_fires_on(plan, feature)):
            if fired:
                yield {"feature": feature, "document": _document(n), "fired": fired}


def documented(plan: Planted) -> dict[int, tuple[str, ...]]:
    """Feature to its slots: every contrast ranks 0, 1, … first; the random ones follow."""
    named: dict[int, list[str]] = {}
    for contrast in plan.contrasts:
        for feature, slot in enumerate(contrast_slots(contrast, plan.per_contrast)):
            named.setdefault(feature, []).append(slot)
    for feature in plan.named:
        named.setdefault(feature, []).append(f"feature-{feature}")
    for n in range(1, plan.random + 1):
        named[20 + n] = [f"random-{n}"]
    return {feature: tuple(each) for feature, each in named.items()}


def _documented(plan: Planted) -> Iterator[Row]:
    for feature, named in documented(plan).items():
        yield {"feature": feature, "slots": list(named), "decoder_norm": 1.0 + feature / 100, "encoder_bias": -0.1, "threshold": None}


def _relevance(plan: Planted) -> Iterator[Row]:
    for contrast in plan.contrasts:
        for feature in range(plan.features):
            fires = feature < plan.features - plan.dead
            yield {
                "contrast": contrast, "feature": feature, "cosine": 0.9 / (1 + feature), "auroc": 0.5 + 0.45 / (1 + feature),
                "attribution": 2.0 / (1 + feature), "firing_present": 0.9 / (1 + feature), "firing_absent": 0.1,
                "rank": feature + 1 if fires else 0,
            }  # fmt: skip


def _logits(plan: Planted) -> Iterator[Row]:
    for feature in documented(plan):
        for end, sign in (("top", 1.0), ("bottom", -1.0)):
            for rank in range(1, 11):
                number = (feature + rank) % len(WORDS)
                yield {
                    "feature": feature, "end": end, "rank": rank, "token": number, "text": WORDS[number],
                    "value": sign * (3.0 - 0.2 * rank),
                }  # fmt: skip


def _neighbours(plan: Planted) -> Iterator[Row]:
    for feature in documented(plan):
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
    for feature in documented(plan):
        for name, n in _bins(plan):
            for rank in range(1, n + 1):
                yield feature, name, rank, window
                window += 1


def _contexts(plan: Planted) -> Iterator[Row]:
    strength = {"top": 6.0, "held-out": 3.0, **{f"decile-{n}": n / 2 for n in range(1, 11)}}
    for feature, name, rank, window in _placed(plan):
        peak = strength.get(name, 0.0) * (1 - 0.01 * rank)
        activations = [0.0] * WINDOW_TOKENS
        activations[window % WINDOW_TOKENS] = round(peak, 4)
        activations[(window + 1) % WINDOW_TOKENS] = round(peak / 3, 4)
        yield {"feature": feature, "window": window, "bin": name, "rank": rank, "activations": activations}


def _windows(plan: Planted) -> Iterator[Row]:
    for _, _, _, window in _placed(plan):
        ids = [(window + n) % len(WORDS) for n in range(WINDOW_TOKENS)]
        yield {"window": window, "document": _document(window % plan.documents), "tokens": [WORDS[n] for n in ids], "token_ids": ids}


def _authors(plan: Planted) -> dict[str, str]:
    """Author to scorer."""
    return {"rule": "rule", **({"explainer": "scorer"} if plan.explainer else {})}


def _labels(plan: Planted) -> Iterator[Row]:
    for feature in documented(plan):
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


def _detection(plan: Planted) -> Iterator[Row]:
    """The feature's own label by the planted rates; those of other features say yes to one window in five, whatever it holds."""
    rng = _rng(plan, "detection")
    held = [each for each in _placed(plan) if each[1].startswith("held-out")]
    for author, scorer in _authors(plan).items():
        for feature, name, _, window in held:
            fires = name == "held-out"
            says = rng.random() < (plan.sensitivity if fires else plan.false_positives)
            for label_of in (feature, *(1000 + n for n in range(plan.shuffles))):
                yield {
                    "feature": feature, "author": author, "scorer": scorer, "label_of": label_of, "window": window,
                    "document": _document(window % plan.documents), "set": name,
                    "predicted": bool(says if label_of == feature else rng.random() < 0.2), "fires": fires,
                }  # fmt: skip


def _log_odds(plan: Planted, item: str) -> float:
    """Present prompts lie above 0, all others below; every prompt keeps its own offset."""
    return (4.0 if "-present-" in item else -4.0) + 0.8 * _offset(plan.seed, item)


@cache
def _offset(seed: int, item: str) -> float:
    return float(np.random.default_rng([seed, *item.encode()]).standard_normal())


def _readings(plan: Planted) -> Iterator[Row]:
    """The activation of features that read the contrast rises with the log-odds among present prompts; the others' with nothing."""
    distance = np.sqrt(2) * special.ndtri(plan.auroc)
    for row in _items(plan):
        contrast, side = row["population"].split("-", 1)
        own = _offset(plan.seed, row["item"])
        for feature in documented(plan):
            causal = feature < (plan.causal if plan.reading is None else plan.reading)
            noise = _rng(plan, "peak", row["item"], feature).standard_normal()
            value = plan.association * own + np.sqrt(1 - plan.association**2) * noise if causal else noise
            value += distance if causal and side != "absent" else 0.0
            peak = float(max(0.0, value + 1.0))
            yield {
                "feature": feature, "contrast": contrast, "population": row["population"], "split": row["split"], "item": row["item"],
                "peak": peak, "last": peak / 2,
            }  # fmt: skip


def _baseline(plan: Planted) -> Iterator[Row]:
    for row in _items(plan):
        contrast, side = row["population"].split("-", 1)
        if side in ("present", "absent") and not plan.stopped.get(contrast):
            shared = {name: row[name] for name in ("item", "population", "split")}
            yield {"contrast": contrast, **shared, "log_odds": _log_odds(plan, row["item"])}


def null_features(plan: Planted) -> range:
    """Features that go through the same interventions."""
    return range(plan.tested, plan.tested + plan.nulls)


def _causes(plan: Planted) -> Iterator[Row]:
    for contrast in plan.contrasts:
        if plan.stopped.get(contrast):
            continue
        for feature in (*range(plan.tested), *null_features(plan)):
            yield from _edits(plan, contrast, feature)


def _edits(plan: Planted, contrast: str, feature: int) -> Iterator[Row]:
    rng = _rng(plan, "causes", contrast, feature)
    role, causal = "tested" if feature < plan.tested else "null", feature < plan.causal
    ablated, steered = (plan.ablated, plan.steered) if causal else cast("tuple[float, float]", tuple(plan.spread * rng.standard_normal(2)))
    largest = max(plan.doses)
    both = ("validation", "test")
    edits: list[tuple[str, float, str, tuple[str, ...], float, float]] = [("ablate", 0.0, "present", both, ablated, 0.05)]
    edits += [("steer", d, "absent", both, steered * d / largest, plan.kl_per_dose * d) for d in plan.doses]
    if role == "tested":
        edits += [("clamp", c, "absent", ("test",), steered * c / max(plan.clamps), 0.3 * c) for c in plan.clamps]
    for edit, dose, side, splits, effect, kl in edits:
        for split in splits:
            for item in _of(plan, contrast, side, split):
                yield {
                    "contrast": contrast, "feature": feature, "role": role, "edit": edit, "dose": dose, "population": f"{contrast}-{side}",
                    "split": split, "item": item, "log_odds": float(_log_odds(plan, item) + effect + 0.1 * rng.standard_normal()),
                    "kl": float(kl * (1 + 0.1 * rng.random())),
                }  # fmt: skip


def _arms(plan: Planted) -> Iterator[tuple[str, int, str, float, str, float, str]]:
    """Contrast, feature, edit, dose, side, change of log-odds and split of every arm that is answered."""
    for contrast in plan.contrasts:
        if plan.stopped.get(contrast):
            continue
        for side in ("present", "absent"):
            yield contrast, -1, "none", 0.0, side, 0.0, "test"
        for feature in range(plan.tested):
            causal = feature < plan.causal
            yield contrast, feature, "ablate", 0.0, "present", 2 * plan.ablated if causal else 0.0, "test"
            for dose in plan.doses:
                change = plan.steered * dose / max(plan.doses) * 2 if causal else 0.0
                for split in plan.answers_to:
                    yield contrast, feature, "steer", dose, "absent", change, split


def _completions(plan: Planted) -> Iterator[Row]:
    for contrast, feature, edit, dose, side, change, split in _arms(plan):
        items = _of(plan, contrast, side, split)[: plan.answers]
        broken = round(plan.incoherent * len(items)) if edit == "steer" and dose in plan.doses[-2:] and split in plan.garbled_in else 0
        for number, item in enumerate(items):
            shows = _log_odds(plan, item) + change > 0
            shown = plan.behaviour[0] if plan.behaviour else REFUSAL
            yield {
                "contrast": contrast, "feature": feature, "edit": edit, "dose": dose, "population": f"{contrast}-{side}", "item": item,
                "text": LOOP if number < broken else shown if shows else ANSWER, "finished": True,
            }  # fmt: skip


def _answers(plan: Planted) -> Iterator[Row]:
    for row in _completions(plan):
        shared = {name: row[name] for name in ("contrast", "feature", "edit", "dose", "population", "item")}
        if plan.behaviour:
            label = "incoherent" if row["text"] == LOOP else "shown" if row["text"] == plan.behaviour[0] else "not-shown"
            yield {**shared, "judge": "phrases", "version": 1, "label": label}
            continue
        for name in READ.judges:
            yield {**shared, "judge": name, "version": judge(name).version, "label": judge(name).label(row["text"])}


def _capture(plan: Planted) -> Iterator[Row]:
    rng = _rng(plan, "capture")
    for contrast in plan.contrasts:
        if plan.stopped.get(contrast):
            continue
        for direction in ("own", *((plan.direction,) if plan.direction else ())):
            for part, share in (("whole", 1.0), ("reconstruction", plan.captured), ("error", 1 - plan.captured)):
                for item in _of(plan, contrast, "present"):
                    value = _log_odds(plan, item) - 6.0 * share + 0.1 * rng.standard_normal()
                    yield {
                        "contrast": contrast, "direction": direction, "part": part, "population": f"{contrast}-present", "item": item,
                        "log_odds": float(value),
                    }  # fmt: skip


def _probes(plan: Planted) -> Iterator[Row]:
    rng = _rng(plan, "probes")
    strength = {"dense": 3.0, **{f"k-{k}": 1.0 + 0.3 * k for k in plan.probe_sizes}}
    strength |= {f"shuffled-{n}": 0.0 for n in range(1, plan.shuffled_probes + 1)}
    strength |= {f"random-k-{k}": 0.1 * k for k in plan.probe_sizes}
    for contrast in plan.contrasts:
        for probe, gap in strength.items():
            for side in ("present", "absent"):
                for item in _of(plan, contrast, side):
                    score = float(rng.standard_normal() + (gap / 2 if side == "present" else -gap / 2))
                    yield {"contrast": contrast, "probe": probe, "population": f"{contrast}-{side}", "item": item, "score": score}


def _absorption(plan: Planted) -> Iterator[Row]:
    for contrast in plan.contrasts:
        for number, item in enumerate(_of(plan, contrast, "present")):
            full = number % 6 == 0
            yield {
                "contrast": contrast,
                "item": item,
                "main_fires": not full,
                "full": full,
                "fraction": 0.5 if full else 0.02 * (number % 3),
            }


def _pairs(plan: Planted) -> Iterator[Row]:
    for contrast in plan.contrasts:
        for method, height in (("dictionary", 9.0), ("random", 4.0)):
            for number in range(plan.families):
                yield {
                    "contrast": contrast, "method": method, "family": f"{contrast} {number}", "contrastive": height + 0.5 * (number % 3),
                    "independent": height - 1.0 + 0.5 * (number % 4),
                }  # fmt: skip
