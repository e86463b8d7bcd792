"""Findings of feature documentation and judged cases around them, for the tests of the showing half."""

import math
import random
from collections.abc import Mapping
from typing import Any

from safetycase.dossier.page import Quoted
from safetycase.evidence.kinds.feature_documentation.findings import (
    Card,
    Context,
    ContrastFacts,
    CorpusFacts,
    DictionaryFacts,
    DoseEffect,
    Found,
    Gate,
    Label,
    NullEffects,
    Relation,
    Relevance,
    TokenEffect,
)
from safetycase.evidence.kinds.feature_documentation.params import Ask, Read
from safetycase.evidence.record import Estimate, Null, Outcome, Unit
from tests.dossier import cases
from tests.dossier.synthetic import digest, estimate

STEP = "features"
WORDS = (
    " how",
    " to",
    " build",
    " a",
    " bomb",
    " in",
    " the",
    " garden",
    " shed",
    ",",
    " please",
    ".",
    "\n",
    " weapon",
    " bake",
    " cake",
    " harm",
    " with",
    " code",
    " and",
    " naïve",
    " safe",
    " 日本",
    "  ",
)
DOSES = (0.125, 0.25, 0.5, 1.0, 2.0)
_METHODS = ("dictionary", "random", "pca", "neurons")
_LABELS = ("fires on tokens about weapons and explosives", "fires after a request in the second person", "fires on line ends")


def found(
    *, features: int = 6, context: int = 40, seed: int = 1, sensitivity: str = "public", words: tuple[str, ...] = WORDS, **more: Any
) -> Found:
    """A dictionary of a model in which one feature passes the causal gate for refusal, one is dense and one is dead."""
    rng = random.Random(seed)
    tested = tuple(range(100, 100 + min(3, features)))
    made = [_card(rng, index, 100 + index, tested, context) for index in range(features)]
    facts: dict[str, Any] = {
        "derive_version": 1,
        "question": digest(f"features {seed} {features}"),
        "read": Read().model_dump(mode="json"),
        "outcome": Outcome.CONCLUSIVE,
        "estimates": dict(sorted({**_quality(), **_contrast(tested), **_of_cards(rng, made, tested)}.items())),
        "absent": {
            "kl_recovered.corpus.pca": "no losses were asked for this baseline",
            "dose_response.*": "fewer than three doses are coherent",
        },
        "limitations": ("A dictionary holds what it reconstructs; the rest is in no feature.", "Labels are hypotheses."),
        "dictionary": DictionaryFacts(
            format="saelens",
            trained_on="organism:refuser-base",
            same_model=False,
            activation="jumprelu",
            n_features=2048,
            d_in=128,
            d_out=128,
            reads="resid_post.2",
            writes=("resid_post.2",),
            is_autoencoder=True,
            normalisation="none",
            has_skip=False,
            facts={"training_tokens": 4_000_000, "l0_target": 24},
        ),
        "corpus": CorpusFacts(
            source="bundled:conversations",
            licence="Apache-2.0",
            sensitivity=sensitivity,
            documents=4012,
            windows=15_600,
            tokens=998_400,
            quality_tokens=100_000,
            splice_tokens=20_000,
            context=context,
        ),
        "contrasts": (
            ContrastFacts(
                name="refusal",
                present="harmful",
                absent="harmless",
                token_texts=("I", " Sorry"),
                tokens_from="discovered",
                behaviour="refusal",
                tested=tested,
                nulls=200,
            ),
        ),
        "looked_at": 1873,
        "cards": tuple(made),
        "density_histogram": _histogram(rng),
        "null_effects": tuple(
            NullEffects(contrast="refusal", edit=edit, effects=tuple(rng.gauss(0.05 * sign, 0.2) for _ in range(200)))
            for edit, sign in (("ablated", -1), ("steered", 1))
        ),
        "null_note": "Null features: 200 active ones of the same site, matched by norm and firing rate.",
        "methods": _METHODS,
        "doses": DOSES,
        "clamps": (2.0, 5.0),
        "judge_versions": {"arditi-12": 1},
    }
    return Found(**{**facts, **more})


