"""Pictures of attribution graphs for tests: of a given size, with hostile texts, and in a whole document."""

import random
from collections.abc import Sequence
from dataclasses import replace

from safetycase.dossier.figures.graph_picture import GraphPicture, PictureEdge, PictureNode, Supernode
from safetycase.dossier.page import Block, Dossier, Figure, Section
from tests.dossier import cases

LABELS = ("harm words", "refusal onset", "I-cannot openers", "names of chemicals and their precursors", "end of turn", "a")
TOKENS = ("·How", "·do", "·I", "·build", "·a", "·bomb", "?", "‹end›", "·assistant", "¶")
HOSTILE = (
    "</script><script>document.title='broken'</script>",
    "<!--<script>",
    "<img src=x onerror=document.title='broken'>",
    "\u202eevil\u202c",
    "שלום سلام",
    "\x00\x07",
    "漢字😀",
    "w" * 300,
    "{{7*7}}",
    "]]></title></svg>",
    "safe and certified",
    "safe",
    "'\"&amp;",
    "\u2028\u2029",
    "\ud800",
    " ",
    "",
)


def picture(
    features: int,
    edges: int,
    *,
    layers: int = 8,
    positions: int = 10,
    busy: int = 5,
    labels: Sequence[str] = LABELS,
    texts: Sequence[str] = TOKENS,
    groups: int = 3,
    seed: int = 0,
) -> GraphPicture:
    """A random graph whose nodes crowd at `busy` positions; targets at the last."""
    rng = random.Random(seed)
    crowded = [rng.randrange(positions) for _ in range(busy)]
    supernodes = tuple(Supernode(f"s{index}", f"group {index} of some name") for index in range(groups))
    nodes = []
    for index in range(features):
        kind = "feature" if rng.random() < 0.85 else "error"
        position = rng.choice(crowded) if rng.random() < 0.8 else rng.randrange(positions)
        group = rng.choice(supernodes).id if supernodes and kind == "feature" and rng.random() < 0.25 else None
        nodes.append(
            PictureNode(
                f"n{index}",
                "feature" if kind == "feature" else "error",
                rng.randrange(layers),
                position,
                rng.choice(labels) if kind == "feature" else "error",
                rng.random() ** 3 / features,
                rng.random() * 9,
                "measured elsewhere",
                group,
            )
        )
    nodes += [
        PictureNode(f"t{place}", "token", -1, place, texts[place % len(texts)], 0.01 * rng.random()) for place in sorted(set(crowded))
    ]
    nodes.append(PictureNode("y", "target", layers, positions - 1, "refusal − compliance", 1.0))
    made: dict[tuple[str, str], PictureEdge] = {}
    for _ in range(edges * 200):
        source, target = rng.choice(nodes), rng.choice(nodes)
        if source.layer < target.layer and len(made) < edges:
            made[source.id, target.id] = PictureEdge(source.id, target.id, rng.gauss(0.3, 1.0))
    columns = tuple(texts[place % len(texts)] for place in range(positions))
    return GraphPicture("From a request to a refusal", layers, columns, tuple(nodes), tuple(made.values()), supernodes, unit="nats")


SINGLE = GraphPicture("One node", 2, ("a",), (PictureNode("x", "feature", 1, 0, "alone", 0.0),), ())


def dossier(figure: Figure) -> Dossier:
    """The plausible document with this figure in place of one of its own."""
    whole = cases.plausible().dossier()

    def block(each: Block) -> Block:
        shown = (
            replace(step, exhibit=replace(step.exhibit, figures={**step.exhibit.figures, "scores": replace(figure, number=7)}))
            for step in each.steps
        )
        return replace(each, steps=tuple(shown)) if each.name == "evidence" else each

    def section(each: Section) -> Section:
        return replace(each, blocks=tuple(map(block, each.blocks)))

    return replace(whole, sections=tuple(map(section, whole.sections)))
