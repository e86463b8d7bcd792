"""The bundled requirement packs against the lists of the instruments that they read."""

import datetime
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from safetycase.case.requirements.loading import load_packs
from safetycase.case.requirements.packs import Pack, Requirement, Slot
from safetycase.case.wording import forbidden
from safetycase.resources import bundled, directory

FOLDER = directory("templates") / "requirements"
PACKS = ("eu-ai-act", "gpai-code-of-practice", "nist-ai-600-1")


def points(listed: str) -> list[str]:
    return listed.split()


ARTICLES_9_TO_15 = points(
    "9.1 9.2 9.2.a 9.2.b 9.2.c 9.2.d 9.5 9.6 9.8 9.9 10.2 10.2.f 10.3 10.4 11.1 12.1 12.2.a 12.2.b 12.2.c "
    "13.1 13.2 13.3.a 13.3.b.i 13.3.b.ii 13.3.b.iii 13.3.b.iv 13.3.b.v 13.3.b.vi 13.3.b.vii 13.3.c 13.3.d 13.3.e 13.3.f "
    "14.1 14.2 14.3 14.4.a 14.4.b 14.4.c 14.4.d 14.4.e 15.1 15.3 15.4 15.5 25.2 25.4 86.1"
)
ANNEX_IV = points("1.a 1.b 1.c 1.d 1.e 1.f 1.g 1.h 2.a 2.b 2.c 2.d 2.e 2.f 2.g 2.h 3 4 5 6 7 8 9")
ARTICLE_50 = ["aia:50.1", "aia:50.2", "aia:50.3", "aia:50.4", "aia:50.5", "aia:50.6", "aia:50.7", "aia:111.4"]
OTHER_ARTICLES = points("53.1.a 53.1.b 53.1.c 53.1.d 53.4 55.1.a 55.1.b 55.1.c 55.1.d 72.1 72.2 72.3 73.2 73.6")

ANNEX_XI = {
    "1.1.a": "intended_uses ai_system_types",
    "1.1.b": "acceptable_use_policy",
    "1.1.c": "release_date distribution_methods",
    "1.1.d": "architecture parameters",
    "1.1.e": "input_modalities output_modalities input_output_formats",
    "1.1.f": "licence",
    "1.2.a": "integration_means",
    "1.2.b": "design_specification training_design decision_rationale optimisation_target parameter_relevance",
    "1.2.c": "data_modality data_provenance data_curation data_points data_scope data_selection data_unsuitability data_bias_detection",
    "1.2.d": "training_compute training_time training_details",
    "1.2.e": "training_energy",
    "2.1": "evaluation_results other_evaluations limitation_methodology",
    "2.2": "adversarial_testing adaptations_description",
    "2.3": "system_architecture",
}
ANNEX_XII = {
    "1.a": "intended_uses ai_system_types",
    "1.b": "acceptable_use_policy",
    "1.c": "release_date distribution_methods",
    "1.d": "model_interaction",
    "1.e": "required_software",
    "1.f": "architecture parameters",
    "1.g": "input_modalities output_modalities input_output_formats",
    "1.h": "licence",
    "2.a": "integration_means",
    "2.b": "input_modalities output_modalities input_output_formats context_window",
    "2.c": "data_modality data_provenance data_curation",
    "+": "limitations known_limitations",
}

