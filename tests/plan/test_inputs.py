"""Dictionaries and corpora of a plan: what is wrong with them is told before a run, and what decides them is part of the question."""

# ruff: noqa: E501  (a mistake and its message, one line each)

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from safetycase.case.judging import Asked
from safetycase.errors import PlanError
from safetycase.evidence.store import Store
from safetycase.plan import Plan, load_plan
from safetycase.plan.cost import step_costs
from safetycase.plan.questions import (
    Resolved,
    ResolvedModel,
    entry_digest,
    input_digests,
    question,
    recall,
    remember,
    resolve_corpus,
    resolve_dictionary,
)
from safetycase.plan.reading import find_answers
from tests.plan import small_kind
from tests.source import ROOT

PUBLISHED = ROOT / "tests" / "data" / "dictionaries"
PLAN = """\
schema_version: 1
case: {id: counts, title: What a step is given}
provider: {name: Example Lab, role: demo}
engagement: {commissioned_by: nobody, evaluator: a test, independence: none}
models:
  subject: {source: "organism:refuser", dtype: float32, device: cpu}
prompts:
  harmful: {source: "bundled:harmful"}
  harmless: {source: "bundled:harmless"}
dictionaries:
  sae: {source: sae}
corpora:
  talk: {source: talk.jsonl, licence: CC0-1.0}
steps:
  counts:
    kind: small_kind
    params: {}
"""
LoadText = Callable[[str], Plan]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a published dictionary, a set of transcoders and a corpus, in an installation that has the small kind."""
    small_kind.install(monkeypatch)
    shutil.copytree(PUBLISHED / "saelens-standard" / "dictionary", tmp_path / "sae")
    shutil.copytree(PUBLISHED / "circuit-tracer-relu" / "dictionary", tmp_path / "set")
    (tmp_path / "talk.jsonl").write_text('{"user": "Hi", "assistant": "Ho"}\n{"text": "Words."}\n', encoding="utf-8")
    (tmp_path / "few.csv").write_text("prompt\none\ntwo\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def load(folder: Path) -> LoadText:
    """Load a plan from its text."""

    def from_text(text: str) -> Plan:
        (folder / "plan.yaml").write_text(text, encoding="utf-8")
        return load_plan(folder / "plan.yaml")

    return from_text


def test_entries_have_defaults_that_keep_text_in(load: LoadText) -> None:
    """A corpus of which the plan says nothing is restricted."""
    plan = load(PLAN)

    assert plan.declared.corpora["talk"].sensitivity == "restricted"
    assert plan.corpora["talk"].licence == "CC0-1.0"
    assert plan.dictionary_roles("counts") == {"documented": "sae"}
    assert plan.corpus_roles("counts") == {"corpus": "talk"}


SWAPS = {
    "no such dictionary": ("params: {}", "params: {dictionary: sea}", r"plan\.yaml:17: steps\.counts\.params\.dictionary: no dictionary 'sea' \(role documented\); did you mean 'sae'"),
    "no dictionary of the default name": ("  sae: {source: sae}", "  mine: {source: sae}", r"plan\.yaml:15: steps\.counts: no dictionary 'sae'"),
    "no such corpus": ("params: {}", "params: {corpus: tlak}", r"plan\.yaml:17: steps\.counts\.params\.corpus: no corpus 'tlak' \(role corpus\); did you mean 'talk'"),
    "prompt set deep in the params": ("params: {}", "params: {contrasts: {harm: [harmful, harmles]}}", r"plan\.yaml:17: steps\.counts\.params\.contrasts\.harm\.1: no prompt set 'harmles' for harm-absent prompts; did you mean 'harmless'"),
    "step that is none": ("params: {}", "params: {labels_step: cuonts2}", r"plan\.yaml:17: steps\.counts\.params\.labels_step: step 'cuonts2' is not among its `needs`"),
    "missing folder": ("source: sae}", "source: ./saa}", r"plan\.yaml:11: dictionaries\.sae\.source: .*saa: no such file or folder.*did you mean 'sae'"),
    "folder of no known format": ("source: sae}", "source: ./}", r"plan\.yaml:11: dictionaries\.sae\.source: .*several formats"),
    "unknown format": ("source: sae}", "source: sae, format: saelans}", r"plan\.yaml:11: dictionaries\.sae\.format: found 'saelans'"),
    "other format than said": ("source: sae}", "source: sae, format: sparsify}", r"dictionaries\.sae\.source: .*no sparse dictionary found"),
    "hub without revision": ("source: sae}", "source: org/name}", r"plan\.yaml:11: dictionaries\.sae\.revision: missing; a hub dictionary needs a commit, a tag, or main"),
    "path that leads out": ("source: sae}", "source: sae, path: ../set}", r"dictionaries\.sae\.source: path '\.\./set': leads out of its source"),
    "organism without that dictionary": ("source: sae}", "source: 'organism:refuser/none-such'}", r"dictionaries\.sae\.source: organism:refuser/none-such: no such dictionary of organism:refuser"),
    "misspelt site": ("source: sae}", "source: sae, reads: resid_past.3}", r"plan\.yaml:11: dictionaries\.sae\.reads: found 'resid_past\.3'; no such site; did you mean 'resid_post'"),
    "site without layer": ("source: sae}", "source: sae, writes: mlp_out}", r"dictionaries\.sae\.writes: found 'mlp_out'; expected a layer after the dot, as in mlp_out\.12"),
    "negative layer": ("source: sae}", "source: sae, layer: -1}", r"dictionaries\.sae\.layer: found -1"),
    "missing corpus": ("source: talk.jsonl,", "source: tlak.jsonl,", r"plan\.yaml:13: corpora\.talk\.source: .*no such file; did you mean 'talk\.jsonl'"),
    "corpus without that column": ("source: talk.jsonl,", "source: talk.jsonl, text: usr,", r"corpora\.talk\.source: .*row 1: no column 'usr'; did you mean 'user'"),
    "unknown sensitivity": ("licence: CC0-1.0", "sensitivity: open", r"plan\.yaml:13: corpora\.talk\.sensitivity: found 'open'"),
    "too few prompts for discovery and confirmation": ("params: {}\n", "params: {contrasts: {x: [few, harmful]}}\n", r"prompts\.few: found .*step 'counts' expects at least 2 prompts in each split"),
    "prompts in two sets": ("params: {}\n", "params: {contrasts: {x: [harmful, copy]}}\n", r"prompts\.copy: the prompt with item id .* is also among the x-present prompts"),
}  # fmt: skip
EXTRA = '  few: {source: few.csv}\n  copy: {source: "bundled:harmful"}\ndictionaries:'


@pytest.mark.parametrize(("before", "after", "line"), [pytest.param(*swap, id=name) for name, swap in SWAPS.items()])
def test_mistake_is_one_line_that_says_where_and_what_was_meant(load: LoadText, before: str, after: str, line: str) -> None:
    """File and line, what was found, what was expected, the nearest valid name."""
    assert before in PLAN, before
    text = PLAN.replace(before, after, 1)

    with pytest.raises(PlanError, match=line) as caught:
        load(text.replace("dictionaries:", EXTRA, 1) if "few" in after or "copy" in after else text)
    assert "\n" not in str(caught.value)


def test_a_step_that_params_name_is_one_that_it_needs(load: LoadText) -> None:
    """Otherwise it would be neither answered first nor part of the question."""
    text = PLAN.replace("params: {}", "params: {labels_step: first}") + "  first: {kind: small_kind}\n"

    with pytest.raises(PlanError, match=r"labels_step: step 'first' is not among its `needs`; add it: needs: \[first\]"):
        load(text)
    assert load(text.replace("    params: {l", "    needs: [first]\n    params: {l")).order == ("first", "counts")


def test_two_contrasts_may_share_a_prompt_set(load: LoadText) -> None:
    """Harmless requests are the absent class of many things."""
    text = PLAN.replace("params: {}", "params: {contrasts: {harm: [harmful, harmless], alarm: [alarming, harmless]}}")

    plan = load(text.replace("dictionaries:", '  alarming: {source: "bundled:alarming"}\ndictionaries:', 1))

    assert plan.populations("counts")["alarm-absent"] == plan.populations("counts")["harm-absent"] == "harmless"


def asked(plan: Plan, store: Store) -> Asked:
    """The step as reading finds it."""
    return find_answers(plan, store, recall(store))["counts"]


CHANGES: dict[str, Callable[[Path], str]] = {
    "layer": lambda folder: PLAN.replace("source: sae}", "source: sae, layer: 3}"),
    "site": lambda folder: PLAN.replace("source: sae}", "source: sae, reads: resid_post.3}"),
    "another dictionary": lambda folder: PLAN.replace("source: sae}", "source: set}"),
    "weights": lambda folder: edited(folder / "sae" / "sae_weights.safetensors", lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    "corpus": lambda folder: edited(folder / "talk.jsonl", lambda data: data + b'"More."\n'),
    "column": lambda folder: edited(folder / "talk.jsonl", lambda data: data, PLAN.replace("talk.jsonl,", "talk.jsonl, text: user,")),
    "name of the corpus": lambda folder: PLAN.replace("  talk:", "  chat:").replace("params: {}", "params: {corpus: chat}"),
    "sensitivity": lambda folder: PLAN.replace("licence: CC0-1.0", "licence: CC0-1.0, sensitivity: public"),
}


def edited(path: Path, edit: Callable[[bytes], bytes], text: str = PLAN) -> str:
    """Change a file; the text of a plan."""
    path.write_bytes(edit(path.read_bytes()))
    return text


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in CHANGES.items()])
def test_what_decides_the_answer_is_part_of_the_question(load: LoadText, folder: Path, change: Callable[[Path], str]) -> None:
    """Files, layer, sites, column and where text is kept: another one is another question."""
    store = Store(folder / "case")
    before = asked(load(PLAN), store).key

    after = asked(load(change(folder)), store).key

    assert before is not None
    assert after is not None
    assert before != after


def test_what_says_nothing_about_the_answer_is_not(load: LoadText, folder: Path) -> None:
    """A licence, a folder of another name, and a format that is said although it would have been found."""
    store = Store(folder / "case")
    before = asked(load(PLAN), store).key
    (folder / "sae").rename(folder / "moved")

    assert (
        asked(load(PLAN.replace("source: sae}", "source: ., path: moved, format: saelens}").replace("CC0-1.0", "MIT")), store).key == before
    )


def test_a_case_handed_over_needs_neither_files_nor_hub(load: LoadText, folder: Path) -> None:
    """What the run resolved stands in the case, with facts worth showing."""
    text = PLAN.replace("source: sae}", "source: org/name, revision: main}").replace("source: talk.jsonl,", "source: 'hub:org/talk',")
    here, there = load(PLAN), load(text)
    store = Store(folder / "case")
    assert asked(there, store).key is None
    digests = _resolved_as(here, there)

    remember(store, digests)

    assert asked(there, store).key == asked(here, store).key
    (dictionary,), (corpus,) = recall(store).dictionaries.values(), recall(store).corpora.values()
    assert (dictionary.format, dictionary.dictionaries, dictionary.files) == ("saelens", 1, 2)
    assert (corpus.format, corpus.files, corpus.rows) == (".jsonl", 1, None)


def _resolved_as(here: Plan, there: Plan) -> Resolved:
    """What a run of one plan would remember if its hub had the files of the other."""
    return Resolved(
        dictionaries={
            entry_digest(there.declared.dictionaries["sae"]): resolve_dictionary(here.declared.dictionaries["sae"], here.base / "sae")
        },
        corpora={entry_digest(there.declared.corpora["talk"]): resolve_corpus(here.corpora["talk"])},
    )


def test_what_older_versions_resolved_still_loads(folder: Path) -> None:
    """Their file has neither section."""
    (folder / "case").mkdir()
    (folder / "case" / "resolved.json").write_text(json.dumps({"models": {}, "prompts": {}}), encoding="utf-8")

    assert recall(Store(folder / "case")) == Resolved()


def test_inputs_are_named_by_role(load: LoadText, folder: Path) -> None:
    """As an auditor reads them in the question."""
    plan = load(PLAN.replace("params: {}", "params: {contrasts: {harm: [harmful, harmless]}}"))
    model = ResolvedModel(digest="0" * 64, weights_sha256=None, dtype="float32", device_class="cpu", architecture="x", n_parameters=1)

    inputs = input_digests(plan, "counts", _resolved_as(plan, plan))

    assert inputs is not None
    assert set(question(plan, "counts", {"subject": model}, inputs, {"first": "1" * 64}).inputs) == {
        "prompts.harm-present",
        "prompts.harm-absent",
        "dictionary.documented",
        "corpus.corpus",
        "step.first",
    }


def test_check_tells_what_such_a_step_may_cost(load: LoadText, folder: Path) -> None:
    """By the passes that its kind counts."""
    cost = step_costs(load(PLAN), Store(folder / "case"))["counts"]

    assert cost.state == "to run"
    assert set(cost.stages) == {"counting"}
    assert cost.seconds is not None
    assert cost.seconds > 0
