"""One card per documented feature: what it fires on, what is said of it with which score, what it raises, and what editing it changes."""

from collections.abc import Iterator
from itertools import zip_longest

from safetycase.dossier import numbers, tokens
from safetycase.dossier.exhibits.feature_documentation import excerpts
from safetycase.dossier.exhibits.feature_documentation.drawn import dose_figures
from safetycase.dossier.exhibits.feature_documentation.excerpts import Windows
from safetycase.dossier.exhibits.feature_documentation.listed import measured_or_dash
from safetycase.dossier.exhibits.feature_documentation.sentences import card_lead
from safetycase.dossier.exhibits.feature_documentation.words import (
    AUTHORS,
    anchor,
    contrast_of,
    judge_of,
    label_text,
    of_card,
    p_words,
    shown_of,
    why_here,
    why_none,
)
from safetycase.dossier.page import Card as Shown
from safetycase.dossier.page import Cell, Fact, Table
from safetycase.evidence.kinds.feature_documentation.findings import Card, ContrastFacts, Found, Gate, Label

_TOKENS = 8
"""Rows of raised and lowered tokens, neighbours and features that fire together."""
_STATUS = {"live": "live", "dense": "dense", "dead": "dead: never fires on the corpus", "unknown": "how often it fires is not known"}


def cards(found: Found, windows: Windows) -> tuple[Shown, ...]:
    """All of them, in the order of the findings."""
    return tuple(_card(found, card, windows) for card in found.cards)


def _card(found: Found, card: Card, windows: Windows) -> Shown:
    shown = excerpts.excerpts(card, windows)
    passed = [gate.contrast for gate in card.gates if gate.passes]
    flags = (_STATUS[card.status], *([f"passes the causal gate for {', '.join(passed)}"] if passed else []))
    return Shown(
        anchor=anchor(found, card.feature),
        title=f"Feature {numbers.count(card.feature)}",
        flags=flags,
        lead=card_lead(found, card),
        facts=tuple(_facts(found, card)),
        tables={**_labels(found, card), **_contrasts(found, card), **_causes(found, card), **_directions(found, card)},
        figures=dose_figures(found, card),
        excerpts=shown,
        about=excerpts.said(found, card, windows, len(shown)) if shown else "No window of the corpus was kept for this feature.",
        points=tuple(f"{gate.contrast}: {reason}" for gate in card.gates for reason in gate.reasons),
    )


def _facts(found: Found, card: Card) -> Iterator[Fact]:
    yield Fact("Why it has a card", why_here(card, found))
    weights = (("direction of norm", card.decoder_norm), ("encoder bias", card.encoder_bias), ("threshold", card.threshold))
    known = [f"{what} {numbers.plain(value, 3)}" for what, value in weights if value is not None]
    yield Fact("Weights", ", ".join(known) or "not known")


def _labels(found: Found, card: Card) -> dict[str, Table]:
    columns = (
        Cell("Label, a hypothesis"),
        Cell("Made by"),
        Cell("Precision", "number"),
        Cell("Recall", "number"),
        Cell("Against silent", "number"),
        Cell("Against neighbour", "number"),
    )
    rows = tuple(_label(found, card, label) for label in card.labels)
    if not rows:
        return {}
    return {"labels": Table("Labels", columns, rows, widths=(25, 15, 20, 15, 15, 10), wide=True, dense=True)}


def _label(found: Found, card: Card, label: Label) -> tuple[Cell, ...]:
    made = Cell(AUTHORS.get(label.author, label.author), note=label.made_by)
    if not label.scored:
        return (label_text(label), made, Cell("unscored hypothesis", "mute"), Cell("–"), Cell("–"), Cell("–"))
    stems = (
        f"label_precision.corpus.natural@{label.author}",
        f"label_recall.corpus.natural@{label.author}",
        f"label_balanced_accuracy.corpus.zero@{label.author}",
        f"label_balanced_accuracy.corpus.neighbour@{label.author}",
    )
    misses = f"misses {len(label.misses)} windows in which it fires" if label.misses else ""
    notes = ("", misses, "", "")
    return (label_text(label), made, *(_score(found, card, stem, note) for stem, note in zip(stems, notes, strict=True)))


