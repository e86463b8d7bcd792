"""Pictures of attribution graphs: legible on paper, explored on a screen, and open to no text that they show."""

import base64
import hashlib
import itertools
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from markupsafe import Markup

from safetycase.dossier.figures.attribution_graph import attribution_graph_figure
from safetycase.dossier.figures.graph_layout import placed
from safetycase.dossier.figures.graph_picture import GraphPicture, PictureEdge, PictureNode
from safetycase.dossier.figures.graph_routes import routes
from safetycase.dossier.figures.graph_selection import Limits, selected
from safetycase.dossier.page import Figure
from safetycase.dossier.press import _page
from safetycase.dossier.render import render_html
from safetycase.errors import RenderError
from safetycase.resources import overlaid
from tests.dossier import cases
from tests.dossier.graphs import HOSTILE, SINGLE, dossier, picture

SVG = "{http://www.w3.org/2000/svg}"
TOOLS = Path(__file__).resolve().parents[3] / "shared" / "tools"
PICTURES: Mapping[str, GraphPicture] = {
    "small": picture(32, 150),
    "large": picture(290, 3000, layers=26, positions=64, busy=12),
    "crowded": picture(120, 300, layers=2, positions=3, busy=2, groups=0),
    "many positions": picture(60, 400, layers=4, positions=64, busy=40, groups=0),
    "hostile": picture(30, 120, labels=HOSTILE, texts=HOSTILE),
    "single": SINGLE,
}
each_picture = pytest.mark.parametrize("name", PICTURES)


@cache
def drawn(name: str) -> Figure:
    return attribution_graph_figure(PICTURES[name], "A caption.")


def tree(figure: Figure) -> ET.Element:
    return ET.fromstring(str(figure.drawing))


def elements(root: ET.Element, kind: str) -> list[ET.Element]:
    return [each for each in root.iter(f"{SVG}g") if each.get("class") == f"graph-{kind}"]


@each_picture
def test_a_drawing_fits_a_page_in_type_that_can_be_read(name: str) -> None:
    """No wider or higher than a sheet, no type below nine pixels, no mark beyond the edges, and words for those who hear it."""
    root = tree(drawn(name))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])

    assert width <= 600
    assert height <= 800
    assert min(float(each.attrib["font-size"]) for each in root.iter(f"{SVG}text")) >= 9
    for each in root.iter():
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", each.get("points", ""))]
        xs = [float(each.get(key, 0)) for key in ("x", "x1", "x2")] + numbers[::2]
        ys = [float(each.get(key, 0)) for key in ("y", "y1", "y2")] + numbers[1::2]
        assert all(-0.5 <= x <= width + 0.5 for x in xs), ET.tostring(each)
        assert all(-0.5 <= y <= height + 0.5 for y in ys), ET.tostring(each)
    assert root.get("role") == "img"
    assert root.attrib["aria-label"].startswith("Attribution graph with ")


@each_picture
@pytest.mark.parametrize("width", [600.0, None])
def test_nodes_stand_apart_and_edges_pass_none_but_their_own(name: str, width: float | None) -> None:
    """No two nodes overlap, members lie in the boxes of their supernodes and nobody else does, and no edge crosses a foreign node."""
    shown = selected(PICTURES[name], Limits(nodes=24, columns=5, layers=8))
    layout = placed(PICTURES[name], shown.nodes, width)

    for one, other in itertools.combinations(layout.chips, 2):
        apart = (
            one.x + one.width <= other.x
            or other.x + other.width <= one.x
            or one.y + one.height <= other.y
            or other.y + other.height <= one.y
        )
        assert apart, (one.node.id, other.node.id)
    for group in layout.groups:
        for chip in layout.chips:
            inside = group.x <= chip.x and chip.x + chip.width <= group.x + group.width and group.y <= chip.y <= group.y + group.height
            assert inside == (chip.node.id in group.members), (group.name, chip.node.id)
    for route in routes(layout, shown.edges):
        foreign = [chip for chip in layout.chips if chip.node.id not in (route.edge.source, route.edge.target)]
        for (x0, y0), (x1, y1) in itertools.pairwise(route.points):
            for step in range(21):
                t = step / 20
                x = x0 + (x1 - x0) * t * t * (3 - 2 * t)
                y = y0 + (y1 - y0) * (1.5 * t * (1 - t) ** 2 + 1.5 * t * t * (1 - t) + t**3)
                assert not any(
                    chip.x + 1 < x < chip.x + chip.width - 1 and chip.y + 1 < y < chip.y + chip.height - 1 for chip in foreign
                ), route.edge


def test_layers_rise_and_positions_follow_each_other() -> None:
    """A node stands above every node of a lower layer, and right of every node of an earlier position; targets stand on top."""
    shown = selected(PICTURES["small"], Limits())
    chips = placed(PICTURES["small"], shown.nodes, 600.0).chips

    for one, other in itertools.permutations(chips, 2):
        if one.node.layer < other.node.layer:
            assert one.y >= other.y + other.height
        if "target" not in (one.node.kind, other.node.kind) and one.node.position < other.node.position:
            assert one.x + one.width <= other.x