OFFICE, AUTHORITY, DOWNSTREAM = "ai-office", "national-authority", "downstream-provider"
ALL, AUTHORITIES = (OFFICE, AUTHORITY, DOWNSTREAM), (OFFICE, AUTHORITY)
MODEL_DOCUMENTATION_FORM: dict[str, dict[str, tuple[str, ...]]] = {
    "header": {"documentation_date": (), "documentation_version": ()},
    "general": {
        "provider_legal_name": ALL,
        "model_name": ALL,
        "model_authenticity": AUTHORITIES,
        "release_date": ALL,
        "union_release_date": ALL,
        "base_model": ALL,
    },
    "properties": {
        "architecture": ALL,
        "design_specification": AUTHORITIES,
        "input_modalities": ALL,
        "input_maximum_size": (DOWNSTREAM,),
        "output_modalities": ALL,
        "output_maximum_size": (DOWNSTREAM,),
        "parameters": (OFFICE,),
        "parameters_range": (AUTHORITY, DOWNSTREAM),
    },
    "distribution": {
        "distribution_channels": AUTHORITIES,
        "distribution_methods": (DOWNSTREAM,),
        "licence": AUTHORITIES,
        "licence_category": (DOWNSTREAM,),
        "additional_assets": AUTHORITIES,
    },
    "use": {
        "acceptable_use_policy": ALL,
        "intended_uses": ALL,
        "ai_system_types": ALL,
        "integration_means": (DOWNSTREAM,),
        "required_hardware": (DOWNSTREAM,),
        "required_software": (DOWNSTREAM,),
    },
    "training": {"training_design": AUTHORITIES, "decision_rationale": AUTHORITIES},
    "data": {
        "data_modality": ALL,
        "data_provenance": ALL,
        "data_selection": AUTHORITIES,
        "data_points": (OFFICE,),
        "data_points_coarse": (AUTHORITY,),
        "data_scope": AUTHORITIES,
        "data_curation": ALL,
        "data_unsuitability": AUTHORITIES,
        "data_bias_detection": AUTHORITIES,
    },
    "compute": {
        "training_time": (OFFICE,),
        "training_hardware_days": (OFFICE,),
        "training_time_range": (AUTHORITY,),
        "training_compute": (OFFICE,),
        "training_compute_magnitude": (AUTHORITY,),
        "compute_methodology": AUTHORITIES,
    },
    "energy": {
        "training_energy": AUTHORITIES,
        "energy_methodology": AUTHORITIES,
        "inference_compute": AUTHORITIES,
        "inference_methodology": AUTHORITIES,
    },
}
SAFETY_AND_SECURITY = points(
    "A1.1 A1.4 A1.3.1 A1.3.2 A1.3.3.5 A1.3.3.11 3.1.4 3.2 3.4 3.5 4.1 5.1 A3.1 A3.2 A3.3 A3.4 A3.5 "
    "7.1.1 7.1.2 7.1.3 7.1.4 7.2.1 7.2.2 7.2.3 7.3.1.a 7.3.1.b 7.3.1.c 7.3.1.d 7.3.1.e 7.3.1.f 7.3.1.g 7.3.1.h "
    "7.3.2.a 7.3.2.b 7.3.2.c 7.3.3 7.3.4 7.4 7.5.1 7.5.2 7.5.3 7.5.4 7.6 7.7 9.2 9.3 10.1 10.2"
)
NIST = points("MS-2.4 MS-2.5 MS-2.6 MS-2.7 MS-2.8 MS-2.9-001 MS-2.9-002 MG-4.1")