def _score(found: Found, card: Card, stem: str, note: str) -> Cell:
    estimate = of_card(found, card, stem)
    if estimate is None:
        return Cell("absent", "mute", note=why_none(found, card, stem))
    shuffled = "; ".join(numbers.p_value(null) for null in estimate.nulls)
    return Cell(measured_or_dash(estimate, stem), "number", note="; ".join(each for each in (shuffled, note) if each))


def _contrasts(found: Found, card: Card) -> dict[str, Table]:
    rows = tuple(row for contrast in found.contrasts for row in _reading(found, card, contrast))
    if not rows:
        return {}
    columns = (
        Cell("Contrast"),
        Cell("Rank", "number"),
        Cell("Cosine", "number"),
        Cell("AUROC", "number"),
        Cell("Fires on prompts"),
        Cell("Natural association", "number"),
    )
    return {"contrasts": Table("What it reads", columns, rows, widths=(15, 10, 10, 20, 25, 20), wide=True, dense=True)}


def _reading(found: Found, card: Card, contrast: ContrastFacts) -> Iterator[tuple[Cell, ...]]:
    relevance = next((each for each in card.relevance if each.contrast == contrast.name), None)
    auroc = shown_of(found, card, f"activation_auroc.{contrast.name}.confirmation")
    fires = "\n".join(_firing(found, card, contrast))
    association = shown_of(found, card, f"natural_association.{contrast.name}-present.within")
    if relevance is None and (auroc, fires, association) == ("–", "", "–"):
        return
    discovery = (numbers.count(relevance.rank) if relevance.rank else "–", numbers.plain(relevance.cosine, 2)) if relevance else ("–", "–")
    yield (Cell(contrast.name), *(Cell(each, "number") for each in (*discovery, auroc)), Cell(fires or "–"), Cell(association, "number"))


def _firing(found: Found, card: Card, contrast: ContrastFacts) -> Iterator[str]:
    """Shares of prompts by population: present and absent first, then variants."""
    starts = [f"firing_rate.{contrast.name}-{side}." for side in ("present", "absent")]
    every = sorted({name.split("#")[0] for name in found.estimates if name.startswith(f"firing_rate.{contrast.name}-")})
    for stem in sorted(every, key=lambda each: next((i for i, start in enumerate(starts) if each.startswith(start)), len(starts))):
        estimate = of_card(found, card, stem)
        if estimate is not None:
            yield f"{stem.split('.')[1].removeprefix(f'{contrast.name}-')} {numbers.measured(estimate, 'firing_rate')}"


def _causes(found: Found, card: Card) -> dict[str, Table]:
    rows = tuple(row for gate in card.gates for row in _gate(found, card, gate))
    if not rows:
        return {}
    columns = (
        Cell("Edit"),
        Cell("Change of log-odds", "number"),
        Cell("p", "number"),
        Cell("KL off target", "number"),
        Cell("Behaviour"),
        Cell("Gate"),
    )
    return {"causes": Table("What editing it changes", columns, rows, widths=(20, 25, 10, 15, 20, 10), wide=True, dense=True)}