def test_signs_are_seen_without_colour() -> None:
    """A positive edge is solid and ends in an arrow head; a negative one is dashed and ends in a bar; width follows magnitude."""
    nodes = (
        PictureNode("a", "feature", 0, 0, "a", 0.5),
        PictureNode("b", "feature", 1, 0, "b", 0.3),
        PictureNode("y", "target", 2, 0, "y", 1.0),
    )
    edges = (PictureEdge("a", "y", 2.0), PictureEdge("b", "y", -4.0), PictureEdge("a", "b", 1.0))
    root = tree(attribution_graph_figure(GraphPicture("Two signs", 2, ("x",), nodes, edges)))

    found = {int(each.attrib["data-edge"]): each for each in elements(root, "edge")}
    paths = {number: each.find(f"{SVG}path") for number, each in found.items()}
    assert [number for number, path in paths.items() if path is not None and path.get("stroke-dasharray")] == [1]
    assert [number for number, each in found.items() if each.find(f"{SVG}line") is not None] == [1]
    assert sorted(number for number, each in found.items() if each.find(f"{SVG}polygon") is not None) == [0, 2]
    widths = {number: float(path.attrib["stroke-width"]) for number, path in paths.items() if path is not None}
    assert widths[2] < widths[0] < widths[1]


def test_kinds_are_seen_without_colour() -> None:
    """Features have round corners, errors points, tokens neither, targets two lines."""
    nodes = (
        PictureNode("f", "feature", 0, 0, "f", 0.5),
        PictureNode("e", "error", 0, 0, "e", 0.3),
        PictureNode("t", "token", -1, 0, "t", 0.2),
        PictureNode("y", "target", 1, 0, "y", 1.0),
    )
    shapes = elements(tree(attribution_graph_figure(GraphPicture("Kinds", 1, ("x",), nodes, ()))), "node")
    first = {nodes[int(each.attrib["data-node"])].id: each[0] for each in shapes}

    assert (first["f"].tag, bool(first["f"].get("rx"))) == (f"{SVG}rect", True)
    assert first["e"].tag == f"{SVG}polygon"
    assert (first["t"].tag, first["t"].get("rx")) == (f"{SVG}rect", None)
    target = next(each for each in shapes if each.attrib["data-node"] == "3")
    assert [each.get("fill") for each in target[:2]] == ["#ffffff", "none"]


@pytest.mark.parametrize("name", ["large", "many positions"])
def test_what_is_left_out_is_said_in_numbers(name: str) -> None:
    """The strongest are drawn, the drawing says how many of how many, and the drawing of all holds every node."""
    graph, figure = PICTURES[name], drawn(name)
    root = tree(figure)
    words = " ".join(each.text or "" for each in root.iter(f"{SVG}text"))
    nodes, edges = len(elements(root, "node")), len(elements(root, "edge"))

    assert nodes >= 20
    assert f"Drawn: {nodes} of {len(graph.nodes)} nodes" in words
    assert f"{edges} of {len(graph.edges)} edges" in words
    assert figure.explorer is not None
    assert len(elements(ET.fromstring(str(figure.explorer.whole)), "node")) == len(graph.nodes)


def test_a_small_graph_is_drawn_whole() -> None:
    """Nothing is said of a part where all is there, and no second drawing is carried along."""
    figure = attribution_graph_figure(picture(8, 10, groups=1, busy=2, positions=3))

    assert figure.explorer is not None
    assert figure.explorer.whole == Markup("")
    assert "Drawn:" not in figure.drawing


@each_picture
def test_the_table_is_the_equal_of_the_drawing(name: str) -> None:
    """Every node has a row, with its influence and its strongest inputs and outputs, signs included."""
    graph, figure = PICTURES[name], drawn(name)
    assert figure.explorer is not None
    rows = figure.explorer.table.rows

    assert len(rows) == len(graph.nodes)
    for node, row in zip(graph.ranked, rows, strict=True):
        assert row[1].text == node.kind
        assert row[5].text.count("\n") + 1 == max(1, min(3, len(graph.inputs[node.id])))
        if graph.inputs[node.id]:
            assert row[5].text[0] == ("+" if graph.inputs[node.id][0].weight >= 0 else "−")


def test_data_are_what_the_picture_holds() -> None:
    """The JSON gives back nodes, edges and weights."""
    graph, figure = PICTURES["small"], drawn("small")
    assert figure.explorer is not None
    data = json.loads(figure.explorer.data)

    assert [each["label"] for each in data["nodes"]] == [node.label for node in graph.nodes]
    assert [graph.nodes[source].id for source, _, _ in data["edges"]] == [edge.source for edge in graph.edges]
    assert [weight for *_, weight in data["edges"]] == pytest.approx([edge.weight for edge in graph.edges], rel=1e-3)


