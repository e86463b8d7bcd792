"""How a circuit trace is shown: a hypothesis with its error share, what fails first, and nothing of a prompt where it may not be shown."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from safetycase.case.argument import build_argument, load_pattern
from safetycase.case.attestations import Attestations
from safetycase.case.claims import Claim, Criterion
from safetycase.case.goals import NodeType
from safetycase.case.judging import Judged
from safetycase.case.requirements.coverage import Answers, coverage
from safetycase.case.requirements.covered import EvidenceState
from safetycase.case.requirements.loading import Packs, load_packs
from safetycase.case.wording import forbidden
from safetycase.dossier import exhibits
from safetycase.dossier.documents import _attachments
from safetycase.dossier.exhibits.circuit_trace.words import QUANTITIES, role_order, unit
from safetycase.dossier.modelcard import results, section
from safetycase.dossier.page import Dossier, Exhibit, Quoted
from safetycase.dossier.render import render_html, render_pdf
from safetycase.dossier.said import said
from safetycase.evidence.kinds.circuit_trace.findings import Found
from safetycase.evidence.kinds.circuit_trace.names import estimate_names
from safetycase.evidence.kinds.circuit_trace.params import Ask, Read
from safetycase.evidence.record import Null, Outcome, Unit
from safetycase.evidence.samples import token_texts
from safetycase.resources import bundled
from tests.dossier import cases, traced
from tests.dossier.synthetic import digest, estimate
from tests.dossier.test_figures import SVG
from tests.dossier.test_hostile import Skeleton

SECRET = "zyzzyva"
"""A word that stands in a prompt and nowhere else."""
THIN = "\N{NARROW NO-BREAK SPACE}"
FACT = re.compile(r"the (?:refusal )?(?:mechanism|circuit) (?:of|behind|on which|that)\b|the refusal circuit", re.IGNORECASE)
"""A hypothesis that is named as if it were known."""

RESULTS: dict[str, Callable[[], Found]] = {
    "plain": traced.found,
    "one": lambda: traced.found(members=1),
    "none": lambda: traced.found(members=0),
    "fallen": lambda: traced.found(holds=False),
    "not applicable": traced.stopped,
    "failed": lambda: traced.stopped(Outcome.FAILED, "a weight of layer 3 is not a finite number"),
    "without transcoders": traced.without_transcoders,
    "large": traced.large,
    "hostile": traced.hostile,
}
DRAWN: dict[str, Exhibit] = {}
each_result = pytest.mark.parametrize("name", RESULTS)


def page(story: cases.Story, dossier: Dossier | None = None) -> str:
    return render_html(dossier or story.dossier(), said=said(story.case, story.findings, story.quoted))


@cache
def told(name: str) -> tuple[cases.Story, Dossier]:
    """A case of these findings with its evidence report, built once."""
    story = traced.story(RESULTS[name]())
    return story, story.dossier()


def shown(result: Found) -> Exhibit:
    """Equal findings are shown alike: what many tests look at is drawn once."""
    key = result.model_dump_json()
    if key not in DRAWN:
        DRAWN[key] = exhibits.exhibit(result, Quoted())
    return DRAWN[key]


@each_result
def test_pages_are_whole_whatever_was_found(name: str) -> None:
    """Ids are each their own and links lead somewhere, whatever the findings hold."""
    html = page(*told(name))
    ids = re.findall(r' id="([^"]+)"', html)

    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)


@each_result
def test_drawings_are_whole_and_stay_inside(name: str) -> None:
    """Each figure parses, says what it shows, and keeps its marks within its edges."""
    for figure in shown(RESULTS[name]()).figures.values():
        root = ET.fromstring(str(figure.drawing))
        title = root.find(f"{SVG}title")
        width, height = float(root.attrib["width"]), float(root.attrib["height"])

        assert title is not None
        assert title.text == root.get("aria-label")
        assert width <= 600
        assert height <= 820
        for each in root.iter():
            assert all(-0.5 <= float(each.get(key, 0)) <= width + 0.5 for key in ("x", "x1", "x2", "cx")), ET.tostring(each)
            assert all(-0.5 <= float(each.get(key, 0)) <= height + 0.5 for key in ("y", "y1", "y2", "cy")), ET.tostring(each)


@pytest.mark.parametrize("name", [name for name in RESULTS if name != "hostile"])
def test_a_hypothesis_is_not_named_as_a_fact(name: str) -> None:
    """No sentence, caption or alternative text speaks of the mechanism or the circuit of refusal, and none claims too much."""
    text = repr(told(name)[1].steps)

    assert FACT.findall(text) == []
    assert forbidden(text) == ()
    assert "hypothesis" in repr(shown(traced.found()).sentence)


@pytest.mark.parametrize("name", ["plain", "one", "fallen", "large"])
def test_the_error_share_stands_beside_every_graph(name: str) -> None:
    """The drawing of the hypothesis and that of every single prompt say how much lies in errors; so does the first sentence."""
    exhibit = shown(RESULTS[name]())
    graphs = [figure for key, figure in exhibit.figures.items() if key == "circuit" or key.startswith("example_")]

    assert len(graphs) == 3
    for text in (*(figure.caption for figure in graphs), exhibit.sentence, exhibit.scope):
        assert f"Errors of the transcoders carry 29.0{THIN}% [26.4, 31.5] of the influence on the target" in text
        assert f"they reconstruct 77.0{THIN}% [74.5, 79.5] of the variance of what MLPs write" in text


def test_an_error_share_that_is_not_known_is_said_to_be_so() -> None:
    """A picture does not stand without it: where it is absent, the reason stands in its place."""
    whole = traced.found()
    left = {name: each for name, each in whole.estimates.items() if not name.startswith("error_share.")}
    bare = whole.model_copy(update={"estimates": left, "absent": {"error_share.*": "the graphs were made elsewhere"}})

    assert "through errors of the transcoders is not known: the graphs were made elsewhere." in shown(bare).figures["circuit"].caption


@pytest.mark.parametrize("kind", ["evidence-report", "cop-model-report", "safety-case", "model-card-attachment"])
def test_what_does_not_hold_comes_first(kind: str) -> None:
    """A hypothesis that fails a test is said to fail before anything else is said of it, in full documents and in those that cite."""
    story = traced.story(traced.found(holds=False))
    dossier = story.dossier(type=kind)
    exhibit = dossier.steps[0].exhibit

    first = "The hypothesis does not hold: 6 members were selected, but the test of necessity does not pass."
    assert exhibit.sentence.startswith(first)
    assert exhibit.scope.startswith(first)
    assert exhibit.figures["circuit"].caption.index("does not hold") < exhibit.figures["circuit"].caption.index(
        "A hypothesis with its support"
    )
    html = page(story, dossier)
    assert first in html
    assert html.index(first) < html.index("ablating the 6 members")


def test_the_flag_stands_before_the_drawing() -> None:
    """The full evidence begins with it; a hypothesis that stands has no such flag."""
    fallen, standing = (page(traced.story(traced.found(holds=holds))) for holds in (False, True))

    assert fallen.index("<b>The hypothesis does not hold.</b>") < fallen.index("What is hypothesised to lead to refusal")
    assert "does not hold" not in standing


def test_a_test_that_could_not_be_had_is_no_pass() -> None:
    """Where a test is missing the page says which, and that the hypothesis does not hold."""
    whole = traced.found(holds=False)
    two = whole.model_copy(update={"tests": whole.tests[1:]})

    assert "but necessity could not be tested" in shown(two).sentence


def test_a_test_without_an_interval_is_not_said_to_fail() -> None:
    """It could not be tested: no percentile, no p, no figure, and the first sentence says so."""
    whole = traced.found(holds=False)
    why = "the effect of ablating all features together cannot be told from none"
    untested = {"untested": why, "percentile": 0.0, "p": 1.0, "adjusted": 1.0, "passes": False}
    tests = (whole.tests[0], *(test.model_copy(update=untested) for test in whole.tests[1:]))
    exhibit = shown(whole.model_copy(update={"tests": tests}))
    rows = exhibit.tables["tests"].rows

    assert "the test of necessity does not pass; sufficiency and completeness could not be tested" in exhibit.sentence
    assert [[cell.text for cell in row[3:]] for row in rows[1:]] == [["–", "–", "–", "could not be tested"]] * 2
    assert f"Completeness could not be tested: {why}." in exhibit.tables["tests"].caption
    assert {"sufficiency", "completeness"} & exhibit.figures.keys() == set()


def test_where_nothing_was_traced_nothing_was_looked_at() -> None:
    """A model that never refuses had no feature tested: the page does not count what was not done."""
    facts = {fact.term: fact.text for fact in shown(traced.stopped()).facts["target"]}

    assert facts["Looked at"] == "nothing: no graph was traced"


def test_areas_are_shares_of_the_range_that_they_cover() -> None:
    """Which is named; the number 1 does not run into the number that follows it."""
    caption = shown(traced.found()).tables["stages"].caption

    assert f"As shares of the range from 1{THIN}% to 100{THIN}% of edges" in caption
    assert "between the curve and 1: 20" in caption


def test_few_pairs_make_no_key_number() -> None:
    """Four pairs stand with the evidence, not on the first page."""
    whole = traced.without_transcoders()
    few = {**whole.estimates, "cpr.matched.edge-circuit": estimate(0.81, 0.06, n=4)}
    numbers = [shown(each).key_numbers[2] for each in (whole, whole.model_copy(update={"estimates": few}))]

    assert [bool(number.absent) for number in numbers] == [False, True]
    assert "measured on 4 pairs alone" in numbers[1].absent


def test_on_how_many_prompts_answers_were_generated_is_said() -> None:
    """Of 32 prompts that were ablated 24 were answered: in the sentence, and beside each judge."""
    exhibit = shown(traced.found())

    assert "(arditi-12, 24 of 32 prompts answered)" in exhibit.scope
    assert {row[0].note for row in exhibit.tables["answers"].rows} == {"24 of 32 prompts answered"}


def test_that_no_member_was_found_shows_nothing() -> None:
    """Where none recurs more often, the page says so, and that this does not show that there is none; no drawing is made of nothing."""
    story = traced.story(traced.found(members=0))
    exhibit = story.dossier().steps[0].exhibit
    html = page(story)

    assert exhibit.sentence.startswith("No feature recurs more often in graphs of harmful prompts")
    assert "That none was found does not show that there is none." in exhibit.sentence
    assert "circuit" not in exhibit.figures
    assert exhibit.scope.startswith("No feature recurs more often in graphs of harmful prompts")
    assert exhibit.key_numbers[2].absent
    assert "linear probe" not in exhibit.key_numbers[2].text
    assert "no feature was selected as a member" in html


@pytest.mark.parametrize("candidates", [0, 41])
def test_nothing_tested_is_told_from_nothing_found(candidates: int) -> None:
    """Where no feature recurs often enough, none was compared; the page does not say that none recurs more often."""
    sentence = shown(traced.found(members=0, candidates=candidates)).sentence

    assert ("recurs in enough graphs of harmful prompts to be tested" in sentence) == (candidates == 0)
    assert ("recurs more often" in sentence) == (candidates > 0)


@pytest.mark.parametrize("profile", ["public", "restricted"])
def test_tokens_of_prompts_are_shown_only_where_they_may_be(profile: Any) -> None:
    """In public documents and their attachments, columns are roles; restricted ones name the tokens."""
    result = traced.found()
    story = traced.story(result, texts=traced.token_texts(result, texts=(SECRET,)))
    dossier = story.dossier(profile)
    html = page(story, dossier)
    attached = _attachments(dossier, cast(Judged, SimpleNamespace(case=story.case, findings=story.findings)), None)

    assert (SECRET in html) == (profile == "restricted")
    assert not any(SECRET.encode() in each.data for each in attached)
    assert ("Columns are roles: the text of prompts is shown in restricted documents alone." in html) == (profile == "public")
    assert ("instruction 4" in html) == (profile == "public")


def test_tokens_that_do_not_fit_their_roles_are_not_shown() -> None:
    """A table of another prompt, with more tokens than the graph has positions, is not drawn over it."""
    result = traced.found()
    texts = {item: (*each, SECRET) for item, each in traced.token_texts(result).items()}

    assert SECRET not in page(traced.story(result, texts=texts), traced.story(result, texts=texts).dossier("restricted"))


def test_hostile_labels_change_no_page() -> None:
    """Markup, templates and overrides in labels, tokens, targets and files stay text; the page has the elements of a harmless one."""
    hostile = page(traced.story(traced.hostile(), texts={}), traced.story(traced.hostile(), texts={}).dossier("restricted"))

    assert "<script>alert" not in hostile
    assert "49" not in re.findall(r"\{\{7\*7\}\}|>49<", hostile)
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e]", hostile.replace("\r", ""))
    assert Skeleton(hostile).bones
    hostile.encode()


def test_large_hypotheses_stay_legible() -> None:
    """Twenty-four members over twenty-six layers and sixty roles: every member is listed, and what is left out of a drawing is counted."""
    result = traced.large()
    exhibit = shown(result)

    assert len(exhibit.tables["members"].rows) == 24
    assert len(exhibit.tables["circuit_edges"].rows) < len(result.edges)
    assert f"of {len(result.edges)}, the strongest." in exhibit.tables["circuit_edges"].caption
    assert "2 roles are left out of the drawing" in exhibit.figures["patching_noise"].caption


def test_recurrence_and_effect_of_every_member_are_listed() -> None:
    """With intervals on both sides, what follows on pairs that nothing was chosen on, and the p of the choice."""
    row = shown(traced.found()).tables["members"].rows[0]
    text = " ".join(f"{cell.text} {cell.note}" for cell in row)

    for part in (
        "layer 1, feature 100, at end-1",
        "fires on weapons",
        f"95.0{THIN}% [92.4, 97.5]",
        f"10{THIN}% [5, 15]",
        "70 [60, 80] points",
    ):
        assert part in text
    assert "p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}0.001" in text
    assert row[2].style == "token"


def test_every_score_stands_beside_random_subgraphs_where_it_has_them() -> None:
    """Pruned graphs are shown beside random ones of their size, and the caption says how exact the edges are."""
    table = shown(traced.found()).tables["scores"]
    rows = {row[0].text: row for row in table.rows}

    assert rows["Replacement, pruned"][3].text == f"31 to 44{THIN}%"
    assert rows["Replacement, pruned"][3].note == "100 of 100 lower"
    assert "There is no p" in table.caption
    assert rows["Error share"][1].text.startswith("29.0")
    assert "up to 1e\N{MINUS SIGN}5 of it at worst" in table.caption
    assert "no circuit" in table.caption


def test_the_three_tests_show_percentile_and_both_p() -> None:
    """Beside what random circuits give; a test that does not pass has a shape of its own."""
    rows = shown(traced.found(holds=False)).tables["tests"].rows

    assert [row[0].text for row in rows] == ["Necessity", "Sufficiency", "Completeness"]
    assert [row[6].text for row in rows] == ["○ no", "● passes", "● passes"]
    assert [row[3].text for row in rows] == [f"61{THIN}%", f"100{THIN}%", f"100{THIN}%"]
    assert [row[5].text for row in rows] == ["0.4", "0.03", "0.03"]


def test_what_is_explained_of_a_change_is_a_share_and_no_difference() -> None:
    """R² is printed in per cent and differences of shares in points; the probe stands beside the graphs."""
    exhibit = shown(traced.found())
    rows = exhibit.tables["predictions"].rows

    assert [row[1].text for row in rows] == [f"55{THIN}% [45, 65]", f"31{THIN}% [16, 46]", "–"]
    assert f"55{THIN}% [45, 65]" in exhibit.more
    assert exhibit.key_numbers[2].value == f"55{THIN}%"


def test_what_the_class_alone_explains_leads_nowhere() -> None:
    """The number of both classes together stands in the table alone, beside what the mean of the class explains of it."""
    exhibit = shown(traced.found())
    both = [row[3].text for row in exhibit.tables["predictions"].rows]

    assert both == [f"83{THIN}% [77, 88]", f"79{THIN}% [74, 85]", f"65{THIN}% [60, 71]"]
    assert not any(both[0] in text for text in (exhibit.sentence, exhibit.more, exhibit.scope))
    assert "32 unseen harmful prompts" in exhibit.key_numbers[2].text


def test_a_prediction_worse_than_the_mean_says_so() -> None:
    """A negative share of variance is not left to the reader."""
    whole = traced.found()
    worse = {**whole.estimates, "explained_change.harmful.circuit": estimate(-0.4, 0.2, n=32)}
    exhibit = shown(whole.model_copy(update={"estimates": worse}))

    assert "below 0 is worse than their mean" in exhibit.more
    assert "below 0" in exhibit.key_numbers[2].text
    assert "below 0 is worse than their mean" not in shown(whole).more


def test_without_transcoders_patching_leads() -> None:
    """Where no graph was asked for, the pages speak of states and edges, and of no hypothesis."""
    story = traced.story(traced.without_transcoders())
    exhibit = story.dossier().steps[0].exhibit
    html = page(story)

    assert exhibit.sentence.startswith("Without transcoders: one harmful state in the harmless run changes refusal log-odds by 9.8")
    assert {"patching_denoise", "patching_noise", "curve"} == {*exhibit.figures}
    assert "<h3>The hypothesis</h3>" not in html
    assert not any(number.absent for number in exhibit.key_numbers)


def test_roles_stand_as_they_do_in_a_prompt() -> None:
    """The template before the instruction, the instruction, and what follows it, the last token last."""
    assert sorted(["end-1", "instruction", "start-2", "end-10", "start-10", "end-2", "start-1"], key=role_order) == [
        "start-1", "start-2", "start-10", "instruction", "end-10", "end-2", "end-1",
    ]  # fmt: skip


def test_every_estimate_has_words_and_a_unit() -> None:
    """Names that a plan may claim are told in words; units of absent estimates are those of present ones."""
    names = estimate_names(Ask(paraphrase="paraphrase"), Read(), {})
    told = {name: exhibits.words("circuit_trace", name) for name in names}

    assert {name.split(".")[0] for name in names} <= {*QUANTITIES}
    assert not any("_" in text or "#" in text for text in told.values())
    assert len(set(told.values())) == len(told)
    for name, each in traced.found().estimates.items():
        assert unit(name) is each.unit, name


def test_line_ends_in_names_are_drawn() -> None:
    """A supernode that is named by the token for a line end stands on one line, in the table and in the drawing."""
    whole = traced.found()
    named = (whole.supernodes[0].model_copy(update={"name": "raises “\n”, “\n\n”"}), *whole.supernodes[1:])
    exhibit = shown(whole.model_copy(update={"supernodes": named}))

    assert exhibit.tables["supernodes"].rows[0][0].text == "raises “¶”, “¶¶”"
    assert "“\n" not in str(exhibit.figures["circuit"].explorer)


def test_a_picture_is_described_as_it_is_drawn() -> None:
    """No tokens below where there are none; the influence of a target is no number, since it is what influence is on."""
    figures = shown(traced.found()).figures
    explorers = [figures[name].explorer for name in ("circuit", "example_0")]

    assert figures["circuit"].caption.startswith("Targets on top;")
    assert figures["example_0"].caption.startswith("Tokens below, targets on top;")
    for explorer in explorers:
        assert explorer is not None
        assert [row[4].text for row in explorer.table.rows if row[1].text == "target"] == ["–"]


def test_a_scatter_of_many_points_says_how_many_are_drawn() -> None:
    """A drawing holds a bounded number of marks."""
    many = traced.found(predicted_measured=tuple((index / 100, index / 90) for index in range(5000)))
    figure = shown(many).figures["predicted"]

    assert str(figure.drawing).count("<circle") == 1000
    assert "1000 of 5000 points are drawn" in figure.caption


def test_a_curve_that_runs_away_is_drawn_at_its_edge_and_says_so() -> None:
    """A ratio whose denominator is small is no reason for a drawing that shows nothing else."""
    whole = traced.found()
    wild = tuple(point.model_copy(update={"random_high": 40.0}) for point in whole.curve)

    assert "are drawn there" in shown(whole.model_copy(update={"curve": wild})).figures["curve"].caption
    assert "are drawn there" not in shown(whole).figures["curve"].caption


def test_a_model_card_names_the_key_estimates() -> None:
    """The error share, what ablation changes, and the prediction beside the probe."""
    story = traced.story()
    names = {metric["args"]["estimate"] for result in results(story.case, story.findings) for metric in result["metrics"]}

    assert {"error_share.harmful.graph", "log_odds_change.harmful.ablated", "refusal_rate.harmful.ablated@arditi-12"} <= names
    assert {"explained_change.harmful.circuit", "explained_change.harmful.probe", "cpr.matched.edge-circuit"} <= names
    assert "The hypothesis does not hold" in section(story.case, {traced.STEP: traced.found(holds=False)}, version="1.0.0", made=cases.MADE)


def test_a_pdf_is_made() -> None:
    """The whole evidence report prints, without the script that lets a graph be explored."""
    story = traced.story(traced.found(members=1, n_layers=3))

    assert render_pdf(story.dossier(), said=said(story.case, story.findings, story.quoted)).startswith(b"%PDF")


PARTS = ("aia:13.3.b.iv", "aia:14.4.c", "aia:IV.2.e", "aia:XI.2.1", "cop-s:A1.3.3.11", "nist:MS-2.9-001")


@pytest.mark.parametrize("row", PARTS)
@pytest.mark.parametrize(
    ("lost", "lacking"),
    [
        pytest.param("", "", id="all of it"),
        pytest.param("error_share.", "no estimate error_share.harmful.graph", id="no error share"),
        pytest.param("node_prediction.", "no estimate node_prediction.harmful.nodes", id="nothing was pushed on"),
        pytest.param("log_odds_change.", "no estimate log_odds_change.harmful.ablated", id="nothing was ablated"),
        pytest.param("nulls", "stands beside no null", id="no random circuits"),
    ],
)
def test_a_trace_speaks_to_a_clause_only_with_its_errors_its_tests_and_their_nulls(row: str, lost: str, lacking: str) -> None:
    """A picture alone counts for nothing."""
    result = traced.found()
    left = {name: each for name, each in result.estimates.items() if not lost or not name.startswith(lost)}
    if lost == "nulls":
        left = {name: each.model_copy(update={"nulls": ()}) for name, each in left.items()}
    (line,) = bearing(row, result.model_copy(update={"estimates": left}))

    assert line.state == ("counts" if not lost else "below the minimum")
    assert not lost or lacking in " ".join(line.unmet)


@pytest.mark.parametrize(("row", "counts"), [(row, row in ("aia:XI.2.1", "cop-s:A1.3.3.11")) for row in PARTS])
def test_a_hypothesis_that_does_not_hold_explains_nothing(row: str, counts: bool) -> None:
    """It is a result of an evaluation and says what could not be explained; it is no explanation of an output."""
    (line,) = bearing(row, traced.found(holds=False))

    assert line.state == ("counts" if counts else "below the minimum")
    assert counts or line.unmet == ("the hypothesis does not hold in its own tests",)


@cache
def packs() -> Packs:
    return load_packs(bundled())


def bearing(row: str, result: Found) -> list[EvidenceState]:
    """How the findings stand in the slots of a requirement, for a provider that both laws bind."""
    answers = Answers(
        role="provider-gpai-systemic" if row.startswith(("cop", "nist", "aia:XI")) else "provider-high-risk",
        findings={traced.STEP: result},
        declared_before=lambda step: True,
        attestations=Attestations(sha256=digest("attestations"), facts={}),
        recorded={},
        declared={},
        prefills={},
        as_of=cases.TODAY,
    )
    rows = {each.id: each for each in coverage(packs(), answers)}
    return [line for slot in rows[row].slots for line in slot.evidence if line.kind == "circuit_trace"]


def test_an_argument_takes_a_trace_in_no_stronger_role_than_it_bears() -> None:
    """Scores of graphs and recurrence carry their goals; what ablation changes, tests and predictions are bounds from below."""
    claim = Claim(
        text="Ablating the members changes little",
        bears="favourable",
        criteria=(Criterion(step=traced.STEP, estimate="log_odds_change.harmful.ablated", at_least=-20),),
    )
    result = traced.found()
    case = traced.story(result).case.model_copy(update={"judgements": cases.judgements({"little": claim}, {traced.STEP: result})})
    made = build_argument(load_pattern("what-a-trace-shows", Path(), bundled()), case, {traced.STEP: result})

    enters = {node.id: node.evidence[0].enters for node in made.nodes if node.type is NodeType.SOLUTION and node.evidence}
    assert {name: enters[name] for name in ("Sn2", "Sn3", "Sn4", "Sn5", "Sn6", "Sn7")} == {
        "Sn2": "support", "Sn3": "support", "Sn4": "lower-bound", "Sn5": "lower-bound", "Sn6": "lower-bound", "Sn7": "lower-bound",
    }  # fmt: skip
    assert not any("changes little" in node.text and node.supported_by for node in made.nodes)


def test_nulls_of_a_score_without_quantiles_are_a_dash() -> None:
    """A null that keeps no quantiles breaks no page."""
    whole = traced.found()
    bare = Null(what="random subgraphs", n=100, quantiles={}, p=0.2)
    name = "subgraph_replacement.harmful.pruned"
    found = whole.model_copy(update={"estimates": {**whole.estimates, name: estimate(0.6, 0.1, Unit.FRACTION, nulls=(bare,))}})

    assert {row[0].text: row[3].text for row in shown(found).tables["scores"].rows}["Replacement, pruned"] == "–"


def test_tokens_come_from_the_restricted_table() -> None:
    """Those of prompts whose graphs are shown, and of no others; a copy of the case without the table has none."""
    result = traced.found()
    rows = [{"item": each.item, "tokens": [SECRET, "b"]} for each in result.examples]
    table = SimpleNamespace(rows=lambda: [*rows, {"item": digest("another"), "tokens": ["c"]}])
    tables, bare = (SimpleNamespace(has=lambda name, held=held: held, table=lambda name: table) for held in (True, False))

    assert token_texts(result, cast(Any, tables)) == {each.item: (SECRET, "b") for each in result.examples}
    assert token_texts(result, cast(Any, bare)) == {}
    assert token_texts(result.model_copy(update={"examples": ()}), cast(Any, tables)) == {}
