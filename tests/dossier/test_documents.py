"""Every type of document: what stands in it whatever the case, and what no document may leave out."""

import datetime
import re
from pathlib import Path

import pytest
import yaml
from markupsafe import escape

from safetycase.case.attestations import Attested, load_attestations
from safetycase.case.changes import Snapshot, changes
from safetycase.case.register import Finding, RegisteredFinding
from safetycase.case.requirements.loading import load_packs
from safetycase.dossier.attesting import empty_attestations
from safetycase.dossier.changes_shown import changes_block
from safetycase.dossier.doctypes import dossier_type, dossier_types
from safetycase.dossier.page import Dossier
from safetycase.dossier.render import render_html
from safetycase.dossier.requirements import called, for_audience
from safetycase.dossier.said import said
from safetycase.errors import RenderError
from safetycase.resources import Templates, bundled, overlaid
from tests.dossier import cases

TYPES = (
    "art50-status",
    "auditor-pack",
    "cop-model-report",
    "evidence-report",
    "gpai-annex-xi",
    "gpai-annex-xii",
    "model-card-attachment",
    "safety-case",
)
each_type = pytest.mark.parametrize("name", TYPES)
TODAY = datetime.date(2026, 11, 21)
BEFORE, SINCE = datetime.date(2026, 8, 1), datetime.date(2026, 8, 2)


def page(dossier: Dossier, story: cases.Story) -> str:
    """The text of a document without its break opportunities."""
    return render_html(dossier, said=said(story.case, story.findings, {})).replace("<wbr>", "")


def test_the_types_are_those_that_people_hand_over() -> None:
    """One folder each."""
    assert dossier_types() == TYPES


@each_type
def test_every_document_has_its_fixed_parts(name: str) -> None:
    """Role and applicability first, then warnings, ledger, evidence index, changes and a place to sign."""
    story = cases.covered()
    dossier = story.dossier(type=name)
    html = page(dossier, story)

    assert html.index('class="role"') < html.index('id="warnings"')
    assert {"changes", "signature"} <= dossier.blocks
    assert {"index", "packs-briefly"} & dossier.blocks
    assert all(str(escape(each.text)) in html for each in dossier.warnings)
    assert ('class="ledger"' in html) == bool(dossier.ledger.requirements)
    assert "Roles are declared, not checked." in html or not dossier.ledger.requirements


@each_type
def test_the_table_of_contents_leads_to_every_section(name: str) -> None:
    """In the order of the pages, each entry to an anchor that exists."""
    dossier = cases.covered().dossier(type=name)
    html = render_html(dossier)

    places = [html.index(f'id="{entry.anchor}"') for entry in dossier.contents]

    assert places == sorted(places)
    assert len({entry.anchor for entry in dossier.contents}) == len(dossier.contents)
    assert dossier.short or all(f'href="#{entry.anchor}"' in html for entry in dossier.contents)


@each_type
def test_every_requirement_of_a_document_is_counted_once(name: str) -> None:
    """The ledger adds up, and what it counts is what the sections ask for."""
    dossier = cases.covered().dossier(type=name)
    shown = [row.id for section in dossier.sections for row in section.rows]
    form = [each for section in dossier_type(name).sections if section.in_blocks for each in section.requirements]

    assert sum(entry.count for entry in dossier.ledger.entries) == dossier.ledger.requirements
    assert len(shown) == len(set(shown))
    assert form or dossier.ledger.requirements == len(shown)


def test_full_evidence_stands_where_it_belongs() -> None:
    """In the evidence report and the auditor pack; the others cite it by its digest."""
    full = {name for name in TYPES if "evidence" in cases.covered().dossier(type=name).blocks}
    story = cases.covered()

    assert full == {"evidence-report", "auditor-pack"}
    for name in set(TYPES) - full - {"art50-status"}:
        assert str(story.case.steps[0].findings_sha256)[:8] in page(story.dossier(type=name), story), name


def test_missing_facts_are_counted_on_the_first_page() -> None:
    """And an attested fact takes its place with who says it."""
    empty = cases.covered()
    fact = Attested(value="Weather forecasts for farmers, and nothing else", owner="Ada", date=TODAY, source="policy 7")
    filled = cases.covered(intended_uses=fact)

    before, after = (story.dossier(type="gpai-annex-xi") for story in (empty, filled))
    html = page(after, filled)

    assert "Intended uses" in before.ledger.missing
    assert set(before.ledger.missing) - set(after.ledger.missing) == {"Intended uses"}
    assert f"{len(after.ledger.missing)} required fields are MISSING" in html
    assert "Weather forecasts for farmers" in html
    assert "stated by Ada on 21 November 2026 (policy 7)" in html


