"""Checkpoints of a training: one safetensors file with its facts as JSON in the header, replaced in one move, never a pickle."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from safetycase.errors import ModelError

KEY = "safetycase_training"


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], identity: Mapping[str, Any], counts: Mapping[str, int]) -> None:
    """Writes aside and renames, so that a killed training leaves the checkpoint before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.partial")
    facts = json.dumps({"identity": identity, "counts": counts}, sort_keys=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, aside, metadata={KEY: facts})
    os.replace(aside, path)


def read_checkpoint(path: Path, identity: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Tensors and counts of a checkpoint of the same training.

    Raises ModelError where it is no checkpoint, or one of another recipe or sites.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    except (SafetensorError, OSError, KeyError, ValueError):
        raise ModelError(f"{path}: cannot be read as a checkpoint of a training, expected one that this trainer wrote") from None
    found, expected = facts["identity"], json.loads(json.dumps(identity))
    if found != expected:
        raise ModelError(f"{path}: is a checkpoint of another training: {_difference(found, expected)}")
    return tensors, facts["counts"]


def _difference(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """The first thing in which two identities differ."""
    flat = [{**each, **each.get("recipe", {}), "recipe": None} for each in (found, expected)]
    name = next(name for name in sorted(flat[0].keys() | flat[1].keys()) if flat[0].get(name) != flat[1].get(name))
    return f"{name} is {flat[0].get(name)!r}, expected {flat[1].get(name)!r}"
