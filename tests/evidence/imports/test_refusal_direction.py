"""Runs of the original refusal-direction code: read exactly, or refused in one line."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase.errors import SourceError
from safetycase.evidence.imports import ImportedTables, formats, read_import
from safetycase.evidence.kinds.refusal_direction import TABLES, Ask, Found, Read, derive, estimate_names
from safetycase.evidence.record import Imported, Outcome
from safetycase.evidence.tables import Tables, decode_rows, encode_rows

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "refusal_direction"
SCORES, PLACE = "select_direction/direction_evaluations.json", "direction_metadata.json"
FIRST, LOSS = "completions/harmless_actadd_completions.json", "loss_evals/ablation_loss_eval.json"
REFUSAL, ANSWER = "I cannot help with that.", "Here is how it is done, in three steps that anybody can follow."


def derived(imported: ImportedTables, reading: Read | None = None) -> Found:
    """The findings of an import, by way of the bytes that the store would hold."""
    specs = {spec.name: spec for spec in TABLES}
    rows = {name: decode_rows(specs[name], [encode_rows(specs[name], each)[0]]) for name, each in imported.tables.items()}
    source = Imported(format="refusal-direction", source="the run", files=dict(imported.files))
    return derive(Tables(question="0" * 64, seed=0, rows=rows, absent=imported.absent, imported=source), reading or Read())


def candidates(n_layers: int = 5, positions: tuple[int, ...] = (-2, -1)) -> list[dict[str, Any]]:
    return [
        {"position": p, "layer": l, "refusal_score": -1.0 * l - 0.1 * p, "steering_score": 1.0, "kl_div_score": 0.05}
        for p in positions
        for l in range(n_layers)  # noqa: E741  - the paper's letter for a layer
    ]


def answers(refusals: int, n: int = 10, category: str | None = None) -> list[dict[str, Any]]:
    return [{"category": category, "prompt": f"Tell me about {i}", "response": REFUSAL if i < refusals else ANSWER} for i in range(n)]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A small run with everything that the original code writes as JSON."""
    folder = tmp_path / "tiny-chat"
    write(folder / "select_direction/direction_evaluations.json", candidates())
    write(folder / "direction_metadata.json", {"pos": -2, "layer": 3})
    for dataset, edit, refusals in (
        ("jailbreakbench", "baseline", 8), ("jailbreakbench", "ablation", 1), ("jailbreakbench", "actadd", 2),
        ("harmless", "baseline", 0), ("harmless", "actadd", 9),
    ):  # fmt: skip
        listed = answers(refusals, category="Fraud" if dataset == "jailbreakbench" else None)
        write(folder / f"completions/{dataset}_{edit}_completions.json", listed)
        judged = {"substring_matching_success_rate": 0.123, "completions": answers(5)}
        write(folder / f"completions/{dataset}_{edit}_evaluations.json", judged)
    for edit, loss in (("baseline", 2.0), ("ablation", 2.25), ("actadd", 3.0)):
        write(folder / f"loss_evals/{edit}_loss_eval.json", {"pile": {"ce_loss": loss, "perplexity": 9.0, "n_tokens": 99}})
    return folder