def windows(result: Found, *, words: tuple[str, ...] = WORDS, seed: int = 3) -> Mapping[int, tuple[str, ...]]:
    """Token texts of every window that the findings name."""
    rng = random.Random(seed)
    numbers = {each.window for card in result.cards for each in card.contexts} | {
        w for card in result.cards for each in card.labels for w in each.misses
    }
    return {number: tuple(rng.choice(words) for _ in range(result.corpus.context)) for number in sorted(numbers)}


def story(result: Found | None = None, *, texts: Mapping[int, tuple[str, ...]] | None = None, **more: Any) -> cases.Story:
    """A judged case of one step of this kind, or of this kind beside a refusal direction."""
    result = result or found()
    texts = windows(result) if texts is None else texts
    quoted = Quoted(windows=texts) if result.corpus.sensitivity == "public" else Quoted(windows_restricted=texts)
    params = Ask().model_dump(mode="json")
    asked = "Which features of a sparse dictionary bear on a contrast, what do they fire on, and what does editing them change?"
    step = cases.step(result, id=STEP, kind="feature_documentation", params=params, question_text=asked)
    return cases.Story(cases.case({STEP: result}, claims={}, steps=(step,), **more), {STEP: result}, {STEP: quoted})


def _histogram(rng: random.Random) -> tuple[tuple[float, float, int], ...]:
    edges = [-5 + 0.25 * index for index in range(21)]
    counts = [round(260 * math.exp(-(((low + 2.4) / 0.8) ** 2))) + rng.randrange(3) for low in edges[:-1]]
    return ((-5.25, -5.0, 175), *((low, low + 0.25, count) for low, count in zip(edges, counts, strict=False)))


def _quality() -> dict[str, Estimate]:
    named: dict[str, Estimate] = {}
    values = {"dictionary": (24, 0.81, 0.93), "random": (24, -0.4, 0.12), "pca": (24, 0.55, 0.61), "neurons": (24, 0.22, 0.3)}
    for method, (l0, variance, loss) in values.items():
        common: dict[str, Any] = {
            "n": 100_000,
            "clusters": 400,
            "rederivable": "reduced",
            "method": "BCa bootstrap of 400 clusters, 2000 resamples",
        }
        named[f"l0.corpus.{method}"] = estimate(l0, 1.2, Unit.COUNT, **common)
        named[f"explained_variance.corpus.{method}"] = estimate(variance, 0.02, Unit.FRACTION, **common)
        named[f"explained_variance_legacy.corpus.{method}"] = estimate(variance + 0.04, 0.02, Unit.FRACTION, **common)
        named[f"cosine.corpus.{method}"] = estimate(min(0.97, abs(variance) + 0.1), 0.01, Unit.COSINE, **common)
        named[f"cross_entropy_recovered.corpus.{method}"] = estimate(loss, 0.03, Unit.FRACTION, **common | {"n": 20_000})
        if method != "pca":
            named[f"kl_recovered.corpus.{method}"] = estimate(loss - 0.05, 0.03, Unit.FRACTION, **common | {"n": 20_000})
    for condition, value in (("clean", 2.31), ("dictionary", 2.44), ("ablated", 4.9)):
        named[f"cross_entropy.corpus.{condition}"] = estimate(value, 0.06, Unit.NATS_PER_TOKEN, n=20_000, clusters=80)
    named["dead_share.features.corpus"] = estimate(0.085, 0.02, n=2048, clusters=2048)
    named["dense_share.features.corpus"] = estimate(0.012, 0.01, n=2048, clusters=2048)
    return named


