"""What the estimates of feature documentation are called in sentences, and where those of a feature are found."""

from collections.abc import Iterator

from safetycase.case.claims import why_absent
from safetycase.dossier import numbers
from safetycase.dossier.page import Cell
from safetycase.evidence.kinds.feature_documentation.findings import Card, ContrastFacts, Found, Label
from safetycase.evidence.record import Estimate, Unit, digest_of

QUANTITIES = {
    "l0": "features (or units) at work per token",
    "explained_variance": "explained variance",
    "explained_variance_legacy": "explained variance, older formula per token",
    "unexplained_variance": "share of variance not explained",
    "cosine": "cosine of output and reconstruction",
    "cross_entropy_recovered": "share of cross-entropy recovered",
    "kl_recovered": "share of KL divergence recovered",
    "cross_entropy": "cross-entropy per token",
    "dead_share": "share of features that never fire",
    "dense_share": "share of features that are dense",
    "log_odds": "log-odds of the contrast's tokens",
    "log_odds_change": "change of log-odds",
    "captured_share": "share of the direction's effect",
    "passing_share": "share of tested features that pass the causal gate",
    "probe_auroc": "AUROC of a probe",
    "absorption_rate": "share of prompts with full absorption",
    "absorbed_fraction": "share of the projection that absorbing features carry",
    "contrastive_score": "score on contrastive pairs",
    "behaviour_rate": "share of answers that show the behaviour",
    "behaviour_rate_change": "change of the share that shows the behaviour",
    "incoherent_rate": "share incoherent",
    "kl": "KL divergence off target",
    "dose_response": "dose and effect",
    "firing_rate": "share on which it fires",
    "activation_auroc": "AUROC of its activation",
    "natural_association": "natural association",
    "label_precision": "precision of the label",
    "label_recall": "recall of the label",
    "label_balanced_accuracy": "balanced accuracy of the label",
}
METHODS = {
    "dictionary": "dictionary",
    "random": "random directions",
    "pca": "principal components",
    "neurons": "neurons of the site",
    "linear": "best linear map",
    "skip": "skip path alone",
    "top-neurons": "MLP neurons, top by effect",
}
WITHHELD = "label withheld: it is made of text that the plan does not declare public"
AUTHORS = {"rule": "rule", "explainer": "explainer model", "imported": "imported"}
_POPULATIONS = {"corpus": "corpus", "features": "all features"}
_CONDITIONS = {
    "baseline": "unmodified",
    "clean": "unmodified",
    "ablated": "ablated",
    "steered": "steered at the chosen dose",
    "confirmation": "confirmation prompts",
    "causal": "confirmation prompts",
    "whole": "direction out of the whole output",
    "reconstruction": "direction out of the reconstruction alone",
    "error": "direction out of the error alone",
    "within": "within the class",
    "natural": "at natural density",
    "zero": "against windows on which it is silent",
    "neighbour": "against windows on which its nearest neighbour fires",
    "full": "all main features silent",
    "partial": "absorbing features",
    **METHODS,
}
_UNITS = {
    "l0": Unit.COUNT,
    "cosine": Unit.COSINE,
    "cross_entropy": Unit.NATS_PER_TOKEN,
    "log_odds": Unit.NATS,
    "log_odds_change": Unit.NATS,
    "kl": Unit.NATS,
    "dose_response": Unit.CORRELATION,
    "natural_association": Unit.CORRELATION,
    "contrastive_score": Unit.STANDARD_DEVIATIONS,
}


def words(name: str) -> str:
    """`firing_rate.corpus.tokens#refusal-1` as "share on which it fires: corpus, tokens, feature refusal-1"."""
    stem, _, item = name.partition("#")
    stem, _, judge = stem.partition("@")
    quantity, population, condition = (*stem.split(".", 2), "", "")[:3]
    of = f"direction {item}" if quantity in ("captured_share",) or condition in ("whole", "reconstruction", "error") else f"feature {item}"
    said = (
        _POPULATIONS.get(population, population.replace("-", " ")),
        _CONDITIONS.get(condition, condition.replace("-", " ")),
        of if item else "",
    )
    tail = ", ".join(part for part in said if part)
    head = QUANTITIES.get(quantity, quantity.replace("_", " "))
    return (f"{head}: {tail}" if tail else head) + (f" ({judge})" if judge else "")


def label_text(label: Label) -> Cell:
    """A label, or that its words are withheld."""
    return Cell(label.text) if label.text else Cell(WITHHELD, "mute")


def unit(name: str) -> Unit:
    """What an estimate is counted in, also where it is absent."""
    quantity = name.split(".")[0]
    return _UNITS.get(quantity, Unit.AUROC if quantity.endswith("auroc") else Unit.FRACTION)


def of_card(found: Found, card: Card, stem: str) -> Estimate | None:
    """An estimate of a feature, under whichever of its slots it stands."""
    return next((found.estimates[name] for name in _names(card, stem) if name in found.estimates), None)


def shown(found: Found, name: str) -> str:
    """An estimate as text; a dash where it is absent."""
    estimate = found.estimates.get(name)
    return str(numbers.measured(estimate, name)) if estimate else "–"


def shown_of(found: Found, card: Card, stem: str) -> str:
    """The same of a feature."""
    estimate = of_card(found, card, stem)
    return str(numbers.measured(estimate, stem)) if estimate else "–"


def why_none(found: Found, card: Card, stem: str) -> str:
    """The reason that the findings give for an estimate that they lack."""
    return why_absent(next(_names(card, stem), stem), found)


def judge_of(found: Found, contrast: ContrastFacts) -> str:
    """Who decides whether an answer shows the behaviour of a contrast."""
    judges = found.read.get("judges")
    first = str(judges[0]) if isinstance(judges, list) and judges else "substring"
    return first if f"behaviour_rate.{contrast.name}-present.baseline@phrases" not in found.estimates else "phrases"


def contrast_of(found: Found, name: str) -> ContrastFacts | None:
    """A contrast by its name."""
    return next((each for each in found.contrasts if each.name == name), None)


def p_words(p: float | None) -> str:
    """An adjusted p, or a dash."""
    return "–" if p is None else f"p{_HARD}={_HARD}{float(f'{p:.2g}'):g}"


def key(found: Found) -> str:
    """Short name of these findings: what was asked, and how it was read."""
    return digest_of([found.question, found.read])[:8]


def anchor(found: Found, feature: int) -> str:
    """Where the card of a feature stands."""
    return f"feature-{key(found)}-{feature}"


def why_here(card: Card, found: Found) -> str:
    """Why a feature has a card, slot by slot."""
    return "; ".join(_slot(slot, found) for slot in card.slots)


_HARD = "\N{NO-BREAK SPACE}"


def _slot(slot: str, found: Found) -> str:
    name, _, number = slot.rpartition("-")
    if contrast_of(found, name) is not None:
        return f"ranks {number} for {name}"
    return "named in the plan" if name == "feature" else "drawn by lot"


def _names(card: Card, stem: str) -> Iterator[str]:
    return (f"{stem}#{slot}" for slot in card.slots)