REFUSAL, FEATURES, CIRCUIT, REASONING, DRIFT = (
    "refusal_direction", "feature_documentation", "circuit_trace", "cot_faithfulness", "feature_drift",
)  # fmt: skip
MAY_SUPPORT = {
    "aia:9.8": {REFUSAL},
    "aia:IV.2.g": {REFUSAL, REASONING, DRIFT},
    "aia:XI.2.1": {REFUSAL, REASONING, DRIFT},
    "cop-s:A1.3.3.5": {REFUSAL},
    "cop-s:5.1": {REFUSAL},
    "cop-s:A3.3": {REFUSAL},
    "nist:MS-2.9-001": {REFUSAL, FEATURES, CIRCUIT},
}
MAY_SPEAK_TO_A_PART = {
    REFUSAL: points(
        "aia:9.2.b aia:9.2.d aia:9.5 aia:9.6 aia:9.8 aia:13.3.b.ii aia:13.3.b.iii aia:15.1 aia:15.3 aia:15.5 aia:25.2 aia:IV.2.g aia:IV.3 "
        "aia:53.1.a aia:53.1.b aia:XI.2.2 aia:XII.+ aia:55.1.a aia:55.1.b "
        "cop-s:3.2 cop-s:4.1 cop-s:A3.2 cop-s:7.3.1.d cop-s:7.3.2.c nist:MS-2.7"
    ),
    FEATURES: points("aia:13.3.b.iv aia:14.4.c aia:IV.2.e aia:IV.3 aia:53.1.a aia:XI.2.1 cop-s:A1.3.3.11 cop-s:3.2"),
    CIRCUIT: points("aia:13.3.b.iv aia:14.4.c aia:IV.2.e aia:XI.2.1 cop-s:A1.3.3.11"),
    REASONING: points(
        "aia:9.6 aia:9.8 aia:13.3.b.iv aia:13.3.b.vii aia:13.3.d aia:14.4.b aia:14.4.c aia:25.2 aia:IV.2.e aia:IV.2.g aia:IV.3 aia:53.1.a "
        "aia:53.1.b aia:XII.+ aia:55.1.a cop-s:A1.3.1 cop-s:A1.3.3.11 cop-s:3.5 cop-s:5.1 cop-s:A3.1 cop-s:7.5.3"
    ),
    DRIFT: points(
        "aia:9.2.c aia:9.6 aia:9.8 aia:13.3.b.ii aia:14.4.a aia:25.2 aia:IV.2.f aia:IV.2.g aia:IV.3 aia:IV.6 aia:IV.9 aia:XI.2.2 aia:72.2 "
        "cop-s:3.2 cop-s:3.5 cop-s:A3.3 cop-s:7.3.1.e cop-s:7.6 nist:MS-2.4 nist:MG-4.1"
    ),
}
NO_EVIDENCE = points(
    "9.9 10.2 10.3 10.4 13.2 13.3.a 13.3.b.i 13.3.b.v 13.3.b.vi 13.3.f 14.1 14.2 14.3 14.4.d 14.4.e 53.1.c 53.1.d 53.4 55.1.d 86.1"
)

CHAPTER_III = ("2027-12-02", None)
GENERAL = ("2026-08-02", None)
GENERAL_PURPOSE = ("2025-08-02", "2027-08-02")
APPLIES_FROM = (
    (r"aia:(9|1[0-5]|25)\.", CHAPTER_III),
    (r"aia:IV\.", CHAPTER_III),
    (r"aia:50\.2$", ("2026-08-02", "2026-12-02")),
    (r"aia:111\.4$", ("2026-12-02", None)),
    (r"aia:50\.", GENERAL),
    (r"aia:(53\.|55\.|XI\.|XII\.)", GENERAL_PURPOSE),
    (r"aia:XIII\.", ("2025-08-02", None)),
    (r"aia:(72|73|86)\.", GENERAL),
    (r"(mdf|cop-s):", GENERAL_PURPOSE),
    (r"nist:", (None, None)),
)

OVERSTATEMENTS = re.compile(r"\b(shows? that|demonstrates?|establish(es)?|ensures?|meets?|satisf(y|ies)|fulfils?)\b", re.IGNORECASE)


@cache
def packs() -> dict[str, Pack]:
    return {name: Pack.model_validate(yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))) for name in PACKS}


@cache
def requirements() -> dict[str, Requirement]:
    return {each.id: each for pack in packs().values() for each in pack.requirements}


def slots(requirement: str) -> dict[str, Slot]:
    return {slot.id: slot for slot in requirements()[requirement].slots}


def every_slot() -> list[tuple[str, Slot]]:
    return [(each.id, slot) for each in requirements().values() for slot in each.slots]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_bundled_pack_is_one_that_this_suite_knows_and_is_named_as_its_file(path: Path) -> None:
    """A pack that is added must be put under these tests too."""
    assert path.stem in PACKS
    assert packs()[path.stem].pack == path.stem


