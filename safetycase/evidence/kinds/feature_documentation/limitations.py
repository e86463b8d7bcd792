"""What a documentation of features does not show, in sentences that the dossier prints as they stand."""

from collections.abc import Iterator, Mapping

from safetycase.evidence.kinds.feature_documentation.causes import Causes
from safetycase.evidence.kinds.feature_documentation.labels_scored import Scored
from safetycase.evidence.kinds.feature_documentation.observed import UNCOUNTED, Observed
from safetycase.evidence.kinds.feature_documentation.params import ABSENT, PRESENT, Read, population

STANDING = (
    "No dictionary holds all features of a model; dictionaries trained from another seed or at another width find others. That a "
    "dictionary has no feature for something does not show that the model has none.",
    "Dictionaries with random decoders come close to trained ones in published comparisons (interpretability 0.87 beside 0.90, probing "
    "0.69 beside 0.72, editing 0.73 beside 0.72; arXiv 2602.14111): read every measure of the dictionary beside its baselines here.",
    "What the dictionary does not reconstruct is part of the model too: it stays in place under every edit, and nothing here documents it.",
    "Contexts of highest activation show the strongest part of what a feature responds to; the deciles show the rest, and a window "
    "shows no more than its own tokens.",
    "A label is a hypothesis in words. Its score says how well it tells windows of this corpus in which the feature fires from others; "
    "it says nothing of text that the corpus does not hold.",
    "Densities, contexts and measures of reconstruction are those of the corpus named here; text in deployment may differ.",
    "That steering along a feature changes the output shows what the feature can do, not that the model uses it: natural association and "
    "ablation bear on that, and an association within a class is no cause.",
    "Ablating one feature that others stand in for changes little: a feature that does not pass the causal gate may still take part.",
    "Log-odds score the first token of the answer alone; behaviour that begins otherwise, or that comes later, is not seen by them.",
    "Direct effects on logits pass through the final norm's weight and the unembedding alone; what later layers make of a feature is not "
    "in them.",
    "How often this instrument is right has not yet been measured for this kind of evidence: its verdicts stand as uncalibrated.",
)

FEW_PROMPTS = 50
FEW_FAMILIES = 10
FEW_TOKENS = 10_000_000


def limitations(seen: Observed, scored: Mapping[tuple[int, str], Scored], causes: Mapping[str, Causes], read: Read) -> tuple[str, ...]:
    """The standing sentences, and those that this observation calls for."""
    return (
        *STANDING,
        *_of_dictionary(seen),
        *_of_corpus(seen),
        *_of_labels(seen, scored),
        *_of_causes(seen, causes, read),
        *_of_size(seen),
        *_of_import(seen),
    )


def _of_dictionary(seen: Observed) -> Iterator[str]:
    same = seen.setup["same_model"]
    if same["same"] is False:
        yield (
            f"The dictionary's files say that it was trained on {same['trained_on']}, another model than the one assessed: it was measured "
            "on the assessed model, and what its authors report of it need not hold here."
        )
    elif same["same"] is None:
        named = same["trained_on"]
        yield (
            f"The dictionary's files name {named} as its model; whether that is the model assessed, the names do not tell."
            if named
            else "The dictionary's files do not say which model it was trained on."
        )
    if "negative" in seen.setup["dictionary"]["activation"]:
        yield (
            "Part of this dictionary's activations is negative. A feature counts as firing only where it is above 0, so that densities, "
            "contexts, labels, maxima and clamps say nothing of its negative side; reconstruction, L0, attribution and ablation include it."
        )


def _of_corpus(seen: Observed) -> Iterator[str]:
    corpus = seen.setup["corpus"]
    if not seen.tokens:
        yield f"{UNCOUNTED[0].upper()}{UNCOUNTED[1:]}."
    else:
        yield (
            "Shares of dead and dense features count features on this corpus; their intervals are those of as many features drawn by lot "
            "and do not say what other documents would show."
        )
    if 0 < seen.tokens < FEW_TOKENS:
        yield (
            f"Dead means that a feature fired on none of {seen.tokens} tokens; training code commonly waits for {FEW_TOKENS} before "
            "it calls a feature dead."
        )
    if corpus["sensitivity"] != "public":
        yield (
            "The corpus is not declared public: its windows are left out of renderings that leave the house, and cards there show "
            "activations without text."
        )


def _of_labels(seen: Observed, scored: Mapping[tuple[int, str], Scored]) -> Iterator[str]:
    labels = {(row["feature"], row["author"]) for row in seen.tables.table("labels").rows()}
    hypotheses = len(labels - scored.keys())
    if hypotheses:
        yield f"{hypotheses} of {len(labels)} labels were not scored on held-out windows: they are hypotheses."
    if scored:
        yield (
            "Precision of labels is carried over to natural density from held-out windows drawn in equal parts: so few silent windows "
            "cannot show a small false-positive rate, which is why its intervals are wide for rare features."
        )


def _of_causes(seen: Observed, causes: Mapping[str, Causes], read: Read) -> Iterator[str]:
    stopped = [contrast for contrast in seen.contrasts if seen.stopped(contrast)]
    if stopped and len(stopped) < len(seen.contrasts):
        yield f"Nothing was asked of log-odds for {', '.join(stopped)}: {'; '.join(dict.fromkeys(map(seen.stopped, stopped)))}."
    for contrast, found in causes.items():
        undosed = len(found.nulls["steered"]) - found.null_dosed
        if undosed:
            yield (
                f"For {undosed} of {len(found.nulls['steered'])} null features of {contrast} no dose of steering keeps within "
                f"{read.max_kl:g} nats off target; they count as changing nothing."
            )
    if any(found.tested for found in causes.values()):
        yield from _of_coherence(seen)
        yield (
            "Null features are matched by how large their part of the output is and how often they fire, not by meaning: some of them "
            "may truly take part in the behaviour, which makes the gate stricter. Steering is along unit directions, so that the match "
            "by size bears on ablation alone."
        )
        yield (
            "The features that were intervened on are those that rank highest, no sample of all features: the share of them that passes "
            "describes these features and no others."
        )


def _of_coherence(seen: Observed) -> Iterator[str]:
    if not seen.tables.has("answers"):
        return
    steered = set(seen.tables.table("answers").where(edit="steer")["item"].tolist())
    if steered - frozenset().union(*seen.test_items.values()):
        yield (
            "Null features get no answers: whether answers to discovery prompts stay coherent bears on the dose of tested features alone, "
            "which may have had fewer doses to choose from than their nulls."
        )
    elif steered:
        yield (
            "No answers to discovery prompts were generated under steering: doses were chosen without regard to coherence, which is judged "
            "at the chosen dose, on answers to confirmation prompts."
        )


def _of_size(seen: Observed) -> Iterator[str]:
    for contrast in seen.contrasts:
        for side in (PRESENT, ABSENT):
            items = seen.test_items.get(population(contrast, side), frozenset())
            families = len({seen.families[item] for item in items})
            if len(items) < FEW_PROMPTS or families < FEW_FAMILIES:
                yield (
                    f"Only {len(items)} confirmation prompts of {families} families are {population(contrast, side)}; "
                    "intervals are wide, and rare answers may not have been seen."
                )


def _of_import(seen: Observed) -> Iterator[str]:
    imported = seen.tables.imported
    if imported is not None:
        yield f"Imported from the format {imported.format} ({imported.source}): it was not made here and cannot be replayed here."
