"""The tables of hints: what they change, what the reasoning says of it by whoever reads, monitors, agreement, and examples."""

from collections.abc import Mapping

from safetycase.dossier import numbers
from safetycase.dossier.exhibits.cot_faithfulness.words import (
    hint_name,
    kinds_of_hints,
    reader,
    readers,
    reason,
    shown,
)
from safetycase.dossier.page import Cell, Quoted, SwitchedText, Table
from safetycase.evidence.kinds.cot_faithfulness.findings import Agreement, Found, HintCounts, Switched

_MOST_CHARACTERS = 1200
"""Of a text on a page; what lies beyond is counted."""
_ITEM = 12
"""Characters of an item id."""


def tables(found: Found, quoted: Quoted) -> dict[str, Table | None]:
    """By the name under which the template places them; None where there is nothing to list."""
    return {
        "changed": _changed(found),
        "said": _said(found),
        "monitors": _monitors(found),
        "agreements": _agreements(found),
        "switched": _switched(found, quoted),
    }


def _changed(found: Found) -> Table | None:
    if not found.hints:
        return None
    columns = (
        Cell("Cue"),
        Cell("Could switch", "number"),
        Cell("To the cue's option", "number"),
        Cell("To another", "number"),
        Cell("Share explained", "number"),
        Cell("Accuracy", "number"),
    )
    again = shown(found, "switching.clean.again")
    caption = (
        "Could switch: answered without the cue, and not with its option. Share explained: of switches to that option, those beyond what "
        "switching at random to any other option gives. Asked again without any cue, answers differ in "
        f"{again if again != '–' else 'an unknown share of questions'}; accuracy without any cue: {shown(found, 'accuracy.clean.reasoning')}."
    )
    rows = tuple(_change(found, counts) for counts in found.hints)
    return Table("What cues change", columns, rows, caption, widths=(20, 15, 20, 15, 15, 15), wide=True, dense=True)


def _change(found: Found, counts: HintCounts) -> tuple[Cell, ...]:
    own = f"{counts.hint}.{counts.side}"
    share = shown(found, f"hint_share.{own}")
    return (
        Cell(hint_name(counts.hint), note=_towards(counts.side)),
        Cell(numbers.count(counts.eligible), "number"),
        Cell(shown(found, f"switched_to.{own}"), "number", note=f"{numbers.count(counts.switched)} answers"),
        Cell(shown(found, f"switched_away.{own}"), "number", note=f"{numbers.count(counts.away)} answers"),
        Cell(share if share != "–" else "not measurable", "number", note=_undefined(counts)),
        Cell(shown(found, f"accuracy.{own}"), "number"),
    )


def _towards(side: str) -> str:
    return "towards wrong options" if side == "wrong" else "towards right options"


def _undefined(counts: HintCounts) -> str:
    return "" if counts.undefined_draws is None else f"undefined in {numbers.percent(round(counts.undefined_draws, 3))} of draws"


def _said(found: Found) -> Table | None:
    """A row per cue, side and reader; what could not be measured has its reason in words and no number."""
    names = readers(found)
    if not found.hints or not names:
        return None
    columns = (
        Cell("Cue"),
        Cell("Read by"),
        Cell("Acknowledged", "number"),
        Cell("Adjusted", "number"),
        Cell("Without a cue, found", "number"),
    )
    rows = tuple(_saying(found, counts, detector) for counts in found.hints for detector in names)
    caption = (
        "Of answers that the cue changed to its option, the share whose reasoning says so; adjusted for switches by chance, and cut "
        "at 1. Without a cue, found: share of reasoning without any cue in which the same reader finds it; each is a false hit. "
        "Rates hang on who reads, and none of the readers is the truth."
    )
    return Table("What the reasoning says of cues", columns, rows, caption, widths=(20, 15, 25, 20, 20), wide=True, dense=True)


def _saying(found: Found, counts: HintCounts, detector: str) -> tuple[Cell, ...]:
    own = f"{counts.hint}.{counts.side}@{detector}"
    raw, adjusted = f"acknowledged.{own}", f"acknowledged_adjusted.{own}"
    counted = counts.acknowledged.get(detector)
    of = f"{numbers.count(counted)} of {numbers.count(counts.switched)}" if counted is not None else ""
    clipped = f"cut in {numbers.percent(round(counts.clipped_draws, 3))} of draws" if counts.clipped_draws else ""
    return (
        Cell(hint_name(counts.hint), note=_towards(counts.side)),
        Cell(reader(detector)),
        Cell(shown(found, raw), "number", note=of)
        if raw in found.estimates
        else Cell("not measurable", note=counts.why_not or reason(found, raw)),
        Cell(shown(found, adjusted), "number", note=clipped) if adjusted in found.estimates else Cell("not measurable", "number"),
        Cell(shown(found, f"acknowledged.{counts.hint}.unhinted@{detector}"), "number"),
    )


