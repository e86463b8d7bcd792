"""The tables of feature documentation: the dictionary beside its baselines, contrasts, capture, probes, and all documented features."""

from collections import Counter
from collections.abc import Iterator, Sequence

from safetycase.dossier import numbers
from safetycase.dossier.exhibits import general
from safetycase.dossier.exhibits.feature_documentation.sentences import how_often
from safetycase.dossier.exhibits.feature_documentation.words import (
    AUTHORS,
    METHODS,
    anchor,
    judge_of,
    label_text,
    of_card,
    p_words,
    shown,
    shown_of,
    why_here,
    words,
)
from safetycase.dossier.page import Cell, Table
from safetycase.evidence.kinds.feature_documentation.findings import Card, ContrastFacts, Found, Gate
from safetycase.evidence.record import Estimate

_MEASURES = {
    "l0": "At work per token",
    "explained_variance": "Explained variance",
    "cosine": "Cosine",
    "cross_entropy_recovered": "Cross-entropy recovered",
    "kl_recovered": "KL recovered",
}
_MOST_SLOTS = 8
"""Slots that a list of absent estimates names one by one."""


def tables(found: Found) -> dict[str, Table]:
    """By the name under which the template places them."""
    overall = {name: each for name, each in found.estimates.items() if "#" not in name}
    effects = {name: each for name, each in found.estimates.items() if each.nulls and not name.startswith("label_")}
    return {
        **_named("quality", _quality(found)),
        **_named("capture", _capture(found)),
        **_named("probes", _probes(found)),
        **_named("structure", _structure(found)),
        **_named("contrasts", _contrasts(found)),
        **_named("features", _features(found)),
        **general.estimates(dict(sorted(overall.items())), words),
        **general.nulls(effects, words),
        **general.absent(_gathered(found)),
    }


def label_score(found: Found, card: Card, author: str) -> str:
    """The held-out precision of a label, with what other features' labels make of it, or the words that it has none.

    A feature that fires in most windows makes any label precise: the p beside it says so.
    """
    scored = any(label.author == author and label.scored for label in card.labels)
    precision = of_card(found, card, f"label_precision.corpus.natural@{author}")
    if not scored or precision is None:
        return "unscored hypothesis"
    return "; ".join((str(numbers.measured(precision, "label_precision")), *(numbers.p_value(null) for null in precision.nulls)))


def _named(name: str, table: Table | None) -> dict[str, Table]:
    return {} if table is None else {name: table}


def _quality(found: Found) -> Table | None:
    rows = [_method(found, method) for method in found.methods]
    rows = [row for row in rows if any(cell.text != "–" for cell in row[1:])]
    if not rows:
        return None
    columns = (Cell("Method"), *(Cell(title, "number") for title in _MEASURES.values()))
    losses = [found.estimates.get(f"cross_entropy.corpus.{each}") for each in ("clean", "dictionary", "ablated")]
    said = (
        " Cross-entropy per token: "
        + ", ".join(
            f"{numbers.measured(each, 'cross_entropy')} {what}"
            for each, what in zip(losses, ("unmodified", "with the reconstruction in place", "ablated"), strict=True)
            if each is not None
        )
        + "."
        if any(losses)
        else ""
    )
    caption = (
        "At the site that the dictionary writes. Explained variance is global: one minus squared error over squared distance from the "
        f"mean; the older formula averages it token by token, which differs where norms do.{said}"
    )
    return Table(
        "Quality of the dictionary beside its baselines",
        columns,
        tuple(rows),
        caption,
        widths=(20, 15, 20, 15, 15, 15),
        wide=True,
        dense=True,
    )


def _method(found: Found, method: str) -> tuple[Cell, ...]:
    values = (Cell(shown(found, f"{quantity}.corpus.{method}"), "number", note=_older(found, quantity, method)) for quantity in _MEASURES)
    return (Cell(METHODS.get(method, method)), *values)


def _older(found: Found, quantity: str, method: str) -> str:
    """What the older formula of explained variance gives, under that of the correct one."""
    older = shown(found, f"explained_variance_legacy.corpus.{method}") if quantity == "explained_variance" else "–"
    return "" if older == "–" else f"older formula {older}"


def _contrasts(found: Found) -> Table | None:
    if not found.contrasts:
        return None
    columns = (
        Cell("Contrast"),
        Cell("Present, absent"),
        Cell("Log-odds unmodified", "number"),
        Cell("First tokens"),
        Cell("Behaviour"),
        Cell("Tested"),
    )
    caption = "Log-odds of the first tokens of an answer, on confirmation prompts; the behaviour is read from whole answers."
    rows = tuple(_contrast(found, each) for each in found.contrasts)
    return Table(
        "The contrasts that features were ranked for", columns, rows, caption, widths=(10, 20, 20, 20, 15, 15), wide=True, dense=True
    )


