"""Reads and edits the sites of a model: from `resid_post.12` to the modules that hold it, confirmed by running them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn

from safetycase.errors import ModelError
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.hooks import Edit, edit_inputs, edit_outputs, record_calls, record_inputs, record_outputs
from safetycase.lab.model import LoadedModel
from safetycase.lab.sites import Block

PROBE_TOKENS = 5
# A sum or a norm that is computed again may round in another order, in the model's own precision.
ROUNDING_STEPS = 16
EPSILONS = ("variance_epsilon", "eps", "epsilon", "layer_norm_epsilon")


@contextmanager
def record_sites(model: LoadedModel, sites: Sequence[Site]) -> Iterator[Mapping[Site, Float[Tensor, "batch pos width"]]]:
    """Yields a mapping that holds, after each forward pass, what stood at every site in that pass: detached, as the model computed it.

    Raises ModelError where a site does not exist on this architecture.
    """
    found = {site: _layer(model, site) for site in sites}
    recorded = _Recorded(found)
    with ExitStack() as stack:
        for site, layer in found.items():
            for source in _sources(site, layer):
                recorder = record_inputs if source.end == "input" else record_outputs
                stack.enter_context(recorder([source.module], keep=partial(recorded.put, source)))
        yield recorded


@contextmanager
def edit_site(model: LoadedModel, site: Site, edit: Edit) -> Iterator[None]:
    """While open, what stands at a site is replaced by its edit in every forward pass, for all that reads it.

    Sites that are only computed from others (`mlp_in_normalized`) cannot be edited: ModelError.
    """
    layer = _layer(model, site)
    if site.name == "mlp_in_normalized":
        raise ModelError(f"site {site}: it is read inside a norm and cannot be edited")
    if site.name == "resid_mid":
        with _edit_resid_mid(layer, edit):
            yield
        return
    (source,) = _sources(site, layer)
    with (edit_inputs if source.end == "input" else edit_outputs)({source.module: edit}):
        yield


def site_width(model: LoadedModel, site: Site) -> int:
    """The width of what stands at a site; raises ModelError where there is no such site."""
    with record_sites(model, [site]) as recorded, torch.inference_mode():
        _run(model)
        return recorded[site].shape[-1]


def path_to_stream(model: LoadedModel, site: Site) -> tuple[nn.Module, ...] | None:
    """The modules that what stands at a site passes on its way into the residual stream, in order: a projection, a norm behind it.

    Empty for the stream itself and for what is added to it; None where the MLP reads the site, which no one matrix describes.
    Raises ModelError where there is no such site.
    """
    layer = _layer(model, site)
    behind_attention = () if layer.attention_writer is layer.attention else (layer.attention_writer,)
    behind_mlp = () if layer.mlp_writer is layer.mlp else (layer.mlp_writer,)
    match site.name:
        case "resid_pre" | "resid_mid" | "resid_post" | "attn_out" | "mlp_out":
            return ()
        case "mlp_raw_out":
            return behind_mlp
        case "attn_raw_out":
            return behind_attention
        case "attn_z":
            return (_sources(site, layer)[0].module, *behind_attention)
        case "mlp_neurons":
            return (_sources(site, layer)[0].module, *behind_mlp)
        case "mlp_in" | "mlp_in_normalized":
            return None


@dataclass(frozen=True)
class _Source:
    """One end of a module."""

    module: nn.Module
    end: str


@dataclass(frozen=True)
class _Layer:
    """The modules of one block that hold its sites; None where the architecture has no such place."""

    block: nn.Module
    attention: nn.Module
    attention_writer: nn.Module
    mlp: nn.Module
    mlp_writer: nn.Module
    mlp_norm: nn.Module | None
    """The norm whose output the MLP reads."""
    sequential: bool
    """The MLP reads the stream after attention has written to it."""
    attention_projection: nn.Module | None
    mlp_projection: nn.Module | None


def _sources(site: Site, layer: _Layer) -> tuple[_Source, ...]:
    """What must be recorded to know a site."""
    match site.name:
        case "resid_pre":
            return (_Source(layer.block, "input"),)
        case "resid_post":
            return (_Source(layer.block, "output"),)
        case "resid_mid":
            _need(layer.sequential, site, "its MLP does not read the stream after attention")
            return (_Source(layer.block, "input"), _Source(layer.attention_writer, "output"))
        case "attn_raw_out":
            return (_Source(layer.attention, "output"),)
        case "attn_out":
            return (_Source(layer.attention_writer, "output"),)
        case "mlp_out":
            return (_Source(layer.mlp_writer, "output"),)
        case "mlp_raw_out":
            return (_Source(layer.mlp, "output"),)
        case "mlp_in":
            return (_Source(layer.mlp, "input"),)
        case "mlp_in_normalized":
            _need(layer.mlp_norm is not None, site, "no norm stands before its MLP")
            assert layer.mlp_norm is not None
            return (_Source(layer.mlp_norm, "input"),)
        case "attn_z":
            _need(layer.attention_projection is not None, site, "its attention has no output projection")
            assert layer.attention_projection is not None
            return (_Source(layer.attention_projection, "input"),)
        case "mlp_neurons":
            _need(layer.mlp_projection is not None, site, "its MLP has no one output projection")
            assert layer.mlp_projection is not None
            return (_Source(layer.mlp_projection, "input"),)


class _Recorded(Mapping[Site, Tensor]):
    """What the last pass left at each end, and the sites that follow from it."""

    def __init__(self, layers: Mapping[Site, _Layer]) -> None:
        self._layers = layers
        self._ends: dict[_Source, Tensor] = {}

    def put(self, source: _Source, x: Tensor) -> Tensor:
        self._ends[source] = x
        return x.new_empty(0)

    def __getitem__(self, site: Site) -> Tensor:
        layer = self._layers[site]
        ends = [self._ends[source] for source in _sources(site, layer)]
        if site.name == "resid_mid":
            return ends[0] + ends[1]
        if site.name == "mlp_in_normalized":
            assert layer.mlp_norm is not None
            return _normalised(layer.mlp_norm, ends[0])
        return ends[0]

    def __iter__(self) -> Iterator[Site]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)


@contextmanager
def _edit_resid_mid(layer: _Layer, edit: Edit) -> Iterator[None]:
    """Through the attention's writer: what it adds is changed so that the sum is the edit of the sum."""
    with record_inputs([layer.block]) as before:

        def through(out: Tensor) -> Tensor:
            stream = before.pop()
            return edit(stream + out) - stream

        with edit_outputs({layer.attention_writer: through}):
            yield