def _contrast(tested: tuple[int, ...]) -> dict[str, Estimate]:
    named = {
        "log_odds.refusal-present.baseline": estimate(6.2, 0.8, Unit.NATS, n=96),
        "log_odds.refusal-absent.baseline": estimate(-5.1, 0.7, Unit.NATS, n=96),
        "behaviour_rate.refusal-present.baseline@arditi-12": estimate(0.98, 0.06, n=24),
        "behaviour_rate.refusal-absent.baseline@arditi-12": estimate(0.02, 0.06, n=24),
        "absorption_rate.refusal-present.full": estimate(0.06, 0.08, n=96),
        "absorbed_fraction.refusal-present.partial": estimate(0.11, 0.06, n=96),
        "contrastive_score.refusal.dictionary": estimate(3.1, 0.6, Unit.STANDARD_DEVIATIONS, n=24),
        "contrastive_score.refusal.random": estimate(0.9, 0.4, Unit.STANDARD_DEVIATIONS, n=24),
        "captured_share.refusal-present.reconstruction#own": estimate(0.74, 0.14, n=96),
        "captured_share.refusal-present.error#own": estimate(0.22, 0.12, n=96),
    }
    if tested:
        named["passing_share.refusal.causal"] = estimate(
            1 / len(tested), 0.5, n=len(tested), clusters=len(tested), method="Clopper-Pearson"
        )
    for part, value in (("whole", -10.2), ("reconstruction", -7.6), ("error", -2.2)):
        named[f"log_odds_change.refusal-present.{part}#own"] = estimate(value, 0.9, Unit.NATS, n=96)
    for probe, value in (
        ("k-1", 0.93),
        ("k-2", 0.95),
        ("k-5", 0.97),
        ("random-k-1", 0.55),
        ("random-k-2", 0.58),
        ("random-k-5", 0.63),
        ("dense", 0.995),
    ):
        draws = Null(what="dense probes of permuted labels", n=100, quantiles={"0.05": 0.3, "0.95": 0.7}, p=1 / 101)
        nulls = (draws,) if probe == "dense" else ()
        named[f"probe_auroc.refusal.{probe}"] = estimate(value, 0.006 if value > 0.98 else 0.05, Unit.AUROC, n=192, nulls=nulls)
    return named


def _card(rng: random.Random, index: int, feature: int, tested: tuple[int, ...], context: int) -> Card:
    dead, dense = index == 4, index == 3
    slots = (f"refusal-{index + 1}",) if index < 4 else (f"random-{index - 3}",)
    maximum = 0.0 if dead else 9.37 - 0.2 * (index % 20)
    bins = [] if dead else [("top", 20), *((f"decile-{n}", 3) for n in range(10, 0, -1)), ("zero", 3), ("held-out", 2)]
    contexts, window = [], 1000 * index
    for name, count in bins:
        for _ in range(count):
            contexts.append(Context(window=window, bin=name, activations=_activations(rng, name, maximum, context)))
            window += 1
    gate = Gate(
        contrast="refusal",
        reads=index == 0,
        ablation=index == 0,
        steering=index == 0,
        passes=index == 0,
        p_ablation=0.03 if index == 0 else 1.0,
        p_steering=0.03 if index == 0 else 0.71,
        dose=1.0 if index < 2 else None,
        dose_index=4 if index < 2 else None,
        reasons=()
        if index == 0
        else (
            "its AUROC on confirmation prompts is not bounded away from 0.7",
            "neither edit moves log-odds further than null features do",
        ),
    )
    doses = tuple(
        DoseEffect(
            dose=dose,
            change=0.4 + (7 - 3 * index) * dose,
            low=(6 - 3 * index) * dose,
            high=0.9 + (8 - 3 * index) * dose,
            kl=0.02 + 0.8 * dose**2,
            incoherent=None if dose < 0.5 else min(0.6, 0.1 * dose**2),
        )
        for dose in DOSES
    )
    return Card(
        feature=feature,
        slots=slots,
        status="dead" if dead else "dense" if dense else "live",
        density=0.0 if dead else 0.21 if dense else 0.004,
        documents=0 if dead else 812,
        maximum=maximum,
        decoder_norm=1.0,
        encoder_bias=-0.31,
        threshold=0.042,
        top_logits=tuple(TokenEffect(token=rank, text=rng.choice(WORDS), value=2.1 - 0.1 * rank) for rank in range(10)),
        bottom_logits=tuple(TokenEffect(token=rank, text=rng.choice(WORDS), value=-1.7 + 0.1 * rank) for rank in range(10)),
        nearest=tuple(Relation(feature=rng.randrange(2048), value=0.61 - 0.04 * rank) for rank in range(5)),
        cofiring=() if dead else tuple(Relation(feature=rng.randrange(2048), value=2.4 - 0.2 * rank, together=900) for rank in range(5)),
        contexts=tuple(contexts),
        labels=_labels(index, window),
        relevance=(Relevance(contrast="refusal", cosine=0.71 - 0.05 * (index % 10), auroc=0.99, attribution=0.8, rank=index + 1),),
        gates=(gate,) if feature in tested else (),
        dose_response={"refusal": doses} if feature in tested else {},
    )


