"""The organism `superposition`: the trainer finds its features, controls do not, and absorption shows where it was planted alone."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import islice

import pytest
import torch
from torch import Tensor

from safetycase.lab.dictionaries.absorption import absorption, main_latents
from safetycase.lab.dictionaries.dictionary import Dictionary
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.dictionaries.training import Training, TrainingRecipe
from safetycase.lab.organisms.superposition import Superposition, permuted_decoder, random_decoder, recovery, recovery_of

pytestmark = pytest.mark.lab

FLAT = Superposition(pairs=0)
HIERARCHY = Superposition()
RECIPE = TrainingRecipe(n_features=96, k=3, steps=800, learning_rate=3e-3, warmup_steps=100, dead_after_tokens=50_000)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The tensors are so small that a second thread only waits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def trained(truth: Superposition) -> Dictionary:
    """A dictionary of activations of the organism."""
    training = Training(RECIPE, truth.batches(1024), reads=Site("resid_post", 0))
    for _ in training.run(every=400):
        pass
    return training.dictionary()


@pytest.mark.parametrize("truth", [pytest.param(FLAT, id="flat"), pytest.param(HIERARCHY, id="with children")])
def test_the_trainer_finds_the_features_and_controls_do_not(truth: Superposition) -> None:
    """Mean max cosine is at least 0.9; with permuted rows, and with random ones, at most 0.5."""
    dictionary = trained(truth)
    strengths = truth.strengths(2048, 0)
    found = dictionary.encode(truth.activations(strengths))
    controls = (permuted_decoder(dictionary.directions(), seed=0), random_decoder(96, truth.d, seed=0))

    assert recovery(truth, dictionary, count=2048).max_cosine >= 0.9
    for decoder in controls:
        control = recovery_of(truth, strengths, found, decoder)
        assert control.max_cosine <= 0.5
        assert control.recovered == 0


def test_planted_absorption_is_found_and_an_oracle_shows_none() -> None:
    """Trained with children, parents' latents are silent where a child's latent carries them; the truth itself absorbs nothing."""
    strengths = HIERARCHY.strengths(8192, 0)

    shown = recovery(HIERARCHY, trained(HIERARCHY))
    oracle = recovery_of(HIERARCHY, strengths, strengths, HIERARCHY.directions)

    assert shown.absorption >= 0.1
    assert oracle.absorption == 0
    assert oracle.absorbed_fraction <= 0.05
    assert (oracle.max_cosine, oracle.matched, oracle.recovered) == pytest.approx((1, 1, 1))


def test_without_children_the_same_measure_shows_little() -> None:
    """The same dictionary size on features that are independent: what is measured on the first eight is not absorption."""
    as_if = replace(FLAT, pairs=8)
    strengths = FLAT.strengths(8192, 0)
    dictionary = trained(FLAT)

    measured = recovery_of(as_if, strengths, dictionary.encode(FLAT.activations(strengths)), dictionary.directions())

    assert measured.absorption <= 0.05


def test_children_fire_only_with_their_parents() -> None:
    """What was planted, with the declared probabilities."""
    fires = HIERARCHY.strengths(20_000, 3) > 0
    parents, children = fires[:, :8], fires[:, 8:16]

    assert not (children & ~parents).any()
    assert parents.double().mean() == pytest.approx(0.05, abs=0.005)
    assert (children.sum() / parents.sum()).item() == pytest.approx(0.4, abs=0.03)
    assert fires[:, 16:].double().mean() == pytest.approx(0.05, abs=0.005)


def test_draws_repeat_and_differ() -> None:
    """Activations come again from any batch on; batches are independent of each other and of what is measured on."""
    whole = [batch for batch, _ in islice(FLAT.batches(64)(0), 4)]

    assert torch.equal(next(FLAT.batches(64)(3))[0], whole[3])
    assert not torch.equal(whole[0], whole[1])
    assert not torch.equal(whole[0], FLAT.activations(FLAT.strengths(64, 0)))


def matrix(*rows: tuple[float, ...]) -> Tensor:
    """A small matrix."""
    return torch.tensor(rows, dtype=torch.float32)


def test_absorption_counts_what_the_definition_says() -> None:
    """Latent 0 is the concept's, latent 1 absorbs, latent 2 points elsewhere: four inputs, one of each kind."""
    probe = torch.tensor([2.0, 0.0])
    decoder = matrix((1, 0), (0.8, 0.6), (0, 1))
    inputs = matrix((1, 0), (1, 0.75), (1, 3), (-1, 0))
    activations = matrix((1, 0, 0), (0, 1.25, 0), (0, 0, 3), (1, 0, 0))

    measured = absorption(activations, inputs, probe, decoder, main=[0])

    assert measured.inputs == 3  # the probe sees no concept in the last
    assert measured.rate == pytest.approx(1 / 3)
    assert measured.fraction == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("strength", "rate"),
    [pytest.param(0.6, 1.0, id="48 % of the projection"), pytest.param(0.45, 0.0, id="36 % of the projection")],
)
def test_an_absorber_carries_a_substantial_share(strength: float, rate: float) -> None:
    """At least 0.4 of the input's projection on the probe."""
    measured = absorption(matrix((0, strength)), matrix((1, 0)), torch.tensor([1.0, 0]), matrix((1, 0), (0.8, 0.6)), main=[0])

    assert measured.rate == rate


def test_main_latents_are_the_best_and_its_splits() -> None:
    """A second latent joins where it lifts F1 by the jump; one that fires everywhere never does."""
    labels = torch.arange(100) < 40
    activations = torch.zeros(100, 4)
    activations[:30, 0] = 1  # most of the concept
    activations[30:40, 1] = 1  # the rest of it
    activations[:, 2] = 1  # everything
    activations[39, 3] = 1

    assert main_latents(activations, labels) == (0, 1)
    assert main_latents(activations, labels, most=1) == (0,)