def test_the_bundled_packs_pass_the_loader() -> None:
    """Kinds, estimates, related ids and facts are names that exist, and one fact has one type."""
    loaded = load_packs(bundled())

    assert list(loaded.requirements) == list(requirements())


@pytest.mark.parametrize(
    ("prefix", "ids"),
    [
        pytest.param("aia:", ARTICLES_9_TO_15, id="articles 9 to 15, 25, 86"),
        pytest.param("aia:IV.", ANNEX_IV, id="annex IV"),
        pytest.param("aia:", OTHER_ARTICLES, id="articles 53 to 73"),
        pytest.param("aia:XIII.", list("abcdefg"), id="annex XIII"),
        pytest.param("cop-s:", SAFETY_AND_SECURITY, id="safety and security"),
        pytest.param("nist:", NIST, id="nist"),
    ],
)
def test_every_listed_point_has_its_row(prefix: str, ids: list[str]) -> None:
    """No point of an instrument falls out of its pack."""
    assert not {prefix + each for each in ids} - set(requirements())


def test_the_packs_hold_no_row_that_no_list_knows() -> None:
    """What an instrument does not ask for is not asked in its name."""
    known = {f"aia:{each}" for each in (*ARTICLES_9_TO_15, *OTHER_ARTICLES)} | set(ARTICLE_50)
    known |= {f"aia:IV.{each}" for each in ANNEX_IV} | {f"aia:XIII.{each}" for each in "abcdefg"}
    known |= {f"aia:XI.{each}" for each in ANNEX_XI} | {f"aia:XII.{each}" for each in ANNEX_XII}
    known |= {f"mdf:{each}" for each in MODEL_DOCUMENTATION_FORM}
    known |= {f"cop-s:{each}" for each in SAFETY_AND_SECURITY} | {f"nist:{each}" for each in NIST}

    assert set(requirements()) - known == set()


@pytest.mark.parametrize("point", ANNEX_IV)
def test_every_point_of_annex_iv_has_a_slot(point: str) -> None:
    """Technical documentation of a high-risk system has no point that nobody can fill in."""
    assert any(slot.required for slot in slots(f"aia:IV.{point}").values())


@pytest.mark.parametrize(
    ("requirement", "asked"),
    [(f"aia:{annex}.{point}", fields) for annex, asked in (("XI", ANNEX_XI), ("XII", ANNEX_XII)) for point, fields in asked.items()],
)
def test_every_field_of_annexes_xi_and_xii_has_a_required_slot(requirement: str, asked: str) -> None:
    """Each fact that a point names is a slot of its own, shown as missing until it is filled."""
    required = {slot.id for slot in slots(requirement).values() if slot.required}

    assert set(asked.split()) - required == set()


@pytest.mark.parametrize("block", MODEL_DOCUMENTATION_FORM)
def test_every_field_of_the_model_documentation_form_has_a_slot_with_its_recipients(block: str) -> None:
    """A field that is meant for the AI Office alone reaches nobody else."""
    asked = {slot.id: slot.audience for slot in slots(f"mdf:{block}").values() if slot.required}

    assert asked == MODEL_DOCUMENTATION_FORM[block]


def test_article_50_asks_people_and_holds_no_evidence() -> None:
    """What is inside a model says nothing about the marking of content; its rows take attestations alone, and say so."""
    found = {each.id: each for each in requirements().values() if each.is_art50}

    assert sorted(found) == sorted(ARTICLE_50)
    assert {slot.fill for each in found.values() for slot in each.slots} == {"attestation"}
    assert all(not each.evidence and each.cannot_show for each in found.values())


@pytest.mark.parametrize("point", NO_EVIDENCE)
def test_what_no_analysis_answers_takes_no_evidence(point: str) -> None:
    """A row that the research marks as out of reach, or as the provider's to attest, has no evidence rule."""
    requirement = requirements()[f"aia:{point}"]

    assert not requirement.evidence
    assert all(slot.fill != "evidence" for slot in requirement.slots)


