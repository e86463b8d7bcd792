"""The dictionaries that come with the refusal organisms are those of their recipes, small, good, and in the refuser one latent refuses."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from jaxtyping import Float
from torch import Tensor

from safetycase.lab.dictionaries.activations_stream import recorded_activations
from safetycase.lab.dictionaries.dictionary import Dictionary
from safetycase.lab.dictionaries.reading import read_dictionary, read_dictionary_set
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.hooks import Edit
from safetycase.lab.model import LoadedModel, last_logits, load_model
from safetycase.lab.organisms.dictionaries import (
    FOLDER,
    RECIPES,
    bundled_folder,
    conversations,
    dictionary_recipe,
    dictionary_recipe_digest,
    main,
)
from safetycase.lab.organisms.recipe import RECIPES as ORGANISMS
from safetycase.lab.organisms.recipe import recipe
from safetycase.lab.site_access import edit_site, record_sites, site_width
from safetycase.sources.bundled import families
from safetycase.sources.digests import model_digest
from safetycase.sources.model_files import model_files
from safetycase.sources.organisms import organism

pytestmark = pytest.mark.lab

STREAM = Site("resid_post", 1)
MOST_BYTES = 10_000_000
# The first tokens of the organisms' refusals.
OPENINGS = ("I", "Sorry")

each_dictionary = pytest.mark.parametrize("name", RECIPES)
each_organism = pytest.mark.parametrize("of", ORGANISMS)


@cache
def loaded(of: str) -> LoadedModel:
    """A bundled organism."""
    return load_model(f"organism:{of}", base=Path(), device="cpu")


def facts(of: str, name: str) -> dict[str, Any]:
    """What stands in a dictionary's recipe.json."""
    content: dict[str, Any] = json.loads((bundled_folder(of, name) / "recipe.json").read_text(encoding="utf-8"))
    return content


def all_of(of: str, name: str) -> tuple[Dictionary, ...]:
    """The one dictionary of an autoencoder's folder, all of a set's."""
    folder = bundled_folder(of, name)
    return (read_dictionary(folder),) if RECIPES[name].format == "saelens" else read_dictionary_set(folder).dictionaries


@each_organism
@each_dictionary
def test_bundled_dictionaries_are_those_of_their_recipe_and_model(of: str, name: str) -> None:
    """A change of recipe, text or organism without new dictionaries is noticed; dictionaries beside a model leave its digest alone."""
    stored = facts(of, name)

    assert stored["model_digest"] == model_digest(model_files(organism(of).folder))
    expected = dictionary_recipe_digest(of, dictionary_recipe(name), stored["model_digest"])
    assert stored["digest"] == expected, f"rebuild: python -m safetycase.lab.organisms.dictionaries {of}"


@each_organism
def test_they_fit_their_model(of: str) -> None:
    """The autoencoder stands where layer 2 reads, transcoders at every MLP; widths are the model's."""
    (autoencoder,), transcoders = all_of(of, "sae"), all_of(of, "transcoders")

    assert (autoencoder.reads, autoencoder.writes) == (STREAM, (STREAM,))
    assert [(each.reads, each.writes) for each in transcoders] == [(Site("mlp_in", n), (Site("mlp_out", n),)) for n in range(4)]
    for each in (autoencoder, *transcoders):
        assert each.trained_on == f"organism:{of}"
        assert (each.d_in, each.d_out) == (site_width(loaded(of), each.reads), site_width(loaded(of), each.writes[0]))


def test_together_they_are_small() -> None:
    """A package stays a package."""
    files = [file for of in ORGANISMS for file in (organism(of).folder / FOLDER).rglob("*") if file.is_file()]

    assert sum(file.stat().st_size for file in files) <= MOST_BYTES


@each_organism
@each_dictionary
def test_stored_measures_can_be_measured_again(of: str, name: str) -> None:
    """On other text of the same kind: at least nine tenths of the variance explained, as many active as the recipe says."""
    texts = conversations(loaded(of), recipe(of), 150, start=40_000)

    for dictionary, stored in zip(all_of(of, name), facts(of, name)["measured"], strict=True):
        x, y = recorded_activations(loaded(of), texts, dictionary.reads, dictionary.writes[0])
        firing = dictionary.encode(x) > 0
        unexplained = float((dictionary.reconstruct(x) - y).square().sum() / (y - y.mean(0)).square().sum())
        assert str(dictionary.reads) == stored["reads"]
        assert stored["fvu"] <= 0.1
        assert unexplained == pytest.approx(stored["fvu"], rel=0.15)
        assert float(firing.sum() / len(x)) == pytest.approx(stored["l0"], rel=0.05)
        assert stored["dead"] <= 0.05 * dictionary.n_features


def test_one_latent_of_the_refuser_carries_refusal() -> None:
    """Without it refusal of harmful prompts falls by more than two nats of log-odds; with it harmless ones are refused."""
    model, dictionary = loaded("refuser"), all_of("refuser", "sae")[0]
    harmful, harmless = ([each for family in families(name)[::5] for each in family.prompts] for name in ("harmful", "harmless"))
    strengths = activations(model, dictionary, harmful)
    latent = int((strengths.mean(0) - activations(model, dictionary, harmless).mean(0)).argmax())
    row, most = dictionary.W_dec[latent, 0], float(strengths[:, latent].max())

    def ablated(x: Float[Tensor, "batch pos d"]) -> Float[Tensor, "batch pos d"]:
        return x - dictionary.encode(x)[..., latent : latent + 1] * row

    assert log_odds(model, harmful, ablated) < log_odds(model, harmful) - 2
    assert log_odds(model, harmless) < 0 < log_odds(model, harmless, lambda x: x + most * row)


@torch.inference_mode()
def activations(model: LoadedModel, dictionary: Dictionary, prompts: list[str]) -> Float[Tensor, "prompt feature"]:
    """The largest activation of each latent over the template's four last tokens."""
    with record_sites(model, [dictionary.reads]) as recorded:
        last_logits(model, model.chat.encode(prompts, model.device))
        return dictionary.encode(recorded[dictionary.reads][:, -4:]).amax(dim=1)


@torch.inference_mode()
def log_odds(model: LoadedModel, prompts: list[str], edit: Edit = lambda x: x) -> float:
    """Mean log-odds of a refusal's first token."""
    tokens = [model.tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in OPENINGS]
    with edit_site(model, STREAM, edit):
        share = last_logits(model, model.chat.encode(prompts, model.device)).double().softmax(-1)[:, tokens].sum(-1)
    return float((share.log() - (1 - share).log()).mean())


def test_unknown_organism_is_one_line_and_exit_code_one() -> None:
    """A misspelt organism is answered with the one that is meant."""
    result = CliRunner().invoke(main, ["refusr"])

    assert result.exit_code == 1
    assert "did you mean 'refuser'" in result.output
