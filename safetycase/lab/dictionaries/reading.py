"""Reads a sparse dictionary, or a set of them, from any published format into the one in-memory type."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from safetycase.errors import ModelError
from safetycase.lab.dictionaries.dictionary import Dictionary, DictionarySet, Gated
from safetycase.lab.dictionaries.formats import circuit_tracer, dictionary_learning, gemma_scope, gemma_scope_2, saelens, sparsify
from safetycase.lab.dictionaries.published import PublishedDictionary
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.dictionaries.tensors import is_finite
from safetycase.sources.dictionary_files import DictionaryFiles, DictionaryFormat, dictionary_files

FORMATS: Mapping[DictionaryFormat, Callable[[DictionaryFiles], Sequence[PublishedDictionary]]] = {
    "saelens": saelens.published,
    "gemma-scope": gemma_scope.published,
    "gemma-scope-2": gemma_scope_2.published,
    "circuit-tracer": circuit_tracer.published,
    "dictionary-learning": dictionary_learning.published,
    "sparsify": sparsify.published,
}


def read_dictionary(
    path: Path,
    *,
    format: str | None = None,  # noqa: A002  (named as in the plan)
    layer: int | None = None,
    reads: Site | None = None,
    writes: Site | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Dictionary:
    """The dictionary in a folder or weights file.

    `layer`, or a declared site, picks one of a set. Declared sites stand in where the files name none, or none that is
    known; where they name one, both must agree. Raises ModelError in one line for whatever is wrong with the files.
    """
    choice = _published(path, format)
    one = choice[0] if len(choice) == 1 else _picked(path, choice, layer, reads)
    source, targets = one.sites(reads, writes)
    if layer is not None and source.layer != layer:
        raise ModelError(f"{one.where}: `layer: {layer}` is asked for, but it reads {source}")
    return _whole(one.load(source, targets, device, dtype), one)


def read_dictionary_set(
    path: Path,
    *,
    format: str | None = None,  # noqa: A002  (named as in the plan)
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> DictionarySet:
    """All dictionaries of a folder, by the layer that they read; raises ModelError also where two read the same layer."""
    sited = sorted(((one.sites(None, None), one) for one in _published(path, format)), key=lambda pair: pair[0][0].layer)
    for ((one, _), first), ((other, _), second) in itertools.pairwise(sited):
        if one.layer == other.layer:
            raise ModelError(f"{path}: {_within(first, path)} and {_within(second, path)} both read layer {one.layer}, expected one each")
        if one.name != other.name:
            raise ModelError(f"{path}: reads {one} and {other}, expected dictionaries of one kind of site")
    read = tuple(_whole(one.load(source, targets, device, dtype), one) for (source, targets), one in sited)
    return DictionarySet(read, cross_layer=any(one.cross_layer for _, one in sited), trained_on=read[0].trained_on)


def _published(path: Path, wanted: str | None) -> Sequence[PublishedDictionary]:
    files = dictionary_files(path, wanted)
    return FORMATS[files.format](files)


def _whole(dictionary: Dictionary, one: PublishedDictionary) -> Dictionary:
    """The dictionary, where folding a scaling into its weights has left numbers in them."""
    tensors = [dictionary.W_enc, dictionary.b_enc, dictionary.W_dec, dictionary.b_dec]
    if isinstance(dictionary.activation, Gated):
        tensors += [dictionary.activation.gate_bias, dictionary.activation.magnitude_scale, dictionary.activation.magnitude_bias]
    for tensor in tensors:
        if not is_finite(tensor):
            raise ModelError(f"{one.where}: weights are not finite in {tensor.dtype} once its scaling is folded in, expected numbers alone")
    return dictionary


def _picked(path: Path, choice: Sequence[PublishedDictionary], layer: int | None, reads: Site | None) -> PublishedDictionary:
    """The one dictionary of several that reads the layer or the site asked for."""
    if layer is None and reads is None:
        known = sorted({site.layer for one in choice for site in one.reads.sites})
        raise ModelError(f"{path}: holds {len(choice)} dictionaries (layers {_listed(known)}), expected `layer:` to name one")
    asked = reads if layer is None else f"layer {layer}"
    kept = [one for one in choice if any(site == reads or (reads is None and site.layer == layer) for site in one.reads.sites)]
    if not kept:
        known_sites = sorted({site for one in choice for site in one.reads.sites})
        raise ModelError(f"{path}: none of its {len(choice)} dictionaries reads {asked}, expected one of {_listed(known_sites)}")
    if len(kept) > 1:
        names = [_within(one, path) for one in kept]
        raise ModelError(f"{path}: {len(kept)} dictionaries read {asked}, expected `path:` to name one of {_listed(names)}")
    return kept[0]


def _within(one: PublishedDictionary, path: Path) -> str:
    return one.where.relative_to(path).as_posix() if one.where.is_relative_to(path) else one.where.name


def _listed(names: Sequence[object]) -> str:
    shown = ", ".join(map(str, names[:8]))
    return f"{shown}, …" if len(names) > 8 else shown or "unknown"