def _contrast(found: Found, each: ContrastFacts) -> tuple[Cell, ...]:
    odds = [f"{side} {shown(found, f'log_odds.{each.name}-{side}.baseline')}" for side in ("present", "absent")]
    judge = judge_of(found, each)
    rates = [f"{side} {shown(found, f'behaviour_rate.{each.name}-{side}.baseline@{judge}')}" for side in ("present", "absent")]
    texts = ", ".join(repr(text)[1:-1] for text in each.token_texts) or "none"
    tested = f"{len(each.tested)} features, {numbers.count(each.nulls)} nulls"
    return (
        Cell(each.name),
        Cell(f"{each.present}\n{each.absent}"),
        Cell("\n".join(odds), "number"),
        Cell(texts, note=each.tokens_from),
        Cell(each.behaviour, note="\n".join((*rates, f"judge {judge}"))),
        Cell("none", note=each.stopped) if each.stopped else Cell(tested),
    )


def _capture(found: Found) -> Table | None:
    rows = tuple(row for contrast in found.contrasts for row in _captured(found, contrast))
    if not rows:
        return None
    columns = (
        Cell("Direction"),
        Cell("Out of the whole output", "number"),
        Cell("Out of the reconstruction", "number"),
        Cell("Out of the error", "number"),
        Cell("Share by reconstruction", "number"),
        Cell("Share by error", "number"),
    )
    caption = (
        "Change of log-odds of present prompts when the direction is taken out of the output site: out of all of it, out of what the "
        "dictionary reconstructs, out of its error. A share carried by the error is what no feature of this dictionary holds; the "
        "shares need not add to one. Own: the mean difference of the contrast at the last prompt token."
    )
    return Table(
        "Which part of a direction's effect the dictionary holds",
        columns,
        rows,
        caption,
        widths=(20, 15, 20, 15, 15, 15),
        wide=True,
        dense=True,
    )


def _captured(found: Found, contrast: ContrastFacts) -> Iterator[tuple[Cell, ...]]:
    population = f"{contrast.name}-present"
    start = f"log_odds_change.{population}.whole#"
    for direction in (name.removeprefix(start) for name in found.estimates if name.startswith(start)):
        effects = (
            Cell(shown(found, f"log_odds_change.{population}.{part}#{direction}"), "number")
            for part in ("whole", "reconstruction", "error")
        )
        shares = (Cell(shown(found, f"captured_share.{population}.{part}#{direction}"), "number") for part in ("reconstruction", "error"))
        yield (Cell(f"{contrast.name}: {direction}"), *effects, *shares)


def _probes(found: Found) -> Table | None:
    rows = []
    for contrast in found.contrasts:
        start = f"probe_auroc.{contrast.name}."
        named = sorted((name for name in found.estimates if name.startswith(start)), key=_probe_order)
        rows += [(Cell(contrast.name), Cell(_probe(name.removeprefix(start))), _beside_shuffled(found, name)) for name in named]
    if not rows:
        return None
    columns = (Cell("Contrast"), Cell("Probe"), Cell("AUROC", "number"))
    caption = (
        "Linear probes fitted on discovery prompts, scored on confirmation prompts. Where the dense probe does much better, few features "
        "hold little of the contrast. p: dense probes of permuted labels at least as good."
    )
    return Table("Few features against the whole site", columns, tuple(rows), caption, widths=(20, 50, 30))


def _beside_shuffled(found: Found, name: str) -> Cell:
    nulls = "; ".join(numbers.p_value(null) for null in found.estimates[name].nulls)
    return Cell(shown(found, name), "number", note=nulls)


def _probe(condition: str) -> str:
    number = condition.rpartition("-")[2]
    features = "feature" if number == "1" else "features"
    if condition.startswith("random-k-"):
        return f"{number} {features} drawn by lot"
    if condition.startswith("k-"):
        return f"{number} {features}, those that tell most on discovery prompts"
    return "dense: the site itself" if condition == "dense" else condition


def _probe_order(name: str) -> tuple[int, int]:
    condition = name.split(".")[2]
    number = condition.rpartition("-")[2]
    kinds = ("k-", "random-k-", "dense")
    return next((index for index, each in enumerate(kinds) if condition.startswith(each)), 9), int(number) if number.isdigit() else 0


