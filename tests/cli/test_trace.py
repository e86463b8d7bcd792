"""`safetycase trace`: one graph in formats of other tools, its scores on stdout, and every slip of the hand in one line."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file

from safetycase.evidence.graphs.reading import read_graph
from safetycase.lab.attribution.circuit_tracer_files import read_circuit_tracer_graph
from tests.cli.conftest import Run
from tests.evidence.graphs.golden import FOLDER, golden

PROMPT = "w7 w14 w21 w28 w35 w42 w49 w56 w63 w70 w77"
ORGANISM = {"--model": "organism:refuser", "--dictionaries": "organism:refuser/transcoders", "--prompt": "How do I bake a cake?"}


def _arguments(given: dict[str, str]) -> list[str]:
    return [part for pair in given.items() for part in pair]


@pytest.mark.parametrize("name", ["jumprelu", "clt"])
def test_the_golden_graphs_come_out(name: str, safetycase: Run, tmp_path: Path) -> None:
    """From model, dictionaries and text to circuit-tracer's own nodes, edges, masks and scores."""
    _, told = golden(name)
    given = {"--model": str(FOLDER / "model"), "--dictionaries": str(FOLDER / f"transcoders_{name}"), "--prompt": PROMPT}

    ran = safetycase("trace", *_arguments(given), "--out", tmp_path / "out", "--random-subgraphs", "5", "--json")

    assert ran.code == 0, ran.err
    printed = json.loads(ran.out)
    assert printed["replacement"] == pytest.approx(float(told["replacement"]), abs=1e-5)
    assert printed["completeness"] == pytest.approx(float(told["completeness"]), abs=1e-5)
    assert printed["exactness"] < 1e-5
    assert 0 < printed["unattributed_share"] < 0.05
    assert (printed["nodes_kept"], printed["edges_kept"]) == (told["node_mask"].sum(), told["edge_mask"].sum())
    assert printed["random_subgraphs"]["replacement"]["kept"] > printed["random_subgraphs"]["replacement"]["high"]
    assert "p" not in printed["random_subgraphs"]["replacement"]
    assert printed["same_model"] is None
    assert "could not be checked whether they belong to this model" in ran.err
    found = load_file(tmp_path / "out" / "graph.safetensors")
    for key in ("input_tokens", "active_features", "selected_features", "logit_ids", "node_mask", "edge_mask"):
        np.testing.assert_array_equal(found[key], told[key], err_msg=key)
    for key in ("activation_values", "adjacency", "logit_probs", "cumulative", "replacement", "completeness"):
        np.testing.assert_allclose(found[key], told[key], atol=1e-5, err_msg=key)


@pytest.fixture(scope="module")
def direction(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vector as wide as the organism's stream."""
    path = tmp_path_factory.mktemp("vectors") / "refusal.safetensors"
    save_file({"direction": torch.randn(128, generator=torch.Generator().manual_seed(0))}, path)
    return path


def test_all_files_hold_the_same_graph(safetycase: Run, tmp_path: Path) -> None:
    """Neuronpedia's JSON with its index, the tensors, circuit-tracer's file; without --json their paths are what is printed."""
    ran = safetycase("trace", *_arguments(ORGANISM), "--out", tmp_path, "--max-features", "60", "--slug", "cake", "--pt")

    assert ran.code == 0, ran.err
    assert [Path(line).name for line in ran.out.splitlines()] == ["graph.safetensors", "cake.json", "graph.pt"]
    stored, drawn = read_graph(tmp_path / "graph.safetensors"), json.loads((tmp_path / "cake.json").read_text(encoding="utf-8"))
    other = read_circuit_tracer_graph(tmp_path / "graph.pt").graph
    np.testing.assert_array_equal(other.adjacency.dense(), stored.graph.adjacency.dense())
    assert stored.graph.n_features == 60 < len(stored.graph.active_features)
    assert len(drawn["links"]) == len(stored.pruned.edges)
    assert drawn["metadata"]["prompt"] == stored.graph.prompt == ORGANISM["--prompt"]
    assert drawn["metadata"]["generation_settings"]["max_feature_nodes"] == 60
    assert json.loads((tmp_path / "graph-metadata.json").read_text(encoding="utf-8"))["graphs"] == [drawn["metadata"]]
    assert "replacement" in ran.err


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        pytest.param(["--target", "difference", "--plus", " I", "--minus", " a"], "logit-difference", id="difference"),
        pytest.param(["--target", "log-odds", "--plus", " I"], "log-odds", id="log-odds"),
        pytest.param(["--target", "direction", "--site", "resid_pre.2"], "direction", id="direction"),
    ],
)
def test_other_targets(options: list[str], kind: str, direction: Path, safetycase: Run, tmp_path: Path) -> None:
    """A difference of tokens, log-odds and a direction inside the model, in the chat format, without random subgraphs."""
    vector = ["--vector", str(direction)] if kind == "direction" else []

    ran = safetycase(
        "trace",
        *_arguments(ORGANISM),
        *options,
        *vector,
        "--chat",
        "--out",
        tmp_path,
        "--random-subgraphs",
        "0",
        "--no-neuronpedia",
        "--json",
    )

    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["random_subgraphs"] is None
    graph = read_graph(tmp_path / "graph.safetensors").graph
    (target,) = graph.targets
    assert target.kind == kind
    assert graph.target_ids.tolist() == [graph.vocabulary]
    assert [path.name for path in tmp_path.iterdir()] == ["graph.safetensors"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"--prompt": ""}, "comes to 1 token,", id="an empty prompt"),
        pytest.param({"--prompt": "cake " * 1500}, "tokens, expected at most", id="a prompt of 5,000 tokens"),
        pytest.param({"--dictionaries": "organism:complier/transcoders"}, "belongs to", id="dictionaries of another model"),
        pytest.param({"--dictionaries": "organism:refuser/sae"}, "need a transcoder each", id="an autoencoder of one layer"),
        pytest.param({"--dictionaries": "organism:refuser/transcoder"}, "did you mean 'transcoders'?", id="no such dictionary"),
        pytest.param({"--dictionaries": "nowhere"}, "nowhere", id="no such folder"),
        pytest.param({"--model": "organism:refusr"}, "did you mean 'refuser'?", id="no such model"),
        pytest.param({"--target": "log-odds", "--plus": "two words"}, "expected a text that is one token", id="a text of two tokens"),
        pytest.param({"--target": "log-odds", "--plus": "\u2603"}, "one token", id="a text that the tokenizer does not know"),
        pytest.param({"--target": "difference", "--plus": " I", "--minus": " I"}, "is zero", id="a difference of nothing"),
        pytest.param({"--target": "direction", "--site": "resid_pre.2", "--vector": "no.safetensors"}, "no.safetensors", id="no vector"),
    ],
)
def test_a_slip_is_one_line(changed: dict[str, str], said: str, safetycase: Run, tmp_path: Path) -> None:
    """What was found and what was expected; no traceback, nothing on stdout, no file."""
    ran = safetycase("trace", *_arguments(ORGANISM | changed), "--out", tmp_path, "--json")

    assert ran.code == 1
    assert said in ran.err.splitlines()[-1]
    assert "Traceback" not in ran.err
    assert ran.out == ""
    assert not list(tmp_path.iterdir())


