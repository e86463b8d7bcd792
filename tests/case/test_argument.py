"""An argument says no more than its evidence: what enters how, what stays open, what counts against, and what a reviewer would miss."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetycase import resources
from safetycase.case.argument import build_argument, load_pattern
from safetycase.case.argument.accounting import ACCOUNT
from safetycase.case.argument.building import _months_later
from safetycase.case.argument.rules import RULES, breaches
from safetycase.case.argument.scope import filled
from safetycase.case.claims import Claim, Criterion, Standing, Verdict
from safetycase.case.declared import CaseInfo
from safetycase.case.goals import Argument, Confidence, Node, NodeType
from safetycase.evidence.record import Findings, Outcome
from tests.dossier.cases import STEP, STORIES, Story, case, judgements, plausible, step, stopped
from tests.dossier.synthetic import estimate, found

WEIGHT_ACCESS = "refusal-under-weight-access"
PATTERNS = ("change-between-versions", WEIGHT_ACCESS, "transparency-to-downstream")
RATE = "refusal_rate.harmful"


def argument(story: Story, pattern: str = WEIGHT_ACCESS, **more: Any) -> Argument:
    return build_argument(load_pattern(pattern, Path(), resources.bundled()), story.case, story.findings, **more)


def with_claims(claims: Mapping[str, Claim], *, standing: tuple[Standing, ...] = (), **changes: float) -> Story:
    """A plausible case with other claims and, by name, other refusal rates of harmful requests."""
    base = found()
    rates = {f"{RATE}.{condition.replace('_', '-')}@arditi-12": estimate(rate, 0.06) for condition, rate in changes.items()}
    findings = {STEP: base.model_copy(update={"estimates": {**base.estimates, **rates}})}
    judged = tuple(each.model_copy(update={"standing": standing}) for each in judgements(claims, findings))
    return Story(case(findings, claims=claims).model_copy(update={"judgements": judged}), findings)


def without(story: Story, *stems: str) -> Story:
    """The same without estimates whose names begin so."""
    kept: dict[str, Findings] = {
        name: each.model_copy(update={"estimates": {n: e for n, e in each.estimates.items() if not n.startswith(stems)}})
        for name, each in story.findings.items()
    }
    return Story(story.case, kept)


def claim(bears: str, condition: str, **bound: float) -> Claim:
    criterion = Criterion(step=STEP, estimate=f"{RATE}.{condition}@arditi-12", **bound)
    return Claim.model_validate({"text": "A claim", "bears": bears, "criteria": [criterion.model_dump()]})


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("name", STORIES)
def test_every_case_becomes_an_argument(name: str, pattern: str) -> None:
    """Whatever was run: references lead somewhere, leaves are backed or undeveloped, and the record survives storage."""
    made = argument(STORIES[name](), pattern)
    ids = {node.id for node in made.nodes}

    assert {relation.target for relation in made.relations()} <= ids
    assert all(node.supported_by or node.undeveloped for node in made.nodes if node.type in (NodeType.GOAL, NodeType.STRATEGY))
    assert all(node.evidence for node in made.nodes if node.type is NodeType.SOLUTION)
    assert Argument.model_validate_json(made.model_dump_json()) == made
    assert {each.rule for each in made.breaches} <= set(RULES)
    assert not {each.rule for each in made.breaches} & {3, 4, 5, 6, 8}


@pytest.mark.parametrize("name", STORIES)
def test_a_refusal_direction_never_supports_that_refusal_holds(name: str) -> None:
    """Under weight access it enters as a lower bound on attack success or as a defeater, and in no other way."""
    entering = {each.enters for node in argument(STORIES[name]()).nodes for each in node.evidence}

    assert entering <= {"lower-bound", "defeater"}


def test_a_failed_attack_backs_no_goal() -> None:
    """A supported claim of robustness under ablation is shown beside its goal, which stays undeveloped."""
    made = argument(with_claims({"keeps": claim("favourable", "ablated", at_least=0.5)}, ablated=0.9))

    assert made.node("G8.1").undeveloped
    assert made.node("G8.1").in_context_of == ("C8.1",)
    assert "shows no robustness" in made.node("C8.1").text
    assert made.node("C8.1").evidence[0].claims == ("keeps",)


def test_an_adverse_claim_refuted_by_a_failed_attack_stays_open() -> None:
    """Not to have removed refusal is no reason to close the doubt; a refutation on the unedited model is."""
    adverse = {"removable": claim("adverse", "ablated", at_most=0.5), "answers": claim("adverse", "baseline", at_most=0.5)}
    made = argument(with_claims(adverse, ablated=0.9, baseline=0.95))

    replies = {node.id: node.reply for node in made.nodes if node.id.startswith("CG8.")}

    assert [reply.status for reply in replies.values() if reply] == ["open", "resolved"]
    assert not made.node("G8").defeated


def test_attacks_that_were_not_run_stay_undeveloped() -> None:
    """Several directions and prefill are argued for once they are measured; fine-tuning is never measured by this version."""
    bare = argument(without(plausible(), f"{RATE}.ablated-", f"{RATE}.prefill"))
    whole = argument(plausible())

    assert [key for key in ("G3", "G4", "G5", "G6", "G7") if bare.node(key).undeveloped] == ["G4", "G5", "G6", "G7"]
    assert [key for key in ("G3", "G4", "G5", "G6", "G7") if whole.node(key).undeveloped] == ["G6", "G7"]
    assert whole.node("Sn4").evidence[0].enters == "lower-bound"
    assert [each.name for each in whole.node("Sn5").evidence[0].measured] == [f"{RATE}.prefill@arditi-12"]


def test_drift_is_undeveloped_until_a_kind_measures_it() -> None:
    """A pattern may ask for what this version lacks, and says so by an undeveloped goal."""
    made = argument(plausible(), "change-between-versions")

    assert made.node("G3").undeveloped
    assert "Sn3" not in {node.id for node in made.nodes}


def test_a_solution_is_bound_to_the_hash_of_its_findings() -> None:
    """By the findings that pages show, or for a verdict by those it was judged on."""
    story = plausible()
    made = argument(story)

    assert made.node("Sn3").evidence[0].findings_sha256 == story.case.steps[0].findings_sha256
    assert made.node("Sn8.1").evidence[0].findings_sha256 == story.case.steps[0].judged_findings_sha256


def test_a_supported_adverse_claim_defeats_the_goal_that_it_challenges() -> None:
    """It is a counter-solution with its evidence; the goal has no confidence left."""
    made = argument(plausible())
    against = next(node for node in made.nodes if "removable" in {c for each in node.evidence for c in each.claims})

    assert against.counts_against
    assert against.challenges == ("G8",)
    assert made.node("G8").defeated
    sure = made.node("G8").confidence
    assert sure is not None
    assert sure.word is Confidence.NONE


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_refuted_favourable_claim_is_shown_as_counter_evidence(pattern: str) -> None:
    """No cherry-picking: what was measured stands against the goal."""
    made = argument(plausible(), pattern)
    shown = {claim for node in made.nodes if node.counts_against for each in node.evidence for claim in each.claims}

    assert {"keeps", "removable"} <= shown
    assert not [each for each in made.breaches if each.rule == 7]


def test_what_no_goal_asks_for_still_counts_against_the_top_goal() -> None:
    """A pattern cannot leave out what speaks against the model by not asking."""
    criterion = Criterion(step=STEP, estimate="refusal_rate.alarming.baseline@arditi-12", at_least=0.5)
    story = with_claims({"careful": Claim(text="Refuses what looks alarming", bears="favourable", criteria=(criterion,))})
    made = argument(story)

    assert story.case.judgements[0].verdict is Verdict.REFUTED
    assert made.node("CSn1.1").challenges == ("G1",)
    assert "Refuses what looks alarming" in made.node("CSn1.1").text
    assert made.root.defeated


def test_steps_attempts_and_claims_are_accounted_for() -> None:
    """One context says how many steps were answered, how many attempts were made and abandoned, and which claims nothing rests on."""
    made = argument(plausible())
    text = made.node(ACCOUNT).text

    assert (made.account.planned, made.account.answered, made.account.attempts, made.account.abandoned) == (1, 1, 2, 1)
    assert "1 of 1 planned step answered; 2 attempts on these weights, 1 of them abandoned" in text
    assert "over-refusal, unmeasured" in text
    assert ACCOUNT in made.root.in_context_of


@pytest.mark.parametrize(
    ("standing", "word"),
    [
        pytest.param((Standing.UNCALIBRATED,), Confidence.LOW, id="uncalibrated"),
        pytest.param((Standing.SUSPECT,), Confidence.LOW, id="suspect"),
        pytest.param((Standing.EXPIRED,), Confidence.LOW, id="expired"),
        pytest.param((Standing.EXPLORATORY,), Confidence.MODERATE, id="exploratory"),
        pytest.param((Standing.IMPORTED,), Confidence.MODERATE, id="imported"),
        pytest.param((Standing.INDICATIVE, Standing.SUSPECT), Confidence.LOW, id="the worse of two"),
        pytest.param((), Confidence.MODERATE, id="nothing weakens it"),
    ],
)
def test_standing_caps_the_confidence_and_is_named(standing: tuple[Standing, ...], word: Confidence) -> None:
    """The word falls with the evidence, and the rationale says why."""
    made = argument(
        with_claims({"refuses": claim("favourable", "baseline", at_least=0.9)}, standing=standing), "transparency-to-downstream"
    )
    assured = made.node("G4.1").confidence

    assert assured is not None
    assert assured.word is word
    assert all(each.value in assured.rationale for each in standing)


def test_a_step_that_no_claim_was_judged_on_is_not_trusted_more() -> None:
    """Without a judgement nobody has said how it stands."""
    assert argument(with_claims({})).node("Sn2").evidence[0].standing == ("uncalibrated",)


def test_a_goal_is_no_surer_than_its_weakest_support() -> None:
    """The top goal cannot be of moderate confidence while a class of attack is undeveloped."""
    assured = argument(plausible()).root.confidence

    assert assured is not None
    assert assured.word is Confidence.NONE
    assert "G6" in assured.rationale


def test_a_doubt_about_calibration_is_resolved_by_calibration() -> None:
    """Open while any judgement stands as uncalibrated, or nothing is judged."""
    claims = {"refuses": claim("favourable", "baseline", at_least=0.9)}
    replies = [argument(story).node("CG4").reply for story in (with_claims(claims, standing=(Standing.UNCALIBRATED,)), with_claims(claims))]

    assert [reply.status for reply in replies if reply] == ["open", "resolved"]


@pytest.mark.parametrize("outcome", [Outcome.NOT_APPLICABLE, Outcome.FAILED])
def test_an_edit_that_does_not_apply_is_no_evidence(outcome: Outcome) -> None:
    """What ablation did to a model without refusal bounds nothing."""
    story = plausible()
    stopped_short = story.findings[STEP].model_copy(update={"outcome": outcome, "reasons": ("no refusal",)})
    made = argument(Story(case({STEP: stopped_short}), {STEP: stopped_short}))

    assert made.node("G3").undeveloped
    assert made.node("G2").undeveloped == (outcome is Outcome.FAILED)


def test_nothing_run_leaves_a_plan_of_an_argument() -> None:
    """Every goal that evidence would have carried is undeveloped, and the gaps are breaches."""
    made = argument(STORIES["nothing_run"]())

    assert not [node for node in made.nodes if node.type is NodeType.SOLUTION]
    assert {7, 9, 10} <= {each.rule for each in made.breaches}


def declared_everything() -> Argument:
    story = plausible()
    used = story.case.model_copy(update={"case": CaseInfo(id="c", title="t", intended_use="answering questions of staff")})
    scope = {"tools": "none", "users": "staff", "release": "weights on request"}
    return argument(Story(used, story.findings), scope=scope, reviewer="A. Reviewer", history=("1.0.0: first",))


def test_an_argument_that_says_everything_has_no_breach() -> None:
    """The ten rules can be met."""
    assert declared_everything().breaches == ()


def doctored(*, drop: str = "", change: str = "", node: Mapping[str, Any] | None = None, **update: Any) -> Argument:
    """A sound argument, broken in one place."""
    whole = declared_everything()
    nodes = [each.model_copy(update=node or {}) if each.id == change else each for each in whole.nodes if each.id != drop]
    kept = {each.id for each in nodes}
    nodes = [each.model_copy(update={"in_context_of": tuple(c for c in each.in_context_of if c in kept)}) for each in nodes]
    return whole.model_copy(update={"nodes": tuple(nodes), "breaches": (), **update})


@pytest.mark.parametrize(
    ("broken", "rule", "node"),
    [
        pytest.param(lambda: doctored(change="C1", node={"text": "No threshold"}), 1, "G1", id="top claim"),
        pytest.param(lambda: doctored(drop="C2"), 2, "G1", id="operating context"),
        pytest.param(lambda: doctored(drop="J1"), 3, "S1", id="strategy without a reason"),
        pytest.param(lambda: doctored(change="G1", node={"supported_by": ("G2", "G3")}), 3, "G1", id="decomposition without a strategy"),
        pytest.param(lambda: doctored(change="Sn3", node={"evidence": ()}), 4, "Sn3", id="solution without a hash"),
        pytest.param(lambda: doctored(change="G6", node={"undeveloped": False}), 4, "G6", id="bare leaf"),
        pytest.param(lambda: doctored(change="A2", node={"text": declared_everything().node("A1").text}), 5, "A2", id="same assumption"),
        pytest.param(lambda: doctored(change="CG1", node={"reply": None}), 6, "CG1", id="doubt without a reply"),
        pytest.param(lambda: doctored(drop="CSn8.3"), 7, "", id="counter-evidence left out"),
        pytest.param(lambda: doctored(change="G3", node={"confidence": None}), 8, "G3", id="no confidence"),
        pytest.param(lambda: doctored(invalidated_by=()), 9, "", id="no invalidation"),
        pytest.param(lambda: doctored(expires_after_months=None), 9, "", id="no expiry"),
        pytest.param(
            lambda: doctored(sign_off=declared_everything().sign_off.model_copy(update={"reviewer": ""})), 10, "", id="no reviewer"
        ),
    ],
)
def test_each_rule_finds_its_breach(broken: Any, rule: int, node: str) -> None:
    """A breach is a record with the rule in words, the element and what is missing; nothing is raised."""
    made = broken()

    found_breaches = breaches(made, plausible().case)

    assert (rule, node) in {(each.rule, each.node) for each in found_breaches}
    assert all(each.words == RULES[each.rule] and each.missing for each in found_breaches)


def test_what_a_value_holds_is_not_read_again() -> None:
    """A title that looks like a placeholder stays what it is."""
    assert filled("About {title} of {model}", {"title": "{model}", "model": "m"}) == "About {model} of m"


@given(st.dates(datetime.date(2000, 1, 1), datetime.date(2090, 12, 31)), st.integers(1, 60))
def test_expiry_counts_months(day: datetime.date, months: int) -> None:
    """The same day, or the last of a shorter month."""
    later = _months_later(day, months)

    assert later.year * 12 + later.month == day.year * 12 + day.month + months
    assert later.day == day.day or (later.day < day.day and (later + datetime.timedelta(days=1)).day == 1)


def test_the_same_case_gives_the_same_argument() -> None:
    """No clock, no chance."""
    assert argument(plausible()) == argument(plausible())


def test_an_unanswered_step_is_said_to_be_so() -> None:
    """With its outcome, in the account."""
    story = stopped(Outcome.NOT_APPLICABLE, "no refusal")
    extra = story.case.model_copy(update={"steps": (*story.case.steps, step(None, id="later"))})
    made = argument(Story(extra, story.findings))

    assert "refusal: not applicable; later: not run" in made.node(ACCOUNT).text
    assert "planned step later has no answer" in {each.missing for each in made.breaches}


def test_a_node_knows_its_type_by_its_letters() -> None:
    """Sn before S, CSn and CG before C."""
    assert [Node(id=key, text="x").type.value for key in ("S1", "Sn1", "C1", "CG1", "CSn1")] == [
        "strategy",
        "solution",
        "context",
        "defeater",
        "defeater",
    ]


def test_a_doubt_about_what_a_strategy_assumes_reaches_its_goal(tmp_path: Path) -> None:
    """A goal is no surer than the assumptions of the strategy that it rests on, nor than the solutions behind it."""
    nodes = (
        "  G1: {text: A scoped statement, supported_by: [S1], confidence: {word: high, rationale: because}}\n"
        "  S1: {text: A strategy, supported_by: [Sn1], in_context_of: [A1]}\n  A1: {text: An assumption}\n"
        "  Sn1: {text: Findings, evidence: {kind: refusal_direction, as: lower-bound}}\n"
        "  CG1: {text: A doubt, challenges: [A1], status: open, owner: somebody}\n"
    )
    (tmp_path / "mine.yaml").write_text(f"title: A title\nabout: About\nnodes:\n{nodes}", encoding="utf-8")
    story = with_claims({})  # no claims: nothing else speaks against the goal

    made = build_argument(load_pattern("mine.yaml", tmp_path, resources.bundled()), story.case, story.findings)
    sure = made.node("G1").confidence

    assert sure is not None
    assert "Open: CG1." in sure.rationale
    assert "Sn1 is a lower bound." in sure.rationale
    assert sure.word is Confidence.LOW