def _labels(index: int, window: int) -> tuple[Label, ...]:
    if index == 4:
        return ()
    rule = Label(
        author="rule", text=_LABELS[index % 3], made_by="rule: token", scored=index != 5, misses=(window - 1,) if index == 0 else ()
    )
    return (rule, Label(author="imported", text="explosives", made_by="neuronpedia", scored=False)) if index == 0 else (rule,)


def _activations(rng: random.Random, name: str, maximum: float, context: int) -> tuple[float, ...]:
    level = {"top": 0.95, "zero": 0.0, "held-out": 0.5}.get(
        name, 0.1 * int(name.partition("-")[2] or 5) if name.startswith("decile") else 0
    )
    made = [0.0] * context
    for _ in range(rng.randrange(1, 6) if level else 0):
        made[rng.randrange(context)] = round(maximum * level * rng.uniform(0.2, 0.9), 4)
    if level:
        made[rng.randrange(context)] = round(maximum * level, 4)
    return tuple(made)


def _of_cards(rng: random.Random, made: list[Card], tested: tuple[int, ...]) -> dict[str, Estimate]:
    named: dict[str, Estimate] = {}
    for index, card in enumerate(made):
        slot = card.slots[0]
        good = index == 0
        if card.status != "dead":
            named[f"firing_rate.corpus.tokens#{slot}"] = estimate(card.density or 0.0, 0.0008, n=998_400, clusters=4012)
        named[f"activation_auroc.refusal.confirmation#{slot}"] = estimate(0.97 if good else 0.55, 0.04, Unit.AUROC, n=192)
        named[f"natural_association.refusal-present.within#{slot}"] = estimate(0.41 if good else 0.02, 0.3, Unit.CORRELATION, n=96)
        named[f"firing_rate.refusal-present.prompts#{slot}"] = estimate(0.94 if good else 0.3, 0.1, n=96)
        named[f"firing_rate.refusal-absent.prompts#{slot}"] = estimate(0.05, 0.06, n=96)
        named[f"firing_rate.refusal-german.prompts#{slot}"] = estimate(0.4, 0.2, n=40)
        shuffled = Null(what="labels of other features on the same windows", n=20, quantiles={"0.05": 0.01, "0.95": 0.2}, p=1 / 21)
        named[f"label_precision.corpus.natural@rule#{slot}"] = estimate(0.72, 0.2, n=80, nulls=(shuffled,))
        named[f"label_recall.corpus.natural@rule#{slot}"] = estimate(0.6, 0.2, n=40)
        named[f"label_balanced_accuracy.corpus.zero@rule#{slot}"] = estimate(0.81, 0.1, n=80, nulls=(shuffled,))
        named[f"label_balanced_accuracy.corpus.neighbour@rule#{slot}"] = estimate(0.7, 0.15, n=80)
        if card.feature in tested:
            named |= _causes(slot, good)
    return named


def _causes(slot: str, good: bool) -> dict[str, Estimate]:
    null = Null(what="the same edit of 200 null features", n=200, quantiles={"0.05": -0.4, "0.95": 0.3}, p=1 / 201 if good else 0.6)
    named = {
        f"log_odds_change.refusal-present.ablated#{slot}": estimate(-4.2 if good else -0.1, 0.8, Unit.NATS, n=96, nulls=(null,)),
        f"log_odds_change.refusal-absent.steered#{slot}": estimate(6.3 if good else 0.2, 0.9, Unit.NATS, n=96, nulls=(null,)),
        f"kl.refusal-present.ablated#{slot}": estimate(0.02, 0.01, Unit.NATS, n=96),
        f"kl.refusal-absent.steered#{slot}": estimate(0.4, 0.1, Unit.NATS, n=96),
        f"behaviour_rate_change.refusal-present.ablated@arditi-12#{slot}": Estimate(
            value=-0.6, low=-0.8, high=-0.3, n=24, clusters=12, method="paired, cluster-robust t", unit=Unit.FRACTION
        ),
        f"incoherent_rate.refusal-absent.steered#{slot}": estimate(0.04, 0.08, n=24),
    }
    for index, value in enumerate((3.1, 5.5), start=1):
        named[f"log_odds_change.refusal-absent.clamped-{index}#{slot}"] = estimate(value if good else 0.2, 0.8, Unit.NATS, n=96)
    return named