def test_facts_for_others_are_withheld_everywhere() -> None:
    """In the page and in the case that goes with it; the warning says so."""
    secret = Attested(value="3.21e+25 floating-point operations", owner="Ada", date=TODAY)
    packs = load_packs(bundled())
    readers: dict[str, set[str]] = {}
    for asked in packs.requirements.values():
        for slot in asked.slots:
            readers.setdefault(slot.id, set()).update(slot.audience or asked.audience)
    facts = {name: secret for name in packs.facts if "downstream-provider" not in readers[name]}
    story = cases.covered(**facts)

    for_office = story.dossier(type="gpai-annex-xi", audience="ai-office")
    for_integrators = story.dossier(type="gpai-annex-xi", audience="downstream-provider")

    assert facts
    assert "3.21e+25" in page(for_office, story)
    assert "3.21e+25" not in page(for_integrators, story)
    assert "3.21e+25" not in for_audience(story.case, "downstream-provider").model_dump_json()
    assert "W13" in {each.id for each in for_integrators.warnings}


def test_article_50_holds_no_evidence() -> None:
    """Nothing measured stands on the sheet, and it says what 2 December 2026 is about."""
    story = cases.covered()
    dossier = story.dossier(type="art50-status")
    html = page(dossier, story)

    assert not dossier.steps
    assert {row.state for section in dossier.sections for row in section.rows} == {"not-assessable-by-tool"}
    assert "2 December 2026" in html
    assert "marking" in html
    assert "data-relation" not in html


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        pytest.param({}, "cannot be told: nobody states whether the system generates", id="nothing stated"),
        pytest.param({"generates_synthetic_content": False}, "paragraph 2 then does not concern it", id="no such content"),
        pytest.param({"generates_synthetic_content": True}, "which date concerns it cannot be told", id="no date"),
        pytest.param({"generates_synthetic_content": True, "system_placing_date": BEFORE}, "by 2 December 2026", id="placed before"),
        pytest.param({"generates_synthetic_content": True, "system_placing_date": SINCE}, "without a later date", id="placed since"),
    ],
)
def test_the_date_of_marking_follows_from_what_is_stated(facts: dict[str, bool | datetime.date], said: str) -> None:
    """Only systems placed on the market before 2 August 2026 have until 2 December; the other paragraphs had no later date."""
    story = cases.covered(**{name: Attested(value=value, owner="Ada", date=TODAY) for name, value in facts.items()})
    text = story.dossier(type="art50-status").sections[0].blocks[0].paragraphs[0]

    assert said in text
    assert "Paragraphs 1, 3, 4 and 5 apply from 2 August 2026 and had no later date." in text


def test_no_document_claims_to_cover_article_50() -> None:
    """The warning stands in each of them, and no other type answers its rows."""
    for name in set(TYPES) - {"art50-status"}:
        dossier = cases.covered().dossier(type=name)
        rows = [row.id for section in dossier.sections for row in section.rows]

        assert not [each for each in rows if each.startswith(("aia:50.", "aia:111.4"))]
        assert "W05" in {each.id for each in dossier.warnings}


def test_the_auditor_pack_follows_the_order_of_auditors() -> None:
    """Engagement first; then identity, method, data, evidence, statistics, reproduction, custody, limits, findings."""
    sections = [each.id for each in dossier_type("auditor-pack").sections]
    order = ["engagement", "identity", "method", "data", "evidence", "statistics", "reproduce", "custody", "limits", "findings"]

    assert [each for each in sections if each in order] == order


def test_evidence_of_another_model_answers_nothing() -> None:
    """A step that asks another model says nothing of the subject."""
    story = cases.covered()
    other = story.case.model_copy(update={"steps": tuple(each.model_copy(update={"model": "another"}) for each in story.case.steps)})

    assert story.case.about_subject(story.findings) == dict(story.findings)
    assert other.about_subject(story.findings) == {}


@each_type
def test_documents_that_answer_the_law_say_what_it_is_worth(name: str) -> None:
    """No presumption, what is missing, when the law was read, and that the declared role may have no duty."""
    dossier = cases.covered().dossier(type=name)
    of_law = {"W03", "W06", "W11", "W15"}

    assert of_law & {each.id for each in dossier.warnings} == (of_law if dossier.ledger.requirements else set())


@each_type
def test_no_placeholder_survives(name: str) -> None:
    """Every warning of every document is filled in, with redactions and an audience or without."""
    story = cases.covered()
    engagement = story.case.engagement.model_copy(update={"redactions": ("prompts",)})
    told = cases.Story(story.case.model_copy(update={"engagement": engagement}), story.findings)

    for audience in (None, "downstream-provider"):
        assert not [each.text for each in told.dossier(type=name, audience=audience).warnings if re.search(r"{\w+}", each.text)]


