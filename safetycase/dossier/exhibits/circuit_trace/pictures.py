"""The graphs of a circuit trace as pictures: the hypothesis by roles, and the pruned graphs of single prompts by positions."""

from collections.abc import Mapping, Sequence

from safetycase.dossier import numbers, tokens
from safetycase.dossier.exhibits.circuit_trace.words import error_beside, member_number, one_line, role_order
from safetycase.dossier.figures.attribution_graph import attribution_graph_figure
from safetycase.dossier.figures.graph_picture import GraphPicture, PictureEdge, PictureNode, Supernode
from safetycase.dossier.page import Figure
from safetycase.evidence.kinds.circuit_trace.findings import ExampleGraph, ExampleNode, Found, Member

TokenTexts = Mapping[str, tuple[str, ...]]
"""Item id to the texts of its tokens, where this rendering may show them."""

_TARGET = "target"


def hypothesis(found: Found) -> Figure | None:
    """Members by layer and role, boxes of supernodes, signed edges, the target on top; None where there is no member."""
    if not found.members:
        return None
    target_role = found.target.role if found.target is not None else ""
    roles = sorted({member.role for member in found.members} | ({target_role} if target_role else set()), key=role_order)
    groups = {slot: str(index) for index, each in enumerate(found.supernodes) if len(each.members) > 1 for slot in each.members}
    whole = sum(abs(member.effect) for member in found.members) or 1.0
    nodes = (
        *(_member(member, roles, abs(member.effect) / whole, groups.get(member.slot)) for member in found.members),
        PictureNode(
            id=_TARGET,
            kind="target",
            layer=max(found.n_layers, 1 + max(member.layer for member in found.members)),
            position=roles.index(target_role) if target_role else len(roles) - 1,
            label=found.target.label if found.target is not None else "target",
            influence=1.0,
        ),
    )
    known = {node.id for node in nodes}
    picture = GraphPicture(
        title="What is hypothesised to lead to refusal",
        n_layers=nodes[-1].layer,
        positions=tuple(roles),
        nodes=nodes,
        edges=tuple(PictureEdge(e.source, e.target, e.weight) for e in found.edges if {e.source, e.target} <= known),
        supernodes=tuple(
            Supernode(str(index), one_line(each.name)) for index, each in enumerate(found.supernodes) if str(index) in groups.values()
        ),
        columns_are="role",
    )
    standing = "" if found.holds else "This hypothesis does not hold in the tests below. "
    caption = (
        f"{standing}A hypothesis with its support, not a picture of one prompt: members recur more in graphs of harmful prompts; edges "
        f"are means over harmful discovery prompts. Influence: share of the members' total effect, in magnitude. {error_beside(found)}"
    )
    return attribution_graph_figure(picture, caption)


def single_prompts(found: Found, texts: TokenTexts) -> Mapping[str, Figure]:
    """Pruned graphs of confirmation prompts drawn by lot; columns are roles, and tokens where their texts may be shown."""
    return {
        f"example_{index}": attribution_graph_figure(_example(found, graph, texts.get(graph.item, ()), index), _said(found, graph, texts))
        for index, graph in enumerate(found.examples)
        if graph.nodes
    }


def _member(member: Member, roles: Sequence[str], share: float, group: str | None) -> PictureNode:
    return PictureNode(
        id=member.slot,
        kind="feature",
        layer=member.layer,
        position=roles.index(member.role),
        label=f"{member_number(member.slot)} {member.label or raised(member)}".rstrip(),
        influence=share,
        card=f"Layer {member.layer}, feature {member.feature}; recurs in {numbers.percent(round(member.recurs, 3))} of harmful graphs.",
        supernode=group,
    )


def raised(member: Member) -> str:
    """A member without a label, by the tokens that it raises most."""
    texts = ", ".join(tokens.alone(text) for text in member.raises[:2])
    return f"raises {texts}" if texts else f"feature {member.feature}"


def _example(found: Found, graph: ExampleGraph, texts: Sequence[str], index: int) -> GraphPicture:
    shown = texts if len(texts) == len(graph.roles) else ()
    columns = tuple(tokens.alone(text) for text in shown) or _numbered(graph.roles)
    n_layers = max(found.n_layers, 1 + max((node.layer for node in graph.nodes if node.kind in ("feature", "error")), default=0))
    labels = {(member.layer, member.feature): member.label or raised(member) for member in found.members}
    drawn = tuple(place for place, node in enumerate(graph.nodes) if 0 <= node.position < len(columns))
    known = set(drawn)
    return GraphPicture(
        title=f"Graph of one {graph.population} prompt, {index + 1} of {len(found.examples)}",
        n_layers=n_layers,
        positions=columns,
        nodes=tuple(_node(place, graph.nodes[place], graph, columns, n_layers, labels) for place in drawn),
        edges=tuple(PictureEdge(f"n{source}", f"n{target}", weight) for source, target, weight in graph.edges if {source, target} <= known),
    )


def _node(
    place: int, node: ExampleNode, graph: ExampleGraph, columns: Sequence[str], n_layers: int, labels: Mapping[tuple[int, int], str]
) -> PictureNode:
    match node.kind:
        case "feature":
            layer, label = node.layer, labels.get((node.layer, node.feature or 0), f"feature {node.feature}")
        case "error":
            layer, label = node.layer, "error"
        case "token":
            layer, label = -1, columns[node.position]
        case "target":
            layer, label = n_layers, graph.target
    return PictureNode(f"n{place}", node.kind, layer, node.position, label, node.influence, node.activation)


def _numbered(roles: Sequence[str]) -> tuple[str, ...]:
    """Roles as columns: tokens of the instruction, which share one role, are counted."""
    counts: dict[str, int] = {}
    made = []
    for role in roles:
        counts[role] = counts.get(role, 0) + 1
        made.append(f"{role} {counts[role]}" if roles.count(role) > 1 else role)
    return tuple(made)


def _said(found: Found, graph: ExampleGraph, texts: TokenTexts) -> str:
    columns = "" if texts.get(graph.item) else " Columns are roles: the text of prompts is shown in restricted documents alone."
    return (
        f"A {graph.population} confirmation prompt drawn by lot, traced from {graph.target}; it is one prompt, and no circuit."
        f"{columns} {error_beside(found, graph.population)}"
    )