def test_evidence_supports_only_where_the_clause_asks_for_what_it_measures() -> None:
    """Elsewhere it carries a part of the clause, or is read beside it."""
    found: dict[str, set[str]] = {}
    for each in requirements().values():
        for rule in each.evidence:
            if rule.relation == "supports":
                found.setdefault(each.id, set()).add(rule.kind)

    assert found == MAY_SUPPORT


@pytest.mark.parametrize("kind", MAY_SPEAK_TO_A_PART)
def test_evidence_speaks_to_a_part_of_a_clause_only_where_listed(kind: str) -> None:
    """Elsewhere it is read beside the clause, and counts for nothing."""
    found = {each.id for each in requirements().values() for rule in each.evidence if (rule.kind, rule.relation) == (kind, "partial")}

    assert found == set(MAY_SPEAK_TO_A_PART[kind])


def test_support_needs_a_declared_plan() -> None:
    """Bounds that were chosen with the data in sight carry no clause."""
    rules = [(each.id, rule) for each in requirements().values() for rule in each.evidence if rule.relation == "supports"]

    assert [name for name, rule in rules if not rule.minimum.declared_before] == []


def test_context_is_never_required() -> None:
    """A slot that only context may fill could not be filled; and every slot for evidence has a rule that says by what."""
    for each in requirements().values():
        for slot in each.slots:
            relations = {rule.relation for rule in each.evidence if rule.slot == slot.id}
            assert not (slot.required and relations == {"context"}), (each.id, slot.id)
            assert (slot.fill == "evidence") == bool(relations), (each.id, slot.id)


@pytest.mark.parametrize("requirement", list(requirements()))
def test_dates_of_application_are_those_of_its_group(requirement: str) -> None:
    """High-risk duties were postponed, the marking of content has one later date, general-purpose models another."""
    applies = requirements()[requirement].applies
    expected = next(dates for pattern, dates in APPLIES_FROM if re.match(pattern, requirement))

    assert (_iso(applies.since), _iso(applies.legacy_since)) == expected


@pytest.mark.parametrize(
    ("prefix", "roles"),
    [
        pytest.param("aia:9.", {"provider-high-risk"}, id="article 9"),
        pytest.param("aia:15.", {"provider-high-risk"}, id="article 15"),
        pytest.param("aia:53.1.a", {"provider-gpai", "provider-gpai-systemic"}, id="technical documentation"),
        pytest.param("aia:53.1.b", {"provider-gpai", "provider-gpai-systemic"}, id="downstream documentation"),
        pytest.param("aia:XI.1", {"provider-gpai", "provider-gpai-systemic"}, id="annex XI, section 1"),
        pytest.param("aia:XI.2", {"provider-gpai-systemic"}, id="annex XI, section 2"),
        pytest.param("aia:XII.", {"provider-gpai", "provider-gpai-systemic"}, id="annex XII"),
        pytest.param("aia:55.", {"provider-gpai-systemic"}, id="article 55"),
        pytest.param("aia:53.1.c", {"provider-gpai", "provider-gpai-open", "provider-gpai-systemic"}, id="copyright policy"),
        pytest.param("aia:53.1.d", {"provider-gpai", "provider-gpai-open", "provider-gpai-systemic"}, id="training summary"),
        pytest.param("aia:IV.", {"provider-high-risk"}, id="annex IV"),
        pytest.param("aia:86.1", {"deployer"}, id="article 86"),
        pytest.param("mdf:", {"provider-gpai", "provider-gpai-systemic"}, id="model documentation form"),
        pytest.param("cop-s:", {"provider-gpai-systemic"}, id="safety and security"),
        pytest.param("nist:", set(), id="nist binds nobody"),
    ],
)
def test_a_clause_binds_whom_it_names(prefix: str, roles: set[str]) -> None:
    """Free and open models without systemic risk are exempt from the documentation, and never from policy and summary."""
    found = {each.id: set(each.applies.roles) for each in requirements().values() if each.id.startswith(prefix)}

    assert found
    assert {name: bound for name, bound in found.items() if bound != roles} == {}


