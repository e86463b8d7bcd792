"""Editing the residual stream does to every architecture what the algebra says."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from safetycase.errors import ModelError
from safetycase.lab.hooks import (
    ablated,
    ablation,
    addition,
    edit_inputs,
    edit_outputs,
    record_inputs,
    record_outputs,
    skip,
    subspace_ablation,
)
from safetycase.lab.sites import Sites, find_sites
from tests.lab.tiny import ARCHITECTURES, D_MODEL, N_LAYERS, NORM_BEFORE_STREAM, random_model

pytestmark = pytest.mark.lab

every_architecture = pytest.mark.parametrize("architecture", [pytest.param(name, id=name) for name in ARCHITECTURES])
IDS = torch.tensor([[3, 14, 15, 9, 26, 5, 35, 8], [58, 9, 7, 93, 23, 84, 62, 6]])


@every_architecture
def test_ablation_at_the_writers_empties_every_residual_state(architecture: str) -> None:
    """No residual state keeps more than 1e-5 of its norm along the ablated direction."""
    model = random_model(architecture)
    sites = find_sites(model)
    r = unit_direction()

    with ablated(sites, r * 7.0), record_inputs([*modules_of(sites), sites.final_norm]) as states:
        model(IDS, use_cache=False)

    assert len(states) == N_LAYERS + 1
    for layer, state in enumerate(states):
        assert ((state @ r).abs() / state.norm(dim=-1)).max().item() <= 1e-5, layer


@pytest.mark.parametrize("architecture", [pytest.param(a, id=a) for a in ARCHITECTURES if a not in NORM_BEFORE_STREAM])
def test_ablation_equals_orthogonalised_writers(architecture: str) -> None:
    """Logits are those of the model whose embeddings, weights and biases that write to the stream are orthogonalised."""
    model = random_model(architecture)
    sites = find_sites(model)
    r = unit_direction()
    plain = model(IDS, use_cache=False).logits

    with ablated(sites, r):
        logits = model(IDS, use_cache=False).logits

    assert not sites.norm_before_stream
    assert_close(logits, orthogonalised(model, r)(IDS, use_cache=False).logits)
    assert (logits - plain).abs().max().item() > 1e-2, "the direction makes no difference: the test shows nothing"


@every_architecture
def test_ablation_equals_a_float64_reference(architecture: str) -> None:
    """Logits are those of a float64 copy in which each writer is wrapped in a module that multiplies by I - r r^T."""
    model = random_model(architecture)
    sites = find_sites(model)
    r = unit_direction()

    with ablated(sites, r):
        logits = model(IDS, use_cache=False).logits

    projector = torch.eye(D_MODEL).double() - torch.outer(r.double(), r.double())
    reference = with_wrapped(doubled(model), find_sites(model).writers, lambda x: x @ projector)
    assert_close(logits, reference(IDS, use_cache=False).logits)
    assert sites.norm_before_stream == (architecture in NORM_BEFORE_STREAM)


@every_architecture
@pytest.mark.parametrize("layer", range(N_LAYERS))
def test_addition_equals_a_float64_reference(architecture: str, layer: int) -> None:
    """Adding a vector at a block's input is adding it to what is written last before that block."""
    model = random_model(architecture)
    sites = find_sites(model)
    vector = unit_direction(seed=5) * 1.5

    with edit_inputs({sites.blocks[layer].module: addition(vector)}):
        logits = model(IDS, use_cache=False).logits

    in_double = find_sites(doubled(model))
    last_writer = in_double.blocks[layer - 1].writers[-1] if layer else in_double.embeddings[-1]
    scale = stream_scale(model, in_double) if not layer else 1.0
    reference = with_wrapped(model, [last_writer], lambda x: x + vector.double() / scale)
    assert_close(logits, reference(IDS, use_cache=False).logits)


@every_architecture
def test_one_direction_per_row_edits_each_row_with_its_own(architecture: str) -> None:
    """A batch of two candidates gives what two passes with one candidate each give."""
    model = random_model(architecture)
    sites = find_sites(model)
    directions = torch.stack([unit_direction(seed=1), unit_direction(seed=2)])

    with ablated(sites, directions), edit_inputs({sites.blocks[1].module: addition(directions)}):
        together = model(IDS, use_cache=False).logits

    for row, direction in enumerate(directions):
        with ablated(sites, direction), edit_inputs({sites.blocks[1].module: addition(direction)}):
            alone = model(IDS[row : row + 1], use_cache=False).logits
        assert_close(together[row : row + 1], alone)


