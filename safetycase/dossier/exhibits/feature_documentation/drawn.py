"""The figures of feature documentation: quality beside baselines, densities, effects beside nulls, and doses."""

from collections.abc import Iterator

from safetycase.dossier import numbers
from safetycase.dossier.exhibits.feature_documentation.words import METHODS, of_card, p_words
from safetycase.dossier.exhibits.general import methods
from safetycase.dossier.figures.baselines import Panel, beside_baselines
from safetycase.dossier.figures.density import Bin, density
from safetycase.dossier.figures.doses import Point, doses
from safetycase.dossier.figures.tested import Tested, tested_beside_nulls
from safetycase.dossier.page import Figure
from safetycase.evidence.kinds.feature_documentation.findings import Card, ContrastFacts, DoseEffect, Found
from safetycase.evidence.record import Estimate

_PANELS = {
    "explained_variance": "explained variance",
    "cross_entropy_recovered": "cross-entropy recovered",
    "kl_recovered": "KL divergence recovered",
}
_EDITS = {"ablated": ("present", "Ablating"), "steered": ("absent", "Steering along")}
_MOST_TESTED = 40


def figures(found: Found) -> dict[str, Figure]:
    """By the name under which the template places them; a figure whose numbers are absent is left out."""
    return {**dict(_quality(found)), **dict(_densities(found)), **dict(_effects(found))}


def dose_figures(found: Found, card: Card) -> tuple[Figure, ...]:
    """One for each contrast whose log-odds were steered along the feature."""
    return tuple(
        _doses(card, contrast, points, _nulls_of(of_card(found, card, f"log_odds_change.{contrast}-absent.steered")))
        for contrast, points in card.dose_response.items()
        if points
    )


def _quality(found: Found) -> Iterator[tuple[str, Figure]]:
    named = [method for method in found.methods if any(f"{each}.corpus.{method}" in found.estimates for each in _PANELS)]
    panels = [
        Panel(title, [found.estimates.get(f"{quantity}.corpus.{method}") for method in named])
        for quantity, title in _PANELS.items()
        if any(f"{quantity}.corpus.{method}" in found.estimates for method in named)
    ]
    if not named or not panels:
        return
    labels = [METHODS.get(method, method) for method in named]
    every = [each for panel in panels for each in panel.values if each is not None]
    alt = (
        "; ".join(
            f"{panel.title}: "
            + ", ".join(f"{label} {numbers.plain(each.value, 2)}" for label, each in zip(labels, panel.values, strict=True) if each)
            for panel in panels
        )
        + "."
    )
    equal = (
        "Baselines have as many units at work per token as the dictionary."
        if found.dictionary.is_autoencoder
        else "Neurons have as many units at work per token as the dictionary; a linear map and a skip path are not sparse."
    )
    caption = (
        f"1 is a perfect reconstruction, 0 is the mean of the site (left) or the site ablated. {equal} "
        f"{numbers.percent(every[0].level)} intervals, whose methods stand in the list of all estimates; "
        f"{numbers.count(found.corpus.quality_tokens)} tokens for reconstruction, {numbers.count(found.corpus.splice_tokens)} for losses."
    )
    yield "quality", Figure("The dictionary beside its baselines", beside_baselines(labels, panels, alt=alt), caption)


def _densities(found: Found) -> Iterator[tuple[str, Figure]]:
    if not found.density_histogram:
        return
    (_, _, dead), *bins = found.density_histogram
    share = found.read.get("dense")
    limit = float(share) if isinstance(share, int | float) else 0.1
    n_dense = sum(card.status == "dense" for card in found.cards)
    dense = found.estimates.get("dense_share.features.corpus")
    named = f"dense: {numbers.measured(dense, 'dense_share')} of features" if dense else "dense"
    never = found.estimates.get("dead_share.features.corpus")
    said = f" {numbers.measured(never, 'dead_share')} of features never fired there." if never else ""
    drawing = density(
        dead,
        [Bin(low, high, count) for low, high, count in bins],
        limit,
        named,
        alt=f"Histogram of the densities of all features; {numbers.count(dead)} never fired; {named}.",
    )
    caption = (
        f"All {numbers.count(found.dictionary.n_features)} features by the share of {numbers.count(found.corpus.tokens)} tokens on which "
        f"they fire; the axis is logarithmic.{said} Dense are those that fire on more than {numbers.percent(limit)} of tokens (dashed)"
        f"{f'; {n_dense} of them have a card' if n_dense else ''}."
    )
    yield "density", Figure("How often features fire", drawing, caption)