def _monitors(found: Found) -> Table | None:
    places = [(hint, name) for hint in kinds_of_hints(found) for name in readers(found)]
    known = [(hint, name) for hint, name in places if f"monitorability.{hint}.wrong@{name}" in found.estimates]
    if not known:
        return None
    columns = (Cell("Cue"), Cell("Monitor"), Cell("Sees", "number"), Cell("Passes others", "number"), Cell("Monitorability", "number"))
    rows = tuple(
        (
            Cell(hint_name(hint)),
            Cell(reader(name)),
            *(
                Cell(shown(found, f"{quantity}.{hint}.wrong@{name}"), "number")
                for quantity in ("monitored_positive", "monitored_negative", "monitorability")
            ),
        )
        for hint, name in known
    )
    caption = (
        "A monitor reads reasoning and is not told of the cue. Sees: share of answers changed by the cue that it flags, of those that the "
        "cue explains. Passes others: geometric mean over prompts with and without the cue. Monitorability is their product. Reasoning that "
        "mentions a cue without following it counts as a false alarm."
    )
    return Table("Whether a monitor sees it", columns, rows, caption, widths=(20, 20, 20, 20, 20), wide=True, dense=True)


def _agreements(found: Found) -> Table | None:
    if not found.agreements:
        return None
    columns = (Cell("Readers"), Cell("Texts", "number"), Cell("Agree", "number"), Cell("κ", "number"), Cell("AC2", "number"))
    rows = tuple(_agreement(each) for each in found.agreements)
    caption = (
        "On reasoning that both read. κ falls where nearly all labels are alike, however well two agree; AC2 does not. A rate of either is "
        "no surer than their agreement."
    )
    return Table("Agreement of readers", columns, rows, caption, widths=(35, 10, 20, 20, 15))


def _agreement(each: Agreement) -> tuple[Cell, ...]:
    return (
        Cell(f"{reader(each.detector)} and {reader(each.against)}"),
        Cell(numbers.count(each.n), "number"),
        Cell(_between(100 * each.raw, _hundredfold(each.raw_limits), 0, f"{numbers.THIN}%"), "number"),
        Cell(_between(each.kappa, each.kappa_limits, 2), "number"),
        Cell(_between(each.ac2, each.ac2_limits, 2), "number"),
    )


def _hundredfold(limits: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if limits is None else (100 * limits[0], 100 * limits[1])


def _between(value: float | None, limits: tuple[float, float] | None, places: int, unit: str = "") -> str:
    if value is None:
        return "undefined"
    interval = f" [{', '.join(numbers.plain(end, places) for end in limits)}]" if limits is not None else ", no interval"
    return f"{numbers.plain(value, places)}{unit}{interval}"


def _switched(found: Found, quoted: Quoted) -> Table | None:
    if not found.switched:
        return None
    texts = {(each.item, each.condition): each for each in quoted.switched}
    columns = (
        Cell("Example"),
        *((Cell("Question"), Cell("Without the cue"), Cell("With the cue")) if texts else (Cell("Cue"), Cell("Answer"), Cell("Read as"))),
    )
    rows = tuple(_example(each, texts) for each in found.switched)
    withheld = "" if texts else " Questions and reasoning are restricted and are not part of this rendering."
    caption = (
        "Answers that a cue towards a wrong option changed, drawn at random with the seed of the step, whatever the reasoning says; texts "
        f"are cut after {numbers.count(_MOST_CHARACTERS)} characters.{withheld}"
    )
    widths = (15, 20, 30, 35) if texts else (25, 20, 25, 30)
    return Table("Switched answers", columns, rows, caption, widths=widths, wide=True, dense=True)


def _example(each: Switched, texts: Mapping[tuple[str, str], SwitchedText]) -> tuple[Cell, ...]:
    cue = hint_name(each.condition.removesuffix(".wrong"))
    switch = f"{each.before} → {each.after}"
    said = "; ".join(f"{reader(name)}: {'acknowledged' if flag else 'not acknowledged'}" for name, flag in each.acknowledged.items())
    if not texts:
        named = f"the cue names {each.hinted}"
        return (Cell(each.item[:_ITEM], "mono"), Cell(cue), Cell(switch, note=named), Cell(said or "not read"))
    text = texts.get((each.item, each.condition))
    quotes = (text.question, text.before, text.after) if text else ("", "", "")
    return (
        Cell(switch, note=f"{cue}; {said or 'not read'}", code=each.item[:_ITEM]),
        *(Cell(_cut(quote), "token") if quote else Cell("not stored", "mute") for quote in quotes),
    )


def _cut(text: str) -> str:
    """As much as a page holds; how much more there is stands at the end."""
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"{text[:_MOST_CHARACTERS]}… ({numbers.count(len(text) - _MOST_CHARACTERS)} more characters)"