@every_architecture
@pytest.mark.parametrize("layer", range(N_LAYERS))
def test_a_pass_resumes_at_a_layer_from_its_cached_residual_stream(architecture: str, layer: int) -> None:
    """Skipping the blocks below and feeding the cached stream gives the logits of the full pass, bit for bit."""
    model = random_model(architecture)
    sites = find_sites(model)
    blocks = modules_of(sites)
    with record_inputs([blocks[layer]]) as cached:
        full = model(IDS, use_cache=False).logits

    with (
        record_outputs([block.attention for block in sites.blocks]) as ran,
        skip(blocks[:layer]),
        edit_inputs({blocks[layer]: lambda x: cached[0]}),
    ):
        resumed = model(torch.zeros_like(IDS), use_cache=False).logits

    assert torch.equal(full, resumed)
    assert len(ran) == N_LAYERS - layer, "a skipped block still computes"
    assert torch.equal(full, model(IDS, use_cache=False).logits), "a block stays skipped after the context"


def test_subspace_ablation_removes_every_direction_of_the_basis() -> None:
    """All k projections vanish; with k = 0 nothing changes; a basis that is not orthonormal is a breach of contract."""
    basis = torch.linalg.qr(torch.randn(D_MODEL, 4, generator=torch.Generator().manual_seed(0)))[0].mT
    x = torch.randn(2, 3, D_MODEL, generator=torch.Generator().manual_seed(1))

    edited = subspace_ablation(basis)(x)

    assert (edited @ basis.mT).abs().max().item() < 1e-5
    assert torch.equal(subspace_ablation(basis[:0])(x), x)
    torch.testing.assert_close(subspace_ablation(basis[:1])(x), ablation(basis[0])(x))
    with pytest.raises(AssertionError, match="not orthonormal"):
        subspace_ablation(basis * 2)


def test_half_precision_is_accumulated_in_float32() -> None:
    """An edit of a bfloat16 stream is the float32 edit, rounded once."""
    x = torch.randn(2, 3, 512, generator=torch.Generator().manual_seed(0)).bfloat16()
    r = torch.randn(512, generator=torch.Generator().manual_seed(1))

    assert torch.equal(ablation(r)(x), ablation(r)(x.float()).bfloat16())
    assert torch.equal(addition(r)(x), addition(r)(x.float()).bfloat16())
    assert ablation(r)(x).dtype is torch.bfloat16


def test_a_zero_direction_changes_nothing() -> None:
    """At layer 0 the template's tokens give a zero mean difference: its ablation is the baseline, not NaN."""
    x = torch.randn(1, 2, D_MODEL, generator=torch.Generator().manual_seed(0))

    assert torch.equal(ablation(torch.zeros(D_MODEL))(x), x)
    assert torch.equal(ablation(torch.zeros(1, D_MODEL))(x), x)


def test_edits_leave_the_callers_tensors_alone() -> None:
    """Edits return new tensors: neither the stream nor the direction is written to."""
    x, r = torch.randn(2, 3, D_MODEL), torch.randn(D_MODEL)
    before = x.clone(), r.clone()

    for edit in (ablation(r), addition(r), subspace_ablation((r / r.norm()).unsqueeze(0)), ablation(torch.stack([r, r]))):
        assert edit(x) is not x

    assert torch.equal(before[0], x)
    assert torch.equal(before[1], r)


def test_hooks_are_removed_after_an_error() -> None:
    """An error inside the contexts leaves a model without hooks, that computes what it computed before."""
    model = random_model("llama")
    sites = find_sites(model)
    plain = model(IDS, use_cache=False).logits

    def explode(x: Tensor) -> Tensor:
        raise RuntimeError("boom")

    with (
        pytest.raises(RuntimeError, match="boom"),
        ablated(sites, unit_direction()),
        record_inputs(modules_of(sites)),
        record_outputs(modules_of(sites)),
        skip(modules_of(sites)[:1]),
        edit_inputs({sites.blocks[1].module: addition(unit_direction())}),
        edit_outputs({sites.final_norm: explode}),
    ):
        model(IDS, use_cache=False)

    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert "forward" not in vars(module)
    assert torch.equal(plain, model(IDS, use_cache=False).logits)


def test_tuples_and_keywords_are_edited_in_their_first_place() -> None:
    """A module may return (stream, rest) and may be called with hidden_states by keyword; the rest stays as it is."""

    class Tupled(nn.Module):
        def forward(self, hidden_states: Tensor) -> tuple[Tensor, str]:
            return hidden_states * 2, "rest"

    module, x = Tupled(), torch.ones(1, 1, 2)

    with edit_inputs({module: lambda t: t + 1}), edit_outputs({module: lambda t: -t}), record_outputs([module]) as out:
        by_keyword = module(hidden_states=x)
        by_position = module(x)

    assert by_keyword[1] == by_position[1] == "rest"
    assert by_keyword[0].tolist() == by_position[0].tolist() == [[[-4.0, -4.0]]]
    assert [recorded.tolist() for recorded in out] == [[[[-4.0, -4.0]]]] * 2


