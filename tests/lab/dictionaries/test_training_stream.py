"""Activations as a model reads text: the buffer holds what stands at the sites, batches come again from any point, memory is bounded."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor

from safetycase.lab.dictionaries.activations_stream import model_batches, recorded_activations, repeated, tensor_batches
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.dictionaries.training import Training, TrainingRecipe
from safetycase.lab.model import LoadedModel, load_model
from safetycase.lab.site_access import record_sites

pytestmark = pytest.mark.lab

STREAM = Site("resid_post", 1)
MLP_IN, MLP_OUT = Site("mlp_in", 0), Site("mlp_out", 0)
TEXTS = [list(range(10 + n, 15 + n + n % 7)) for n in range(60)]


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    """A bundled organism."""
    return load_model("organism:refuser", base=Path(), device="cpu")


@torch.inference_mode()
def alone(model: LoadedModel, text: Sequence[int], site: Site) -> Tensor:
    """What stands at a site when a text is read by itself."""
    ids = torch.tensor([list(text)])
    with record_sites(model, [site]) as recorded:
        model.module(input_ids=ids, attention_mask=torch.ones_like(ids))
        return recorded[site][0]


@pytest.mark.parametrize("first_position", [0, 1, 6])
def test_recorded_activations_are_those_of_each_text_alone(model: LoadedModel, first_position: int) -> None:
    """Batches and padding change nothing, positions before the first wanted are left out, and rows keep the order of the texts."""
    x, y = recorded_activations(model, TEXTS, MLP_IN, MLP_OUT, first_position)

    torch.testing.assert_close(x, torch.cat([alone(model, text, MLP_IN)[first_position:] for text in TEXTS]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(y, torch.cat([alone(model, text, MLP_OUT)[first_position:] for text in TEXTS]), rtol=1e-4, atol=1e-4)


def test_an_autoencoder_is_fed_one_tensor(model: LoadedModel) -> None:
    """Where both sites are one nothing is kept twice."""
    x, y = recorded_activations(model, TEXTS, STREAM, STREAM)
    first = next(model_batches(model, repeated(TEXTS), STREAM, STREAM, batch_size=32, buffer_tokens=128)(0))

    assert y is x
    assert first[0] is first[1]


def test_batches_come_again_from_any_point(model: LoadedModel) -> None:
    """The n-th batch is the same whether all before it were asked for or none, across buffers and rounds over the text."""
    batches = model_batches(model, repeated(TEXTS), MLP_IN, MLP_OUT, batch_size=32, buffer_tokens=128)
    whole = list(islice(batches(0), 25))

    for start in (1, 4, 11, 24):
        x, y = next(batches(start))

        assert torch.equal(x, whole[start][0])
        assert torch.equal(y, whole[start][1])


def test_a_buffer_is_shuffled_and_hands_out_each_position_once(model: LoadedModel) -> None:
    """Batches hold the positions of their buffer's texts, in another order than the texts have them."""
    texts = TEXTS[:20]
    x, _ = recorded_activations(model, texts, STREAM, STREAM)
    batches = model_batches(model, lambda start: iter(texts), STREAM, STREAM, batch_size=len(x) // 2, buffer_tokens=len(x))

    given = torch.cat([batch for batch, _ in batches(0)])

    distance, positions = torch.cdist(given.double(), x.double()).min(dim=1)
    assert distance.max() < 1e-4
    assert len(set(positions.tolist())) == len(given) == len(x) // 2 * 2
    assert (positions[1:] < positions[:-1]).any()


def test_no_more_than_a_buffer_is_read_ahead(model: LoadedModel) -> None:
    """However long the text, what has been read is what has been handed out and one buffer."""
    read: list[int] = []

    def rows(start: int) -> Iterator[Sequence[int]]:
        for text in islice(repeated(TEXTS)(start), 4000):
            read.append(len(text))
            yield text

    longest = max(map(len, TEXTS))
    for given, _ in enumerate(islice(model_batches(model, rows, STREAM, STREAM, batch_size=32, buffer_tokens=256)(0), 20), start=1):
        # Each buffer drops less than a batch and overshoots by less than a text.
        buffers = 1 + given * 32 // 256
        assert sum(read) <= given * 32 + 256 + buffers * (32 + longest)


def test_training_from_a_model_resumes_to_the_same_bits(model: LoadedModel, tmp_path: Path) -> None:
    """Killed within a buffer and resumed, a training on streamed activations ends where an unbroken one does."""
    recipe = TrainingRecipe(n_features=64, k=4, steps=24, sparsity="batchtopk", learning_rate=2e-3, warmup_steps=4, threshold_from_step=4)
    batches = model_batches(model, repeated(TEXTS), MLP_IN, MLP_OUT, batch_size=32, buffer_tokens=160)
    file = tmp_path / "checkpoint.safetensors"

    def training(checkpoint: Path | None) -> Training:
        return Training(recipe, batches, reads=MLP_IN, writes=MLP_OUT, checkpoint=checkpoint)

    whole = training(None)
    list(whole.run())
    list(islice(training(file).run(every=7), 1))
    resumed = training(file)
    assert resumed.step == 7
    list(resumed.run(every=7))

    assert torch.equal(resumed.dictionary().W_enc, whole.dictionary().W_enc)
    assert torch.equal(resumed.dictionary().W_dec, whole.dictionary().W_dec)


def test_tensors_in_memory_are_shuffled_anew_each_round() -> None:
    """Every round hands out every row once, pairs stay together, and any batch can be had by itself."""
    x = torch.arange(12.0).unsqueeze(1)
    batches = tensor_batches(x, -x, batch_size=4)
    first, second = (torch.cat([a for a, _ in islice(batches(start), 3)]) for start in (0, 3))

    assert sorted(first.flatten().tolist()) == sorted(second.flatten().tolist()) == x.flatten().tolist()
    assert not torch.equal(first, second)
    assert torch.equal(next(batches(4))[0], second[4:8])
    assert all(torch.equal(a, -b) for a, b in islice(batches(0), 6))


def test_recipes_differ_by_seed() -> None:
    """Another seed of the activations is another order."""
    x = torch.arange(64.0).unsqueeze(1)

    assert not torch.equal(next(tensor_batches(x, batch_size=8, seed=0)(0))[0], next(tensor_batches(x, batch_size=8, seed=1)(0))[0])
    assert replace(TrainingRecipe(4, 1, 1), seed=1) != TrainingRecipe(4, 1, 1)
