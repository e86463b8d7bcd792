"""Reads a run folder of the original refusal-direction code (Arditi et al. 2024, github.com/andyrdt/refusal_direction).

Raw files alone are read: the scores of all candidates, the place of the direction, prompts and answers, mean losses. Verdicts that the
run holds are ignored, its answers are judged again; tensors are not read, as they are pickles.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetycase.errors import SourceError
from safetycase.evidence.imports import ImportedTables
from safetycase.evidence.judges import judge, judge_names
from safetycase.evidence.kinds.refusal_direction.params import Ask
from safetycase.evidence.tables import Row
from safetycase.sources.json_files import JsonFiles, kind_of
from safetycase.sources.prompts import NO_CATEGORY, item_id

SCORES = "select_direction/direction_evaluations.json"
PLACE = "direction_metadata.json"

POPULATION_OF: Mapping[str, str] = {
    "jailbreakbench": "harmful",
    "harmbench_test": "harmful",
    "strongreject": "harmful",
    "harmless": "harmless",
    "harmless_test": "harmless",
}
"""Data sets that the original code holds out for evaluation."""

SEEN_BEFORE = ("advbench", "maliciousinstruct", "tdc2023", "harmbench_val", "harmless_train", "harmless_val")
"""Data sets on which the original code finds and selects the direction."""

EDITS: Mapping[tuple[str, str], str] = {
    ("harmful", "baseline"): "baseline",
    ("harmful", "ablation"): "ablated",
    # With harmful prompts the original takes the direction away (coefficient -1), with harmless ones it adds it.
    ("harmful", "actadd"): "subtracted",
    ("harmless", "baseline"): "baseline",
    ("harmless", "ablation"): "ablated",
    ("harmless", "actadd"): "added",
}
"""(population, the run's word for the edit) to arm."""

LOSS_ARMS = {"baseline": "baseline", "ablation": "ablated", "actadd": "added"}

_MEANS_ONLY = "the run keeps the mean scores of each candidate, not its scores per prompt"
_NOT_MADE = "the original code does not measure this"
ABSENT: Mapping[str, str] = {
    "baseline": "the run does not keep refusal log-odds of test prompts",
    "first_tokens": "the original code takes declared refusal tokens",
    "scores": _MEANS_ONLY,
    "reselections": "the original code neither shuffles labels nor resamples prompts",
    "effects": "the run keeps no refusal log-odds of test prompts under an edit, and the original code has no null directions",
    "collateral": "the run keeps mean losses, not losses or divergences per prompt",
    "human_labels": "no person has labelled a blinded sample of the answers",
    "harmfulness": _NOT_MADE,
    "directions": "tensors of the run are pickles, which are not read",
}


def read(path: Path) -> ImportedTables:
    """The run in a folder (`pipeline/runs/<model>` of the original code); raises SourceError with one line."""
    run = JsonFiles(path, "the folder of a run")
    notes: list[str] = []
    candidates = _candidates(run)
    answers = _answers(run, notes)
    losses = list(_losses(run))
    if not candidates and not answers:
        raise SourceError(f"{path}: found neither {SCORES} nor completions/, expected a run of the refusal_direction code")
    tables: dict[str, list[Row]] = {"setup": [_setup(candidates, _evaluated(run))], **_of_answers(answers)}
    absent = dict(ABSENT)
    for name, rows, lacking in (("candidates", candidates, SCORES), ("losses", losses, "loss_evals/*_loss_eval.json")):
        if rows:
            tables[name] = rows
        else:
            absent[name] = f"the run holds no {lacking}"
    if not answers:
        del tables["prompts"]
        absent.update(dict.fromkeys(("prompts", "completions", "labels"), "the run holds no answers"))
    return ImportedTables(
        kind="refusal_direction",
        ask=_ask(answers).model_dump(mode="json"),
        tables=tables,
        absent=absent,
        files=run.files,
        populations=_by_population(answers, lambda each: each.dataset),
        categories=_by_population(answers, lambda each: each.category),
        summary=f"{len(candidates)} candidates, {len(answers)} answers, {len(losses)} mean losses",
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Answer:
    """One answer of the run, with its place in the observation."""

    dataset: str
    population: str
    arm: str
    item: str
    family: str
    category: str
    prompt: str
    text: str


def _candidates(run: JsonFiles) -> list[Row]:
    entries = run.load(SCORES)
    if entries is None:
        return []
    rows: dict[tuple[int, int], Row] = {}
    for number, entry in enumerate(run.entries(SCORES, entries), start=1):
        place = run.integer(SCORES, number, entry, "position", -4096, -1), run.integer(SCORES, number, entry, "layer", 0, 4095)
        if place in rows:
            raise run.error(SCORES, f"entry {number}: position {place[0]}, layer {place[1]} occurs twice")
        rows[place] = {
            "position": place[0],
            "layer": place[1],
            "refusal_score": run.number(SCORES, number, entry, "refusal_score"),
            "steering_score": run.number(SCORES, number, entry, "steering_score"),
            "kl": run.number(SCORES, number, entry, "kl_div_score"),
        }
    positions, n_layers = sorted({position for position, _ in rows}), 1 + max(layer for _, layer in rows)
    for position in positions:
        for layer in range(n_layers):
            if (position, layer) not in rows:
                n = len(positions) * n_layers
                raise run.error(SCORES, f"found {len(rows)} candidates, expected {n}: position {position}, layer {layer} is missing")
    return [rows[place] for place in sorted(rows)]


def _evaluated(run: JsonFiles) -> dict[str, int] | None:
    place = run.load(PLACE)
    if place is None:
        return None
    if not isinstance(place, dict):
        raise run.error(PLACE, f"found {kind_of(place)}, expected an object with pos and layer")
    return {
        "position": run.integer(PLACE, None, place, "pos", -4096, -1),
        "layer": run.integer(PLACE, None, place, "layer", 0, 4095),
    }


def _answers(run: JsonFiles, notes: list[str]) -> list[_Answer]:
    """The answers of every held-out data set; all arms of one set must hold the same prompts."""
    answers: list[_Answer] = []
    first: dict[str, tuple[str, list[str]]] = {}
    for (dataset, edit), name in _files_of_answers(run, notes).items():
        population = POPULATION_OF[dataset]
        arm = EDITS[population, edit]
        own = [
            _Answer(dataset, population, arm, item, family, category, prompt, text)
            for item, family, category, prompt, text in _read_answers(run, name, dataset)
        ]
        items = [each.item for each in own]
        other, expected = first.setdefault(dataset, (name, items))
        if len(items) != len(expected):
            raise run.error(name, f"found {len(items)} answers, expected {len(expected)} as in {other}")
        if set(items) != set(expected):
            raise run.error(name, f"found other prompts than in {other}, expected the same")
        answers += own
    return answers


_ANSWERS = re.compile(r"(?P<dataset>.+)_(?P<edit>baseline|ablation|actadd)_(?P<stage>completions|evaluations)\.json")


def _files_of_answers(run: JsonFiles, notes: list[str]) -> dict[tuple[str, str], str]:
    """(data set, edit) to file; where answers lie both with and without verdicts, the file without."""
    found: dict[tuple[str, str], str] = {}
    for name in run.names("completions/*.json"):
        match = _ANSWERS.fullmatch(name.removeprefix("completions/"))
        if match is None:
            notes.append(f"{name}: not a file of the original code, left out.")
        elif match["dataset"] in SEEN_BEFORE:
            notes.append(f"{name}: the original code finds and selects the direction on this data set, so it is left out.")
        elif match["dataset"] not in POPULATION_OF:
            known = ", ".join(POPULATION_OF)
            notes.append(f"{name}: unknown data set {match['dataset']!r}, left out (known: {known}).")
        else:
            # `completions` sorts before `evaluations`, so the raw file comes first.
            found.setdefault((match["dataset"], match["edit"]), name)
    return found


def _read_answers(run: JsonFiles, name: str, dataset: str) -> Iterator[tuple[str, str, str, str, str]]:
    """Item, family, category, prompt and answer; a prompt that occurs again is an item of its own in the same family."""
    loaded = run.load(name)
    if isinstance(loaded, dict):
        if "completions" not in loaded:
            raise run.error(name, "found an object without 'completions', expected prompts with responses")
        loaded = loaded["completions"]
    times: dict[str, int] = {}
    for number, entry in enumerate(run.entries(name, loaded), start=1):
        prompt, text = run.text(name, number, entry, "prompt"), run.text(name, number, entry, "response")
        category = NO_CATEGORY if entry.get("category") is None else run.text(name, number, entry, "category")
        family = item_id(dataset, prompt)
        times[family] = times.get(family, 0) + 1
        item = family if times[family] == 1 else item_id(f"{dataset}#{times[family]}", prompt)
        yield item, family, category, prompt, text


def _losses(run: JsonFiles) -> Iterator[Row]:
    for word, arm in LOSS_ARMS.items():
        name = f"loss_evals/{word}_loss_eval.json"
        loaded = run.load(name)
        if loaded is None:
            continue
        if not isinstance(loaded, dict):
            raise run.error(name, f"found {kind_of(loaded)}, expected an object of texts")
        for text, entry in sorted(loaded.items()):
            if not isinstance(entry, dict):
                raise run.error(name, f"{text}: found {kind_of(entry)}, expected an object with ce_loss and n_tokens")
            loss = run.number(name, None, entry, "ce_loss")
            tokens = run.integer(name, None, entry, "n_tokens", 1, 2**53)
            if math.isfinite(loss):
                yield {"arm": arm, "text": text, "cross_entropy": loss, "tokens": tokens}


def _setup(candidates: list[Row], evaluated: dict[str, int] | None) -> Row:
    positions = sorted({row["position"] for row in candidates})
    return {
        "n_layers": 1 + max((row["layer"] for row in candidates), default=-1),
        "d_model": 0,
        "positions": positions,
        "position_tokens": [""] * len(positions),
        "refusal_tokens": [],
        "refusal_token_texts": [],
        "refusal_tokens_from": "unknown",
        "filter": {"applied": None, "reason": "the original code filters by default, the run does not say", "removed": {}},
        "evaluated": evaluated,
        "random_direction_norm": 0.0,
        "prefill": "",
        "stopped": "",
    }


def _of_answers(answers: list[_Answer]) -> dict[str, list[Row]]:
    by_item = {each.item: each for each in reversed(answers)}
    in_order = [by_item[item] for item in sorted(by_item)]
    return {
        "items": [
            {
                "item": each.item, "population": each.population, "split": "test", "category": each.category,
                "family": each.family, "used": True, "why_unused": "",
            }
            for each in in_order
        ],
        "prompts": [{"item": each.item, "text": each.prompt} for each in in_order],
        "completions": [
            {"arm": each.arm, "population": each.population, "item": each.item, "text": each.text, "finished": False}
            for each in answers
        ],
        "labels": [
            {
                "arm": each.arm, "population": each.population, "item": each.item, "judge": name,
                "version": judge(name).version, "label": judge(name).label(each.text),
            }
            for name in judge_names()
            for each in answers
        ],
    }  # fmt: skip


def _ask(answers: list[_Answer]) -> Ask:
    """What the original code asks by default; nulls, resamples and fragility are not part of it."""
    sets = _by_population(answers, lambda each: each.dataset)
    names = {population: "+".join(datasets) for population, datasets in sets.items()}
    return Ask(
        harmful=names.get("harmful", "jailbreakbench"), harmless=names.get("harmless", "harmless"),
        n_train=128, n_validation=32, n_test=100, max_filtered=1.0, refusal_tokens=(),
        random_directions=0, label_shuffles=0, contrasts=0, reselections=0, fragility_directions=0,
        prefill="", max_new_tokens=512,
    )  # fmt: skip


def _by_population(answers: list[_Answer], of: Callable[[_Answer], str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for each in answers:
        found.setdefault(each.population, set()).add(of(each))
    return {population: tuple(sorted(values)) for population, values in sorted(found.items())}
