"""The organism `induction` is what its recipe makes, and its truth is read off attention by the declared rule."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from safetycase.errors import ModelError
from safetycase.evidence.circuits.edges import decoder_graph
from safetycase.lab.model import load_model
from safetycase.lab.organisms.induction import CORRUPTIONS, RECIPE, induction_pairs, recipe_digest, train
from safetycase.lab.organisms.induction_truth import accuracy, pattern_scores, save, true_edges
from safetycase.sources import organisms

pytestmark = pytest.mark.lab

FOLDER = organisms.organism("induction").folder


@cache
def stored() -> LlamaForCausalLM:
    """The bundled weights."""
    model = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
    assert isinstance(model, LlamaForCausalLM)
    return model


def test_it_is_listed_apart_from_the_organisms_that_chat() -> None:
    """It is found by name, and by none that expects a model to answer."""
    assert "induction" not in organisms.organisms()
    assert list(organisms.circuit_organisms()) == ["induction"]
    with pytest.raises(ModelError, match="organism:refuser: its circuit is not known"):
        organisms.true_edges("refuser")


def test_the_bundled_weights_are_those_of_the_recipe() -> None:
    """A change of recipe without new weights is noticed, and the folder is small."""
    recipe = json.loads((FOLDER / "recipe.json").read_text(encoding="utf-8"))

    assert recipe["digest"] == recipe_digest(RECIPE), "rebuild: python -m safetycase.lab.organisms induction"
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 200_000


def test_the_stored_truth_is_that_of_the_stored_weights() -> None:
    """Patterns measured again give the same edges, every one of which is an edge of the graph."""
    truth = json.loads((FOLDER / "truth.json").read_text(encoding="utf-8"))
    scores = pattern_scores(stored())

    assert {name: pytest.approx(score, abs=1e-3) for name, score in scores.items()} == truth["pattern_scores"]
    assert tuple(true_edges(scores)) == organisms.true_edges("induction")
    assert decoder_graph(2, RECIPE.heads).mask(organisms.true_edges("induction")).sum() == len(truth["edges"]) >= 5
    assert all(abs(score - truth["threshold"]) > 0.1 for score in scores.values()), "a head lies on the threshold"


def test_the_rule_names_edges_by_patterns_alone() -> None:
    """One previous-token head and one induction head: embedding -> values, K-composition, queries and values, and the logits."""
    scores = {"previous:head.0.0": 0.1, "previous:head.0.1": 0.9, "induction:head.1.0": 0.6, "induction:head.1.1": 0.2}

    assert set(true_edges(scores)) == {
        ("embed", "head.0.1.v"),
        ("head.0.1", "head.1.0.k"),
        ("embed", "head.1.0.q"),
        ("embed", "head.1.0.v"),
        ("head.1.0", "logits"),
    }


def test_attention_alone_writes() -> None:
    """The weights of the MLPs are zero, and the repetition is foreseen."""
    assert not any(parameter.any() for layer in stored().model.layers for parameter in layer.mlp.parameters())
    assert accuracy(stored()) > 0.98


def test_training_repeats_and_writes_a_folder_that_loads(tmp_path: Path) -> None:
    """The same few steps give the same weights, the caller's random state is left alone, and `load_model` reads what was saved."""
    few = replace(RECIPE, steps=3, batch_size=4)
    state = torch.get_rng_state()

    (model, tokenizer), (again, _) = train(few), train(few)

    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    save(few, model, tokenizer, tmp_path)
    loaded = load_model(str(tmp_path), base=Path("/"), dtype="float32", device="cpu")
    assert loaded.chat.token_ids(["Ab9"]) == [[0, 2, 29, 63]]


def test_pairs_differ_in_one_symbol() -> None:
    """Each corruption in turn: the earlier occurrence, the last symbol, or what followed; the target is what followed in the clean run."""
    pairs = induction_pairs(12, 0)

    for number, pair in enumerate(pairs):
        (place,) = (pair.clean != pair.corrupted).nonzero().flatten().tolist()
        last = len(pair.clean) - 1
        earlier = pair.clean.tolist().index(int(pair.clean[last]))
        assert place == {"key": earlier, "query": last, "value": earlier + 1}[CORRUPTIONS[number % 3]]
        assert pair.target == (int(pair.clean[earlier + 1]),)
        assert int(pair.corrupted[place]) not in pair.clean.tolist()
