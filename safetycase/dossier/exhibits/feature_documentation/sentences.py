"""What the documentation of features shows, in sentences of fixed patterns: a feature fires on, a label predicts, an edit changes."""

from collections.abc import Iterator

from safetycase.case.claims import why_absent
from safetycase.dossier import numbers
from safetycase.dossier.exhibits.feature_documentation.words import METHODS, of_card, shown, shown_of
from safetycase.dossier.exhibits.general import ended
from safetycase.dossier.figures.bar import bar
from safetycase.dossier.page import Fact, KeyNumber
from safetycase.evidence.kinds.feature_documentation.findings import Card, ContrastFacts, Found
from safetycase.evidence.record import Estimate, Outcome

NOT_SHOWN = (
    "What a feature means: a label is a hypothesis, and its score says how often it predicts where the feature fires.",
    "That a concept is absent where no feature for it was found, or that the documented features are all that bear on a contrast.",
    "What the part of the activations does that the dictionary does not reconstruct.",
)
_EXPLAINED, _RECOVERED = "explained_variance.corpus.dictionary", "cross_entropy_recovered.corpus.dictionary"


def lead(found: Found) -> str:
    """The first sentence of the summary: what was looked at, and how many features pass the causal gate."""
    if found.outcome is Outcome.FAILED:
        return ended(found, "features of the dictionary")
    if not _weights_read(found):
        return f"Features of a sparse dictionary that are documented as another tool describes them: {numbers.count(len(found.cards))}."
    looked = (
        f"Of {numbers.count(found.dictionary.n_features)} features of a sparse {_sort(found)}, {numbers.count(found.looked_at)} were "
        f"ranked and {numbers.count(len(found.cards))} are documented"
    )
    passed = "; ".join(_passing(found, contrast) for contrast in found.contrasts)
    return f"{looked}; {passed}." if passed else f"{looked}."


def more(found: Found) -> str:
    """What follows it: how good the dictionary is beside its baselines, and why the outcome is not conclusive."""
    if found.outcome is Outcome.FAILED:
        return ""
    undecided = [] if found.outcome is Outcome.CONCLUSIVE else [ended(found, "features of the dictionary")]
    return " ".join((*_quality(found), *_provenance(found), *undecided))


def scope(found: Found) -> str:
    """On what, with which access, what changed from what to what, at what cost."""
    tested = [(contrast, card) for contrast in found.contrasts for card in found.cards if card.feature in contrast.tested]
    strongest = _strongest(found, tested)
    tokens = f"{numbers.count(found.corpus.tokens)} tokens of the" if found.corpus.tokens else "a"
    on = f"On {tokens} corpus {found.corpus.source}"
    if strongest is None:
        return f"{on}: where features fire and what their directions raise. No intervention on a feature was measured."
    contrast, card, effect = strongest
    cost = of_card(found, card, f"kl.{contrast.name}-present.ablated")
    costs = (
        f", at a cost of {numbers.measured(cost, 'kl')} of KL divergence off target"
        if cost is not None
        else "; its cost off target was not measured"
    )
    return (
        f"{on} and {numbers.count(effect.n)} confirmation prompts of {contrast.name}, with access to weights: of {len(contrast.tested)} "
        f"features that were intervened on, feature {numbers.count(card.feature)} has the largest effect; ablating it changes log-odds by "
        f"{numbers.measured(effect, 'log_odds_change')}{costs}."
    )


def key_numbers(found: Found) -> tuple[KeyNumber, ...]:
    """Explained variance, cross-entropy recovered, and the share of tested features that pass for the first contrast."""
    wanted = [
        (_EXPLAINED, f"of variance at the output site explained on {{n}} tokens{_beside(found, 'explained_variance')}"),
        (_RECOVERED, f"of cross-entropy recovered{_beside(found, 'cross_entropy_recovered')}"),
    ]
    for contrast in found.contrasts[:1]:
        text = f"of {{n}} tested features, a count of these highest-ranked ones, pass the causal gate for {contrast.name}"
        wanted.append((f"passing_share.{contrast.name}.causal", text))
    return tuple(_key_number(found, name, text) for name, text in wanted)


def dictionary_facts(found: Found) -> tuple[Fact, ...]:
    """The dictionary as it was read."""
    read = found.dictionary
    if not _weights_read(found):
        return (
            Fact("Format", read.format),
            Fact("Trained on", _trained(found)),
            Fact("Reads, writes", read.reads, "mono"),
            Fact("Weights", "not here: sort, activation and widths are not known"),
        )
    facts = [
        Fact("Sort and format", f"{_sort(found)}, {read.format}, {read.activation}"),
        Fact("Trained on", _trained(found)),
        Fact("Features", f"{numbers.count(read.n_features)}; {numbers.count(read.d_in)} numbers in, {numbers.count(read.d_out)} out"),
        Fact("Reads, writes", f"{read.reads}; {', '.join(read.writes)}", "mono"),
        Fact("Normalisation, skip path", f"{read.normalisation}; {'with a skip path' if read.has_skip else 'no skip path'}"),
        Fact("Looked at", f"{numbers.count(found.looked_at)} features were ranked, {numbers.count(len(found.cards))} have a card"),
    ]
    return (*facts, *(Fact(name.replace("_", " "), _fact(value)) for name, value in read.facts.items()))


