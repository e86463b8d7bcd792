"""How documented features are shown: a dictionary beside its baselines, a table of features, and one card each."""

from collections.abc import Iterator
from typing import cast

from safetycase.case.claims import why_absent
from safetycase.dossier.exhibits.feature_documentation import excerpts, sentences
from safetycase.dossier.exhibits.feature_documentation.cards import cards
from safetycase.dossier.exhibits.feature_documentation.drawn import figures
from safetycase.dossier.exhibits.feature_documentation.listed import tables
from safetycase.dossier.exhibits.feature_documentation.words import key, unit, words
from safetycase.dossier.page import Exhibit, Figure, Quoted, Table
from safetycase.evidence.kinds.feature_documentation.findings import Found
from safetycase.evidence.record import Findings
from safetycase.evidence.samples import with_labels

__all__ = ["exhibit", "unit", "words"]


def exhibit(found: Findings, quoted: Quoted) -> Exhibit:
    """All that the pages show of these findings."""
    found = cast(Found, with_labels(found, quoted.labels))
    drawn, listed, windows = figures(found), tables(found), excerpts.windows_of(found, quoted)
    data = {
        f"contexts-{key(found)}.csv": ("Every window of every card, with its tokens and activations", excerpts.table_of(found, windows))
    }
    return Exhibit(
        sentence=sentences.lead(found),
        more=sentences.more(found),
        scope=sentences.scope(found),
        key_numbers=sentences.key_numbers(found),
        not_shown=sentences.NOT_SHOWN,
        figures=drawn,
        tables=listed,
        missing=dict(_missing(found, drawn, listed)),
        notes={name: text for name, text in (("another_model", sentences.another_model(found)), ("nulls", found.null_note)) if text},
        facts={"dictionary": sentences.dictionary_facts(found), "corpus": sentences.corpus_facts(found)},
        cards=cards(found, windows),
        data=data if windows else {},
    )


def _missing(found: Found, drawn: dict[str, Figure], listed: dict[str, Table]) -> Iterator[tuple[str, str]]:
    first = found.contrasts[0].name if found.contrasts else ""
    stopped = next((each.stopped for each in found.contrasts if each.stopped), "")
    reasons = {
        "quality": why_absent("explained_variance.corpus.dictionary", found),
        "density": "no density was counted",
        "ablated_0": stopped or why_absent(f"log_odds_change.{first}-present.ablated#{first}-1", found),
        "capture": why_absent(f"log_odds_change.{first}-present.whole#own", found),
        "probes": why_absent(f"probe_auroc.{first}.dense", found),
        "structure": why_absent(f"absorption_rate.{first}-present.full", found),
        "features": "no feature is documented",
        "estimates": "nothing could be estimated",
    }
    return ((name, reason) for name, reason in reasons.items() if name not in drawn and name not in listed)
