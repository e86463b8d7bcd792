"""From what was observed of a dictionary's features to what it shows: pure, deterministic, without torch."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from safetycase.evidence.estimates import Estimates
from safetycase.evidence.judges import judge, judge_names
from safetycase.evidence.kinds.feature_documentation.answers import answers_of, judges_of
from safetycase.evidence.kinds.feature_documentation.behaviour import behaviour
from safetycase.evidence.kinds.feature_documentation.capture import capture
from safetycase.evidence.kinds.feature_documentation.cards import cards
from safetycase.evidence.kinds.feature_documentation.causes import Causes, causes
from safetycase.evidence.kinds.feature_documentation.changes import edited
from safetycase.evidence.kinds.feature_documentation.findings import ContrastFacts, CorpusFacts, DictionaryFacts, Found
from safetycase.evidence.kinds.feature_documentation.gates import Gated, adjusted, gates
from safetycase.evidence.kinds.feature_documentation.labels_scored import labels_scored, scored_labels
from safetycase.evidence.kinds.feature_documentation.limitations import limitations
from safetycase.evidence.kinds.feature_documentation.names import estimate_names
from safetycase.evidence.kinds.feature_documentation.observed import Observed, observed
from safetycase.evidence.kinds.feature_documentation.outcome import ending
from safetycase.evidence.kinds.feature_documentation.params import Ask, Read
from safetycase.evidence.kinds.feature_documentation.probes import probes
from safetycase.evidence.kinds.feature_documentation.quality import measured_methods, quality
from safetycase.evidence.kinds.feature_documentation.readings import peaks_of, readings
from safetycase.evidence.tables import Tables

DERIVE_VERSION = 1


def derive(tables: Tables, read: Read) -> Found:
    """The findings of one observation; same tables and same `read`, same findings."""
    seen, estimates = observed(tables), Estimates()
    scored = scored_labels(seen)

    quality(seen, read, estimates)
    readings(seen, read, estimates)
    labels_scored(seen, scored, read, estimates)
    caused, gated = _of_contrasts(seen, read, estimates)
    end = ending(seen, caused, gated, estimates)

    return Found(
        derive_version=DERIVE_VERSION,
        question=tables.question,
        read=read.model_dump(mode="json"),
        outcome=end.outcome,
        reasons=end.reasons,
        estimates=dict(sorted(estimates.found.items())),
        absent=_absent(seen, read, estimates),
        limitations=limitations(seen, scored, caused, read),
        imported=tables.imported,
        cards=cards(seen, scored, caused, gated, read),
        contrasts=tuple(_contrast_facts(seen, contrast, caused[contrast]) for contrast in seen.contrasts),
        null_effects=tuple(effects for found in caused.values() for effects in found.null_effects()),
        methods=measured_methods(seen),
        density_histogram=_density_histogram(seen),
        judge_versions={name: judge(name).version for name in read.judges if name in judge_names()},
        **_of_setup(seen.setup),
    )


def _of_contrasts(seen: Observed, read: Read, estimates: Estimates) -> tuple[dict[str, Causes], dict[str, Gated]]:
    made, peaks = edited(seen), peaks_of(seen)
    caused, judged = {}, {}
    for contrast in seen.contrasts:
        answers = {name: answers_of(seen, contrast, name) for name in judges_of(seen, contrast, read)}
        judged[contrast] = next(iter(answers.values()))
        caused[contrast] = causes(seen, contrast, made, judged[contrast], read, estimates)
        behaviour(seen, caused[contrast], answers, read, estimates)
        capture(seen, contrast, read, estimates)
        probes(seen, contrast, read, estimates)
    family = adjusted(caused.values())
    return caused, {contrast: gates(seen, found, family, peaks, judged[contrast], read, estimates) for contrast, found in caused.items()}


def _absent(seen: Observed, read: Read, estimates: Estimates) -> dict[str, str]:
    """Of what was asked, each name that has no estimate, with the reason; imports, which do not say what was asked, keep patterns."""
    if not seen.setup["asked"]:
        return dict(sorted(estimates.absent.items()))
    return estimates.why_absent(estimate_names(Ask.model_validate(seen.setup["asked"]), read, {}))


def _contrast_facts(seen: Observed, contrast: str, found: Causes) -> ContrastFacts:
    declared = seen.setup["contrasts"][contrast]
    return ContrastFacts(
        name=contrast,
        present=declared["present"],
        absent=declared["absent"],
        token_texts=tuple(declared["token_texts"]),
        tokens_from=declared["tokens_from"],
        behaviour=declared["behaviour"],
        tested=found.tested,
        nulls=len(found.nulls["ablated"]),
        stopped=declared["stopped"],
    )


def _of_setup(setup: Mapping[str, Any]) -> dict[str, Any]:
    dictionary = setup["dictionary"]
    is_autoencoder = [dictionary["reads"]] == list(dictionary["writes"])
    return {
        "dictionary": DictionaryFacts(**dictionary, same_model=setup["same_model"]["same"], is_autoencoder=is_autoencoder),
        "corpus": CorpusFacts(**setup["corpus"]),
        "looked_at": setup["looked_at"],
        "null_note": setup["null_note"],
        "doses": tuple(setup["doses"]),
        "clamps": tuple(setup["clamps"]),
    }


def _density_histogram(seen: Observed) -> tuple[tuple[float, float, int], ...]:
    """How many features fire how often, in half powers of ten; features that never fired have the first bin, below one in all tokens.

    Empty where tokens were not counted.
    """
    fired, tokens = seen.tables.table("density")["fired"], seen.tokens
    if not tokens:
        return ()
    lowest = float(np.floor(2 * np.log10(1 / tokens)) / 2)
    edges = np.arange(lowest, 0.25, 0.5)
    densities = np.log10(np.maximum(fired, 1) / tokens)
    counts, _ = np.histogram(densities[fired > 0], edges)
    bins = [(lowest - 0.5, lowest, int((fired == 0).sum()))]
    bins += [(float(low), float(high), int(n)) for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True)]
    return tuple(bins)
