"""The in-memory dictionary: activations as defined, part of the features as the whole, normalisation undone exactly."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from safetycase.errors import ModelError
from safetycase.lab.dictionaries.dictionary import Activation, Dictionary, DictionarySet, Gated, JumpRelu, Normalisation, Relu, TopK
from safetycase.lab.dictionaries.site import Site

pytestmark = pytest.mark.lab

ACTIVATIONS: dict[str, Activation] = {
    "relu": Relu(),
    "jumprelu": JumpRelu(torch.linspace(-0.2, 0.5, 12)),
    "topk": TopK(3),
    "topk-unrectified": TopK(3, rectified=False),
    "topk-signed": TopK(3, signed=True),
    "gated": Gated(torch.linspace(-0.3, 0.3, 12), torch.linspace(0.5, 2, 12), torch.linspace(-0.1, 0.1, 12)),
}
NORMALISATIONS: tuple[Normalisation, ...] = ("none", "constant_norm_rescale", "layer_norm")


def a_dictionary(activation: Activation | None = None, normalisation: Normalisation = "none", d_out: int = 6) -> Dictionary:
    """Of random weights, 12 features on 6 dimensions; an autoencoder where the output is as wide as the input."""
    generator = torch.Generator().manual_seed(3)
    reads = Site("resid_post", 1)
    return Dictionary(
        W_enc=torch.randn(12, 6, generator=generator),
        b_enc=torch.randn(12, generator=generator) * (0 if isinstance(activation, Gated) else 0.1),
        W_dec=torch.randn(12, 1, d_out, generator=generator),
        b_dec=torch.randn(d_out, generator=generator),
        activation=activation or Relu(),
        reads=reads,
        writes=(reads if d_out == 6 else Site("mlp_out", 1),),
        subtracts_b_dec=d_out == 6,
        normalisation=normalisation,
    )


def inputs(*shape: int) -> Tensor:
    """Random residual vectors."""
    return torch.randn(*shape, 6, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (Relu(), [0, 0, 0.5, 1, 2]),
        (JumpRelu(torch.tensor([-3.0, 0, 0.5, 0.9, 3])), [-2, 0, 0, 1, 0]),
        (TopK(2), [0, 0, 0, 1, 2]),
        (TopK(4), [0, 0, 0.5, 1, 2]),
        (TopK(4, rectified=False), [0, -1, 0.5, 1, 2]),
        (TopK(2, signed=True), [-2, 0, 0, 0, 2]),
    ],
    ids=repr,
)
def test_each_activation_is_what_it_says(activation: Activation, expected: list[float]) -> None:
    """On −2, −1, 0.5, 1, 2: a jump is strict, a top-k rectifies or does not."""
    assert activation(torch.tensor([-2.0, -1, 0.5, 1, 2])).tolist() == expected


def test_a_gate_decides_and_its_magnitude_follows() -> None:
    """1[pre + gate > 0] · relu(pre · scale + bias): an open gate with a negative magnitude is 0, a closed one is 0."""
    gated = Gated(torch.tensor([0.0, 1, 1]), torch.tensor([2.0, 2, 2]), torch.tensor([1.0, 1, -9]))

    assert gated(torch.tensor([-0.1, 0.5, 0.5])).tolist() == [0, 2, 0]


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_chosen_features_are_encoded_as_among_all(activation: Activation, normalisation: Normalisation) -> None:
    """A subset is computed alone where it can be, and never differs."""
    dictionary, chosen = a_dictionary(activation, normalisation), torch.tensor([7, 0, 11])

    whole = dictionary.encode(inputs(4, 5))

    torch.testing.assert_close(dictionary.encode(inputs(4, 5), chosen), whole[..., chosen])


@given(seed=st.integers(0, 1000))
def test_what_is_encoded_does_not_depend_on_the_batch(seed: int) -> None:
    """A token alone is encoded and reconstructed as among others."""
    dictionary = a_dictionary(TopK(3), "layer_norm")
    x = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(seed))

    torch.testing.assert_close(dictionary.encode(x)[1, 2], dictionary.encode(x[1, 2]))
    torch.testing.assert_close(dictionary.reconstruct(x)[1, 2], dictionary.reconstruct(x[1, 2]))


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_what_one_feature_writes_is_its_direction_times_the_scale(normalisation: Normalisation) -> None:
    """The difference that clamping a feature makes to the output: a · write_scale · direction, at every token."""
    dictionary, x = a_dictionary(Relu(), normalisation), inputs(9)
    acts = dictionary.encode(x)
    without = acts.clone()
    without[:, 4] = 0

    written = dictionary.decode(acts, x) - dictionary.decode(without, x)

    torch.testing.assert_close(written, acts[:, 4:5] * dictionary.write_scale(x) * dictionary.directions(torch.tensor([4])))


@pytest.mark.parametrize("normalisation", ["constant_norm_rescale", "layer_norm"])
def test_a_normalised_autoencoder_follows_the_scale_of_its_input(normalisation: Normalisation) -> None:
    """Twice the input is encoded alike and reconstructed twice as large."""
    dictionary, x = a_dictionary(Relu(), normalisation), inputs(9) * 100

    torch.testing.assert_close(dictionary.encode(2 * x), dictionary.encode(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(dictionary.reconstruct(2 * x), 2 * dictionary.reconstruct(x), rtol=1e-4, atol=1e-2)


def test_a_transcoder_does_not_undo_the_normalisation_of_its_input() -> None:
    """Its output is another place: W_dec a + b_dec, as SAELens has it; the skip path sees the raw input."""
    skip = torch.randn(4, 6, generator=torch.Generator().manual_seed(8))
    dictionary = replace(a_dictionary(Relu(), "layer_norm", d_out=4), restores=False, W_skip=skip)
    x = inputs(9)
    acts = dictionary.encode(x)

    torch.testing.assert_close(dictionary.decode(acts, x), acts @ dictionary.W_dec[:, 0] + dictionary.b_dec + x @ skip.T)
    assert dictionary.write_scale(x).eq(1).all()
    assert not dictionary.is_autoencoder


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_another_precision_reaches_every_tensor(activation: Activation) -> None:
    """None is left behind in the old one."""
    full = replace(a_dictionary(activation), W_skip=torch.zeros(6, 6), log_firing_rates=torch.zeros(12))

    moved = full.to("cpu", torch.float64)

    own = [value for value in (*vars(moved).values(), *vars(moved.activation).values()) if isinstance(value, Tensor)]
    assert {tensor.dtype for tensor in own} == {torch.float64}
    torch.testing.assert_close(moved.reconstruct(inputs(5).double()).float(), full.reconstruct(inputs(5)))


def test_a_set_is_asked_by_layer() -> None:
    """A layer that nothing reads is an error that names those that are read."""
    dictionaries = DictionarySet((a_dictionary(), replace(a_dictionary(), reads=Site("resid_post", 4))))

    assert dictionaries.at(4) is dictionaries.dictionaries[1]
    assert dictionaries.layers == (1, 4)
    with pytest.raises(ModelError, match="layer 2: no dictionary reads it, expected one of 1, 4"):
        dictionaries.at(2)