def test_no_text_leaves_the_data() -> None:
    """Whatever labels and tokens say, the element holds plain ASCII in which nothing acts in HTML."""
    figure = drawn("hostile")
    assert figure.explorer is not None
    data = str(figure.explorer.data)

    assert data.isascii()
    assert not re.search(r"[<>&']|[\x00-\x1f\x7f]", data)
    assert "\\u202e" not in data
    labels = {each["label"] for each in json.loads(data)["nodes"]}
    assert "</script><script>document.title='broken'</script>" in labels
    assert "‹U+202E›evil‹U+202C›" in labels


def test_same_picture_same_bytes() -> None:
    """No clock, no chance, no order of sets."""
    first, second = (attribution_graph_figure(picture(60, 400, layers=4)) for _ in range(2))
    assert first == second


def test_a_page_runs_this_script_and_no_other() -> None:
    """The policy names the hash of the one script; text that says script is data, and without a graph nothing may run."""
    page = render_html(dossier(drawn("hostile")))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL)

    assert policy
    allowed = re.search(r"script-src '([^']*)';", policy[1])
    assert [kind for kind, _ in scripts] == [' type="application/json" class="graph-data"', ""]
    assert allowed
    assert allowed[1] == f"sha256-{base64.b64encode(hashlib.sha256(scripts[-1][1].encode()).digest()).decode()}"
    assert "default-src 'none'" in policy[1]
    assert "script-src" not in render_html(cases.plausible().dossier())


def test_no_overlay_brings_a_script(tmp_path: Path) -> None:
    """What a page runs is the tool's own, whatever a folder of templates holds."""
    (tmp_path / "attribution_graph.js").write_text("document.title = 'theirs'", encoding="utf-8")

    page = render_html(dossier(drawn("small")), templates=overlaid(tmp_path))

    assert "theirs" not in page
    assert page == render_html(dossier(drawn("small")))


def test_without_script_the_drawing_and_the_table_are_there() -> None:
    """Tools are hidden until the script shows them; all that is read stands in the page itself."""
    page = render_html(dossier(drawn("small")))
    figure = page[page.index('<figure class="graph">') : page.index("</figure>", page.index('<figure class="graph">'))]

    assert figure.count("<tr>") == 1 + len(PICTURES["small"].nodes)
    assert re.search(r'<div class="graph-tools"[^>]* hidden>', figure)
    assert 'class="graph-node"' in figure.split("<template")[0]
    assert render_html(dossier(drawn("small"))) == page


def test_paper_gets_the_drawing_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No script, no data, no tools, no second drawing in what the PDF is made of."""
    printed: list[str] = []

    def noted(html: str, **_: object) -> bytes:
        printed.append(html)
        return b""

    monkeypatch.setattr("safetycase.dossier.render.printed", noted)
    from safetycase.dossier.render import render_pdf

    render_pdf(dossier(drawn("large")))

    assert "<script" not in printed[0]
    assert "<template" not in printed[0]
    assert "graph-tools" not in printed[0]
    assert str(drawn("large").drawing) in printed[0]
    assert _page(printed[0]) is not None


def test_quoted_labels_are_not_the_tools_words() -> None:
    """A token that says a word which the tool never says is quoted; the same word in a title of ours is refused."""
    figure = attribution_graph_figure(picture(20, 60, labels=["safe and certified", "safe"], texts=["safe", "it guarantees"]))
    assert "safe and certified" in render_html(dossier(figure))

    with pytest.raises(RenderError, match="says '"):
        render_html(dossier(replace(figure, quoted=())))
    claimed = replace(drawn("small"), caption="This circuit is safe.")
    with pytest.raises(RenderError, match="says 'safe'"):
        render_html(dossier(claimed))


def test_a_reader_explores_it_with_keys_and_pointer(tmp_path: Path) -> None:
    """In a browser without network: arrows, Enter, Escape, zoom, threshold, all nodes; and the page check finds nothing."""
    tool = TOOLS / "html-check" / "html-check"
    missing = [name for name in ("node", "npm", "chromium") if shutil.which(name) is None]
    if not tool.exists() or missing:
        pytest.skip(f"no browser check: {', '.join(missing) or 'it is not beside this checkout'}")
    path = tmp_path / "graph.html"
    path.write_text(render_html(dossier(attribution_graph_figure(picture(60, 400, labels=HOSTILE, texts=HOSTILE)))), encoding="utf-8")
    checked = subprocess.run([str(tool), str(path)], capture_output=True, text=True, check=False)
    if "checked at four sizes" not in checked.stdout:
        pytest.skip(f"the browser check could not set itself up: {checked.stderr.strip()[-200:]}")
    assert checked.returncode == 0, checked.stdout + checked.stderr

    walk = Path(__file__).with_name("graph_walk.mjs")
    walked = subprocess.run(["node", str(walk), str(path)], capture_output=True, text=True, check=False)

    assert walked.returncode == 0, walked.stdout + walked.stderr
    assert walked.stdout.strip().endswith("walked"), walked.stdout
