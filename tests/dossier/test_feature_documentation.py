"""How documented features are shown: every card, whatever its text, in few colours, and nothing that is not public."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import replace
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
from safetycase.case.requirements.loading import load_packs
from safetycase.dossier import colours, exhibits
from safetycase.dossier.documents import _attachments
from safetycase.dossier.exhibits.feature_documentation.words import QUANTITIES, anchor, unit
from safetycase.dossier.markup import markup
from safetycase.dossier.modelcard import results, section
from safetycase.dossier.page import Dossier, Quoted
from safetycase.dossier.render import render_html, render_pdf
from safetycase.dossier.said import said
from safetycase.errors import RenderError
from safetycase.evidence.imports import read_import
from safetycase.evidence.kinds.feature_documentation.derive import derive
from safetycase.evidence.kinds.feature_documentation.findings import Card, Found
from safetycase.evidence.kinds.feature_documentation.names import estimate_names
from safetycase.evidence.kinds.feature_documentation.params import Ask, Read
from safetycase.evidence.record import Imported, Outcome
from safetycase.evidence.samples import label_texts, sample_texts, window_texts, with_labels
from safetycase.evidence.tables import Tables
from safetycase.resources import bundled
from tests.benchmarks.rendering import coloured_spans
from tests.dossier import cases, featured
from tests.dossier.synthetic import digest, estimate
from tests.dossier.test_figures import SVG
from tests.dossier.test_hostile import STRINGS, TOKENS, Skeleton
from tests.dossier.test_press import inside
from tests.evidence.kinds.feature_documentation import synthetic

SECRET = " zyzzyva"
"""A word that stands in the corpus and nowhere else."""
NO_LABEL = "no estimate label_balanced_accuracy.corpus.zero#*"


def page(story: cases.Story, dossier: Dossier | None = None) -> str:
    return render_html(dossier or story.dossier(), said=said(story.case, story.findings, story.quoted))


@pytest.mark.parametrize("kind", ["evidence-report", "auditor-pack"])
def test_every_documented_feature_has_a_card(kind: str) -> None:
    """Cards stand where evidence is shown in full, in the order of the findings, and the table leads to each."""
    story = featured.story()
    html = page(story, story.dossier(type=kind))

    places_of = [anchor(cast(Found, story.findings[featured.STEP]), 100 + index) for index in range(6)]
    places = [html.index(f'<article class="card" id="{each}"') for each in places_of]
    assert places == sorted(places)
    assert all(f'href="#{each}"' in html for each in places_of)


@pytest.mark.parametrize("kind", ["cop-model-report", "gpai-annex-xii", "model-card-attachment", "safety-case"])
def test_other_documents_cite_in_a_sentence(kind: str) -> None:
    """What a document does not show in full it cites, without cards and without the corpus."""
    story = featured.story(texts=dict.fromkeys(range(6000), (SECRET,) * 40))
    html = page(story, story.dossier(type=kind))

    assert "feature 100 has the largest effect" in html
    assert "zyzzyva" not in html
    assert "<article" not in html


def test_a_label_without_a_score_is_a_hypothesis() -> None:
    """Where nobody scored a label, no number stands beside it and the page says what it is."""
    story = featured.story()
    shown = story.dossier().steps[0].exhibit
    rows = shown.cards[0].tables["labels"].rows

    assert [row[2].text for row in rows] == ["72\N{NARROW NO-BREAK SPACE}% [62, 82]", "unscored hypothesis"]
    assert "unscored hypothesis" in page(story)


def test_a_dictionary_of_another_model_is_flagged() -> None:
    """That a dictionary was trained on another model is said beside it, in colour and word; of its own model nothing is said."""
    result = featured.found()
    own = result.model_copy(update={"dictionary": result.dictionary.model_copy(update={"same_model": True})})

    assert "was trained on organism:refuser-base, not on the model assessed" in page(featured.story(result))
    assert "Another model" not in page(featured.story(own))


@pytest.mark.parametrize("profile", ["public", "restricted"])
@pytest.mark.parametrize("sensitivity", ["public", "restricted"])
def test_corpus_text_is_shown_only_where_it_may_be(profile: Any, sensitivity: str) -> None:
    """Text of a corpus that is not declared public stays out of public pages and their attachments; activations take its place."""
    result = featured.found(features=2, sensitivity=sensitivity)
    story = featured.story(result, texts=dict.fromkeys(featured.windows(result), (SECRET,) * 40))
    dossier = story.dossier(profile)
    attached = _attachments(dossier, cast(Judged, SimpleNamespace(case=story.case, findings=story.findings)), None)
    html = page(story, dossier)

    shown = sensitivity == "public" or profile == "restricted"
    assert ("zyzzyva" in html) == shown
    assert any(b"zyzzyva" in each.data for each in attached) == shown
    assert ("the plan does not declare this corpus public" in html) != shown
    assert re.search(r"fires on \d+ of 40 tokens", html) or shown
    assert ("licence: Apache-2.0" in html) == shown


@pytest.mark.parametrize("profile", ["public", "restricted"])
def test_words_of_a_label_made_of_restricted_text_are_shown_only_where_they_may_be(profile: Any) -> None:
    """In public pages and attachments the label is said to be withheld, and its score stands; an imported label keeps its words."""
    result = without_words(featured.found(features=2, sensitivity="restricted"))
    story = featured.story(result)
    words = {(card.feature, label.author): SECRET for card in result.cards for label in card.labels}
    story = replace(story, quoted={featured.STEP: replace(story.quoted[featured.STEP], labels=words)})
    dossier = story.dossier(profile)
    attached = _attachments(dossier, cast(Judged, SimpleNamespace(case=story.case, findings=story.findings)), None)
    html = page(story, dossier)

    assert ("zyzzyva" in html) == (profile == "restricted")
    assert ("label withheld: it is made of text that the plan does not declare public" in html) == (profile == "public")
    assert "fires on line ends" in html
    assert dossier.steps[0].exhibit.cards[0].tables["labels"].rows[0][2].text == "72\N{NARROW NO-BREAK SPACE}% [62, 82]"
    assert not any(b"zyzzyva" in each.data for each in attached)


def test_words_of_labels_come_from_the_restricted_table() -> None:
    """Only those that the findings withhold are read, and they stand where they belong."""
    result = without_words(featured.found(features=2, sensitivity="restricted"))
    rows = [
        {"feature": card.feature, "author": label.author, "text": f"{card.feature} {label.author}", "made_by": "", "rule": None}
        for card in result.cards
        for label in card.labels
    ]
    texts = label_texts(result, Tables("ab" * 32, 0, {"labels_restricted": synthetic.stored("labels_restricted", rows)}))

    assert {author for _, author in texts} == {"rule"}
    told = cast(Found, with_labels(result, texts))
    assert [card.labels[0].text for card in told.cards] == [f"{card.feature} rule" for card in result.cards]
    assert with_labels(result, {}) == result


def without_words(result: Found) -> Found:
    """The findings as they are where rules are made of restricted text and other labels were imported."""
    cards = []
    for card in result.cards:
        rule, *others = card.labels
        imported = [each.model_copy(update={"author": "imported", "text": "fires on line ends"}) for each in others]
        cards.append(card.model_copy(update={"labels": (rule.model_copy(update={"text": ""}), *imported)}))
    return result.model_copy(update={"cards": tuple(cards)})


def test_what_an_import_does_not_know_is_not_printed(tmp_path: Path) -> None:
    """No norm, bias, width, rank, density or logit that no file states stands on a page as a number."""
    feature = {"index": 9, "top_logits": ["yes"], "activation_frequency": 0.25, "explanations": [{"description": "line ends"}]}
    (tmp_path / "9.json").write_text(json.dumps(feature), encoding="utf-8")
    html = page(featured.story(from_neuronpedia(tmp_path)))
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())

    assert "How often it fires is not known." in text
    assert "Weights not known" in text
    for wrong in ("norm 0", "bias 0", "0 numbers in", "0 tokens", "0 documents", "were ranked", "dead:", "no skip path", "25"):
        assert wrong not in text.split("Documented features", 1)[1].split("All estimates", 1)[0], wrong
    (card,) = featured.story(from_neuronpedia(tmp_path)).dossier().steps[0].exhibit.cards
    assert [cell.text for cell in card.tables["directions"].rows[0][:2]] == ["yes", "–"]


def from_neuronpedia(folder: Path) -> Found:
    """Findings of an import, as the store would hold its tables."""
    made = read_import("neuronpedia", folder)
    rows = {name: synthetic.stored(name, each) for name, each in made.tables.items()}
    imported = Imported(format="neuronpedia", source="run", files=dict(made.files))
    return derive(Tables(question="ab" * 32, seed=0, rows=rows, absent=made.absent, imported=imported), Read())


def test_a_corpus_that_findings_call_restricted_is_never_read_from_the_public_table() -> None:
    """What the findings say of the corpus counts, whichever table its text was stored in."""
    result = featured.found(features=1, sensitivity="restricted")
    quoted = Quoted(windows=dict.fromkeys(featured.windows(result), (SECRET,) * 40))

    assert not any("zyzzyva" in text for text in exhibits.exhibit(result, quoted).quoted)


def test_words_of_a_corpus_are_its_own() -> None:
    """A corpus or a vocabulary may say what the tool never says, also across tokens; a page of ours may not."""
    loud = (" is", " cer", "tified", " safe", " and", " proven", "ly", " compliant", "safe", "guaranteed")
    result = featured.found(features=3)
    named = result.cards[0].top_logits[0].model_copy(update={"text": " safe"})
    cards = (result.cards[0].model_copy(update={"top_logits": (named,)}), *result.cards[1:])
    story = featured.story(result.model_copy(update={"cards": cards}), texts=featured.windows(result, words=loud))

    assert "·safe" in page(story)
    with pytest.raises(RenderError, match="safe"):
        page(story, story.dossier().__class__(**{**vars(story.dossier()), "foot": "This is safe."}))


def _worded(card: Card, texts: Sequence[str]) -> Card:
    raised = tuple(each.model_copy(update={"text": text}) for each, text in zip(card.top_logits, texts, strict=False))
    return card.model_copy(update={"top_logits": raised})


@pytest.mark.parametrize("paper", [True, False], ids=["paper", "screen"])
def test_any_token_renders(paper: bool) -> None:
    """Hostile tokens add no tag, no attribute and no control to a page, and a PDF draws every one of them."""
    result = featured.found(features=4)
    cards = tuple(_worded(card, TOKENS[n::4]) for n, card in enumerate(result.cards))
    hostile = featured.story(result.model_copy(update={"cards": cards}), texts=featured.windows(result, words=(*STRINGS, *TOKENS)))
    harmless = featured.story(result, texts=featured.windows(result, words=("x",) * len((*STRINGS, *TOKENS))))
    if paper:
        assert render_pdf(hostile.dossier(), said=said(hostile.case, hostile.findings, hostile.quoted)).startswith(b"%PDF-")
        return

    html = page(hostile)

    assert Skeleton(html).bones == Skeleton(page(harmless)).bones
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066\u2067]", html.replace("\r", ""))
    html.encode()


def test_colours_are_for_eyes_and_numbers_for_ears() -> None:
    """The coloured run is hidden from those who hear the page; the same window is there once more, with its activations."""
    story = featured.story(featured.found(features=1))
    html = page(story)
    excerpt = story.dossier().steps[0].exhibit.cards[0].excerpts[0]

    assert html.count('<span class="run" aria-hidden="true">') == html.count('</span><span class="unseen">')
    assert f"({excerpt.peak})" in excerpt.heard
    assert re.search(r'<span class="a4">[^<]+</span>', html)


def test_a_printed_document_holds_few_colours() -> None:
    """However many features are documented, a PDF has at most so many coloured spans: the first cards keep theirs, the rest say why not."""
    story = featured.story(featured.found(features=160))
    whole = story.dossier()
    bounded = colours.bounded(whole, paper=True)
    cards, before = bounded.steps[0].exhibit.cards, whole.steps[0].exhibit.cards
    kept = next(index for index, (now, then) in enumerate(zip(cards, before, strict=True)) if now != then)
    data = next(iter(bounded.steps[0].exhibit.data))

    assert sum(card.coloured for card in before) > colours.ON_PAPER
    assert sum(card.coloured for card in cards) <= colours.ON_PAPER
    assert coloured_spans(markup(bounded, bundled(), paper=True)) <= colours.ON_PAPER
    assert not any(card.coloured for card in cards[kept:])
    assert 5 < kept < 160
    assert all(f"attached {data}" in card.about for card in cards[kept:] if card.excerpts)
    assert colours.bounded(whole, paper=False) == whole


def test_the_count_of_colours_is_that_of_the_page() -> None:
    """What the bound counts is what the page holds: no coloured span is made elsewhere."""
    few, many = (featured.story(featured.found(features=n)) for n in (1, 3))
    spans = [coloured_spans(page(story)) for story in (few, many)]
    counted = [sum(card.coloured for card in story.dossier().steps[0].exhibit.cards) for story in (few, many)]

    assert counted[1] - counted[0] <= spans[1] - spans[0] <= 1.2 * (counted[1] - counted[0])


def test_the_attached_table_holds_every_window() -> None:
    """What cards leave out goes with the PDF: all windows of all features, token by token with their activations."""
    result = featured.found(features=3)
    texts = featured.windows(result)
    ((name, (_, data)),) = exhibits.exhibit(result, Quoted(windows=texts)).data.items()
    rows = list(csv.DictReader(io.StringIO(data.decode())))

    assert name.endswith(".csv")
    assert len(rows) == sum(len(card.contexts) for card in result.cards)
    for row, context in zip(rows, (each for card in result.cards for each in card.contexts), strict=True):
        assert tuple(json.loads(row["tokens"])) == texts[context.window]
        assert tuple(json.loads(row["activations"])) == context.activations


def test_a_pdf_carries_the_table() -> None:
    """The table lies inside the PDF, under the name that its pages give."""
    story = featured.story(featured.found(features=1))
    dossier = story.dossier()
    attached = _attachments(dossier, cast(Judged, SimpleNamespace(case=story.case, findings=story.findings)), None)
    pdf = render_pdf(dossier, attachments=attached, said=said(story.case, story.findings, story.quoted))

    assert next(iter(dossier.steps[0].exhibit.data)).encode() in inside(pdf)


def bare(outcome: Outcome) -> Found:
    """Findings of a step that came to nothing."""
    nothing = ("cards", "contrasts", "density_histogram", "null_effects")
    empty: dict[str, Any] = {"estimates": {}, "absent": {"*": "it was so"}, **dict.fromkeys(nothing, ())}
    return featured.found(outcome=outcome, reasons=("it was so",), looked_at=0, **empty)


RESULTS: dict[str, Callable[[], Found]] = {
    "plausible": featured.found,
    "one": lambda: featured.found(features=1),
    "bare": lambda: bare(Outcome.NOT_APPLICABLE),
    "failed": lambda: bare(Outcome.FAILED),
    "derived": synthetic.found,
}


@pytest.mark.parametrize("name", RESULTS)
def test_drawings_are_whole_and_stay_inside(name: str) -> None:
    """Each figure parses, says what it shows, and keeps its marks within its edges."""
    shown = exhibits.exhibit(RESULTS[name](), Quoted())
    drawn = [*shown.figures.values(), *(figure for card in shown.cards for figure in card.figures)]
    for figure in drawn:
        root = ET.fromstring(str(figure.drawing))
        title = root.find(f"{SVG}title")
        width, height = float(root.attrib["width"]), float(root.attrib["height"])

        assert title is not None
        assert title.text == root.get("aria-label")
        for each in root.iter():
            assert all(-0.5 <= float(each.get(key, 0)) <= width + 0.5 for key in ("x", "x1", "x2", "cx")), ET.tostring(each)
            assert all(-0.5 <= float(each.get(key, 0)) <= height + 0.5 for key in ("y", "y1", "y2", "cy")), ET.tostring(each)


@pytest.mark.parametrize("name", RESULTS)
def test_pages_are_whole_whatever_was_found(name: str) -> None:
    """Ids are each their own, links lead somewhere, and a step that came to nothing says so."""
    result = RESULTS[name]()
    html = page(featured.story(result, texts={}))
    ids = re.findall(r' id="([^"]+)"', html)

    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)
    assert ("It was so." in html) == (result.outcome is not Outcome.CONCLUSIVE)


def test_what_is_derived_is_shown() -> None:
    """Every estimate of a card that findings hold stands on the page; names of estimates have words of their own."""
    result = synthetic.found()
    shown = exhibits.exhibit(result, Quoted())
    names = {name.split(".")[0] for name in estimate_names(Ask(), Read(), {})}

    assert names <= {*QUANTITIES}
    assert len(shown.cards) == len(result.cards)
    assert {"quality", "features", "contrasts", "probes", "capture", "structure"} <= {*shown.tables}
    assert {"quality", "density", "ablated_0", "steered_0"} <= {*shown.figures}


def test_units_of_absent_estimates_are_those_of_present_ones() -> None:
    """What an estimate is counted in is known before it is there."""
    for name, each in synthetic.found().estimates.items():
        assert unit(name) is each.unit, name


def test_texts_come_from_the_tables_of_the_observation() -> None:
    """Windows that cards name are read from the table of windows; a kind without samples has none."""
    tables = synthetic.tables()
    result = synthetic.found()
    texts = window_texts(result, tables, "windows")

    assert {each.window for card in result.cards for each in card.contexts} <= {*texts}
    assert window_texts(result, tables, "windows_restricted") == {}
    assert list(sample_texts(result, tables)) == []


def test_a_model_card_names_the_key_estimates() -> None:
    """Quality beside the random dictionary, and the share that passes of every contrast, whatever it is called."""
    story = featured.story()
    names = {metric["args"]["estimate"] for result in results(story.case, story.findings) for metric in result["metrics"]}

    assert {"explained_variance.corpus.dictionary", "explained_variance.corpus.random", "passing_share.refusal.causal"} <= names
    assert "none of" in section(story.case, {featured.STEP: none_passes()}, version="1.0.0", made=cases.MADE)


def none_passes() -> Found:
    """Findings in which no tested feature passes the causal gate."""
    result = featured.found()
    cards = tuple(
        card.model_copy(update={"gates": tuple(gate.model_copy(update={"passes": False}) for gate in card.gates)}) for card in result.cards
    )
    return result.model_copy(update={"cards": cards})


@pytest.mark.parametrize("quality", [True, False])
def test_features_speak_to_a_clause_only_with_the_quality_of_their_dictionary(quality: bool) -> None:
    """A pack that takes features as part of an answer asks how good the dictionary is; without that, they are below its minimum."""
    result = featured.found()
    left = {name: each for name, each in result.estimates.items() if quality or not name.startswith("explained_variance.")}
    lines = bearing("nist:MS-2.9-001", result.model_copy(update={"estimates": left}))

    assert [line.state for line in lines] == ["counts" if quality else "below the minimum"]
    assert quality or any("no estimate explained_variance.corpus.dictionary" in reason for line in lines for reason in line.unmet)


@pytest.mark.parametrize(
    ("row", "lost", "lacking"),
    [
        pytest.param("cop-s:3.2", "#random-", "no estimate firing_rate.corpus.tokens#random-1", id="nothing drawn by lot"),
        pytest.param(
            "nist:MS-2.9-001", "label_balanced_accuracy", "no estimate label_balanced_accuracy.corpus.zero#*", id="no scored label"
        ),
        pytest.param(
            "aia:14.4.c", "label_balanced_accuracy", "no estimate label_balanced_accuracy.corpus.zero#*", id="nothing to interpret by"
        ),
        pytest.param("aia:14.4.c", "", "stands beside no null", id="a score beside no null"),
    ],
)
def test_features_speak_to_a_clause_only_with_what_it_is_about(row: str, lost: str, lacking: str) -> None:
    """Unexpected features are drawn by lot, and an interpretation has a label that was scored beside other features' labels."""
    result = featured.found()
    met = {**result.estimates, "firing_rate.corpus.tokens#random-1": estimate(0.01, 0.005, n=998_400)}
    left = {name: each for name, each in met.items() if not lost or lost not in name}
    if not lost:
        left = {name: each.model_copy(update={"nulls": ()}) for name, each in left.items()}

    assert [line.state for line in bearing(row, result.model_copy(update={"estimates": met}))] == ["counts"]
    (line,) = bearing(row, result.model_copy(update={"estimates": left}))
    assert line.state == "below the minimum"
    assert lacking in line.unmet[0]


