"""How a circuit trace is shown: a hypothesis with its error share and its tests, and what was patched without dictionaries."""

from collections.abc import Iterator
from typing import cast

from safetycase.case.claims import why_absent
from safetycase.dossier.exhibits.circuit_trace import sentences
from safetycase.dossier.exhibits.circuit_trace.drawn import figures
from safetycase.dossier.exhibits.circuit_trace.listed import tables
from safetycase.dossier.exhibits.circuit_trace.words import TESTS, error_beside, unit, words
from safetycase.dossier.page import Exhibit, Figure, Quoted, Table
from safetycase.evidence.kinds.circuit_trace.findings import Found
from safetycase.evidence.record import Findings, Outcome

__all__ = ["exhibit", "unit", "words"]


def exhibit(found: Findings, quoted: Quoted) -> Exhibit:
    """All that the pages show of these findings."""
    found = cast(Found, found)
    drawn, listed = figures(found, quoted.tokens), tables(found)
    return Exhibit(
        sentence=sentences.lead(found),
        more=sentences.more(found),
        scope=sentences.scope(found),
        key_numbers=sentences.key_numbers(found),
        not_shown=sentences.NOT_SHOWN if found.transcoders is not None else sentences.NOT_SHOWN_BY_PATCHING,
        figures=drawn,
        tables=listed,
        missing=dict(_missing(found, drawn, listed)),
        notes={name: text for name, text in _notes(found) if text},
        facts={"transcoders": sentences.transcoder_facts(found), "target": sentences.target_facts(found)},
    )


def _notes(found: Found) -> Iterator[tuple[str, str]]:
    """What stands first, and beside a figure, where there is something to be said."""
    yield "fallen", sentences.fallen(found)
    yield "another_model", sentences.another_model(found)
    yield "error", error_beside(found) if found.transcoders is not None else ""


def _missing(found: Found, drawn: dict[str, Figure], listed: dict[str, Table]) -> Iterator[tuple[str, str]]:
    no_member = "" if found.members else _why_no_member(found)
    reasons = {
        "circuit": no_member,
        "members": no_member,
        "circuit_edges": no_member or "no edge between members was found",
        "scores": why_absent("error_share.harmful.graph", found),
        "checks": no_member or why_absent("node_prediction.harmful.nodes", found),
        "predicted": no_member or why_absent("node_prediction.harmful.nodes", found),
        "tests": no_member or why_absent("log_odds_change.harmful.ablated", found),
        **{name: no_member or why_absent(estimate, found) for name, (estimate, _) in TESTS.items()},
        "answers": no_member or why_absent("refusal_rate.harmful.ablated", found),
        "predictions": no_member or why_absent("explained_change.harmful.circuit", found),
        "patching_denoise": why_absent("patched_change.harmless.denoised", found),
        "patching_noise": why_absent("patched_change.harmful.noised", found),
        "top_edges": why_absent("cpr.matched.edge-circuit", found),
        "curve": why_absent("cpr.matched.edge-circuit", found),
        "stages": why_absent("cpr.matched.edge-circuit", found),
        "example_0": "no graph of a single prompt was kept",
        "estimates": "nothing could be estimated",
    }
    return ((name, reason) for name, reason in reasons.items() if name not in drawn and name not in listed)


def _why_no_member(found: Found) -> str:
    if found.outcome in (Outcome.FAILED, Outcome.NOT_APPLICABLE) and found.reasons:
        return "; ".join(reason.rstrip(".") for reason in found.reasons)
    return "no feature was selected as a member"