def test_every_requirement_says_how_and_when_it_was_read() -> None:
    """A reader can weigh a row by who read what, and when."""
    for pack in packs().values():
        for each in pack.requirements:
            assert each.source.ref, each.id
            assert each.source.read_on == pack.last_verified, each.id


def test_rows_whose_text_was_not_read_say_so() -> None:
    """The form's recipients and most of NIST's subcategories were read in secondary sources."""
    footnoted = {each.id for each in requirements().values() if each.source.needs_footnote}

    assert footnoted == {f"mdf:{block}" for block in MODEL_DOCUMENTATION_FORM} | {
        f"nist:{each}" for each in NIST if not each.startswith("MS-2.9")
    }


def test_texts_of_packs_claim_nothing() -> None:
    """Neither forbidden words anywhere, nor, of a part of a clause, a verb that speaks for the whole."""
    for each in requirements().values():
        notes = [rule.note for rule in each.evidence]
        limits = [text for rule in each.evidence for text in rule.cannot_show]
        texts = [each.summary, each.provision, each.applies.note, *notes, *limits, *each.cannot_show, *(slot.about for slot in each.slots)]
        assert [text for text in texts if forbidden(text)] == [], each.id
        assert [note for note in notes if OVERSTATEMENTS.search(note)] == [], each.id
    for pack in packs().values():
        assert forbidden(pack.instrument.about) == ()


def test_summaries_are_short() -> None:
    """Own words, and no more than forty."""
    assert {each.id: len(each.summary.split()) for each in requirements().values() if len(each.summary.split()) > 40} == {}


def test_what_cannot_be_shown_reads_on_from_a_heading() -> None:
    """Entries are clauses after “this cannot show”, so that a page may list or join them."""
    limits = [text for each in requirements().values() for text in each.cannot_show]
    limits += [text for each in requirements().values() for rule in each.evidence for text in rule.cannot_show]

    assert [text for text in limits if text.endswith(".") or not text[0].islower()] == []


def test_a_row_that_nobody_can_fill_says_what_cannot_be_shown() -> None:
    """No row is silent: it asks for something, or says that nothing here answers it."""
    silent = [each.id for each in requirements().values() if not any(slot.required for slot in each.slots) and not each.cannot_show]

    assert silent == []


def test_a_slot_is_the_same_everywhere() -> None:
    """One id, one fact: it is asked for in the same words and form in every row and pack."""
    first: dict[str, tuple[str, Slot]] = {}
    for requirement, slot in every_slot():
        alike = slot.model_copy(update={"required": True, "audience": ()})
        where, known = first.setdefault(slot.id, (requirement, alike))
        assert alike == known, (slot.id, where, requirement)


@pytest.mark.parametrize(
    ("fact", "source"),
    [
        ("licence", "card.license"),
        ("base_model", "card.base_model"),
        ("languages", "card.language"),
        ("training_datasets", "card.datasets"),
    ],
)
def test_what_a_card_says_stands_in_until_somebody_attests_it(fact: str, source: str) -> None:
    """Metadata fill the slot that they are about, and no other."""
    assert {slot.prefill for _, slot in every_slot() if slot.id == fact} == {source}
    assert {slot.id for _, slot in every_slot() if slot.prefill == source} == {fact}


def test_no_instrument_is_said_to_give_a_presumption_of_conformity() -> None:
    """Adherence to a code has limited legal effect, and each pack says what force its text has."""
    eu, code = packs()["eu-ai-act"].instrument, packs()["gpai-code-of-practice"].instrument

    assert (eu.legal_force, code.legal_force) == ("binding", "code")
    assert "Neither adherence to a code of practice nor this document gives a presumption of conformity" in eu.about
    assert "gives no presumption of conformity (recital 41 of Regulation (EU) 2026/1744)" in code.about
    assert "read in the third draft, except for compute and energy" in code.about


def _iso(day: datetime.date | None) -> str | None:
    return day.isoformat() if day else None