def corpus_facts(found: Found) -> tuple[Fact, ...]:
    """The corpus as it was read."""
    read = found.corpus
    counted = f"{numbers.count(read.tokens)} tokens; " if read.tokens else ""
    sizes = (
        f"{numbers.count(read.tokens)} tokens of {numbers.count(read.documents)} documents in {numbers.count(read.windows)} windows of "
        f"{read.context}; reconstruction on {numbers.count(read.quality_tokens)}, losses on {numbers.count(read.splice_tokens)}"
        if read.documents
        else f"elsewhere; {counted}how many documents is not stated"
    )
    who = "public, as the plan declares" if read.sensitivity == "public" else "not declared public: its text stays out of public renderings"
    return (
        Fact("Corpus", read.source),
        Fact("Licence of its text", read.licence or "not stated"),
        Fact("Read", sizes),
        Fact("Text is", who),
    )


def another_model(found: Found) -> str:
    """The flag of a dictionary that was trained on another model than the one it is used on here; empty where it was not."""
    if found.dictionary.same_model is not False:
        return ""
    trained = found.dictionary.trained_on or "another model"
    return (
        f"This dictionary was trained on {trained}, not on the model assessed. Every figure here was measured on the model assessed; "
        "features may be other ones there than on the model that they were trained on."
    )


def _fact(value: str | int | float | bool) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return numbers.count(value)
        case _:
            return str(value)


def _weights_read(found: Found) -> bool:
    """Whether the dictionary itself was read: an import of what another tool shows of it states no width."""
    return found.dictionary.d_in > 0


def _sort(found: Found) -> str:
    return "autoencoder" if found.dictionary.is_autoencoder else "transcoder"


def _trained(found: Found) -> str:
    match found.dictionary.same_model:
        case True:
            return f"{found.dictionary.trained_on}, the model assessed"
        case False:
            return f"{found.dictionary.trained_on or 'another model'}: not the model assessed"
        case None:
            named = found.dictionary.trained_on
            return f"{named} (whether that is the model assessed, the names do not tell)" if named else "its files do not say"


def _passing(found: Found, contrast: ContrastFacts) -> str:
    gates = [gate for card in found.cards for gate in card.gates if gate.contrast == contrast.name]
    if contrast.stopped or not gates:
        return f"none was tested for {contrast.name}" + (f" ({contrast.stopped})" if contrast.stopped else "")
    passed = sum(gate.passes for gate in gates)
    return f"{passed or 'none'} of {len(gates)} tested {'passes' if passed <= 1 else 'pass'} the causal gate for {contrast.name}"


def _quality(found: Found) -> Iterator[str]:
    if _EXPLAINED in found.estimates:
        lowest = _beside(found, "explained_variance")
        yield f"The dictionary explains {shown(found, _EXPLAINED)} of the variance of its output site{lowest}."
    if _RECOVERED in found.estimates:
        beside = _beside(found, "cross_entropy_recovered")
        yield f"With the reconstruction in its place, {shown(found, _RECOVERED)} of cross-entropy is recovered{beside}."


def _provenance(found: Found) -> Iterator[str]:
    if found.dictionary.same_model is not True:
        named = found.dictionary.trained_on
        open_ = f"Its files name {named}; whether that is the model assessed, the names do not tell."
        yield another_model(found) or (open_ if named else "Its files do not say on which model the dictionary was trained.")


def _beside(found: Found, quantity: str) -> str:
    """The strongest baseline beside the dictionary."""
    named = [(f"{quantity}.corpus.{method}", method) for method in found.methods if method != "dictionary"]
    known = [(found.estimates[name].value, name, method) for name, method in named if name in found.estimates]
    if not known:
        return ""
    _, name, method = max(known)
    return f"; {METHODS.get(method, method)}, the strongest baseline: {shown(found, name)}"


def _strongest(found: Found, tested: list[tuple[ContrastFacts, Card]]) -> tuple[ContrastFacts, Card, Estimate] | None:
    effects = [(contrast, card, of_card(found, card, f"log_odds_change.{contrast.name}-present.ablated")) for contrast, card in tested]
    known = [(contrast, card, effect) for contrast, card, effect in effects if effect is not None]
    return min(known, key=lambda each: each[2].value) if known else None


def _key_number(found: Found, name: str, text: str) -> KeyNumber:
    estimate = found.estimates.get(name)
    if estimate is None:
        return KeyNumber(text=text.replace("of {n} ", "of ").replace(" on {n} tokens", ""), absent=why_absent(name, found))
    said, measured = text.replace("{n}", numbers.count(estimate.n)), numbers.measured(estimate, name)
    if not 0 <= estimate.low <= estimate.high <= 1:
        return KeyNumber(said, measured.value, measured.interval)
    drawing = bar(estimate, edited=name.startswith("passing"), alt=f"{measured} {said}, on a scale from 0 to 100 per cent")
    return KeyNumber(said, measured.value, measured.interval, drawing)


def card_lead(found: Found, card: Card) -> str:
    """In one sentence: how often it fires, how strongly, and in how many documents."""
    if card.status == "dead":
        return f"It fires on none of {numbers.count(found.corpus.tokens)} tokens of the corpus."
    largest = f" Its largest activation is {numbers.plain(card.maximum, 2)}." if card.maximum or _weights_read(found) else ""
    often = how_often(found, card)
    if card.status == "unknown" or often == NOT_KNOWN:
        return f"How often it fires is not known.{largest}"
    dense = "; dense, so that it may say little of any one text" if card.status == "dense" else ""
    documents = (
        f", in {numbers.count(card.documents)} of {numbers.count(found.corpus.documents)} documents" if found.corpus.documents else ""
    )
    return f"It fires on {often} of tokens{documents}{dense}.{largest}"


NOT_KNOWN = "not known"


def how_often(found: Found, card: Card) -> str:
    """The share of tokens on which a feature fires, with its interval where there is one."""
    density = shown_of(found, card, "firing_rate.corpus.tokens")
    if density != "–":
        return density
    return NOT_KNOWN if card.density is None or card.status == "unknown" else numbers.percent(card.density)