def bearing(row: str, result: Found) -> list[EvidenceState]:
    """How the findings stand in the slots of a requirement, for a provider that both laws bind."""
    answers = Answers(
        role="provider-gpai" if row.startswith(("cop", "nist")) else "provider-high-risk",
        findings={featured.STEP: result},
        declared_before=lambda step: True,
        attestations=Attestations(sha256=digest("attestations"), facts={}),
        recorded={},
        declared={},
        prefills={},
        as_of=cases.TODAY,
    )
    rows = {each.id: each for each in coverage(load_packs(bundled()), answers)}
    return [line for slot in rows[row].slots for line in slot.evidence if line.kind == "feature_documentation"]


def test_an_argument_takes_features_in_no_stronger_role_than_they_bear() -> None:
    """Quality carries its goal; what editing changes is a bound from below; a claim that none passes backs nothing."""
    claim = Claim(
        text="No tested feature passes",
        bears="favourable",
        criteria=(Criterion(step=featured.STEP, estimate="passing_share.refusal.causal", at_most=0.9),),
    )
    result = featured.found()
    base = featured.story(result)
    case = base.case.model_copy(update={"judgements": cases.judgements({"none": claim}, {featured.STEP: result})})
    made = build_argument(load_pattern("what-features-show", Path(), bundled()), case, {featured.STEP: result})

    enters = {node.id: node.evidence[0].enters for node in made.nodes if node.type is NodeType.SOLUTION and node.evidence}
    assert enters == {"Sn2": "support", "Sn3": "support", "Sn4": "lower-bound"}
    assert not any("No tested feature passes" in node.text and node.supported_by for node in made.nodes)


def test_what_many_features_lack_is_named_once() -> None:
    """A thousand names that differ in the feature alone are one line; few are named each."""
    result = featured.found(features=12)
    absent = {f"activation_auroc.refusal.confirmation#random-{n}": "not asked" for n in range(1, 11)} | {
        "l0.corpus.pca#random-1": "not asked"
    }
    table = exhibits.exhibit(result.model_copy(update={"absent": absent}), Quoted()).tables["absent"]

    listed = " ".join(row[1].code for row in table.rows)
    assert listed.count("activation_auroc.refusal.confirmation#…") == 1
    assert "l0.corpus.pca#random-1" in listed
