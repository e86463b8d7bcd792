"""What differs between two versions: no more than the evidence shows, and nothing left out."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

from safetycase.case.changes import Changes, ClaimDifference, ClaimEffect, EstimateChange, Snapshot, Word, changes
from safetycase.case.claims import Claim, Criterion, CriterionJudgement, Judgement, Standing, Verdict
from safetycase.case.declared import Provider
from safetycase.case.judged import JudgedCase, StandingWarning
from safetycase.evidence.kinds import ItemValue
from safetycase.evidence.record import Estimate, Findings, Unit
from tests.dossier.cases import STEP, STORIES, case, plausible, step
from tests.dossier.synthetic import digest, estimate

RATE = "refusal_rate.harmful.baseline@arditi-12"
LOG_ODDS = "refusal_log_odds.harmful.baseline"
Items = Mapping[str, ItemValue]


def snapshot(findings: Mapping[str, Findings], *, seen: str = "observation", **more: Any) -> Snapshot:
    """A version with these findings; `seen` tells its observation from others."""
    steps = tuple(step(found, id=name, observation_sha256=digest(seen)) for name, found in findings.items())
    return Snapshot(case(findings, **{"steps": steps, **more}), findings, version=seen)


def with_estimates(estimates: Mapping[str, Estimate], **changed: Any) -> Findings:
    """Plausible findings with these estimates alone."""
    found = plausible().findings[STEP]
    return found.model_copy(update={"estimates": dict(estimates), "absent": {}, **changed})


def two(was: Mapping[str, Estimate], now: Mapping[str, Estimate], **more: Any) -> tuple[Snapshot, Snapshot]:
    """Two versions whose models were observed anew."""
    return snapshot({STEP: with_estimates(was)}, seen="a", **more), snapshot({STEP: with_estimates(now)}, seen="b", **more)


def only(found: Changes) -> EstimateChange:
    (one,) = found.estimates
    return one


def items(values: list[float], *, families: int = 5, start: int = 0) -> Items:
    return {f"item-{start + i}": ItemValue(value, f"family {(start + i) % families}") for i, value in enumerate(values)}


def of(values: Items, unit: Unit = Unit.NATS, width: float = 2.0) -> Estimate:
    """An estimate that these prompts make up."""
    mean = float(np.mean([each.value for each in values.values()]))
    return Estimate(value=mean, low=mean - width, high=mean + width, n=len(values), clusters=5, method="made up", unit=unit)


# Nothing


@pytest.mark.parametrize("name", STORIES)
def test_identical_snapshots_differ_in_nothing(name: str) -> None:
    """Whatever a case holds, compared with itself it gives no line at all."""
    story = STORIES[name]()
    same = Snapshot(story.case, story.findings, version="1.0.0")

    found = changes(same, same)

    assert found.summary == "no difference"
    assert not found.worse
    assert [found.claims, found.estimates, found.appeared, found.vanished, found.facts, found.attempts] == [()] * 6


@pytest.mark.parametrize("new", STORIES)
@pytest.mark.parametrize("old", ["plausible", "nothing_run", "hostile"])
def test_any_two_cases_can_be_compared(old: str, new: str) -> None:
    """Also cases that have nothing in common: the answer is JSON, loads again, and is the same each time."""
    stories = STORIES[old](), STORIES[new]()
    before, after = (Snapshot(each.case, each.findings) for each in stories)

    found = changes(before, after)

    assert Changes.model_validate_json(json.dumps(found.model_dump(mode="json"))) == found == changes(before, after)
    assert (found.summary == "no difference") == (old == new)


def test_order_of_estimates_does_not_matter() -> None:
    """The same findings from another process, in another order, give the same changes."""
    estimates = plausible().findings[STEP].estimates
    before, after = two(estimates, {name: each.model_copy(update={"n": each.n + 1}) for name, each in estimates.items()})
    turned = replace(after, findings={STEP: with_estimates(dict(reversed(after.findings[STEP].estimates.items())))})

    assert changes(before, after) == changes(before, turned)


# Claims


def judged(
    verdict: Verdict,
    bears: Literal["favourable", "adverse", "descriptive"] = "favourable",
    *,
    bound: float = 0.5,
    text: str = "It refuses.",
    standing: tuple[Standing, ...] = (),
) -> Judgement:
    claim = Claim(text=text, bears=bears, criteria=(Criterion(step=STEP, estimate=RATE, at_least=bound),))
    return Judgement(id="claim", claim=claim, verdict=verdict, standing=standing, criteria=())


FOR, AGAINST = judged(Verdict.SUPPORTED), judged(Verdict.SUPPORTED, "adverse")


@pytest.mark.parametrize(
    ("was", "now", "effect"),
    [
        pytest.param(FOR, judged(Verdict.INCONCLUSIVE), "lost", id="favourable lost its support"),
        pytest.param(FOR, judged(Verdict.NO_EVIDENCE), "lost", id="favourable lost its evidence"),
        pytest.param(FOR, None, "lost", id="supported favourable claim was taken away"),
        pytest.param(FOR, judged(Verdict.SUPPORTED, "descriptive"), "lost", id="favourable claim became a description"),
        pytest.param(FOR, judged(Verdict.INCONCLUSIVE, bound=0.9), "lost", id="raised bound is no longer met"),
        pytest.param(judged(Verdict.REFUTED, "adverse"), AGAINST, "lost", id="adverse gained support"),
        pytest.param(None, AGAINST, "lost", id="new adverse finding"),
        pytest.param(judged(Verdict.SUPPORTED, "descriptive"), AGAINST, "lost", id="description became adverse"),
        pytest.param(judged(Verdict.INCONCLUSIVE), FOR, "gained", id="favourable gained support"),
        pytest.param(None, FOR, "gained", id="new favourable claim with support"),
        pytest.param(AGAINST, judged(Verdict.REFUTED, "adverse"), "gained", id="adverse was refuted"),
        pytest.param(
            AGAINST, judged(Verdict.NO_EVIDENCE, "adverse"), "other", id="adverse lost its evidence, which is no evidence against"
        ),
        pytest.param(AGAINST, None, "other", id="adverse claim was taken away"),
        pytest.param(AGAINST, judged(Verdict.SUPPORTED, "descriptive"), "other", id="adverse became a description"),
        pytest.param(judged(Verdict.INCONCLUSIVE), judged(Verdict.SUPPORTED, bound=0.1), "other", id="support by a weaker bound"),
        pytest.param(judged(Verdict.INCONCLUSIVE), judged(Verdict.REFUTED), "other", id="favourable fell further"),
        pytest.param(FOR, judged(Verdict.SUPPORTED, text="It mostly refuses."), "other", id="reworded"),
        pytest.param(None, judged(Verdict.NO_EVIDENCE), "other", id="new claim without evidence"),
    ],
)
def test_a_changed_claim_is_lost_gained_or_other(was: Judgement | None, now: Judgement | None, effect: str) -> None:
    """Lost whatever the cause; gained by evidence alone, never by a weaker bound or by silence. Only what is lost makes a version worse."""
    before, after = (snapshot({}, judgements=(each,) if each else ()) for each in (was, now))

    found = changes(before, after)

    assert [claim.effect for claim in found.claims] == [effect]
    assert found.worse == (effect == "lost")


@pytest.mark.parametrize(("low", "effect"), [(0.85, "other"), (0.75, "lost")])
def test_a_lowered_bound_hides_no_loss(low: float, effect: str) -> None:
    """A claim that is supported by a new bound is lost where the new evidence would not support it by the old one."""
    measured = Estimate(value=0.9, low=low, high=0.95, n=100, clusters=20, method="made up", unit=Unit.FRACTION)

    def supported(bound: float, estimate: Estimate) -> Judgement:
        one = Criterion(step=STEP, estimate=RATE, at_least=bound)
        claim = Claim(text="It refuses.", bears="favourable", criteria=(one,))
        found = CriterionJudgement(criterion=one, verdict=Verdict.SUPPORTED, estimate=estimate)
        return Judgement(id="claim", claim=claim, verdict=Verdict.SUPPORTED, standing=(), criteria=(found,))

    was = supported(0.8, measured.model_copy(update={"low": 0.85}))
    now = supported(0.7, measured)
    found = changes(*(snapshot({}, judgements=(each,)) for each in (was, now)))

    assert [each.effect for each in found.claims] == [effect]
    assert found.worse == (effect == "lost")


def test_a_claim_says_in_what_it_differs() -> None:
    """Words, bearing, bounds, verdict, standing and suspicion, each by name."""
    now = judged(
        Verdict.REFUTED, "descriptive", bound=0.6, text="It may refuse.", standing=(Standing.SUSPECT, Standing.UNCALIBRATED)
    )  # fmt: skip

    found = changes(snapshot({}, judgements=(FOR,)), snapshot({}, judgements=(now,)))

    assert set(found.claims[0].differs) == set(ClaimDifference) - {ClaimDifference.ADDED, ClaimDifference.REMOVED}
    assert (found.claims[0].was, found.claims[0].now) == (FOR, now)


def test_lost_claims_come_first() -> None:
    """Then those that gained, then the rest; each by id."""
    before = [FOR.model_copy(update={"id": "z"}), judged(Verdict.INCONCLUSIVE).model_copy(update={"id": "b"})]
    after = [
        judged(Verdict.REFUTED).model_copy(update={"id": "z"}),
        FOR.model_copy(update={"id": "b"}),
        judged(Verdict.REFUTED).model_copy(update={"id": "a"}),
    ]

    found = changes(snapshot({}, judgements=tuple(before)), snapshot({}, judgements=tuple(after)))

    assert [(claim.id, claim.effect) for claim in found.claims] == [
        ("z", ClaimEffect.LOST), ("b", ClaimEffect.GAINED), ("a", ClaimEffect.OTHER),
    ]  # fmt: skip


def test_new_evidence_within_the_same_verdict_is_no_change_of_the_claim() -> None:
    """The estimate is listed, the claim is not."""
    before, after = two({RATE: estimate(0.97, 0.04)}, {RATE: estimate(0.98, 0.03)})

    found = changes(before, after)

    assert found.claims == ()
    assert only(found).claims == ("refuses",)


# Estimates


@pytest.mark.parametrize(
    ("was", "now", "word"),
    [
        pytest.param(estimate(0.2, 0.1), estimate(0.8, 0.1), Word.UP, id="up"),
        pytest.param(estimate(0.8, 0.1), estimate(0.2, 0.1), Word.DOWN, id="down"),
        pytest.param(estimate(0.5, 0.2), estimate(0.6, 0.2), Word.NONE_SEEN, id="intervals overlap by much"),
        pytest.param(estimate(0.5, 0.2), estimate(0.5, 0.2), Word.NONE_SEEN, id="same number of another observation"),
    ],
)
def test_the_interval_of_the_difference_decides(was: Estimate, now: Estimate, word: Word) -> None:
    """Moved only where it keeps clear of 0; what is not seen to change is never called unchanged."""
    found = only(changes(*two({RATE: was}, {RATE: now})))

    assert found.word is word
    assert found.difference is not None
    assert found.difference.value == pytest.approx(now.value - was.value)
    assert "independent" in found.difference.method
    assert "unchanged" not in json.dumps(found.model_dump(mode="json"))


def test_prompts_that_both_measured_are_paired() -> None:
    """A small shift on every prompt is seen although the two intervals overlap; the difference is that of the shared prompts."""
    rng = np.random.default_rng(3)
    base = rng.normal(0, 4, 60)
    was, now = items(base.tolist()), items((base + 1 + rng.normal(0, 0.3, 60))[10:].tolist(), start=10)
    before, after = two({LOG_ODDS: of(was)}, {LOG_ODDS: of(now)})

    independent = only(changes(before, after))
    paired = only(changes(replace(before, by_item=lambda step: {LOG_ODDS: was}), replace(after, by_item=lambda step: {LOG_ODDS: now})))

    assert independent.word is Word.NONE_SEEN
    assert paired.word is Word.UP
    assert paired.difference is not None
    assert (paired.difference.n, paired.difference.clusters) == (50, 5)
    assert paired.difference.low <= 1 <= paired.difference.high
    assert paired.difference.method.startswith("paired by prompt on the 50 shared of 60 there and 50 here")


@pytest.mark.parametrize(
    ("was", "now", "why"),
    [
        pytest.param(items([1.0, 2.0, 3.0]), items([4.0, 5.0, 7.0], start=50), "no prompt is shared", id="other prompts"),
        pytest.param(items([1.0, 2.0], families=1), items([4.0, 6.0], families=1), "one family", id="one family"),
        pytest.param(items([1.0, 2.0]), items([2.0, 3.0]), "all 2 values are equal", id="the same shift everywhere"),
        pytest.param({}, items([4.0, 6.0]), "no values by prompt", id="no tables of one version"),
    ],
)
def test_what_cannot_be_paired_is_taken_as_independent_and_says_why(was: Items, now: Items, why: str) -> None:
    """The method tells a reader which comparison it was."""
    before, after = two({LOG_ODDS: of(was or items([1.0, 2.0]))}, {LOG_ODDS: of(now)})

    found = only(changes(replace(before, by_item=lambda step: {LOG_ODDS: was}), replace(after, by_item=lambda step: {LOG_ODDS: now})))

    assert found.difference is not None
    assert found.difference.n is None
    assert why in found.difference.method


def test_values_that_do_not_give_the_sealed_estimate_are_not_used() -> None:
    """What the present tool derives otherwise than the sealed version did is not passed off as its evidence."""
    values = items([1.0, 2.0, 4.0])
    before, after = two({LOG_ODDS: of(values).model_copy(update={"value": 2.5})}, {LOG_ODDS: of(values)})

    found = only(changes(replace(before, by_item=lambda step: {LOG_ODDS: values}), replace(after, by_item=lambda step: {LOG_ODDS: values})))

    assert found.difference is not None
    assert "not those that were sealed" in found.difference.method


def test_the_same_value_on_every_shared_prompt_needs_no_interval() -> None:
    """No statistics are made of a measurement that repeated to the last digit."""
    values = items([1.0, 2.0, 4.0])
    before, after = two({LOG_ODDS: of(values)}, {LOG_ODDS: of(values)})

    found = changes(replace(before, by_item=lambda step: {LOG_ODDS: values}), replace(after, by_item=lambda step: {LOG_ODDS: values}))

    assert (only(found).word, only(found).difference, found.comparisons) == (Word.NONE_SEEN, None, 0)
    assert only(found).reason == "the same value, but for what is numerical, on each of the 3 shared prompts"


def test_what_another_batch_size_may_show_is_no_change() -> None:
    """A shift below the numerical tolerance of the case, however surely it is there; one above it is seen."""
    was = items([1.0, 2.0, 4.0, 5.0])

    def shifted(by: float) -> EstimateChange:
        now = items([each.value + by * (1 + i / 10) for i, each in enumerate(was.values())])
        before, after = two({LOG_ODDS: of(was)}, {LOG_ODDS: of(now)})
        return only(changes(replace(before, by_item=lambda step: {LOG_ODDS: was}), replace(after, by_item=lambda step: {LOG_ODDS: now})))

    assert (shifted(1e-5).word, shifted(1e-5).difference) == (Word.NONE_SEEN, None)
    assert (shifted(2e-3).word, shifted(2e-3).difference is None) == (Word.NONE_SEEN, False)
    assert shifted(1.0).word is Word.UP


def test_two_of_two_prompts_show_nothing() -> None:
    """That every prompt changed the same way says little when there are two: the others may change the other way."""
    was, now = items([1.0, 1.0]), items([0.0, 0.0])
    before, after = two({RATE: estimate(1.0, 0.5, n=2)}, {RATE: estimate(0.0, 0.5, n=2)})

    found = only(changes(replace(before, by_item=lambda step: {RATE: was}), replace(after, by_item=lambda step: {RATE: now})))

    assert found.word is Word.NONE_SEEN
    assert found.difference is not None
    assert found.difference.low == -1.0
    assert found.difference.high > 0


def test_a_family_of_comparisons_shares_the_error() -> None:
    """One comparison stands at 95 %, four at 98.75 %; where claims rest on some, these share one half of the 5 %, the others the other."""
    names = [f"{LOG_ODDS}{i}" for i in range(4)]
    measured = {name: estimate(1.0, 1.0, Unit.NATS) for name in names}
    claimed = {RATE: estimate(0.5, 0.1)}

    def levels(estimates: Mapping[str, Estimate]) -> set[float]:
        found = changes(*two(estimates, estimates))
        assert found.comparisons == len(estimates)
        return {round(each.difference.level, 9) for each in found.estimates if each.difference}

    assert levels({names[0]: measured[names[0]]}) == {0.95}
    assert levels(measured) == {0.9875}
    assert levels(claimed) == {0.95}
    assert levels({**measured, **claimed}) == {0.975, 0.99375}


def test_what_cannot_be_compared_says_why() -> None:
    """Another unit, another version of the judge, another judging model, another derivation."""
    nats, share = {LOG_ODDS: estimate(1.0, 1.0, Unit.NATS)}, {LOG_ODDS: estimate(0.5, 0.1)}
    by_model = {"refusal_rate.harmful.baseline@model": estimate(0.5, 0.1)}
    before, after = two(by_model, by_model)
    other = before.case.models[0].model_copy(update={"digest": digest("other judge")})
    asked = {"judge_model": "refuser"}
    before, after = (_with_steps(each, params=asked) for each in (before, after))
    other_derivation = with_estimates(nats, derive_version=2)

    found = {
        "unit": changes(*two(nats, share)),
        "judging model": changes(before, replace(after, case=after.case.model_copy(update={"models": (other,)}))),
        "derivation": changes(snapshot({STEP: with_estimates(nats)}, seen="a"), snapshot({STEP: other_derivation}, seen="b")),
    }

    assert {name: only(each).word for name, each in found.items()} == dict.fromkeys(found, Word.NOT_COMPARABLE)
    assert only(found["unit"]).reason == "counted in nats there, in fraction here"
    assert only(found["judging model"]).reason == "judged by another model"
    assert only(found["derivation"]).reason == "derived by version 1 of refusal_direction there, by 2 here"
    assert only(changes(before, after)).word is Word.NONE_SEEN


def _with_steps(each: Snapshot, **changed: Any) -> Snapshot:
    steps = tuple(one.model_copy(update=changed) for one in each.case.steps)
    return replace(each, case=each.case.model_copy(update={"steps": steps}))


def test_versions_of_a_judge_are_compared_where_findings_say_them() -> None:
    """A kind that records them keeps labels of two versions apart."""

    class Versioned(Findings):
        judge_versions: dict[str, int]

    def at(version: int, seen: str) -> Snapshot:
        facts = with_estimates({RATE: estimate(0.5, 0.1)}).model_dump(include=set(Findings.model_fields))
        return snapshot({STEP: Versioned(**facts, judge_versions={"arditi-12": version})}, seen=seen)

    assert only(changes(at(1, "a"), at(1, "b"))).word is Word.NONE_SEEN
    assert only(changes(at(1, "a"), at(2, "b"))).reason == "judged by version 1 of arditi-12 there, by version 2 here"


def test_one_observation_read_otherwise_is_no_change_of_the_model() -> None:
    """The same answers at another level give no line; another value from them cannot be a change of the model."""
    was = {RATE: estimate(0.5, 0.1), LOG_ODDS: estimate(1.0, 1.0, Unit.NATS)}
    now = {RATE: estimate(0.5, 0.2, level=0.99), LOG_ODDS: estimate(2.0, 1.0, Unit.NATS)}

    found = only(changes(snapshot({STEP: with_estimates(was)}), snapshot({STEP: with_estimates(now)})))

    assert (found.name, found.word) == (LOG_ODDS, Word.NOT_COMPARABLE)
    assert found.reason == "the same observation, read or labelled otherwise"


def test_estimates_that_one_version_lacks_say_why() -> None:
    """In the words of the findings that lack them, or because the step is not there."""
    both = {STEP: with_estimates({RATE: estimate(0.5, 0.1)})}
    none = {STEP: with_estimates({}, absent={"refusal_rate.*": "no answers were stored"})}
    unasked = snapshot({}, steps=())
    not_run = snapshot({}, steps=(step(None),))

    reasons = [changes(each, snapshot(both, seen="b")).appeared[0].reason for each in (snapshot(none, seen="a"), unasked, not_run)]

    assert reasons == ["no answers were stored", "the plan has no such step there", "the step has not been run there"]
    assert [each.name for each in changes(snapshot(both), unasked).vanished] == [RATE]


# Facts


def test_every_fact_of_the_case_is_compared() -> None:
    """Also those that a later version of the tool adds to the case: nothing has to be listed by hand."""
    before = Snapshot(plausible().case, plausible().findings)
    apart = {"schema_version", "judgements", "attempts"}
    circumstances = before.case.steps[0].circumstances
    assert circumstances is not None
    newer = circumstances.model_copy(update={"packages": {"numpy": "9.9"}, "device": "cuda", "started": "2027-01-01", "plan_path": "x"})
    changed: dict[str, Any] = {
        "tool_version": "9.9",
        "provider": Provider(name="Other Lab", role="demo"),
        "models": (before.case.models[0].model_copy(update={"dtype": "float32"}),),
        "prompt_sets": before.case.prompt_sets[:2],
        "steps": (before.case.steps[0].model_copy(update={"params": {"n_test": 5}, "circumstances": newer}),),
        "warnings": (*before.case.warnings[1:], StandingWarning(id="W99", text="New.")),
        "plan_digest": digest("other plan"),
    }
    after = replace(before, case=before.case.model_copy(update=changed))

    facts = {".".join(each.path): (each.was, each.now) for each in changes(before, after).facts}

    assert facts["tool_version"] == ("0.1.0", "9.9")
    assert facts["provider.name"] == ("Example Lab", "Other Lab")
    assert facts["models.refuser.dtype"] == ("bfloat16", "float32")
    assert facts["prompt_sets.alarming"][1] is None
    assert facts["steps.refusal.params.n_test"] == (112, 5)
    assert facts["steps.refusal.circumstances.packages.numpy"] == ("2.3.4", "9.9")
    assert facts["steps.refusal.circumstances.device"] == ("cpu", "cuda")
    assert facts["warnings.W99"][0] is None
    assert facts["warnings.W01"][1] is None
    assert "plan_digest" in facts
    assert not [path for path in facts if "started" in path or "plan_path" in path]
    for name in JudgedCase.model_fields.keys() - apart - changed.keys():
        assert not [path for path in facts if path.split(".")[0] == name]


def test_how_a_step_was_read_is_a_fact() -> None:
    """Params that only change the reading, the version of the derivation, and sentences of limitation, by what is new in them."""
    was = plausible().findings[STEP]
    now = was.model_copy(update={"read": {**was.read, "level": 0.99}, "derive_version": 2, "limitations": (*was.limitations, "A new one.")})

    facts = {each.path[2:]: (each.was, each.now) for each in changes(snapshot({STEP: was}), snapshot({STEP: now})).facts}

    assert facts == {("read", "level"): (0.95, 0.99), ("derive_version",): (1, 2), ("limitations",): ([], ["A new one."])}


def test_another_seed_is_a_fact() -> None:
    """It is part of the question, whose digest alone says nothing to a reader."""
    story = plausible()
    reseeded = tuple(each.model_copy(update={"seed": 7}) for each in story.case.attempts)

    found = changes(Snapshot(story.case, {}), Snapshot(story.case.model_copy(update={"attempts": reseeded}), {}))

    assert [(each.path, each.was, each.now) for each in found.facts] == [(("steps", STEP, "seed"), 0, 7)]


def test_attempts_since_are_listed_and_missing_ones_are_told() -> None:
    """A log only grows: attempts that are no longer listed are a fact of their own."""
    story = plausible()
    before = Snapshot(story.case.model_copy(update={"attempts": story.case.attempts[1:]}), story.findings)
    after = Snapshot(story.case, story.findings)

    assert changes(before, after).attempts == story.case.attempts[:1]
    assert changes(before, after).facts == ()
    assert [(each.path, each.was) for each in changes(after, before).facts] == [(("attempts", "no longer listed"), 1)]