def _effects(found: Found) -> Iterator[tuple[str, Figure]]:
    for index, contrast in enumerate(found.contrasts):
        for edit, (side, what) in _EDITS.items():
            tested = list(_tested(found, contrast, edit, side))[:_MOST_TESTED]
            if not tested:
                continue
            nulls = [each for null in found.null_effects if (null.contrast, null.edit) == (contrast.name, edit) for each in null.effects]
            passed = sum(each.passes for each in tested)
            alt = (
                f"{what} each of {len(tested)} features changes the log-odds of {contrast.name}: "
                + ", ".join(f"feature {each.label} {numbers.plain(each.effect.value, 2)}" for each in tested)
                + f"; {len(nulls)} null features beside them."
            )
            caption = (
                f"Change of log-odds on {numbers.count(tested[0].effect.n)} {side} confirmation prompts. Square and bold: {edit} passes "
                f"({passed} of {len(tested)}). {numbers.percent(tested[0].effect.level)} intervals: "
                f"{methods(each.effect for each in tested)}. "
                f"{found.null_note}"
            ).strip()
            drawing = tested_beside_nulls(tested, nulls, axis_label="change of log-odds, nats", alt=alt)
            yield f"{edit}_{index}", Figure(f"{what} single features: {contrast.name}", drawing, caption)


def _tested(found: Found, contrast: ContrastFacts, edit: str, side: str) -> Iterator[Tested]:
    cards = {card.feature: card for card in found.cards}
    for feature in contrast.tested:
        card = cards.get(feature)
        effect = of_card(found, card, f"log_odds_change.{contrast.name}-{side}.{edit}") if card else None
        if card is None or effect is None:
            continue
        gate = next((each for each in card.gates if each.contrast == contrast.name), None)
        passes = gate is not None and (gate.ablation if edit == "ablated" else gate.steering)
        yield Tested(numbers.count(feature), effect, passes)


def _doses(card: Card, contrast: str, points: tuple[DoseEffect, ...], nulls: tuple[float, float] | None) -> Figure:
    gate = next((each for each in card.gates if each.contrast == contrast), None)
    chosen = gate.dose if gate else None
    drawn = [
        Point(
            each.dose,
            each.change,
            each.low,
            each.high,
            numbers.plain(each.kl, 2),
            "–" if each.incoherent is None else numbers.percent(round(each.incoherent, 2)),
        )
        for each in points
    ]
    alt = (
        f"Steering along feature {card.feature} changes the log-odds of {contrast} by "
        + ", ".join(f"{numbers.plain(each.change, 2)} nats at dose {each.dose:g}" for each in points)
        + (f"; dose {chosen:g} was chosen on discovery prompts." if chosen is not None else "; no dose was chosen.")
    )
    band = " Band: where nine of ten null features lie." if nulls else ""
    picked = (
        f"Square: the dose chosen on discovery prompts ({p_words(gate.p_steering)})"
        if gate and chosen is not None
        else "No dose was chosen"
    )
    caption = (
        f"Change of log-odds on absent confirmation prompts, nats, by dose in units of the residual norm. {picked}.{band} "
        "KL: off target, in nats; broken: answers that fall apart."
    )
    return Figure(f"Doses of steering: {contrast}", doses(drawn, chosen, nulls, alt=alt), caption)


def _nulls_of(effect: Estimate | None) -> tuple[float, float] | None:
    """The middle nine tenths of the first null of an effect."""
    quantiles = effect.nulls[0].quantiles if effect and effect.nulls else {}
    if "0.05" not in quantiles or "0.95" not in quantiles:
        return None
    return quantiles["0.05"], quantiles["0.95"]
