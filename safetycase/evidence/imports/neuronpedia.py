"""Reads feature dashboards made elsewhere: SAEDashboard batches and feature files as Neuronpedia and circuit-tracer keep them.

Labels and examples alone are taken over. Densities are kept where every feature states one and a file says of how many tokens;
SAEDashboard parses its own back out of a plot's title, which the notes say. What no file states is stored as unknown. Scores
that the files hold are not taken: labels are scored on held-out text of one's own, or stand unscored.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from safetycase.errors import SourceError
from safetycase.evidence.imports import ImportedTables
from safetycase.evidence.kinds.feature_documentation.params import Ask
from safetycase.evidence.tables import Row
from safetycase.sources.json_files import JsonFiles, is_number

MOST_EXAMPLES = 60
"""Of one feature; those with the highest peaks are kept."""
MOST_FEATURES = 100_000
_REPLACED = (9999, -9999, -99999)
"""What Neuronpedia writes in place of infinities and NaN."""

_NOT_HELD = "dashboards of features do not hold it"
ABSENT: Mapping[str, str] = dict.fromkeys(
    (
        "prompts", "quality", "splice", "firing", "documents", "relevance", "windows", "detection", "readings", "baseline", "causes",
        "completions", "answers", "capture", "probes", "absorption", "pairs", "labels_restricted",
    ),
    _NOT_HELD,
)  # fmt: skip


def read(path: Path) -> ImportedTables:
    """The features below a folder: `batch-*.json`, single feature files, `*.jsonl[.gz]` of features or of explanations.

    Raises SourceError with one line.
    """
    files = JsonFiles(path, "a folder of feature JSON (SAEDashboard batches, Neuronpedia features)")
    seen = _Seen()
    for name in files.names("**/*.json") + files.names("**/*.jsonl") + files.names("**/*.jsonl.gz"):
        for number, entry in enumerate(_objects(files, name), start=1):
            _take(files, name, number, entry, seen)
    if not seen.features:
        raise SourceError(f"{path}: found no features in {len(files.files)} JSON file(s), expected batch-*.json or feature JSON")
    tokens = _tokens(seen)
    tables = _tables(seen, tokens)
    return ImportedTables(
        kind="feature_documentation",
        ask=Ask(causal_features=0, null_features=0, label_shuffles=0).model_dump(mode="json"),
        tables=tables,
        absent=ABSENT,
        files=files.files,
        populations={},
        categories={},
        summary=f"{len(seen.features)} features, {len(tables['labels'])} labels, {len(tables['contexts'])} examples",
        notes=tuple(f"{what} ({times} times)." if times > 1 else f"{what}." for what, times in seen.notes.items()),
    )


@dataclass
class _Feature:
    """What all files say of one feature."""

    density: float | None = None
    maximum: float | None = None
    top: list[tuple[str, float]] = field(default_factory=list)
    bottom: list[tuple[str, float]] = field(default_factory=list)
    near: list[tuple[int, float]] = field(default_factory=list)
    labels: list[tuple[str, str]] = field(default_factory=list)
    examples: list[tuple[tuple[str, ...], tuple[float, ...]]] = field(default_factory=list)


@dataclass
class _Seen:
    """The features so far, and where they are said to come from."""

    features: dict[int, _Feature] = field(default_factory=dict)
    model: str = ""
    place: str = ""
    tokens: int = 0
    dataset: str = ""
    notes: Counter[str] = field(default_factory=Counter)

    def of(self, index: int) -> _Feature:
        return self.features.setdefault(index, _Feature())


def _objects(files: JsonFiles, name: str) -> Iterator[dict[str, Any]]:
    """The objects of a file; a batch is one object, a list and lines are several."""
    loaded = [files.load(name)] if name.endswith(".json") else list(files.lines(name))
    values = loaded[0] if len(loaded) == 1 and isinstance(loaded[0], list) else loaded
    for value in values:
        if isinstance(value, dict):
            yield value


def _take(files: JsonFiles, name: str, number: int, entry: dict[str, Any], seen: _Seen) -> None:
    if isinstance(entry.get("features"), list):
        seen.model = _said(entry.get("model_id")) or seen.model
        seen.place = "-".join(part for part in (_said(entry.get("layer")), _said(entry.get("sae_set"))) if part) or seen.place
        for inner, feature in enumerate(files.entries(name, entry["features"]), start=1):
            _feature(files, name, inner, feature, "feature_index", seen)
    elif "feature_index" in entry or ("index" in entry and _is_feature(entry)):
        seen.model = _said(entry.get("modelId")) or seen.model
        seen.place = _said(entry.get("layer")) or seen.place
        _feature(files, name, number, entry, "feature_index" if "feature_index" in entry else "index", seen)
    elif "description" in entry and "index" in entry:
        _label(files, name, number, entry, seen.of(_index(files, name, number, entry, "index")))
    else:
        seen.notes[f"{name}: an object that is neither a feature nor an explanation was left out"] += 1


def _is_feature(entry: dict[str, Any]) -> bool:
    return any(key in entry for key in ("examples_quantiles", "activations", "pos_str", "top_logits", "explanations"))


def _index(files: JsonFiles, name: str, number: int, entry: dict[str, Any], key: str) -> int:
    value = entry.get(key)
    if isinstance(value, str) and value.isdecimal():
        entry = {**entry, key: int(value)}
    return files.integer(name, number, entry, key, 0, 2**31)


def _feature(files: JsonFiles, name: str, number: int, entry: dict[str, Any], key: str, seen: _Seen) -> None:
    feature = seen.of(_index(files, name, number, entry, key))
    if len(seen.features) > MOST_FEATURES:
        raise files.error(name, f"holds more than {MOST_FEATURES} features")
    _density(entry, feature, seen)
    feature.top = _logits(files, name, number, entry, "pos_str", "pos_values", "top_logits") or feature.top
    feature.bottom = _logits(files, name, number, entry, "neg_str", "neg_values", "bottom_logits") or feature.bottom
    indices, cosines = entry.get("correlated_features_indices"), entry.get("correlated_features_pearson")
    if isinstance(indices, list) and isinstance(cosines, list):
        pairs = zip(indices, cosines, strict=False)
        feature.near = [(int(i), float(v)) for i, v in pairs if type(i) is int and 0 <= i < 2**31 and _finite(v)]
    for explanation in _listed(entry.get("explanations")):
        if isinstance(explanation, dict) and "description" in explanation:
            _label(files, name, number, explanation, feature)
    for example in _examples(entry):
        _example(files, name, number, example, feature)
    feature.examples = sorted(feature.examples, key=lambda each: -max(each[1]))[:MOST_EXAMPLES]


def _density(entry: dict[str, Any], feature: _Feature, seen: _Seen) -> None:
    for key in ("frac_nonzero", "activation_frequency"):
        value = entry.get(key)
        if _finite(value) and 0 <= value <= 1 and (value or key == "activation_frequency"):  # a title rounds to 0 what is small
            feature.density = float(value)
            if key == "frac_nonzero":
                seen.notes["`frac_nonzero` is read back out of a plot's title by SAEDashboard: densities are as good as that"] = 1
    for key in ("act_max", "maxActApprox"):
        if _finite(entry.get(key)) and entry[key] not in _REPLACED:
            feature.maximum = float(entry[key])
    prompts, length = entry.get("n_prompts_total"), entry.get("n_tokens_in_prompt")
    if type(prompts) is int and type(length) is int and prompts > 0 and length > 0:
        seen.tokens = max(seen.tokens, prompts * length)
    seen.dataset = _said(entry.get("dataset")) or seen.dataset


def _tokens(seen: _Seen) -> int:
    """Of how many tokens the densities are; 0 where that is not known of every feature, as none is then counted."""
    stated = [feature.density is not None and (feature.density > 0 or not _fires(feature)) for feature in seen.features.values()]
    if seen.tokens and all(stated):
        return seen.tokens
    if any(stated):
        why = (
            f"{stated.count(False)} of {len(stated)} features state none, or one that their examples contradict"
            if seen.tokens
            else "no file says of how many tokens"
        )
        seen.notes[f"densities are left out: {why}"] = 1
    return 0


def _fires(feature: _Feature) -> bool:
    return any(max(values) > 0 for _, values in feature.examples)


def _logits(
    files: JsonFiles, name: str, number: int, entry: dict[str, Any], texts: str, values: str, alone: str
) -> list[tuple[str, float]]:
    """Tokens with their values, strongest first; Neuronpedia's short form has no values: then they are 0."""
    if isinstance(entry.get(texts), list):
        said, numbers = entry[texts], entry.get(values)
        numbers = numbers if isinstance(numbers, list) and len(numbers) == len(said) else [0.0] * len(said)
    elif isinstance(entry.get(alone), list):
        said, numbers = entry[alone], [0.0] * len(entry[alone])
    else:
        return []
    if not all(isinstance(text, str) for text in said) or not all(_finite(value) for value in numbers):
        raise files.error(name, f"entry {number}: {texts}: expected texts, and numbers under {values}")
    kept = [(_clean(text), float(value)) for text, value in zip(said, numbers, strict=True)]
    return [(text, value if value not in _REPLACED else 0.0) for text, value in kept][:10]