def test_a_graph_made_before_is_scored_again(safetycase: Run, tmp_path: Path) -> None:
    """From circuit-tracer's file or from our own: the same scores and the same picture, without a model."""
    made = safetycase("trace", *_arguments(ORGANISM), "--out", tmp_path / "made", "--pt", "--random-subgraphs", "9", "--json")
    told = json.loads(made.out)
    for name in ("graph.pt", "graph.safetensors"):
        ran = safetycase("trace", "--graph", tmp_path / "made" / name, "--out", tmp_path / name, "--random-subgraphs", "9", "--json")

        assert ran.code == 0, ran.err
        found = json.loads(ran.out)
        unknown = ("unattributed_share", "exactness") if name == "graph.pt" else ()
        assert found == told | dict.fromkeys((*unknown, "same_model", "reconstructed"))
        links = [json.loads((tmp_path / folder / "graph.json").read_text(encoding="utf-8"))["links"] for folder in (name, "made")]
        assert links[0] == links[1]


def test_a_hostile_graph_runs_nothing(safetycase: Run, tmp_path: Path) -> None:
    """One line, and the file that it would have made is not there."""
    mark = tmp_path / "ran"

    class Runs:
        def __reduce__(self) -> tuple[Any, ...]:
            return open, (str(mark), "w")

    torch.save({"adjacency_matrix": Runs()}, tmp_path / "graph.pt")

    ran = safetycase("trace", "--graph", tmp_path / "graph.pt", "--out", tmp_path / "out")

    assert ran.code == 1
    assert "nothing of it was run" in ran.err
    assert len(ran.err.splitlines()) == 1
    assert "weights_only" not in ran.err
    assert not mark.exists()


def test_missing_layers_are_one_line(safetycase: Run, tmp_path: Path) -> None:
    """A set with one layer taken out is no set for this model."""
    golden("jumprelu")
    cut = tmp_path / "cut"
    cut.mkdir()
    for path in (FOLDER / "transcoders_jumprelu").iterdir():
        if path.name != "layer_2.safetensors":
            (cut / path.name).symlink_to(path)
    given = {"--model": str(FOLDER / "model"), "--dictionaries": str(cut), "--prompt": PROMPT}

    ran = safetycase("trace", *_arguments(given), "--out", tmp_path / "out")

    assert ran.code == 1
    assert "layer" in ran.err.splitlines()[-1]
    assert "Traceback" not in ran.err


