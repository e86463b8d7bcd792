"""Windows of the corpus as a card shows them: cut around their strongest token, coloured, and as a table of their own in full."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence

from safetycase.dossier import numbers, tokens
from safetycase.dossier.page import Excerpt, Quoted, Run
from safetycase.evidence.kinds.feature_documentation.findings import Card, Context, Found

Windows = Mapping[int, tuple[str, ...]]

_BEFORE, _AFTER = 14, 8
"""Tokens of a window that are shown beside its strongest one."""
_TOP, _ZERO, _MISSED = 5, 2, 2
_MOST_PLACES = 8


def windows_of(found: Found, quoted: Quoted) -> Windows:
    """Texts of the corpus that this rendering may show: those of a public corpus, or restricted ones that were let through."""
    return quoted.windows if found.corpus.sensitivity == "public" else quoted.windows_restricted


def excerpts(card: Card, windows: Windows) -> tuple[Excerpt, ...]:
    """The strongest windows, one of each decile from strong to weak, silent ones, and some that a label misses."""
    missed = {window for label in card.labels for window in label.misses}
    chosen = [
        *(("strongest", each) for each in _of(card, "top")[:_TOP]),
        *((f"decile {n}", each) for n in range(10, 0, -1) for each in _of(card, f"decile-{n}")[:1]),
        *(("missed by a label", each) for each in [each for each in _of(card, "held-out") if each.window in missed][:_MISSED]),
        *(("silent", each) for each in _of(card, "zero")[:_ZERO]),
    ]
    return (*(_excerpt(place, each, windows, card.maximum) for place, each in chosen), *_unmeasured(card, windows))


def said(found: Found, card: Card, windows: Windows, shown: int) -> str:
    """How many windows stand here, how they are coloured, and whose text they are."""
    whole = sum(not each.bin.startswith("held-out") for each in card.contexts)
    count = f"{shown} of {whole} windows" if shown < whole else f"All {whole} windows"
    if not windows:
        why = (
            "the plan does not declare this corpus public, so that they are shown as activations, without their text"
            if found.corpus.sensitivity == "restricted"
            else "their text is not in this copy of the case"
        )
        return f"{count}; {why}."
    return f"{count}. Text: {found.corpus.source}, licence: {found.corpus.licence or 'not stated'}."


def table_of(found: Found, windows: Windows) -> bytes:
    """Every window of every card in full, as CSV: tokens and activations are JSON lists."""
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(("feature", "bin", "window", "largest", "tokens", "activations"))
    for card in found.cards:
        for each in card.contexts:
            texts = json.dumps(windows.get(each.window, ()))
            writer.writerow((card.feature, each.bin, each.window, max(each.activations, default=0), texts, json.dumps(each.activations)))
    return made.getvalue().encode()


def _of(card: Card, name: str) -> list[Context]:
    return [each for each in card.contexts if each.bin == name]


def _excerpt(place: str, context: Context, windows: Windows, maximum: float) -> Excerpt:
    activations = context.activations
    peak = max(range(len(activations)), key=activations.__getitem__, default=0)
    value = numbers.plain(max(activations, default=0.0), 2)
    texts = windows.get(context.window)
    if texts is None or len(texts) != len(activations):
        return Excerpt(place, value, "", (), "", note=_places(activations))
    fires = max(activations, default=0.0) > 0
    start, end = max(0, peak - _BEFORE), min(len(texts), peak + _AFTER + 1)
    cut = _cut(tokens.runs(texts[start:end], activations[start:end], maximum), before=start > 0, after=end < len(texts))
    heard = tokens.heard(texts[start:end], activations[start:end])
    return Excerpt(place, value, tokens.alone(texts[peak]) if fires else "–", cut, heard)


def _unmeasured(card: Card, windows: Windows) -> Iterator[Excerpt]:
    """Windows that a label misses and whose activations the findings do not keep: their text alone."""
    kept = {each.window for each in card.contexts}
    missed = dict.fromkeys(window for label in card.labels for window in label.misses if window not in kept)
    for window in list(missed)[:_MISSED]:
        if window in windows:
            texts = windows[window][: _BEFORE + _AFTER]
            line = tokens.heard(texts, [0.0] * len(texts))
            cut = _cut((Run("".join(map(tokens.in_text, texts))),), before=False, after=len(windows[window]) > len(texts))
            yield Excerpt("missed by a label", "not kept", "–", cut, line)


def _cut(made: Sequence[Run], *, before: bool, after: bool) -> tuple[Run, ...]:
    """With an ellipsis where the window goes on."""
    return ((Run("… "),) if before else ()) + tuple(made) + ((Run(" …"),) if after else ())


def _places(activations: Sequence[float]) -> str:
    """Where a feature fires, without the text: token by token, the strongest ones."""
    firing = sorted((index for index, each in enumerate(activations) if each > 0), key=activations.__getitem__, reverse=True)
    if not firing:
        return f"silent on all {len(activations)} tokens"
    listed = ", ".join(f"{numbers.plain(activations[index], 2)} at {index + 1}" for index in sorted(firing[:_MOST_PLACES]))
    more = f", and {len(firing) - _MOST_PLACES} more" if len(firing) > _MOST_PLACES else ""
    return f"fires on {len(firing)} of {len(activations)} tokens: {listed}{more}"