def _structure(found: Found) -> Table | None:
    rows = []
    for contrast in found.contrasts:
        name = contrast.name
        named = (
            (f"absorption_rate.{name}-present.full", "prompts on which all main features are silent and another carries the direction"),
            (f"absorbed_fraction.{name}-present.partial", "share of the projection that absorbing features carry"),
            (f"contrastive_score.{name}.dictionary", "contrastive pairs: how far the most telling feature stands out"),
            (f"contrastive_score.{name}.random", "the same for a dictionary of random directions"),
        )
        rows += [(Cell(name), Cell(what), Cell(shown(found, each), "number")) for each, what in named if each in found.estimates]
    if not rows:
        return None
    columns = (Cell("Contrast"), Cell("Measure"), Cell("Value", "number"))
    caption = "Absorption as in SAEBench; contrastive pairs as in CE-Bench, without a language model as judge."
    return Table("Absorption and contrastive pairs", columns, tuple(rows), caption, widths=(20, 55, 25))


def _features(found: Found) -> Table | None:
    if not found.cards:
        return None
    columns = (
        Cell("Feature"),
        Cell("Label, a hypothesis"),
        Cell("Its precision", "number"),
        Cell("Density", "number"),
        Cell("AUROC", "number"),
        Cell("Ablated", "number"),
        Cell("Steered", "number"),
        Cell("Causal gate"),
    )
    tested = sum(len(each.tested) for each in found.contrasts)
    ranked = f"{numbers.count(found.looked_at)} features were ranked, " if found.looked_at else ""
    caption = (
        f"{ranked}{numbers.count(len(found.cards))} are documented, on {tested} of them "
        "interventions were tested. Precision: of held-out windows that the label names, how many make the feature fire, at natural "
        "density; its p: labels of other features that do as well on the same windows. AUROC of its largest activation on "
        "confirmation prompts, present against absent. Ablated and steered: change of "
        "log-odds; p against null features of the same site, adjusted by Holm's method over all tests of the step."
    )
    rows = tuple(_feature(found, card) for card in found.cards)
    return Table("Documented features", columns, rows, caption, widths=(10, 15, 10, 10, 15, 15, 15, 10), wide=True, dense=True)


def _feature(found: Found, card: Card) -> tuple[Cell, ...]:
    label = next(iter(card.labels), None)
    often = how_often(found, card)
    gates = {gate.contrast: gate for gate in card.gates}
    several = len(found.contrasts) > 1
    aurocs, ablated, steered = [], [], []
    for contrast in found.contrasts:
        name = f"{contrast.name}: " if several else ""
        aurocs.append(f"{name}{shown_of(found, card, f'activation_auroc.{contrast.name}.confirmation')}")
        gate = gates.get(contrast.name)
        if gate is not None:
            ablated.append(f"{name}{_effect(found, card, f'log_odds_change.{contrast.name}-present.ablated', gate.p_ablation)}")
            steered.append(f"{name}{_effect(found, card, f'log_odds_change.{contrast.name}-absent.steered', gate.p_steering)}")
    return (
        Cell(numbers.count(card.feature), "number", note=why_here(card, found), href=f"#{anchor(found, card.feature)}"),
        label_text(label) if label else Cell("none", "mute"),
        Cell(f"{label_score(found, card, label.author)}\n{AUTHORS.get(label.author, label.author)}" if label else "–", "number"),
        Cell(often if card.status in ("live", "unknown") else f"{often}\n{card.status}", "number"),
        Cell("\n".join(aurocs) or "–", "number"),
        Cell("\n".join(ablated) or "not tested", "number" if ablated else "mute"),
        Cell("\n".join(steered) or "not tested", "number" if steered else "mute"),
        _verdict(card.gates),
    )


def _effect(found: Found, card: Card, stem: str, p: float | None) -> str:
    effect = of_card(found, card, stem)
    return f"{numbers.measured(effect, 'log_odds_change')}\n{p_words(p)}" if effect else "absent"


def _verdict(gates: Sequence[Gate]) -> Cell:
    if not gates:
        return Cell("–")
    passed = [gate.contrast for gate in gates if gate.passes]
    if passed:
        return Cell(f"● passes\n{', '.join(passed)}")
    failed = (
        ("does not read it", [gate.reads for gate in gates]),
        ("neither edit passes", [gate.ablation or gate.steering for gate in gates]),
    )
    return Cell("○ no\n" + ", ".join(why for why, held in failed if not any(held)))


def _gathered(found: Found) -> Found:
    """The findings with absent estimates of many features named together."""
    if len(found.cards) <= _MOST_SLOTS:
        return found
    alike = Counter((name.partition("#")[0], reason) for name, reason in found.absent.items() if "#" in name)
    named: dict[str, str] = {}
    for name, reason in found.absent.items():
        stem, mark, _ = name.partition("#")
        named.setdefault(f"{stem}#…" if mark and alike[stem, reason] > _MOST_SLOTS else name, reason)
    return found.model_copy(update={"absent": named})


def measured_or_dash(estimate: Estimate | None, name: str) -> str:
    """An estimate as text; a dash where there is none."""
    return str(numbers.measured(estimate, name)) if estimate else "–"