def test_a_module_without_a_tensor_is_a_model_error() -> None:
    """What returns or takes no tensor cannot be edited, and says which module it is."""

    class Odd(nn.Module):
        def forward(self, text: str) -> dict[str, str]:
            return {"text": text}

    odd = Odd()
    with edit_outputs({odd: lambda t: t}), pytest.raises(ModelError, match="Odd returned dict"):
        odd("x")
    with edit_inputs({odd: lambda t: t}), pytest.raises(ModelError, match="Odd was called without a tensor"):
        odd("x")


def test_recordings_are_detached_and_reduced_by_keep() -> None:
    """What is kept holds no graph, and `keep` runs before anything is stored."""
    model = random_model("qwen2").requires_grad_(True)
    sites = find_sites(model)

    with record_inputs(modules_of(sites), keep=lambda x: x[:, -1]) as last:
        model(IDS, use_cache=False)

    assert [tuple(state.shape) for state in last] == [(2, D_MODEL)] * N_LAYERS
    assert not any(state.requires_grad for state in last)


def modules_of(sites: Sites) -> list[nn.Module]:
    return [block.module for block in sites.blocks]


def unit_direction(seed: int = 3) -> Tensor:
    direction = torch.randn(D_MODEL, generator=torch.Generator().manual_seed(seed))
    unit: Tensor = direction / direction.norm()
    return unit


def assert_close(logits: Tensor, expected: Tensor) -> None:
    """Equal to 1e-4 in float32, relative to the largest logit where that is above one."""
    scale = max(1.0, expected.abs().max().item())
    assert (logits.double() - expected.double()).abs().max().item() <= 1e-4 * scale


OUTPUT_PROJECTIONS = frozenset({"o_proj", "dense", "c_proj", "down_proj", "dense_4h_to_h", "w2"})


def orthogonalised(model: Any, r: Tensor) -> Any:
    """A copy with untied embeddings in which everything that writes to the stream is made orthogonal to r."""
    edited = copy.deepcopy(model)
    head = edited.get_output_embeddings()
    head.weight = nn.Parameter(head.weight.clone(), requires_grad=False)
    sites = find_sites(edited)
    for embedding in sites.embeddings:
        into_rows(embedding.get_parameter("weight"), r)
    n_edited = 0
    for block in sites.blocks:
        for name, parameter in (*block.attention.named_parameters(), *block.mlp.named_parameters()):
            if not OUTPUT_PROJECTIONS & set(name.split(".")):
                continue
            n_edited += 1
            transposed = parameter.ndim == 2 and type(sub_module(block.module, parameter)).__name__ == "Conv1D"
            if parameter.ndim == 1 or transposed:
                into_rows(parameter, r)  # a bias [d_model] or a transposed matrix [d_in, d_model]
            else:
                into_rows(parameter.mT, r)  # [d_model, d_in], or packed experts [n, d_model, d_in]
    assert n_edited >= 2 * N_LAYERS
    return edited


def into_rows(matrix: Tensor, r: Tensor) -> None:
    """In place: every row loses its part along r."""
    matrix -= (matrix @ r).unsqueeze(-1) * r


def sub_module(root: nn.Module, parameter: Tensor) -> nn.Module:
    return next(m for m in root.modules() if any(p is parameter for p in m.parameters(recurse=False)))


class Wrapped(nn.Module):
    """A module whose (first) output passes through a function."""

    def __init__(self, inner: nn.Module, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.function = inner, function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = self.inner(*args, **kwargs)
        return (self.function(output[0]), *output[1:]) if isinstance(output, tuple) else self.function(output)

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name) if name in ("inner", "function") else getattr(self.inner, name)


def with_wrapped(model: Any, modules: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """The model, with these modules replaced in the tree by wrapped ones: an edit that uses no hook."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if any(child is module for module in modules):
                setattr(parent, name, Wrapped(child, function))
    return model


def doubled(model: Any) -> Any:
    """The model in float64; the grouped matrix products of transformers 5's experts know no float64."""
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")
    return model.double()


def stream_scale(model: Any, sites: Sites) -> float:
    """What the model multiplies its embeddings by on their way into the stream (Gemma under transformers 4)."""
    with record_outputs(sites.embeddings[:1]) as written, record_inputs([sites.blocks[0].module]) as stream:
        model(IDS, use_cache=False)
    return 1.0 if len(sites.embeddings) > 1 else (stream[0] / written[0]).median().item()