_KNOWN: WeakKeyDictionary[nn.Module, tuple[_Layer, ...]] = WeakKeyDictionary()


def _layer(model: LoadedModel, site: Site) -> _Layer:
    if site.layer >= model.sites.n_layers:
        raise ModelError(f"{model.source}: no layer {site.layer} for site {site}, expected 0 to {model.sites.n_layers - 1}")
    if model.module not in _KNOWN:
        _KNOWN[model.module] = _probe(model)
    return _KNOWN[model.module][site.layer]


@torch.inference_mode()
def _probe(model: LoadedModel) -> tuple[_Layer, ...]:
    """The modules of every block, from one forward pass that records all inputs and outputs."""
    with ExitStack() as stack:
        calls = stack.enter_context(record_calls(model.module))
        inputs: dict[nn.Module, Tensor] = {}

        def keep(module: nn.Module, x: Tensor) -> Tensor:
            inputs[module] = x
            return x.new_empty(0)

        for block in model.sites.blocks:
            for module in (block.module, block.mlp, *_norms(block)):
                stack.enter_context(record_inputs([module], keep=partial(keep, module)))
        _run(model)
        outputs = {module: tensors[0] for module, tensors in calls.items()}
        order = list(calls)
    return tuple(_layer_of(block, inputs, outputs, order) for block in model.sites.blocks)


