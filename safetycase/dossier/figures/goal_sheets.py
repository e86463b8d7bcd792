"""Divides a goal structure over sheets: what is too tall loses subtrees, each of which gets a sheet of its own."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from safetycase.case.goals import Argument
from safetycase.dossier.figures.goal_cards import Card, Form
from safetycase.dossier.figures.goal_sheet import TALLEST, Content, Sheet, too_deep
from safetycase.dossier.figures.goal_tree import Beside, Tree

_SPLIT_FROM = 1.8 * TALLEST
"""Height from which the children of a root are dealt out over sheets, instead of cutting single subtrees."""


_WORTH_A_SHEET = 220.0
"""Height below which a subtree gets no sheet of its own, but moves to the next one together with its root."""


def sheets(argument: Argument) -> tuple[Sheet, ...]:
    """Every element on a sheet, none of them wider or taller than a page; in reading order of their roots."""
    tree = Tree(argument)
    cards: dict[tuple[str, Form, float], Card] = {}
    done: list[Sheet] = []
    waiting = list(tree.roots)
    while waiting:
        for sheet in _of_root(tree, waiting.pop(0), cards):
            done.append(sheet)
            waiting += [each.card.node.id for each in sheet.placed if each.card.form == "stub"]
        waiting.sort(key=tree.place.__getitem__)
    return tuple(done)


def _of_root(tree: Tree, root: str, cards: dict[tuple[str, Form, float], Card]) -> Iterator[Sheet]:
    """The sheets of one root: the first with as much as fits, further ones with what is left of its children and side column."""

    def lay(content: Content) -> Sheet:
        return Sheet(tree, content, cards).lay()

    children, beside = tree.children(root), tree.beside(root)
    while True:
        shown = _most([Content(root, (), beside[:n]) for n in range(len(beside) + 1)], lay)
        shown = _unparted(beside, shown)
        content = Content(root, children, beside[:shown])
        sheet = _whole_or_cut(tree, content, lay)
        beside, children = _continued(beside, shown), ()
        if sheet.height > TALLEST:
            content = replace(content, cut=_too_tall_alone(tree, content, lay))
            dealt = [replace(content, children=content.children[:n]) for n in range(len(content.children) + 1)]
            n = _most(dealt, lay)
            sheet, children = lay(dealt[n]), content.children[n:]
        yield sheet
        if not children and not beside:
            return


def _whole_or_cut(tree: Tree, content: Content, lay: Callable[[Content], Sheet]) -> Sheet:
    """All of the children, with as few and as small subtrees cut as will do; too tall where dealing children out reads better."""
    content = replace(content, cut=too_deep(tree, content))
    sheet = lay(content)
    if sheet.height > _SPLIT_FROM and len(content.children) > 1:
        return sheet
    while sheet.height > TALLEST:
        key = _worth_cutting(sheet)
        if key is None:
            return sheet
        content = replace(content, cut=frozenset({*content.cut, key}))
        sheet = lay(content)
    return sheet


def _worth_cutting(sheet: Sheet) -> str | None:
    """The smallest subtree whose loss is enough; else the largest that fits a sheet; else the largest."""
    excess = sheet.height - TALLEST
    gains = {
        each.card.node.id: sheet.spans[each.card.node.id] - each.card.height
        for each in sheet.placed
        if each.card.form == "full" and each.card.node.id in sheet.spans and each.card.node.id != sheet.content.root
    }
    gains = {key: gain for key, gain in gains.items() if gain >= _WORTH_A_SHEET}
    enough = {key: gain for key, gain in gains.items() if gain >= excess + 40}
    if enough:
        return min(enough, key=enough.__getitem__)
    fitting = {key: gain for key, gain in gains.items() if sheet.spans[key] <= TALLEST}
    return max(fitting or gains, key=gains.__getitem__, default=None)


def _too_tall_alone(tree: Tree, content: Content, lay: Callable[[Content], Sheet]) -> Collection[str]:
    """Where to cut so that every child fits a sheet beside its root: the child itself, where its subtree does not."""
    deep = too_deep(tree, content)
    tall = {child for child in content.children if lay(replace(content, children=(child,), beside=(), cut=deep)).height > TALLEST}
    return frozenset({*deep, *tall})


def _most(contents: Sequence[Content], lay: Callable[[Content], Sheet]) -> int:
    """Index of the last of ever fuller contents whose sheet is not too tall."""
    low, high = 0, len(contents) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if lay(contents[middle]).height <= TALLEST else (low, middle - 1)
    return low


def _unparted(beside: tuple[Beside, ...], shown: int) -> int:
    """So many that no element is parted from the first doubt about it, as long as any is left."""
    parted = shown < len(beside) and shown > 1 and beside[shown].under == beside[shown - 1].id
    return shown - 1 if parted else shown


def _continued(beside: tuple[Beside, ...], shown: int) -> tuple[Beside, ...]:
    """What is left of a side column; a doubt takes the element that it challenges along."""
    rest = beside[shown:]
    if rest and rest[0].under:
        return (Beside(rest[0].under, "", challenges=False), *rest)
    return rest