def _gate(found: Found, card: Card, gate: Gate) -> Iterator[tuple[Cell, ...]]:
    contrast = contrast_of(found, gate.contrast)
    judge = judge_of(found, contrast) if contrast else ""
    dose = f", dose {gate.dose:g}" if gate.dose is not None else ""
    edits = (
        ("ablated", "present", "ablated", gate.p_ablation, gate.ablation),
        ("steered", "absent", f"steered{dose}", gate.p_steering, gate.steering),
    )
    for edit, side, title, p, passes in edits:
        population = f"{gate.contrast}-{side}"
        yield (
            Cell(f"{gate.contrast}: {title}"),
            _edit(found, card, f"log_odds_change.{population}.{edit}"),
            Cell(p_words(p).rsplit("=")[-1].strip(), "number"),
            Cell(shown_of(found, card, f"kl.{population}.{edit}"), "number"),
            Cell("\n".join(_behaviour(found, card, population, edit, judge)) or "–"),
            Cell("● passes" if passes else "○ no"),
        )
    yield from _clamps(found, card, gate)


def _edit(found: Found, card: Card, stem: str) -> Cell:
    estimate = of_card(found, card, stem)
    if estimate is None:
        return Cell("absent", "mute", note=why_none(found, card, stem))
    return Cell(
        measured_or_dash(estimate, stem), "number", note="; ".join(_beyond(null.quantiles) for null in estimate.nulls[:1] if null.quantiles)
    )


def _beyond(quantiles: dict[str, float]) -> str:
    low, high = min(quantiles, key=float), max(quantiles, key=float)
    return f"nulls {numbers.plain(quantiles[low], 2)} to {numbers.plain(quantiles[high], 2)}"


def _behaviour(found: Found, card: Card, population: str, edit: str, judge: str) -> Iterator[str]:
    change = of_card(found, card, f"behaviour_rate_change.{population}.{edit}@{judge}")
    if change is not None:
        yield str(numbers.measured(change, "behaviour_rate_change"))
    broken = of_card(found, card, f"incoherent_rate.{population}.{edit}")
    if broken is not None:
        yield f"incoherent {numbers.measured(broken, 'incoherent_rate')}"


def _clamps(found: Found, card: Card, gate: Gate) -> Iterator[tuple[Cell, ...]]:
    for index, times in enumerate(found.clamps, start=1):
        estimate = of_card(found, card, f"log_odds_change.{gate.contrast}-absent.clamped-{index}")
        if estimate is not None:
            value = Cell(measured_or_dash(estimate, "log_odds_change"), "number")
            yield (
                Cell(f"{gate.contrast}: clamped at {times:g} times its largest"),
                value,
                Cell("–"),
                Cell("–"),
                Cell("–"),
                Cell("shown only"),
            )


def _directions(found: Found, card: Card) -> dict[str, Table]:
    columns = (
        Cell("Raises"), Cell("Logit", "number"), Cell("Lowers"), Cell("Logit", "number"),
        Cell("Nearest direction"), Cell("Cosine", "number"), Cell("Fires with"), Cell("PMI", "number"),
    )  # fmt: skip
    listed = zip_longest(card.top_logits[:_TOKENS], card.bottom_logits[:_TOKENS], card.nearest[:_TOKENS], card.cofiring[:_TOKENS])
    rows = tuple(
        (
            *(
                cell
                for each in (top, bottom)
                for cell in _pair(
                    tokens.alone(each.text) if each else None, each.value if each else 0.0, "token", known=found.imported is None
                )
            ),
            *(
                cell
                for each in (near, beside)
                for cell in _pair(numbers.count(each.feature) if each else None, each.value if each else 0.0, "number")
            ),
        )
        for top, bottom, near, beside in listed
    )
    if not rows:
        return {}
    return {
        "directions": Table(
            "What its direction raises, and its neighbours",
            columns,
            rows,
            widths=(20, 10, 20, 10, 10, 10, 10, 10),
            wide=True,
            dense=True,
        )
    }


def _pair(text: str | None, value: float, style: str, *, known: bool = True) -> tuple[Cell, Cell]:
    """A name beside its number; imports give tokens without one, which is stored as 0."""
    if text is None:
        return Cell(""), Cell("")
    shown = numbers.plain(value, 2) if known or value else "–"
    return Cell(text, "token" if style == "token" else "number"), Cell(shown, "number")
