"""The only torch hooks of the package: record and edit the residual stream, as context managers that always clean up."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn

from safetycase.errors import ModelError

Edit = Callable[[Float[Tensor, "batch pos d_model"]], Float[Tensor, "batch pos d_model"]]
"""Maps a piece of the residual stream to a new tensor; never changes the one it is given."""

# How a block hands on its stream (`(stream, ...)` or the bare tensor) differs between architectures and between
# releases of transformers, and only a call shows it. Every hook that sees an output notes it here, for `skip`.
_RETURNS_TUPLE: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


@runtime_checkable
class ResidualStream(Protocol):
    """Whatever knows the modules that write to a residual stream: `safetycase.lab.sites.Sites`."""

    @property
    def writers(self) -> tuple[nn.Module, ...]: ...


def identity(x: Tensor) -> Tensor:
    """The tensor itself: keep all that was recorded."""
    return x


@contextmanager
def edit_outputs(edits: Mapping[nn.Module, Edit]) -> Iterator[None]:
    """While open, each module's output is replaced by its edit.

    Works on modules that return a tensor and on those that return a tuple whose first element is the tensor.
    """

    def hook_for(edit: Edit) -> Callable[[nn.Module, tuple[Any, ...], Any], Any]:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
            edited = edit(_first_tensor(module, output))
            return (edited, *output[1:]) if isinstance(output, tuple) else edited

        return hook

    with ExitStack() as stack:
        for module, edit in edits.items():
            stack.callback(module.register_forward_hook(hook_for(edit)).remove)
        yield


@contextmanager
def edit_inputs(edits: Mapping[nn.Module, Edit]) -> Iterator[None]:
    """While open, each module's input (its first positional argument or `hidden_states`) is replaced by its edit."""

    def hook_for(edit: Edit) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], Any]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            edited = edit(_input_tensor(module, args, kwargs))
            return ((edited, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": edited})

        return hook

    with ExitStack() as stack:
        for module, edit in edits.items():
            stack.callback(module.register_forward_pre_hook(hook_for(edit), with_kwargs=True).remove)
        yield


@contextmanager
def record_inputs(modules: Sequence[nn.Module], keep: Callable[[Tensor], Tensor] = identity) -> Iterator[list[Tensor]]:
    """Yields a list that grows by `keep(input)`, detached, whenever one of the modules is called.

    The order is that of the calls: for the blocks of a model and one forward pass, that of the layers.
    """
    recorded: list[Tensor] = []

    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        recorded.append(keep(_input_tensor(module, args, kwargs).detach()))

    with ExitStack() as stack:
        for module in modules:
            stack.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)
        yield recorded


@contextmanager
def record_outputs(modules: Sequence[nn.Module], keep: Callable[[Tensor], Tensor] = identity) -> Iterator[list[Tensor]]:
    """Yields a list that grows by `keep(output)`, detached, whenever one of the modules is called, in that order."""
    recorded: list[Tensor] = []

    def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        recorded.append(keep(_first_tensor(module, output).detach()))

    with ExitStack() as stack:
        for module in modules:
            stack.callback(module.register_forward_hook(hook).remove)
        yield recorded


@contextmanager
def record_calls(model: nn.Module) -> Iterator[dict[nn.Module, list[Tensor]]]:
    """Yields, for every module that returned a tensor (alone or first in a tuple), the tensors of all its calls.

    The order of the modules is that in which they finished first. Meant for short probes: everything is kept.
    """
    calls: dict[nn.Module, list[Tensor]] = {}

    def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        first = output[0] if isinstance(output, tuple) and output else output
        if isinstance(first, Tensor):
            _RETURNS_TUPLE[module] = isinstance(output, tuple)
            calls.setdefault(module, []).append(first.detach())

    with ExitStack() as stack:
        for module in model.modules():
            stack.callback(module.register_forward_hook(hook).remove)
        yield calls


@contextmanager
def skip(modules: Sequence[nn.Module]) -> Iterator[None]:
    """While open, these blocks hand their residual stream on unchanged and cost nothing.

    With `edit_inputs` on the first block that still runs, a forward pass resumes at that layer from a cached residual
    stream. The blocks must have run under a hook before (`find_sites` sees to it); no key-value cache may be in use,
    since a skipped block would leave its part of the cache empty.
    """

    def passthrough_of(module: nn.Module) -> Callable[..., Any]:
        assert module in _RETURNS_TUPLE, f"{type(module).__name__} was never seen to run: find_sites comes first"
        as_tuple = _RETURNS_TUPLE[module]

        def passthrough(*args: Any, **kwargs: Any) -> Any:
            stream = _input_tensor(module, args, kwargs)
            return (stream,) if as_tuple else stream

        return passthrough

    with ExitStack() as stack:
        for module in modules:
            own = module.__dict__.get("forward")
            stack.callback(_restore_forward, module, own)
            module.__dict__["forward"] = passthrough_of(module)
        yield


@contextmanager
def ablated(stream: ResidualStream, direction: Float[Tensor, "*rows d_model"]) -> Iterator[None]:
    """While open, the direction is ablated at every writer to the residual stream, embeddings included.

    Equal to removing it from every residual state (Arditi et al. 2024, §2.4), and, where no norm stands between a
    block's output and the stream, to orthogonalising the weights and biases of all writers (their eq. 5).
    """
    edit = ablation(direction)
    with edit_outputs(dict.fromkeys(stream.writers, edit)):
        yield


def ablation(direction: Float[Tensor, "d_model"] | Float[Tensor, "batch d_model"]) -> Edit:
    """x - (x·r)r with r the normalised direction; with one direction per row, each row loses its own.

    A zero direction leaves x as it is. Half precision is computed in float32 and rounded once.
    """
    r = direction / direction.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(direction.dtype).tiny)

    def edit(x: Float[Tensor, "#batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        wide = x.to(_accumulation_dtype(x))
        row = r.to(wide)  # [d_model] or [batch, d_model]
        if row.ndim == 1:
            return torch.addcmul(wide, (wide @ row).unsqueeze(-1), row, value=-1).to(x.dtype)
        projection = wide @ row.unsqueeze(-1)  # [batch, pos, 1]
        return torch.addcmul(wide, projection, row.unsqueeze(-2), value=-1).to(x.dtype)

    return edit


def subspace_ablation(basis: Float[Tensor, "k d_model"]) -> Edit:
    """x - B^T B x: removes all k directions of an orthonormal basis at once. k may be zero."""
    gram = basis.double() @ basis.double().mT
    off = (gram - torch.eye(len(basis), dtype=gram.dtype, device=gram.device)).abs().amax().item() if len(basis) else 0.0
    assert off < 1e-3, f"the basis is not orthonormal: B B^T is off the identity by {off:.2g}"

    def edit(x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        wide = x.to(_accumulation_dtype(x))
        rows = basis.to(wide)
        return (wide - (wide @ rows.mT) @ rows).to(x.dtype)

    return edit


def addition(vector: Float[Tensor, "d_model"] | Float[Tensor, "batch d_model"]) -> Edit:
    """x + v at every position; with one vector per row, each row receives its own."""

    def edit(x: Float[Tensor, "#batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        wide = vector.to(device=x.device, dtype=_accumulation_dtype(x))
        return (x + (wide if wide.ndim == 1 else wide.unsqueeze(-2))).to(x.dtype)

    return edit


def _accumulation_dtype(x: Tensor) -> torch.dtype:
    """Float32 for half precision, else the tensor's own."""
    return torch.promote_types(x.dtype, torch.float32)


def _first_tensor(module: nn.Module, output: Any) -> Tensor:
    """The tensor that a module returned, alone or first in a tuple."""
    is_tuple = isinstance(output, tuple)
    first = output[0] if is_tuple and output else output
    if not isinstance(first, Tensor):
        raise ModelError(f"architecture not understood: {type(module).__name__} returned {type(first).__name__}, expected a tensor")
    _RETURNS_TUPLE[module] = is_tuple
    return first


def _input_tensor(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    """The tensor that a module was called with: first positional argument, else `hidden_states`."""
    first = args[0] if args else kwargs.get("hidden_states")
    if not isinstance(first, Tensor):
        raise ModelError(
            f"architecture not understood: {type(module).__name__} was called without a tensor as its first argument"
            f" or as hidden_states (found {type(first).__name__})"
        )
    return first


def _restore_forward(module: nn.Module, own: Any) -> None:
    """Put back the instance's own forward, or uncover that of its class."""
    if own is None:
        module.__dict__.pop("forward", None)
    else:
        module.__dict__["forward"] = own
