"""Which files make up a model in a local folder, and whether they are whole."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetycase.errors import ModelError, nearest

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
TOKENIZER_PATTERNS = (
    "tokenizer*",
    "*vocab*",
    "*merges*",
    "special_tokens_map.json",
    "added_tokens.json",
    "*.model",
    "*.tiktoken",
    "*.bpe",
)
CHAT_TEMPLATE_PATTERNS = ("chat_template*", "additional_chat_templates/*.jinja")
# The header of a safetensors file is bounded by its format; a longer one is damage or an attack.
LONGEST_HEADER = 100_000_000


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of one model, each list sorted by name."""

    folder: Path
    weights: tuple[Path, ...]
    config: Path
    tokenizer: tuple[Path, ...]
    others: tuple[Path, ...] = ()
    """What else decides how the model behaves: generation_config.json and, for remote code, the modules beside it."""


def model_files(folder: Path) -> ModelFiles:
    """The files of the model in a folder.

    Raises ModelError where the folder, its config.json, its tokenizer or a shard is missing, where the weights are
    pickles, where they are an adapter for another model, and where a weights file is not as long as its header says.
    """
    if not folder.is_dir():
        parent = folder.parent
        names = [entry.name for entry in parent.iterdir() if entry.is_dir()] if parent.is_dir() else []
        raise ModelError(f"{folder}: no such folder, expected one that holds a model; {nearest(folder.name, names)}")
    config = folder / "config.json"
    if not config.is_file():
        raise ModelError(f"{folder}: no config.json found, expected a model saved in the transformers layout")
    if (folder / "adapter_config.json").exists():
        raise ModelError(f"{folder}: found adapter_config.json, expected a model with its adapter merged into the weights")
    files = sorted(path for path in folder.iterdir() if path.is_file())
    tokenizer = _matching(folder, TOKENIZER_PATTERNS)
    if not tokenizer:
        raise ModelError(f"{folder}: no tokenizer found, expected tokenizer.json or tokenizer_config.json")
    weights = _weights(folder, files)
    for path in weights:
        check_whole(path)
    others = tuple(path for path in files if path.name == "generation_config.json" or path.suffix == ".py")
    return ModelFiles(folder, weights, config, tuple(sorted(tokenizer | _matching(folder, CHAT_TEMPLATE_PATTERNS))), others)


def _matching(folder: Path, patterns: Iterable[str]) -> frozenset[Path]:
    return frozenset(path for pattern in patterns for path in folder.glob(pattern) if _is_small_text(path))


def _is_small_text(path: Path) -> bool:
    """Not a folder, and not weights whose name happens to match."""
    return path.is_file() and path.suffix not in (".safetensors", ".py", *PICKLES)


def _weights(folder: Path, files: Sequence[Path]) -> tuple[Path, ...]:
    """The weights that transformers would load: the single file, else the shards that the index names."""
    single, index = folder / SINGLE, folder / INDEX
    if single.is_file():
        return (single,)
    if not index.is_file():
        pickles = [path.name for path in files if path.suffix in PICKLES]
        if pickles:
            raise ModelError(f"{folder}: found {', '.join(pickles)}, refused: safetensors only")
        raise ModelError(f"{folder}: no weights found, expected {SINGLE} or {INDEX} with its shards")
    shards = sorted(set(_weight_map(index).values()))
    for name in shards:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise ModelError(f"{index}: names the shard {name!r}, expected a .safetensors file beside the index")
        if not (folder / name).is_file():
            present = [path.name for path in files if path.suffix == ".safetensors"]
            raise ModelError(f"{index}: names the shard {name}, which is missing; {nearest(name, present)}")
    return tuple(folder / name for name in shards)


def _weight_map(index: Path) -> dict[str, str]:
    try:
        content: Any = json.loads(index.read_bytes())
    except ValueError as error:
        raise ModelError(f"{index}: not readable as JSON ({error}), expected the index of the weights' shards") from None
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not weight_map or not all(isinstance(v, str) for v in weight_map.values()):
        raise ModelError(f"{index}: holds no weight_map, expected one that names a shard for every tensor")
    return weight_map


def check_whole(path: Path) -> None:
    """A safetensors file is eight bytes of header length, the header, and the tensors that the header lists."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, LONGEST_HEADER):
            raise ModelError(f"{path}: the file is truncated or no safetensors file: {size:,} bytes do not hold its header")
        try:
            header: Any = json.loads(file.read(length))
            end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            raise ModelError(f"{path}: the header is not readable, expected a safetensors file") from None
    expected = 8 + length + end
    if size != expected:
        word = "truncated" if size < expected else "longer than its header says"
        raise ModelError(f"{path}: the file is {word}: found {size:,} bytes, expected {expected:,}")
