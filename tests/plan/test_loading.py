"""A plan is checked without weights, and every mistake is one line that says where, what, and what was meant."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from safetycase import resources
from safetycase.errors import PlanError
from safetycase.plan import Plan, load_plan
from tests.source import ROOT

STARTER = (resources.directory("templates") / "plan.yaml").read_text(encoding="utf-8")
LoadText = Callable[[str], Plan]


@pytest.fixture
def load(tmp_path: Path) -> LoadText:
    """Load a plan from its text."""

    def from_text(text: str) -> Plan:
        path = tmp_path / "plan.yaml"
        path.write_text(text, encoding="utf-8")
        return load_plan(path)

    return from_text


def test_starter_plan_is_valid(load: LoadText) -> None:
    """What `init` writes passes `check` as it stands."""
    plan = load(STARTER)

    assert plan.order == ("refusal",)
    assert plan.default_case.parts[-2:] == ("cases", "my-case")


SWAPS = {
    "misspelt key": ("      n_train: 128", "      n_trian: 128", r"plan\.yaml:\d+: steps\.refusal\.params\.n_trian: unknown key; did you mean 'n_train'"),
    "misspelt key at the top": ("provider:", "providor:", r"plan\.yaml:\d+: providor: unknown key; did you mean 'provider'"),
    "unknown kind": ("kind: refusal_direction", "kind: refusal_directon", r"unknown kind 'refusal_directon'; did you mean 'refusal_direction'"),
    "claim naming a missing step": ("step: refusal, estimate: \"refusal_rate.harmful.b", "step: refusl, estimate: \"refusal_rate.harmful.b", r"no step 'refusl'; did you mean 'refusal'"),
    "claim naming a missing estimate": ("refusal_rate.harmful.baseline@arditi-12", "refusal_rate.harmful.baselin@arditi-12", r"no estimate '.*baselin@.*did you mean 'refusal_rate\.harmful\.baseline@arditi-12'"),
    "out-of-range number": ("n_test: 128", "n_test: -3", r"plan\.yaml:\d+: steps\.refusal\.params\.n_test: found -3; input should be greater than or equal to 2"),
    "wrong type": ("n_test: 128", "n_test: many", r"n_test: found 'many'; input should be a valid integer"),
    "missing file": ("source: bundled:harmful ", "source: prompts/harmful.csv ", r"plan\.yaml:\d+: prompts\.harmful\.source: .*harmful\.csv"),
    "unknown bundled set": ("source: bundled:harmful ", "source: bundled:harmfull ", r"prompts\.harmful\.source: .*harmful"),
    "missing model folder": ("source: organism:refuser", "source: ./models/mine", r"models\.subject\.source: .*mine"),
    "hub model without revision": ("source: organism:refuser", "source: google/gemma-2b-it", r"models\.subject\.revision: missing"),
    "unknown organism": ("source: organism:refuser", "source: organism:refusr", r"models\.subject\.source: .*did you mean 'refuser'"),
    "unknown model": ("    model: subject", "    model: subjct", r"no model 'subjct'; did you mean 'subject'"),
    "unknown prompt set": ("      alarming: alarming", "      alarming: alarmin", r"no prompt set 'alarmin' for alarming prompts; did you mean 'alarming'"),
    "test that its null can never let pass": ("label_shuffles: 20", "label_shuffles: 5", r"label_shuffles: 5 can give no p below 1/6"),
    "bound in percent": ("at_least: 0.9}", "at_least: 90}", r"at_least: found 90; .* lies between 0 and 1"),
    "bound that is no number": ("at_least: 0.9}", "at_least: yes}", r"at_least: found True; input should be a valid number"),
    "no null at all": ("label_shuffles: 20", "label_shuffles: 0", r"label_shuffles: 0 can give no p below 1/1"),
    "two bounds": ("at_least: 0.9}", "at_least: 0.9, at_most: 1}", r"expected exactly one of at_least and at_most"),
    "unknown dossier": ("type: evidence-report", "type: evidence-raport", r"unknown type 'evidence-raport'; did you mean 'evidence-report'"),
    "step that needs a missing one": ("    seed: 0", "    needs: [other]", r"steps\.refusal\.needs: no step 'other'"),
    "cycle": ("    seed: 0", "    needs: [refusal]", r"steps\.refusal\.needs: a cycle: refusal -> refusal"),
    "not YAML": ("provider:", "provider: [", r"plan\.yaml:\d+: not YAML"),
    "alias": ("title: What", "title: &x What", r"anchors and aliases are not read"),
    "tag that would construct an object": ("title: What refusal rests on in my model", "title: !!python/object/apply:os.system [ls]", r"not YAML"),
    "id that is no file name": ("id: my-case", "id: ../escape", r"case\.id: found '\.\./escape'"),
    "unknown role": ("role: researcher", "role: certifier", r"provider\.role: found 'certifier'"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after", "line"), [pytest.param(*swap, id=name) for name, swap in SWAPS.items()])
def test_mistake_is_one_line_that_says_where_and_what_was_meant(load: LoadText, before: str, after: str, line: str) -> None:
    """File and line, what was found, what was expected, the nearest valid name."""
    assert before in STARTER, before

    with pytest.raises(PlanError, match=line) as caught:
        load(STARTER.replace(before, after, 1))
    assert "\n" not in str(caught.value)


def test_two_steps_of_one_id_name_both_lines(load: LoadText) -> None:
    """YAML itself would silently keep the second."""
    text = STARTER.replace("claims:", "  refusal:\n    kind: refusal_direction\nclaims:", 1)

    with pytest.raises(PlanError, match=r"steps\.refusal stands twice; first in line \d+"):
        load(text)


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        pytest.param([], r"prompts\.harmful", id="empty prompt set"),
        pytest.param(["Explain it."], r"prompts\.harmful: found .*expects at least 2", id="one prompt"),
    ],
)
def test_prompt_set_that_is_too_small_is_refused(load: LoadText, tmp_path: Path, rows: list[str], line: str) -> None:
    """A step needs prompts in every split that it uses."""
    (tmp_path / "few.csv").write_text("\n".join(["prompt", *rows]) + "\n", encoding="utf-8")

    with pytest.raises(PlanError, match=line):
        load(STARTER.replace("source: bundled:harmful ", "source: few.csv ", 1))


def test_prompt_on_both_sides_is_refused(load: LoadText) -> None:
    """One prompt cannot be harmful and harmless."""
    with pytest.raises(PlanError, match="is also among the harmful prompts"):
        load(STARTER.replace("source: bundled:harmless", "source: bundled:harmful", 1))


@pytest.mark.parametrize(
    "content",
    [pytest.param(b"", id="empty"), pytest.param(b"\xff\xfe\x00", id="not UTF-8"), pytest.param(b"- 1\n", id="list")],
)
def test_file_that_is_no_plan_is_refused(tmp_path: Path, content: bytes) -> None:
    """Whatever lies there, the answer is one line."""
    path = tmp_path / "plan.yaml"
    path.write_bytes(content)

    with pytest.raises(PlanError, match=r"plan\.yaml"):
        load_plan(path)


def test_missing_plan_names_the_nearest_file(tmp_path: Path) -> None:
    """A typing mistake in the file name is told."""
    (tmp_path / "plan.yaml").write_text(STARTER, encoding="utf-8")

    with pytest.raises(PlanError, match=r"no such file; did you mean 'plan\.yaml'"):
        load_plan(tmp_path / "pln.yaml")


def test_attested_digest_must_be_a_digest(load: LoadText) -> None:
    """What the attester states is 64 hex digits or nothing."""
    with pytest.raises(PlanError, match=r"engagement\.artefact\.weights_sha256"):
        load(STARTER.replace('    attested_by: ""', "    weights_sha256: abc\n    attested_by: somebody", 1))


def test_declaration_follows_claims_and_reading_only(load: LoadText) -> None:
    """A new title leaves claims as they were declared; a new threshold does not."""
    before = load(STARTER).declaration

    assert load(STARTER.replace("title: What", "title: How", 1)).declaration == before
    assert load(STARTER.replace("at_least: 0.9}", "at_least: 0.8}", 1)).declaration != before
    assert load(STARTER.replace("minimum_effect_added: 1.0", "minimum_effect_added: 0.1", 1)).declaration != before


def test_local_model_folder_that_is_damaged_is_told_before_any_run(load: LoadText, tmp_path: Path) -> None:
    """A truncated safetensors file is found by its header, without loading it."""
    from safetycase.sources.organisms import organism

    folder = tmp_path / "model"
    shutil.copytree(organism("refuser").folder, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])

    with pytest.raises(PlanError, match=r"models\.subject\.source: .*model\.safetensors"):
        load(STARTER.replace("source: organism:refuser", "source: ./model", 1))


def test_a_deep_file_is_one_line(tmp_path: Path) -> None:
    """Depth that would exhaust the stack of the YAML composer is found before it composes."""
    path = tmp_path / "plan.yaml"
    path.write_text("[" * 100_000, encoding="utf-8")

    with pytest.raises(PlanError, match=r"plan\.yaml:1: nested more than 60 deep"):
        load_plan(path)


def test_what_a_plan_calls_a_contrast_claims_no_more_than_a_measurement_can(tmp_path: Path) -> None:
    """The names of contrasts and behaviours stand in documents, hence obey the wording of the tool."""
    text = (ROOT / "examples" / "features" / "plan.yaml").read_text(encoding="utf-8")
    plan = tmp_path / "plan.yaml"
    plan.write_text(text.split("claims:")[0].replace("refusal: {present", "certified-safe: {present"), encoding="utf-8")

    with pytest.raises(PlanError, match=r"steps\.features\.params: found 'certified'"):
        load_plan(plan)
