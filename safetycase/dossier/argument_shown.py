"""The argument as pages show it: drawn, then element by element, with what challenges it and what a reviewer would miss."""

from collections.abc import Iterator

from safetycase.case.goals import Argument, Node, NodeType
from safetycase.case.judged import JudgedCase
from safetycase.dossier import argued, numbers
from safetycase.dossier.figures import goal_structure
from safetycase.dossier.page import Block, Cell, Fact, Figure, Table

_ENTERS = {"support": "supports", "lower-bound": "bounds the success of an attack from below", "defeater": "counts against"}


def argument_blocks(case: JudgedCase) -> Iterator[Block]:
    """One for each argument of the case."""
    for argument in case.arguments:
        yield Block(
            template="",
            title=argument.title,
            paragraphs=(argument.about,),
            facts=tuple(_scope(argument)),
            figures=tuple(_figures(argument)),
            tables=(_goals(argument), _defeaters(argument), _solutions(argument), _beside(argument), _breaches(argument)),
            points=argument.invalidated_by,
        )


def _scope(argument: Argument) -> Iterator[Fact]:
    for name, value in argument.scope.model_dump().items():
        yield Fact(name.capitalize(), value or "not declared", "" if value else "mute")
    signed = argument.sign_off
    yield Fact("Author", signed.author)
    yield Fact("Reviewer", signed.reviewer or "nobody named")
    yield Fact("Independence", signed.independence)
    yield Fact("Newest evidence", signed.date.isoformat() if signed.date else "none")
    over = ": EXPIRED, it supports nothing until it is renewed" if argument.expired else ""
    until = f"{argument.expires.isoformat()}{over}" if argument.expires else "no date: no evidence yet, or no period declared"
    yield Fact("Expires", until)
    yield Fact("History", "; ".join(signed.history) or "none declared")
    yield Fact("Pattern", f"{argument.pattern}, sha256 {numbers.grouped(argument.pattern_sha256)}", "mono")


def _figures(argument: Argument) -> Iterator[Figure]:
    for picture in goal_structure.figures(argument):
        caption = (
            "Goal Structuring Notation: goals in rectangles, strategies in parallelograms, evidence in circles, context in rounded boxes; "
            "a diamond marks what is not developed; dashed rust marks what challenges a goal."
        )
        yield Figure(picture.title, picture.drawing, caption)


def _goals(argument: Argument) -> Table:
    columns = (Cell("Element"), Cell("Text"), Cell("Confidence, and why"))
    rows = tuple(_goal(node) for node in argument.nodes if node.type in (NodeType.GOAL, NodeType.STRATEGY))
    return Table("Goals and strategies", columns, rows, widths=(15, 45, 40), wide=True)


def _goal(node: Node) -> tuple[Cell, ...]:
    state = " ".join(word for word, holds in (("undeveloped", node.undeveloped), ("defeated", node.defeated)) if holds)
    sure = Cell(node.confidence.word.value, note=node.confidence.rationale) if node.confidence else Cell("–", "mute")
    note = f"asked for by {', '.join(node.requirements)}" if node.requirements else ""
    return (Cell(node.id, note=state or argued.named(node)), Cell(node.text, note=note), sure)


def _defeaters(argument: Argument) -> Table:
    columns = (Cell("Defeater"), Cell("What is doubted, or what was measured against it"), Cell("Challenges"), Cell("State"))
    rows = []
    for node in argument.nodes:
        if node.type is NodeType.DEFEATER:
            kind = "rests on evidence" if node.counts_against else "doubt"
            challenged = Cell(", ".join(node.challenges))
            rows.append((Cell(node.id, note=kind), Cell(node.text, note="\n".join(argued.measured(node))), challenged, _reply(node)))
    caption = "Defeaters are doubts that would change the conclusion. Counter-evidence of this case stands among them; none is left out."
    return Table("Defeaters and counter-evidence", columns, tuple(rows), caption, widths=(15, 40, 15, 30), wide=True)


def _reply(node: Node) -> Cell:
    if node.reply is None:
        return Cell("open")
    return Cell(node.reply.status, note="; ".join(part for part in (f"owner: {node.reply.owner}", node.reply.reason) if part))


def _solutions(argument: Argument) -> Table:
    columns = (Cell("Solution"), Cell("Evidence"), Cell("How it enters"), Cell("Findings"))
    rows = []
    for node in argument.nodes:
        if node.type is NodeType.SOLUTION:
            enters = "; ".join(dict.fromkeys(_ENTERS[each.enters] for each in node.evidence))
            digests = ", ".join(dict.fromkeys(each.findings_sha256[:12] for each in node.evidence))
            how = Cell(enters or "–", note=argued.standing(node))
            rows.append((Cell(node.id), Cell(node.text, note="\n".join(argued.measured(node))), how, Cell(digests or "none", "mono")))
    return Table("Solutions", columns, tuple(rows), widths=(10, 50, 25, 15), wide=True)


def _beside(argument: Argument) -> Table:
    columns = (Cell("Element"), Cell("Text"))
    kinds = (NodeType.CONTEXT, NodeType.ASSUMPTION, NodeType.JUSTIFICATION)
    rows = tuple((Cell(node.id, note=argued.named(node)), Cell(node.text)) for node in argument.nodes if node.type in kinds)
    return Table("Contexts, assumptions and justifications", columns, rows, widths=(15, 85))


def _breaches(argument: Argument) -> Table:
    columns = (Cell("Rule"), Cell("What a reviewer expects"), Cell("What is missing"))
    rows = tuple((Cell(str(each.rule), note=each.node), Cell(each.words), Cell(each.missing)) for each in argument.breaches)
    caption = f"{len({each.rule for each in argument.breaches})} of ten rules are breached."
    return Table("What a reviewer would miss", columns, rows, caption, widths=(10, 45, 45), wide=True)
