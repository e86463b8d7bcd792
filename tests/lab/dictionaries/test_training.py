"""The trainer of dictionaries: its gradient is the loss's, it recovers what was planted, resumes to the bit, and its scaling folds away."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from safetycase.errors import ModelError
from safetycase.lab.dictionaries import gradients
from safetycase.lab.dictionaries.activations_stream import tensor_batches
from safetycase.lab.dictionaries.dictionary import JumpRelu, TopK
from safetycase.lab.dictionaries.gradients import Sparsity, Weights, firing, gradient
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.dictionaries.training import Batch, Batches, Training, TrainingRecipe

pytestmark = pytest.mark.lab

STREAM = Site("resid_post", 1)
MLP_IN, MLP_OUT = Site("mlp_in", 1), Site("mlp_out", 1)
RECIPE = TrainingRecipe(
    n_features=24, k=3, steps=30, learning_rate=3e-3, warmup_steps=5, dead_after_tokens=300, threshold_from_step=5, threshold_decay=0.9
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The tensors are so small that a second thread only waits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers of a seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def trained(recipe: TrainingRecipe, x: Tensor, y: Tensor | None = None, checkpoint: Path | None = None) -> Training:
    """A finished training on tensors in memory."""
    reads, writes = (STREAM, STREAM) if y is None else (MLP_IN, MLP_OUT)
    training = Training(recipe, tensor_batches(x, y, batch_size=64), reads=reads, writes=writes, checkpoint=checkpoint)
    for _ in training.run():
        pass
    return training


def some_weights(d_in: int, d_out: int, *, skip: bool) -> Weights:
    """Random weights in double precision that ask for gradients."""
    shapes = {"W_enc": (20, d_in), "b_enc": (20,), "W_dec": (20, d_out), "b_dec": (d_out,), "W_skip": (d_out, d_in)}
    tensors = {name: normal(*shape, seed=seed).double().requires_grad_() for seed, (name, shape) in enumerate(shapes.items())}
    return Weights(tensors["W_enc"], tensors["b_enc"], tensors["W_dec"], tensors["b_dec"], tensors["W_skip"] if skip else None)


def differentiable_loss(weights: Weights, x: Tensor, y: Tensor, dead: Tensor, sparsity: Sparsity, aux_weight: float) -> Tensor:
    """The loss as the papers write it, left to autograd."""
    pre = x @ weights.W_enc.mT + weights.b_enc
    fired = firing(pre, 3, sparsity)
    activations = torch.zeros_like(pre).index_put((fired.rows, fired.features), fired.values)
    out = activations @ weights.W_dec + weights.b_dec
    if weights.W_skip is not None:
        out = out + x @ weights.W_skip.mT
    residual = (y - out).detach()
    top = pre[:, dead].topk(min(y.shape[1] // 2, int(dead.sum())))
    aux = torch.zeros_like(pre[:, dead]).scatter(1, top.indices, top.values.relu()) @ weights.W_dec[dead]
    unexplained = (aux - residual).square().sum() / (residual - residual.mean(0)).square().sum()
    return (out - y).square().sum() / len(x) + aux_weight * unexplained


@pytest.mark.parametrize("sparse_pays", [pytest.param(1, id="sparse"), pytest.param(10**9, id="dense")])
@pytest.mark.parametrize("sparsity", ["topk", "batchtopk"])
@pytest.mark.parametrize("skip", [False, True])
def test_the_gradient_is_that_of_the_loss(monkeypatch: pytest.MonkeyPatch, sparse_pays: int, sparsity: Sparsity, skip: bool) -> None:
    """Both ways of computing it agree with autograd on reconstruction and AuxK, skip path included."""
    monkeypatch.setattr(gradients, "SPARSE_PAYS", sparse_pays)
    weights, x, y = some_weights(7, 6, skip=skip), normal(11, 7, seed=8).double(), normal(11, 6, seed=9).double()
    dead = torch.arange(20) % 4 == 0

    torch.autograd.backward([differentiable_loss(weights, x, y, dead, sparsity, 0.5)])
    with torch.no_grad():
        found = gradient(weights, x, y, k=3, sparsity=sparsity, dead=dead, aux_weight=0.5)

    assert found.by_name.keys() == weights.named().keys()
    for name, tensor in weights.named().items():
        assert tensor.grad is not None
        torch.testing.assert_close(found.by_name[name], tensor.grad, msg=name)


@pytest.mark.parametrize("shift", [-9.0, -2.0, 0.0, 3.0])
@pytest.mark.parametrize("skewed", [False, True])
def test_batchtopk_keeps_the_largest_of_the_whole_batch(shift: float, skewed: bool) -> None:
    """Exactly those, whatever bound the sampled rows suggest, and of few positive ones no other."""
    pre = normal(160, 40) + shift
    if skewed:
        pre[::5] += 4  # the rows that are sampled

    fired = firing(pre, 3, "batchtopk")

    expected = pre.flatten().topk(480).values.relu()
    assert torch.equal(fired.values.sort().values, expected[expected > 0].sort().values)
    assert torch.equal(pre[fired.rows, fired.features], fired.values)


@pytest.mark.parametrize("sparsity", ["topk", "batchtopk"])
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path, sparsity: Sparsity) -> None:
    """Training in one go and training that is stopped and resumed from its file end in the same bits."""
    recipe, x = replace(RECIPE, sparsity=sparsity), normal(500, 8)
    whole = trained(recipe, x)
    file = tmp_path / "checkpoint.safetensors"
    killed = Training(recipe, tensor_batches(x, batch_size=64), reads=STREAM, checkpoint=file)
    list(islice(killed.run(every=7), 2))

    resumed = Training(recipe, tensor_batches(x, batch_size=64), reads=STREAM, checkpoint=file)
    assert resumed.step == 14
    last = list(resumed.run(every=7))[-1]

    assert last.step == recipe.steps
    for name in ("W_enc", "b_enc", "W_dec", "b_dec"):
        assert torch.equal(getattr(resumed.dictionary(), name), getattr(whole.dictionary(), name)), name
    assert str(resumed.dictionary().activation) == str(whole.dictionary().activation)


def test_a_checkpoint_is_no_pickle_and_belongs_to_its_recipe(tmp_path: Path) -> None:
    """Moments of the optimiser lie in safetensors too; another recipe is refused in one line that says what differs."""
    file = tmp_path / "checkpoint.safetensors"
    trained(RECIPE, normal(200, 8), checkpoint=file)

    with safe_open(file, framework="pt") as stored:
        assert {"adam.W_enc.exp_avg", "adam.W_dec.exp_avg_sq", "unfired"} <= set(stored.keys())
    with pytest.raises(ModelError, match="another training: k is 3, expected 4"):
        Training(replace(RECIPE, k=4), tensor_batches(normal(200, 8), batch_size=64), reads=STREAM, checkpoint=file)


@pytest.mark.parametrize(
    "batches",
    [
        pytest.param(tensor_batches(normal(200, 8, seed=5), batch_size=64), id="other activations"),
        pytest.param(tensor_batches(normal(200, 8), batch_size=64, seed=1), id="the same in another order"),
        pytest.param(tensor_batches(normal(200, 9), batch_size=64), id="another width"),
    ],
)
def test_a_checkpoint_belongs_to_its_activations(tmp_path: Path, batches: Batches) -> None:
    """Another model, corpus or seed does not resume unsaid; the same activations on other hardware do."""
    file = tmp_path / "checkpoint.safetensors"
    trained(RECIPE, normal(200, 8), checkpoint=file)

    with pytest.raises(ModelError, match="on other activations"):
        Training(RECIPE, batches, reads=STREAM, checkpoint=file)
    nearly = normal(200, 8) * (1 + 1e-5)
    assert Training(RECIPE, tensor_batches(nearly, batch_size=64), reads=STREAM, checkpoint=file).step == RECIPE.steps


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_training_resumes_on_the_device_of_its_activations(tmp_path: Path) -> None:
    """A checkpoint lies in CPU memory; what is restored of it is where the next batch is."""
    file = tmp_path / "checkpoint.safetensors"
    x = normal(200, 8).cuda()
    next(Training(RECIPE, tensor_batches(x, batch_size=64), reads=STREAM, checkpoint=file).run(every=10))

    resumed = Training(RECIPE, tensor_batches(x, batch_size=64), reads=STREAM, checkpoint=file)
    list(resumed.run())

    assert resumed.step == RECIPE.steps
    assert resumed.dictionary().W_enc.device.type == "cuda"


def test_damaged_checkpoints_are_one_line(tmp_path: Path) -> None:
    """A cut file, another safetensors file: both are named."""
    cut, other = tmp_path / "cut", tmp_path / "other"
    cut.write_bytes(b"\x10\0\0\0\0\0\0\0{")
    save_file({"x": torch.zeros(1)}, other)

    for file in (cut, other):
        with pytest.raises(ModelError, match="cannot be read as a checkpoint"):
            Training(RECIPE, tensor_batches(normal(200, 8), batch_size=64), reads=STREAM, checkpoint=file)


def test_training_repeats_and_leaves_the_global_state_alone() -> None:
    """The same recipe and activations give the same bytes; the caller's random numbers are as before."""
    state = torch.get_rng_state()

    one, other = (trained(RECIPE, normal(500, 8)).dictionary() for _ in range(2))

    assert torch.equal(one.W_enc, other.W_enc)
    assert torch.equal(one.W_dec, other.W_dec)
    assert torch.equal(torch.get_rng_state(), state)