def test_an_expired_argument_says_so() -> None:
    """Beside its day, and as a warning."""
    story = cases.covered()
    over = tuple(each.model_copy(update={"expired": True}) for each in story.case.arguments)
    old = cases.Story(story.case.model_copy(update={"arguments": over}), story.findings)

    assert "W12" not in {each.id for each in story.dossier(type="safety-case").warnings}
    assert "W12" in {each.id for each in old.dossier(type="safety-case").warnings}
    assert "EXPIRED" in page(old.dossier(type="safety-case"), old)


def test_links_of_verdicts_lead_to_the_evidence() -> None:
    """Not to the summary that they stand in, where the document cites the evidence further on."""
    groups = cases.covered().dossier(type="safety-case").summary.verdicts

    assert {each.href for group in groups for row in group.rows for each in row.measurements} == {"#evidence"}


def test_changelogs_tell_no_inner_matters() -> None:
    """What people answered to findings and who reviewed what is counted, and listed by `diff` alone."""
    story = cases.covered()
    answered = Finding(id="F1", claim="keeps", summary="x", verdict="refuted", opened_on="a" * 64, response="our secret plan")
    registered = RegisteredFinding(finding=answered, new=False, stands=True, closed=False, overdue=False)
    now = story.case.model_copy(update={"findings_register": (registered,)})
    block = changes_block(changes(Snapshot(story.case, story.findings, "1.0.0"), Snapshot(now, story.findings)), {})

    assert "1 of these facts are details" in block.paragraphs[0]
    assert "our secret plan" not in repr(block)


def test_an_unknown_requirement_is_one_line(tmp_path: Path) -> None:
    """With the nearest id."""
    folder = tmp_path / "dossiers" / "note"
    folder.mkdir(parents=True)
    sections = '  - {id: law, title: Law, requirements: ["aia:XI.2.22"]}'
    (folder / "dossier.yaml").write_text(f"title: Note\nlead: A note.\naudience: anyone\nsections:\n{sections}\n", encoding="utf-8")
    story = cases.covered()

    with pytest.raises(RenderError, match=r"section law: unknown requirement id 'aia:XI.2.22'; did you mean 'aia:XI.2.2'"):
        _assembled(story, "note", overlaid(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("title: Note\n", "lead: missing", id="a key missing"),
        pytest.param("title: Note\nlead: x\naudience: x\nsections:\n - {id: a, blocks: [sumary]}\n", "found 'sumary'", id="block"),
        pytest.param("title: [\n", "not YAML", id="not YAML"),
    ],
)
def test_a_broken_type_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    """File and line."""
    folder = tmp_path / "dossiers" / "note"
    folder.mkdir(parents=True)
    (folder / "dossier.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(RenderError) as raised:
        dossier_type("note", overlaid(tmp_path))

    assert message in str(raised.value)
    assert re.search(r"dossier\.yaml:\d", str(raised.value))


@pytest.mark.parametrize("name", [each for each in TYPES if each != "evidence-report"])
def test_the_file_of_facts_asks_for_every_slot(name: str, tmp_path: Path) -> None:
    """Each fact of the document once, explained, and valid as it is written: it states nothing yet."""
    packs = load_packs(bundled())
    path = tmp_path / "attestations.yaml"
    path.write_text(empty_attestations([name], bundled()), encoding="utf-8")

    loaded = load_attestations(path, packs.facts, TODAY)
    story = cases.covered()
    asked = {
        slot.term
        for section in story.dossier(type=name).sections
        for row in section.rows
        for slot in row.slots
        if slot.term.lower().replace(" ", "_") in packs.facts
    }

    assert not any(each.is_given for each in loaded.facts.values())
    assert asked <= {called(each) for each in loaded.facts}
    assert path.read_text(encoding="utf-8").count("  # ") >= 2 * len(loaded.facts)
    assert set(yaml.safe_load(path.read_text(encoding="utf-8"))["facts"]) == set(loaded.facts)


def test_a_document_without_facts_has_no_file_of_facts() -> None:
    """One line says so."""
    with pytest.raises(RenderError, match="evidence-report: asks for no fact"):
        empty_attestations(["evidence-report"], bundled())


def _assembled(story: cases.Story, name: str, templates: Templates) -> Dossier:
    from safetycase.dossier.assemble import assemble

    return assemble(
        story.case, story.findings, dossier_type=name, version="1.0.0", profile="public", quoted={}, made="", templates=templates
    )