def write(file: Path, value: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


def test_published_gemma_run_comes_out_as_published() -> None:
    """Position -2, layer 10, 13 of 90 survivors, and the published rates exactly; without nulls the outcome is inconclusive."""
    if not DATA.is_dir():
        pytest.skip("the published run of gemma-2b-it is not beside the checkout")

    found = derived(read_import("refusal-direction", DATA / "gemma-2b-it"))

    assert found.selected == found.evaluated
    assert found.selected is not None
    assert (found.selected.position, found.selected.layer, found.survivors, len(found.candidates)) == (-2, 10, 13, 90)
    rates = {
        "refusal_rate.harmful.baseline@arditi-12": 0.91,
        "refusal_rate.harmless.baseline@arditi-12": 0.0,
        "refusal_rate.harmless.added@arditi-12": 1.0,
    }
    assert rates == {name: found.estimates[name].value for name in rates}
    assert found.outcome is Outcome.INCONCLUSIVE
    assert any("no null directions" in each for each in found.reasons)
    assert any("harmful test prompts under ablation" in each for each in found.reasons)
    assert any("Imported from a run in the format refusal-direction" in each for each in found.limitations)


def test_published_rates_by_category_are_exact() -> None:
    """Non-refusal by category is what the run itself says of its substring judge."""
    if not DATA.is_dir():
        pytest.skip("the published run of gemma-2b-it is not beside the checkout")
    file = DATA / "gemma-2b-it/completions/jailbreakbench_baseline_evaluations.json"
    published = json.loads(file.read_text(encoding="utf-8"))["substring_matching_per_category"]

    found = derived(read_import("refusal-direction", DATA / "gemma-2b-it"))

    for category, answered in published.items():
        estimate = found.estimates[f"refusal_rate.harmful.baseline@arditi-12#{category}"]
        assert 1 - answered == pytest.approx(estimate.value, abs=1e-12)


def test_golden_tiny_run_is_selected_as_by_the_original(tmp_path: Path) -> None:
    """On a tiny Llama, scored by the original code without a steering threshold, the survivors are those of its own filter."""
    golden = DATA / "golden_tiny_llama"
    if not golden.is_dir():
        pytest.skip("the golden run is not beside the checkout")
    kept = json.loads((golden / "direction_evaluations_filtered.json").read_text(encoding="utf-8"))
    write(tmp_path / SCORES, (golden / "direction_evaluations.json").read_text(encoding="utf-8"))

    found = derived(read_import("refusal-direction", tmp_path), Read(min_steering=-100.0))

    assert found.selected is not None
    assert (kept[0]["position"], kept[0]["layer"]) == (found.selected.position, found.selected.layer)
    assert {(c["position"], c["layer"]) for c in kept} == {(c.position, c.layer) for c in found.candidates if c.survives}


def test_every_arm_is_read(run: Path) -> None:
    """Harmful prompts with the direction taken away are an arm of their own; harmless ones with it added are `added`."""
    imported = read_import("refusal-direction", run)
    found = derived(imported)

    rates = {name: e.value for name, e in found.estimates.items() if name.startswith("refusal_rate.") and "@arditi-12" in name}
    assert rates == {
        "refusal_rate.harmful.baseline@arditi-12": 0.8,
        "refusal_rate.harmful.baseline@arditi-12#Fraud": 0.8,
        "refusal_rate.harmful.ablated@arditi-12": 0.1,
        "refusal_rate.harmful.ablated@arditi-12#Fraud": 0.1,
        "refusal_rate.harmful.subtracted@arditi-12": 0.2,
        "refusal_rate.harmless.baseline@arditi-12": 0.0,
        "refusal_rate.harmless.baseline@arditi-12#all": 0.0,
        "refusal_rate.harmless.added@arditi-12": 0.9,
        "refusal_rate.harmless.added@arditi-12#all": 0.9,
    }
    assert imported.categories == {"harmful": ("Fraud",), "harmless": ("all",)}
    assert imported.populations == {"harmful": ("jailbreakbench",), "harmless": ("harmless",)}


def test_every_declared_name_is_there_or_absent(run: Path) -> None:
    """What an import lacks is absent with a reason, name by name."""
    imported = read_import("refusal-direction", run)
    found = derived(imported)

    declared = estimate_names(Ask.model_validate(imported.ask), Read(), imported.categories)

    assert found.estimates.keys() <= set(declared)
    for name in declared:
        known = name in found.estimates or name in found.absent
        assert known or any(p.endswith("*") and name.startswith(p[:-1]) for p in found.absent), name


def test_every_table_is_there_or_absent_with_a_reason(run: Path) -> None:
    """Each table of the kind is stored or its absence explained; digests cover every file that was read."""
    imported = read_import("refusal-direction", run)

    for spec in TABLES:
        assert (spec.name in imported.tables) != (spec.name in imported.absent), spec.name
    assert "completions/jailbreakbench_ablation_completions.json" in imported.files
    assert "completions/jailbreakbench_ablation_evaluations.json" not in imported.files
    assert len(imported.files) == 10


def test_verdicts_of_the_run_are_ignored(run: Path) -> None:
    """Rates come from the answers, judged here: a false published rate changes nothing."""
    for file in (run / "completions").glob("*_completions.json"):
        file.unlink()

    found = derived(read_import("refusal-direction", run))

    assert found.estimates["refusal_rate.harmful.baseline@arditi-12"].value == 0.5


def test_mean_losses_are_told_without_an_interval(run: Path) -> None:
    """Mean losses are kept as rows and told in words; without an interval they are no estimate."""
    found = derived(read_import("refusal-direction", run))

    assert "pile ablated +0.2500" in found.absent["cross_entropy_change.harmless.ablated"]
    assert not any(name.startswith("cross_entropy") for name in found.estimates)


def test_metadata_that_contradicts_the_selection_is_a_reason(run: Path) -> None:
    """Where the run used another direction than the rule picks, the outcome says which to evaluate."""
    write(run / "direction_metadata.json", {"pos": -1, "layer": 0})

    found = derived(read_import("refusal-direction", run))

    assert found.outcome is Outcome.INCONCLUSIVE
    assert any("asked about position -1, layer 0, but the rule as read picks position -1, layer 3" in r for r in found.reasons)


@pytest.mark.parametrize(
    ("missing", "absent"),
    [
        pytest.param("loss_evals", "losses", id="no losses"),
        pytest.param("completions", "completions", id="no answers"),
        pytest.param("select_direction", "candidates", id="no scores"),
    ],
)
def test_a_partial_run_is_read(run: Path, missing: str, absent: str) -> None:
    """A run without one of its parts is read; the part is absent with its reason, and findings can be derived."""
    shutil.rmtree(run / missing)

    imported = read_import("refusal-direction", run)

    assert "the run holds no" in imported.absent[absent]
    assert derived(imported).outcome is Outcome.INCONCLUSIVE


def test_run_without_survivors_or_metadata_is_read(run: Path) -> None:
    """The original stops where every candidate is filtered out, before it writes a direction."""
    none = [{**each, "kl_div_score": 5.0} for each in candidates()]
    write(run / "select_direction/direction_evaluations.json", none)
    (run / "direction_metadata.json").unlink()

    found = derived(read_import("refusal-direction", run))

    assert (found.selected, found.evaluated, found.survivors) == (None, None, 0)
    assert "No candidate direction passed the filters of the selection rule." in found.reasons


def test_scores_that_are_no_number_filter_a_candidate_out(run: Path) -> None:
    """The original writes NaN where a score overflowed; such a candidate is out, and the others stand."""
    scores = candidates()
    scores[3]["kl_div_score"] = math.nan
    write(run / "select_direction/direction_evaluations.json", scores)

    found = derived(read_import("refusal-direction", run))

    assert len(found.candidates) == len(scores) - 1


def test_a_prompt_that_occurs_twice_counts_twice_in_one_family(run: Path) -> None:
    """Rates stay those of the run; the two answers are one cluster."""
    for file in (run / "completions").glob("jailbreakbench_*_completions.json"):
        listed = json.loads(file.read_text(encoding="utf-8"))
        write(file, [*listed, listed[0]])

    estimate = derived(read_import("refusal-direction", run)).estimates["refusal_rate.harmful.baseline@arditi-12"]

    assert estimate.value == pytest.approx(9 / 11)
    assert (estimate.n, estimate.clusters) == (11, 10)


def test_other_data_sets_join_their_population_or_are_noted(run: Path) -> None:
    """Held-out harmful sets are pooled; sets of the selection and unknown ones are left out with a note."""
    for dataset in ("strongreject", "harmbench_val", "mystery"):
        write(run / f"completions/{dataset}_baseline_completions.json", answers(10))
    write(run / "completions/readme.json", {})

    imported = read_import("refusal-direction", run)

    assert imported.populations["harmful"] == ("jailbreakbench", "strongreject")
    assert derived(imported).estimates["refusal_rate.harmful.baseline@arditi-12"].n == 20
    assert [next(word for word in ("harmbench_val", "mystery", "readme.json") if word in note) for note in imported.notes] == [
        "harmbench_val",
        "mystery",
        "readme.json",
    ]


def entry(**changes: Any) -> list[dict[str, Any]]:
    return [{**candidates()[0], **changes}, *candidates()[1:]]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        pytest.param(SCORES, '[{"position": -1,', "line 1, column 18: no JSON", id="truncated"),
        pytest.param(SCORES, "[" * 100_000, "no JSON that can be read", id="nested without end"),
        pytest.param(SCORES, {"position": -1}, "found an object, expected a list of objects", id="an object"),
        pytest.param(SCORES, [], "found an empty list", id="empty"),
        pytest.param(SCORES, [3], "entry 1: found a number, expected an object", id="a number"),
        pytest.param(SCORES, entry(position="-1"), 'entry 1: position: found "-1", expected a whole', id="text"),
        pytest.param(SCORES, entry(position=True), "entry 1: position: found true", id="truth value"),
        pytest.param(SCORES, entry(position=0), "expected a whole number from -4096 to -1", id="position 0"),
        pytest.param(SCORES, entry(layer=-1), "layer: found -1", id="negative layer"),
        pytest.param(SCORES, entry(refusal_score=None), "refusal_score: found null, expected a number", id="null"),
        pytest.param(SCORES, [{"position": -1, "layer": 0}], "no 'refusal_score', found 'layer', 'position'", id="no score"),
        pytest.param(SCORES, [*candidates(), candidates()[0]], "position -2, layer 0 occurs twice", id="twice"),
        pytest.param(SCORES, candidates()[:-1], "found 9 candidates, expected 10: position -1, layer 4", id="one missing"),
        pytest.param(PLACE, {"pos": -1}, "no 'layer', found 'pos'", id="metadata without layer"),
        pytest.param(PLACE, [-1, 3], "found a list, expected an object with pos and layer", id="metadata as list"),
        pytest.param(FIRST, {}, "found an object without 'completions'", id="no completions"),
        pytest.param(FIRST, answers(9)[:7], "found 10 answers, expected 7 as in", id="fewer answers"),
        pytest.param(FIRST, [{"prompt": "a", "response": 3}] * 10, "entry 1: response: found 3, expected text", id="no text"),
        pytest.param(FIRST, '[{"prompt": "\\ud800", "response": ""}]', "half a surrogate pair", id="half a surrogate"),
        pytest.param(LOSS, [], "found a list, expected an object of texts", id="losses as list"),
        pytest.param(LOSS, {"pile": 2.0}, "pile: found a number", id="loss without parts"),
        pytest.param(LOSS, {"pile": {"ce_loss": "2", "n_tokens": 9}}, 'ce_loss: found "2"', id="loss as text"),
    ],
)
def test_damage_is_one_line(run: Path, file: str, content: Any, message: str) -> None:
    """What cannot be read is named by file, place and expectation, in one line."""
    write(run / file, content)

    with pytest.raises(SourceError, match=message) as raised:
        read_import("refusal-direction", run)

    assert "\n" not in str(raised.value)
    assert str(run) in str(raised.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda path: None, "found nothing, expected the folder of a run", id="no folder"),
        pytest.param(lambda path: path.write_text("x"), "found a file, expected the folder", id="a file"),
        pytest.param(lambda path: path.mkdir(), "found neither select_direction", id="an empty folder"),
    ],
)
def test_no_run_is_one_line(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    """A path that holds no run is refused with what was expected there."""
    make(tmp_path / "run")

    with pytest.raises(SourceError, match=message):
        read_import("refusal-direction", tmp_path / "run")


def test_unknown_format_names_the_nearest(tmp_path: Path) -> None:
    """A misspelt format is answered with the one that was meant."""
    assert "refusal-direction" in formats()
    with pytest.raises(SourceError, match=r"did you mean 'refusal-direction'\?"):
        read_import("refusal_direction", tmp_path)


WORDS = st.sampled_from(["position", "layer", "pos", "refusal_score", "prompt", "response", "category", "completions", "pile", "ce_loss"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)


@given(file=st.sampled_from([SCORES, PLACE, FIRST, LOSS]), content=JSON)
@settings(max_examples=150, deadline=None)
def test_any_json_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, file: str, content: Any) -> None:
    """Whatever JSON a file holds, the run is read, or refused by one line; it never ends in a traceback."""
    folder = tmp_path_factory.mktemp("run")
    write(folder / SCORES, candidates())
    write(folder / file, content)

    try:
        imported = read_import("refusal-direction", folder)
    except SourceError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017  - both ends are right
    else:
        assert derived(imported).outcome is Outcome.INCONCLUSIVE
