"""Copies of the golden dictionaries, to be damaged by tests."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.benchmarks.dictionary_formats import DICTIONARY
from tests.source import ROOT

GOLDENS = ROOT / "tests/data/dictionaries"


def golden(name: str, target: Path) -> Path:
    """A copy of the dictionary of a golden, at a folder that does not exist yet."""
    return Path(shutil.copytree(GOLDENS / name / DICTIONARY, target))


def change_config(path: Path, **changes: Any) -> None:
    """Replaces entries of a JSON file; None takes one out, and `a__b` is b in the section a."""
    content = json.loads(path.read_text())
    for name, value in changes.items():
        *sections, key = name.split("__")
        place = content
        for section in sections:
            place = place[section]
        if value is None:
            place.pop(key, None)
        else:
            place[key] = value
    path.write_text(json.dumps(content))


def change_tensors(path: Path, **changes: Tensor | None) -> None:
    """Replaces, adds or (None) takes out tensors of a safetensors file or a state dict."""
    kept = {name: tensor for name, tensor in (_tensors(path) | changes).items() if tensor is not None}
    if path.suffix == ".pt":
        torch.save(kept, path)
    else:
        save_file(kept, path)


def read_tensor(path: Path, name: str) -> Tensor:
    """One tensor of a safetensors file or a state dict, to be changed at will."""
    return _tensors(path)[name].contiguous().clone()


def _tensors(path: Path) -> dict[str, Tensor]:
    return dict(torch.load(path, weights_only=True) if path.suffix == ".pt" else load_file(path))