def _label(files: JsonFiles, name: str, number: int, entry: dict[str, Any], feature: _Feature) -> None:
    text = " ".join(_clean(files.text(name, number, entry, "description")).split())[:500]
    by = _said(entry.get("explanationModelName")) or _said(entry.get("explanation_model_name")) or "unnamed author"
    if text and (text, by) not in feature.labels:
        feature.labels.append((text, by))


def _examples(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Examples in either shape, as objects with tokens and values."""
    for example in _listed(entry.get("activations")):
        if isinstance(example, dict):
            yield {"tokens": example.get("tokens"), "values": example.get("values")}
    for group in _listed(entry.get("examples_quantiles")):
        for example in _listed(group.get("examples")) if isinstance(group, dict) else ():
            if isinstance(example, dict):
                yield {"tokens": example.get("tokens"), "values": example.get("tokens_acts_list")}


def _example(files: JsonFiles, name: str, number: int, example: dict[str, Any], feature: _Feature) -> None:
    tokens, values = example["tokens"], example["values"]
    if not isinstance(tokens, list) or not isinstance(values, list) or not tokens or len(tokens) != len(values):
        raise files.error(name, f"entry {number}: an example without as many values as tokens")
    if not all(isinstance(token, str) for token in tokens) or not all(_finite(v) and abs(v) < 1e9 for v in values):
        raise files.error(name, f"entry {number}: an example whose tokens are no texts or whose values are no numbers")
    made = (tuple(_clean(token) for token in tokens), tuple(float(value) for value in values))
    if made not in feature.examples:
        feature.examples.append(made)


def _tables(seen: _Seen, tokens: int) -> dict[str, list[Row]]:
    ordered = sorted(seen.features.items())
    windows: dict[tuple[str, ...], int] = {}
    contexts = [row for index, feature in ordered for row in _contexts(index, feature, windows)]
    return {
        "setup": [_setup(seen, tokens)],
        "items": [],
        "density": [_density_row(index, feature, tokens) for index, feature in ordered],
        "documented": [
            {"feature": index, "slots": [f"feature-{index}"], "decoder_norm": None, "encoder_bias": None, "threshold": None}
            for index, _ in ordered
        ],
        "logits": [row for index, feature in ordered for row in _logit_rows(index, feature)],
        "neighbours": [
            {"feature": index, "other": other, "relation": "correlation", "value": value, "together": 0}
            for index, f in ordered
            for other, value in f.near
        ],
        "contexts": contexts,
        "windows_restricted": [
            {"window": number, "document": f"example-{number}", "tokens": list(tokens), "token_ids": []}
            for tokens, number in windows.items()
        ],
        "labels": [
            {"feature": index, "author": "imported", "text": text, "made_by": by, "rule": None}
            for index, f in ordered
            for text, by in f.labels
        ],
    }


def _contexts(index: int, feature: _Feature, windows: dict[tuple[str, ...], int]) -> Iterator[Row]:
    ranks: Counter[str] = Counter()
    for tokens, values in feature.examples:
        where = "top" if max(values) > 0 else "zero"
        ranks[where] += 1
        number = windows.setdefault(tokens, len(windows))
        yield {"feature": index, "window": number, "bin": where, "rank": ranks[where], "activations": list(values)}


def _density_row(index: int, feature: _Feature, tokens: int) -> Row:
    """Where tokens are counted; a density that is not zero is at least one of them."""
    peaks = [max(values) for _, values in feature.examples]
    density = feature.density or 0.0
    return {
        "feature": index,
        "fired": max(round(density * tokens), 1) if density and tokens else 0,
        "documents": 0,
        "windows": 0,
        "total": 0.0,
        "squares": 0.0,
        "maximum": feature.maximum if feature.maximum is not None else max(peaks, default=0.0),
    }


def _logit_rows(index: int, feature: _Feature) -> Iterator[Row]:
    for end, listed in (("top", feature.top), ("bottom", feature.bottom)):
        for rank, (text, value) in enumerate(listed, start=1):
            yield {"feature": index, "end": end, "rank": rank, "token": -1, "text": text, "value": value}


def _setup(seen: _Seen, tokens: int) -> Row:
    """Widths and counts of 0 are those that no file states."""
    place = seen.place or "unknown"
    dictionary = {
        "format": "neuronpedia", "trained_on": seen.model, "activation": "unknown", "n_features": 1 + max(seen.features),
        "d_in": 0, "d_out": 0, "reads": place, "writes": [place], "normalisation": "unknown", "has_skip": False, "facts": {},
    }  # fmt: skip
    corpus = {
        "source": seen.dataset or "not said", "licence": "", "sensitivity": "restricted", "documents": 0, "windows": 0,
        "tokens": tokens, "quality_tokens": 0, "splice_tokens": 0, "context": 0,
    }  # fmt: skip
    return {
        "dictionary": dictionary, "same_model": {"same": None, "trained_on": seen.model}, "corpus": corpus, "contrasts": {},
        "residual_norm": 0.0, "spread_offset": 0.0, "looked_at": 0, "ablation": "none", "doses": [], "clamps": [],
        "null_note": "", "behaviour_judges": {}, "asked": {},
    }  # fmt: skip


def _finite(value: Any) -> TypeGuard[float]:
    """A number that is one."""
    return is_number(value) and math.isfinite(value)


def _listed(value: Any) -> list[Any]:
    """A list as it is; anything else holds nothing."""
    return value if isinstance(value, list) else []


def _said(value: Any) -> str:
    """A short text or number as text; empty where it is neither."""
    return _clean(str(value))[:200] if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _clean(text: str) -> str:
    """Text that UTF-8 can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