def test_scale_and_offset_of_activations_fold_away() -> None:
    """Shifted and stretched activations give the same dictionary up to that shift and stretch."""
    x = normal(500, 8)
    plain, moved = trained(RECIPE, x).dictionary(), trained(RECIPE, 32 * x + 4).dictionary()

    torch.testing.assert_close((moved.reconstruct(32 * x + 4) - 4) / 32, plain.reconstruct(x), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(plain.W_dec.norm(dim=-1), torch.ones(24, 1))


def test_an_autoencoder_learns_what_was_planted() -> None:
    """Few non-negative features in orthogonal directions: every one is found."""
    source = torch.Generator().manual_seed(1)
    planted = torch.linalg.qr(torch.randn(12, 12, generator=source))[0]
    strengths = (torch.rand(4000, 12, generator=source) < 0.15) * (0.5 + torch.rand(4000, 12, generator=source))

    found = trained(replace(RECIPE, k=2, steps=800, sparsity="batchtopk", dead_after_tokens=10_000), strengths @ planted + 1).dictionary()

    cosines = planted @ found.W_dec[:, 0].mT
    assert cosines.amax(dim=1).min() > 0.95


def test_batchtopk_becomes_a_threshold_that_fires_as_often() -> None:
    """A JumpReLU dictionary needs no batch: at the running threshold about k latents fire on a token."""
    x = normal(4000, 16)
    dictionary = trained(replace(RECIPE, steps=300, sparsity="batchtopk"), x).dictionary()

    assert isinstance(dictionary.activation, JumpRelu)
    assert (dictionary.encode(x) > 0).float().sum(-1).mean() == pytest.approx(RECIPE.k, rel=0.15)


def test_a_skip_transcoder_finds_a_linear_map() -> None:
    """Where output is linear in input plus an offset, the skip path carries it."""
    x = normal(2000, 8)
    y = x @ normal(8, 6, seed=1) + 2
    plain, skip = (trained(replace(RECIPE, steps=600, learning_rate=1e-2, skip=skip), x, y).dictionary() for skip in (False, True))

    def unexplained(reconstruction: Tensor) -> float:
        return float((reconstruction - y).square().sum() / (y - y.mean(0)).square().sum())

    assert unexplained(skip.reconstruct(x)) < 0.01 < unexplained(plain.reconstruct(x))
    assert (skip.reads, skip.writes, skip.subtracts_b_dec) == (MLP_IN, (MLP_OUT,), False)
    assert isinstance(skip.activation, TopK)


def test_latents_too_weak_to_fire_come_back_by_auxk() -> None:
    """Latents that never are among the k strongest pass no gradient of their own; AuxK trains them until they are."""
    x = normal(2000, 16)

    def dead(aux_weight: float) -> int:
        recipe = replace(RECIPE, steps=400, aux_weight=aux_weight)
        training = Training(recipe, tensor_batches(x, batch_size=64), reads=STREAM)
        training._state.weights.W_enc[:12] *= 0.02
        return list(training.run())[-1].dead

    assert dead(1 / 32) == 0
    assert dead(0.0) >= 6


def test_gradients_are_clipped_and_leave_the_decoder_rows_length_alone() -> None:
    """What the optimiser is given has norm 1 at most, and nothing of it points along a decoder row."""
    training = Training(replace(RECIPE, learning_rate=0.0, steps=1, k=12), tensor_batches(normal(500, 8) ** 3, batch_size=64), reads=STREAM)
    list(training.run())
    weights = training._state.weights.named()
    gradients_given = {name: tensor.grad for name, tensor in weights.items() if tensor.grad is not None}

    norm = sum(float(each.square().sum()) for each in gradients_given.values()) ** 0.5

    assert norm == pytest.approx(1, abs=1e-5)
    along = (gradients_given["W_dec"] * weights["W_dec"]).sum(-1)
    torch.testing.assert_close(along, torch.zeros(24), rtol=0, atol=1e-6)


def test_progress_says_what_the_steps_were() -> None:
    """Steps and tokens add up, L0 is at most k, and explained variance is one minus the unexplained share."""
    x = normal(500, 8)

    told = list(Training(RECIPE, tensor_batches(x, batch_size=64), reads=STREAM).run(every=10))

    assert [(p.step, p.tokens) for p in told] == [(10, 640), (20, 1280), (30, 1920)]
    assert all(0 < p.l0 <= RECIPE.k for p in told)
    assert told[-1].explained_variance == pytest.approx(1 - told[-1].loss, abs=0.05)
    assert told[-1].loss < told[0].loss


def test_learning_rate_rises_stands_and_falls() -> None:
    """Linear warm-up, a plateau at 2e-4 / sqrt(M / 2^14), linear decay to almost nothing."""
    recipe = TrainingRecipe(n_features=4096, k=8, steps=1000, warmup_steps=100)

    rates = [recipe.learning_rate_at(step) for step in (0, 99, 500, 799, 900, 999)]

    assert rates == pytest.approx([4e-6, 4e-4, 4e-4, 4e-4, 2e-4, 2e-6])


@pytest.mark.parametrize(("bad", "message"), [(0, "first activations hold NaN"), (2, "not a finite number")])
def test_nan_among_activations_is_one_line(bad: int, message: str) -> None:
    """Wherever it comes, NaN stops the training before it spoils a checkpoint."""

    def batches(start: int) -> Iterator[Batch]:
        for number in range(start, 100):
            x = normal(64, 8, seed=number)
            if number >= bad:
                x[3, 3] = torch.nan
            yield x, x

    with pytest.raises(ModelError, match=message):
        list(Training(RECIPE, batches, reads=STREAM).run())


def test_activations_that_end_too_soon_are_one_line() -> None:
    """A stream that is shorter than the recipe says how far it reached."""

    def batches(start: int) -> Iterator[Batch]:
        for number in range(start, 4):
            x = normal(64, 8, seed=number)
            yield x, x

    with pytest.raises(ModelError, match="end after 4 batches, expected 30"):
        list(Training(RECIPE, batches, reads=STREAM).run())