def test_a_folder_that_cannot_be_written_fails_before_the_model_is_read(safetycase: Run, tmp_path: Path) -> None:
    """The model named here does not even exist."""
    (tmp_path / "taken").write_text("", encoding="utf-8")

    ran = safetycase("trace", *_arguments(ORGANISM | {"--model": "nowhere"}), "--out", tmp_path / "taken" / "out")

    assert ran.code == 1
    assert "cannot be written" in ran.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(["--target", "difference", "--plus", " I"], "needs --minus", id="one side"),
        pytest.param(["--plus", " I"], "takes no --plus", id="a token without a target that takes it"),
        pytest.param(["--target", "direction", "--site", "resid_pre.2"], "needs --vector", id="no vector"),
        pytest.param(["--slug", "../elsewhere"], "expected letters", id="a slug that leads elsewhere"),
        pytest.param(["--graph", "graph.pt"], "or --graph alone", id="a graph and what it is made of"),
        pytest.param(["--node-threshold", "1.5"], "0<=x<=1", id="a threshold beyond 1"),
    ],
)
def test_wrong_usage(options: list[str], said: str, safetycase: Run, tmp_path: Path) -> None:
    """Exit code 2 says how the command is used."""
    ran = safetycase("trace", *_arguments(ORGANISM), "--out", tmp_path, *options)

    assert ran.code == 2
    assert said in ran.err


@pytest.mark.parametrize("option", [("--target", "logits"), ("--max-features", "5"), ("--chat",), ("--position", "-1")])
def test_a_graph_made_before_is_not_traced_again(option: tuple[str, ...], safetycase: Run, tmp_path: Path) -> None:
    """What would change the graph is refused, so that nobody reads one target's scores as another's."""
    ran = safetycase("trace", "--graph", "graph.safetensors", "--out", tmp_path, *option)

    assert ran.code == 2
    assert f"--graph takes no {option[0]}" in ran.err


def test_a_file_that_cannot_be_written_is_refused_before_the_others_are(safetycase: Run, tmp_path: Path) -> None:
    """A graph.safetensors does not hold what circuit-tracer's file needs: nothing is read, and nothing written."""
    ran = safetycase("trace", "--graph", "graph.safetensors", "--out", tmp_path / "out", "--pt")

    assert ran.code == 2
    assert "configuration of its model" in ran.err
    assert not (tmp_path / "out").exists()


def test_dictionaries_of_another_model_are_told_by_what_they_give_back(safetycase: Run, tmp_path: Path) -> None:
    """No name tells whose the golden transcoders are; on the organism they are worse than the mean, and their own give most back."""
    golden("jumprelu")
    other = {"--dictionaries": str(FOLDER / "transcoders_jumprelu")}

    strangers, own = (
        safetycase("trace", *_arguments(ORGANISM | changed), "--out", tmp_path / name, "--random-subgraphs", "0", "--json")
        for name, changed in (("strangers", other), ("own", {}))
    )

    assert (strangers.code, own.code) == (0, 0), strangers.err
    told = [json.loads(ran.out) for ran in (strangers, own)]
    assert [each["same_model"] for each in told] == [None, True]
    assert told[0]["reconstructed"]["total"] < 0 < 0.5 < told[1]["reconstructed"]["total"]
    assert len(told[0]["reconstructed"]["by_layer"]) == 4
    assert ["could not be checked" in ran.err for ran in (strangers, own)] == [True, False]
    assert ["warning: this is worse than the mean" in ran.err for ran in (strangers, own)] == [True, False]


def test_a_prompt_beyond_memory_is_refused_before_it_is_run(safetycase: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first tokens: the whole prompt never goes through the model, and memory and time are told once."""
    from safetycase.lab.attribution import frozen_pass as module
    from safetycase.lab.attribution import preflight

    ran_on: list[int] = []
    run = module._recorded

    def counted(*given: Any) -> Any:
        ran_on.append(len(given[2]))
        return run(*given)

    monkeypatch.setattr(module, "_recorded", counted)
    monkeypatch.setattr(preflight, "free_memory", lambda model: 2**26)

    ran = safetycase("trace", *_arguments(ORGANISM | {"--prompt": "cake " * 150}), "--out", tmp_path, "--json")

    assert ran.code == 1
    assert ran_on == [128]
    assert len(ran.err.splitlines()) == 1
    assert re.search(r"would take about \S+ [GM]iB and \S+ (s|min|h), expected at most 64 MiB", ran.err)


def test_a_text_that_is_unknown_is_no_target(safetycase: Run, tmp_path: Path) -> None:
    """Its one token is the one for all unknown texts, which is not what was asked for."""
    golden("jumprelu")
    given = {"--model": str(FOLDER / "model"), "--dictionaries": str(FOLDER / "transcoders_jumprelu"), "--prompt": PROMPT}

    ran = safetycase("trace", *_arguments(given), "--out", tmp_path / "out", "--target", "log-odds", "--plus", "zzz")

    assert ran.code == 1
    assert "tokenizer does not know it" in ran.err.splitlines()[-1]


def test_dictionaries_of_another_model_go_on_where_that_is_meant(safetycase: Run, tmp_path: Path) -> None:
    """Such as those of a base model on its fine-tune: asked for by name."""
    given: dict[str, Any] = ORGANISM | {"--dictionaries": "organism:complier/transcoders"}

    ran = safetycase("trace", *_arguments(given), "--out", tmp_path, "--other-model", "--random-subgraphs", "0")

    assert ran.code == 0, ran.err
