"""The names of every estimate of feature documentation, known before any run: features are named by why they have a card."""

from collections.abc import Iterator, Mapping, Sequence

from safetycase.evidence.kinds.feature_documentation.params import ABSENT, PRESENT, Ask, Contrast, Read, population

METHODS = ("dictionary", "random", "pca", "neurons", "linear", "skip", "top-neurons")
"""The dictionary and its baselines: random, pca and neurons stand beside autoencoders, the others beside transcoders."""
QUALITY = ("l0", "explained_variance", "explained_variance_legacy", "unexplained_variance", "cosine")
LOSSES = ("cross_entropy_recovered", "kl_recovered")
NEGATIVES = ("zero", "neighbour")
AUTHORS = ("rule", "explainer", "imported")


def estimate_names(ask: Ask, read: Read, categories: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """`quantity.population.condition[@judge][#item]`, sorted; an estimate of these may still be absent, with a reason."""
    names = {*_quality()}
    for contrast, declared in ask.contrasts.items():
        names |= {*_contrast(contrast, declared, ask, read)}
    for slot in slots(ask):
        names |= {*_card(slot, ask)}
    return tuple(sorted(names))


def slots(ask: Ask) -> tuple[str, ...]:
    """Why features have cards: `<contrast>-<rank>`, `feature-<index>`, `random-<n>`."""
    ranked = (slot for contrast in ask.contrasts for slot in contrast_slots(contrast, ask.per_contrast))
    return (*ranked, *(f"feature-{index}" for index in ask.features), *(f"random-{n}" for n in range(1, ask.random_features + 1)))


def contrast_slots(contrast: str, count: int) -> tuple[str, ...]:
    """The slots of the features that rank highest for a contrast."""
    return tuple(f"{contrast}-{rank}" for rank in range(1, count + 1))


def steered(index: int) -> str:
    """The condition of a dose of steering, by its place among the doses, from 1; `steered` alone is the chosen one."""
    return f"steered-{index}"


_EDITED = ("ablated", "steered", "clamped", "whole", "reconstruction", "error", "causal")


def under_edit(estimate: str) -> bool:
    """Conditions of edits, and what was gathered from them; how well a dictionary, a label or a probe does needs none."""
    return estimate.split("#")[0].split("@")[0].split(".")[-1].startswith(_EDITED)


def _quality() -> Iterator[str]:
    for method in METHODS:
        yield from (f"{quantity}.corpus.{method}" for quantity in QUALITY)
        yield from (f"{quantity}.corpus.{method}" for quantity in LOSSES)
    yield from (f"cross_entropy.corpus.{condition}" for condition in ("clean", "ablated", "dictionary"))
    yield "dead_share.features.corpus"
    yield "dense_share.features.corpus"


def _contrast(name: str, contrast: Contrast, ask: Ask, read: Read) -> Iterator[str]:
    present, absent = population(name, PRESENT), population(name, ABSENT)
    yield f"log_odds.{present}.baseline"
    yield f"log_odds.{absent}.baseline"
    yield f"passing_share.{name}.causal"
    for direction in ("own", *((contrast.direction,) if contrast.direction else ())):
        for part in ("whole", "reconstruction", "error"):
            yield f"log_odds_change.{present}.{part}#{direction}"
        for part in ("reconstruction", "error"):
            yield f"captured_share.{present}.{part}#{direction}"
    for probe in (*(f"k-{k}" for k in ask.probe_sizes), *(f"random-k-{k}" for k in ask.probe_sizes), "dense"):
        yield f"probe_auroc.{name}.{probe}"
    yield f"absorption_rate.{present}.full"
    yield f"absorbed_fraction.{present}.partial"
    for method in ("dictionary", "random"):
        yield f"contrastive_score.{name}.{method}"
    for judge in _judges(contrast, read):
        yield f"behaviour_rate.{present}.baseline@{judge}"
        yield f"behaviour_rate.{absent}.baseline@{judge}"
    for slot in contrast_slots(name, min(ask.causal_features, ask.per_contrast)):
        yield from _causes(name, slot, contrast, ask, read)


def _causes(name: str, slot: str, contrast: Contrast, ask: Ask, read: Read) -> Iterator[str]:
    present, absent = population(name, PRESENT), population(name, ABSENT)
    yield f"log_odds_change.{present}.ablated#{slot}"
    yield f"log_odds_change.{absent}.steered#{slot}"
    yield f"kl.{present}.ablated#{slot}"
    yield f"kl.{absent}.steered#{slot}"
    yield from (f"log_odds_change.{absent}.{steered(index)}#{slot}" for index in range(1, len(ask.doses) + 1))
    yield from (f"log_odds_change.{absent}.clamped-{index}#{slot}" for index in range(1, len(ask.clamps) + 1))
    yield f"dose_response.{absent}.steered#{slot}"
    for judge in _judges(contrast, read):
        yield f"behaviour_rate.{present}.ablated@{judge}#{slot}"
        yield f"behaviour_rate.{absent}.steered@{judge}#{slot}"
        yield f"behaviour_rate_change.{present}.ablated@{judge}#{slot}"
        yield f"behaviour_rate_change.{absent}.steered@{judge}#{slot}"
    yield f"incoherent_rate.{absent}.steered#{slot}"
    yield f"incoherent_rate.{present}.ablated#{slot}"


def _card(slot: str, ask: Ask) -> Iterator[str]:
    yield f"firing_rate.corpus.tokens#{slot}"
    for contrast, declared in ask.contrasts.items():
        yield f"activation_auroc.{contrast}.confirmation#{slot}"
        yield f"natural_association.{population(contrast, PRESENT)}.within#{slot}"
        yield from (f"firing_rate.{population(contrast, each)}.prompts#{slot}" for each in (PRESENT, ABSENT, *declared.variants))
    for author in authors(ask):
        yield f"label_precision.corpus.natural@{author}#{slot}"
        yield f"label_recall.corpus.natural@{author}#{slot}"
        yield from (f"label_balanced_accuracy.corpus.{negatives}@{author}#{slot}" for negatives in NEGATIVES)


def authors(ask: Ask) -> tuple[str, ...]:
    """Who labels: always the rule, and an explainer model or an import where the plan names one."""
    return ("rule", *(("explainer",) if ask.explainer_model else ()), *(("imported",) if ask.labels_step else ()))


def _judges(contrast: Contrast, read: Read) -> tuple[str, ...]:
    return ("phrases",) if contrast.behaviour.phrases else read.judges
