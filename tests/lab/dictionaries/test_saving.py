"""Dictionaries that are written are read back as they were, and what a format cannot hold is refused in one line."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from safetycase.errors import ModelError
from safetycase.lab.dictionaries.dictionary import Activation, Dictionary, DictionarySet, JumpRelu, Relu, TopK
from safetycase.lab.dictionaries.reading import read_dictionary, read_dictionary_set
from safetycase.lab.dictionaries.saving import HOOKS, save_saelens, save_transcoder_set
from safetycase.lab.dictionaries.site import Site, site_of_hook

pytestmark = pytest.mark.lab

THRESHOLD = JumpRelu(torch.rand(12, generator=torch.Generator().manual_seed(9)))


def normal(*shape: int, seed: int) -> Tensor:
    """Standard normal numbers of a seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def made(activation: Activation, *, layer: int = 0, transcoder: bool = False, skip: bool = False) -> Dictionary:
    """A random dictionary of 12 features; transcoders have another width behind than before."""
    d_out = 6 if transcoder else 5
    reads = Site("mlp_in" if transcoder else "resid_post", layer)
    return Dictionary(
        W_enc=normal(12, 5, seed=layer),
        b_enc=normal(12, seed=10 + layer),
        W_dec=normal(12, 1, d_out, seed=20 + layer),
        b_dec=normal(d_out, seed=30 + layer),
        activation=activation,
        reads=reads,
        writes=(Site("mlp_out", layer),) if transcoder else (reads,),
        W_skip=normal(d_out, 5, seed=40) if skip else None,
        subtracts_b_dec=not transcoder,
        trained_on="someone/model",
    )


KINDS = [
    pytest.param(made(Relu()), id="standard"),
    pytest.param(made(TopK(3)), id="topk"),
    pytest.param(made(THRESHOLD), id="jumprelu"),
    pytest.param(made(Relu(), transcoder=True), id="transcoder"),
    pytest.param(made(Relu(), transcoder=True, skip=True), id="skip_transcoder"),
    pytest.param(made(THRESHOLD, transcoder=True), id="jumprelu_transcoder"),
    pytest.param(made(THRESHOLD, transcoder=True, skip=True), id="jumprelu_skip_transcoder"),
]


def check_same(read: Dictionary, written: Dictionary) -> None:
    """Sites, model and every output agree to the bit."""
    x = normal(40, 5, seed=50)
    assert (read.reads, read.writes, read.trained_on) == (written.reads, written.writes, written.trained_on)
    assert torch.equal(read.encode(x), written.encode(x))
    assert torch.equal(read.reconstruct(x), written.reconstruct(x))


@pytest.mark.parametrize("dictionary", KINDS)
def test_saelens_folders_are_read_back_as_written(tmp_path: Path, dictionary: Dictionary) -> None:
    """Every architecture that the trainer can come to, and those that others train."""
    save_saelens(dictionary, tmp_path, about={"context_size": 64})

    read = read_dictionary(tmp_path)

    check_same(read, dictionary)
    assert (read.format, read.facts["context_size"]) == ("saelens", 64)


@pytest.mark.parametrize("activation", [Relu(), THRESHOLD, TopK(3, rectified=False)], ids=["relu", "jumprelu", "topk"])
@pytest.mark.parametrize("skip", [False, True])
def test_transcoder_sets_are_read_back_as_written(tmp_path: Path, activation: Activation, skip: bool) -> None:
    """circuit-tracer's layout, layer by layer."""
    layers = tuple(made(activation, layer=layer, transcoder=True, skip=skip) for layer in range(3))

    save_transcoder_set(DictionarySet(layers, trained_on="someone/model"), tmp_path)

    read = read_dictionary_set(tmp_path)
    assert read.layers == (0, 1, 2)
    for layer in range(3):
        check_same(read.at(layer), layers[layer])


def test_half_precision_halves_the_matrices_alone(tmp_path: Path) -> None:
    """Biases and thresholds stay exact; matrices are rounded once."""
    dictionary = made(THRESHOLD)

    save_saelens(dictionary, tmp_path, dtype=torch.float16)

    read = read_dictionary(tmp_path)
    assert torch.equal(read.W_enc, dictionary.W_enc.half().float())
    assert torch.equal(read.b_enc, dictionary.b_enc)
    assert str(read.activation) == str(dictionary.activation)


@pytest.mark.parametrize("name", HOOKS)
def test_hooks_are_read_as_the_sites_they_were_written_for(name: str) -> None:
    """Writing and reading agree about every site."""
    site = next(Site(known, 7) for known in HOOKS if known == name)

    assert site_of_hook(f"blocks.7.{HOOKS[site.name]}") == site


@pytest.mark.parametrize(
    ("dictionary", "message"),
    [
        pytest.param(made(TopK(3), transcoder=True), "TopK transcoder", id="topk transcoder"),
        pytest.param(made(TopK(3, signed=True)), "not written in SAELens", id="signed topk"),
        pytest.param(replace(made(Relu()), W_skip=torch.eye(5)), "skip path", id="autoencoder with skip"),
        pytest.param(replace(made(Relu()), normalisation="layer_norm"), "normalises", id="normalised"),
        pytest.param(replace(made(Relu(), transcoder=True), subtracts_b_dec=True), "subtracts b_dec", id="shifted transcoder"),
    ],
)
def test_what_saelens_cannot_hold_is_refused(tmp_path: Path, dictionary: Dictionary, message: str) -> None:
    """One line, and no file is written that would mean something else."""
    with pytest.raises(ModelError, match=message):
        save_saelens(dictionary, tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        pytest.param((made(Relu(), layer=1, transcoder=True),), "from 0 on, found layers 1", id="layer missing"),
        pytest.param((made(TopK(3), transcoder=True),), "no such activation", id="rectified topk"),
        pytest.param((made(Relu()),), "subtracts b_dec", id="autoencoder"),
        pytest.param(
            (made(Relu(), transcoder=True), replace(made(Relu()), reads=Site("resid_mid", 1))), "one kind of site", id="sites of two kinds"
        ),
    ],
)
def test_what_circuit_tracer_cannot_hold_is_refused(tmp_path: Path, layers: tuple[Dictionary, ...], message: str) -> None:
    """One line, and no file is written."""
    with pytest.raises(ModelError, match=message):
        save_transcoder_set(DictionarySet(layers), tmp_path)

    assert list(tmp_path.iterdir()) == []