def _layer_of(block: Block, inputs: Mapping[nn.Module, Tensor], outputs: Mapping[nn.Module, Tensor], order: Sequence[nn.Module]) -> _Layer:
    by_call = sorted(block.writers, key=order.index)
    attention_writer = block.attention if block.attention in block.writers else by_call[0]
    mlp_writer = next(writer for writer in block.writers if writer is not attention_writer)
    norms = [n for n in _norms(block) if n in outputs and torch.equal(outputs[n], inputs[block.mlp]) and _is_known_norm(n, inputs[n])]
    norm = norms[0] if norms else None
    middle = inputs[block.module] + outputs[attention_writer]
    read = inputs[norm] if norm is not None else inputs[block.mlp]
    return _Layer(
        block=block.module,
        attention=block.attention,
        attention_writer=attention_writer,
        mlp=block.mlp,
        mlp_writer=mlp_writer,
        mlp_norm=norm,
        sequential=_close(middle, read),
        attention_projection=_projection(block.attention, outputs),
        mlp_projection=_projection(block.mlp, outputs),
    )


def _projection(module: nn.Module, outputs: Mapping[nn.Module, Tensor]) -> nn.Module | None:
    """The matrix inside a module whose output is the module's own."""
    own = outputs[module]
    for child in module.modules():
        matrices = [p for p in child.parameters(recurse=False) if p.ndim == 2]
        if child is not module and matrices and child in outputs and outputs[child].shape == own.shape and torch.equal(outputs[child], own):
            return child
    return None


def _norms(block: Block) -> list[nn.Module]:
    """Children of a block without a matrix."""
    return [child for child in block.module.children() if list(child.parameters()) and all(p.ndim < 2 for p in child.parameters())]


def _normalised(norm: nn.Module, x: Float[Tensor, "*pos d_model"]) -> Float[Tensor, "*pos d_model"]:
    """x as the norm scales it, before the norm's own weight and bias, in float32 at least."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    if getattr(norm, "bias", None) is not None or isinstance(norm, nn.LayerNorm):
        wide = wide - wide.mean(dim=-1, keepdim=True)
    return (wide * torch.rsqrt(wide.pow(2).mean(dim=-1, keepdim=True) + _epsilon(norm))).to(x.dtype)


def _is_known_norm(norm: nn.Module, x: Float[Tensor, "*pos d_model"]) -> bool:
    """Whether the norm's output is `_normalised` times its weight (or one plus it), plus its bias."""
    weight, bias = getattr(norm, "weight", None), getattr(norm, "bias", None)
    if not isinstance(weight, Tensor):
        return False
    scaled, out = _normalised(norm, x), norm(x)
    shift: Any = 0 if bias is None else bias
    return any(_close(scaled * gain + shift, out) for gain in (weight, 1 + weight))


def _epsilon(norm: nn.Module) -> float:
    found = next((getattr(norm, name) for name in EPSILONS if isinstance(getattr(norm, name, None), float)), None)
    return 1e-6 if found is None else float(found)


def _close(x: Tensor, reference: Tensor) -> bool:
    allowed = ROUNDING_STEPS * torch.finfo(reference.dtype).eps * reference.abs().amax()
    return bool((x - reference).abs().amax() <= allowed)


def _run(model: LoadedModel) -> None:
    embedding: Any = model.module.get_input_embeddings()
    ids = torch.arange(1, PROBE_TOKENS + 1, device=model.device) % embedding.num_embeddings
    model.module(input_ids=ids[None], attention_mask=torch.ones_like(ids[None]), use_cache=False)


def _need(holds: bool, site: Site, why: str) -> None:
    if not holds:
        raise ModelError(f"site {site}: this architecture has no such place: {why}")
