"""Tables of a documentation of features with a planted truth, as the lab would have stored them, and what is derived from them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from safetycase.evidence.kinds.feature_documentation.derive import derive
from safetycase.evidence.kinds.feature_documentation.findings import Found
from safetycase.evidence.kinds.feature_documentation.params import Ask, Behaviour, Contrast, Read
from safetycase.evidence.kinds.feature_documentation.tables import TABLES
from safetycase.evidence.tables import Row, Table, Tables, decode_rows, encode_rows
from tests.evidence.kinds.feature_documentation.on_corpus import (
    contexts,
    density,
    detection,
    documented,
    firing,
    labels,
    logits,
    neighbours,
    quality,
    splice,
    windows,
)
from tests.evidence.kinds.feature_documentation.on_prompts import (
    absorption,
    answers,
    baseline,
    capture,
    causes,
    completions,
    items,
    pairs,
    probes,
    readings,
    relevance,
)
from tests.evidence.kinds.feature_documentation.planted import WINDOW_TOKENS, Planted, document, length

READ = Read(resamples=200)


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
        "items": items(plan),
        "prompts": ({"item": row["item"], "text": f"Please tell me about {row['item']}"} for row in items(plan)),
        "quality": quality(plan),
        "splice": splice(plan),
        "density": density(plan),
        "firing": firing(plan),
        "documents": ({"document": document(n), "tokens": length(n)} for n in range(plan.documents)),
        "relevance": relevance(plan),
        "documented": documented(plan),
        "logits": logits(plan),
        "neighbours": neighbours(plan),
        "contexts": contexts(plan),
        "windows": windows(plan),
        "windows_restricted": windows(plan),
        "labels": labels(plan),
        "detection": detection(plan),
        "readings": readings(plan),
        "baseline": baseline(plan),
        "causes": causes(plan),
        "completions": completions(plan),
        "answers": answers(plan),
        "capture": capture(plan),
        "probes": probes(plan),
        "absorption": absorption(plan),
        "pairs": pairs(plan),
    }


def _setup(plan: Planted) -> Row:
    site = "blocks.2.resid_post"
    tokens = sum(length(n) for n in range(plan.documents))
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
