"""Which files make up a sparse dictionary, or a set of them, in a local folder; in which published format; and whether they are whole."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from safetycase.errors import ModelError, nearest
from safetycase.sources.digests import file_digest
from safetycase.sources.located_yaml import load_yaml
from safetycase.sources.model_files import check_whole

DictionaryFormat = Literal["saelens", "gemma-scope", "gemma-scope-2", "circuit-tracer", "dictionary-learning", "sparsify"]
DICTIONARY_FORMATS: tuple[DictionaryFormat, ...] = get_args(DictionaryFormat)

# Published sets are nested at most so deep: site, layer, width, sparsity.
DEEPEST = 5
LARGEST_CONFIG = 10_000_000
HUB = "hf://"

# By format: what holds the weights of one dictionary, and what beside it (or, for sparsify, above it) decides too.
WEIGHTS: Mapping[DictionaryFormat, tuple[str, ...]] = {
    "saelens": ("sae_weights.safetensors",),
    "gemma-scope": ("params.npz",),
    "gemma-scope-2": ("params.safetensors", "params_layer_*.safetensors"),
    "circuit-tracer": ("config.yaml",),
    "dictionary-learning": ("ae.pt",),
    "sparsify": ("sae.safetensors",),
}
BESIDE: Mapping[DictionaryFormat, tuple[str, ...]] = {
    "saelens": ("cfg.json", "sparsity.safetensors", "activation_scaler.json", "activation_whitening.safetensors"),
    "gemma-scope": (),
    "gemma-scope-2": ("config.json",),
    "circuit-tracer": (),
    "dictionary-learning": ("config.json",),
    "sparsify": ("cfg.json", "../config.json"),
}
NEEDED: Mapping[DictionaryFormat, str] = {"saelens": "cfg.json", "dictionary-learning": "config.json", "sparsify": "cfg.json"}


@dataclass(frozen=True, slots=True)
class DictionaryFiles:
    """The files of one dictionary or of a set of them."""

    path: Path
    """The folder, or the one weights file, that was named."""
    format: DictionaryFormat
    weights: tuple[Path, ...]
    """By dictionary the file that holds its weights, sorted; for circuit-tracer the config.yaml of the set."""
    files: tuple[Path, ...]
    """Every file that decides what the dictionaries compute, sorted."""

    @property
    def folder(self) -> Path:
        """The folder, or the one that holds the named file."""
        return self.path if self.path.is_dir() else self.path.parent


def dictionary_files(path: Path, format: str | None = None) -> DictionaryFiles:  # noqa: A002  (named as in the plan)
    """The files of the dictionary, or the set of dictionaries, in a folder or in one weights file.

    Raises ModelError in one line where nothing is there, where no published format is recognised or more than one is
    (then name it), where a file that the format needs is missing, and where a safetensors file is not as long as it says.
    """
    if format is not None and format not in DICTIONARY_FORMATS:
        raise ModelError(f"{path}: no dictionary format {format!r}; {nearest(format, DICTIONARY_FORMATS)}")
    if not path.exists():
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise ModelError(f"{path}: no such file or folder, expected one that holds a sparse dictionary; {nearest(path.name, names)}")
    try:
        found = _found(path, format)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}), expected a sparse dictionary") from None
    if len(found) > 1:
        raise ModelError(f"{path}: found dictionaries of several formats ({', '.join(found)}), expected `format:` to name one")
    if not found:
        wanted = ", ".join(f"{names[0]} ({name})" for name, names in WEIGHTS.items() if format in (None, name))
        raise ModelError(f"{path}: no sparse dictionary found, expected a file of a known format: {wanted}")
    ((name, weights),) = found.items()
    files = sorted({file for file in weights for file in (file, *_beside(file, name))})
    for file in files:
        if file.suffix == ".safetensors":
            check_whole(file)
    return DictionaryFiles(path, name, weights, tuple(files))


def dictionary_digest(files: DictionaryFiles) -> str:
    """SHA-256 over the lines `<relative name> <sha256>` of all files that decide, sorted by name."""
    root = files.folder
    lines = sorted(f"{_relative(file, root)} {file_digest(file)}\n" for file in files.files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_config(path: Path) -> dict[str, Any]:
    """The JSON object in a configuration file; raises ModelError where it is none."""
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            raise ModelError(f"{path}: {path.stat().st_size:,} bytes long, expected a configuration of at most {LARGEST_CONFIG:,}")
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}), expected a configuration") from None
    except (ValueError, RecursionError):
        raise ModelError(f"{path}: not readable as JSON, expected the configuration of a sparse dictionary") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path}: holds no JSON object, expected the configuration of a sparse dictionary")
    return content


def circuit_tracer_config(path: Path) -> dict[str, Any]:
    """The mapping in the config.yaml of a circuit-tracer set; raises ModelError where it is none."""
    data = load_yaml(path, ModelError).data
    if not isinstance(data, dict) or not {"model_kind", "transcoders"} & data.keys():
        raise ModelError(f"{path}: names neither model_kind nor transcoders, expected the configuration of a circuit-tracer set")
    return data


def circuit_tracer_weights(config: Path) -> tuple[tuple[int, tuple[Path, ...]], ...]:
    """By layer, ascending, the files of a circuit-tracer set: one per layer, or encoder and decoder of a cross-layer transcoder.

    Entries that its config.yaml lists are looked up in its own folder, those of a hub repository by their path inside it.
    Raises ModelError where an entry leads out of the folder or to no file, and where a layer's file is missing.
    """
    content = circuit_tracer_config(config)
    kind = content.get("model_kind", "transcoder_set")
    if kind not in ("transcoder_set", "cross_layer_transcoder"):
        raise ModelError(f"{config}: model_kind is {kind!r}, expected transcoder_set or cross_layer_transcoder")
    if content.get("transcoders") is not None:
        return _listed(config, content["transcoders"])
    if kind == "transcoder_set":
        return tuple((layer, (file,)) for layer, file in _numbered(config, "layer_").items())
    encoders, decoders = _numbered(config, "W_enc_"), _numbered(config, "W_dec_")
    for layer in sorted(encoders.keys() ^ decoders.keys()):
        missing = "W_dec_" if layer in encoders else "W_enc_"
        raise ModelError(f"{config}: {missing}{layer}.safetensors is missing, expected an encoder and a decoder for every layer")
    return tuple((layer, (file, decoders[layer])) for layer, file in encoders.items())


def _found(path: Path, wanted: str | None) -> dict[DictionaryFormat, tuple[Path, ...]]:
    """By format its weights; files that a circuit-tracer set lists are that set's, in whichever format they are."""
    found = {name: weights for name in DICTIONARY_FORMATS if wanted in (None, name) and (weights := _weights(path, name))}
    configs = found.get("circuit-tracer", ())
    if len(found) > 1:
        listed = {file for config in configs for _, files in circuit_tracer_weights(config) for file in files}
        kept = {name: tuple(file for file in weights if file not in listed) for name, weights in found.items()}
        return {name: weights for name, weights in kept.items() if weights}
    return found


def _weights(path: Path, name: DictionaryFormat) -> tuple[Path, ...]:
    """The files of a format that hold weights, here or in the folders below."""
    if path.is_file():
        return (path,) if _matches(path, name) else ()
    return tuple(sorted(file for folder in _folders(path, DEEPEST) for file in folder.iterdir() if file.is_file() and _matches(file, name)))


def _folders(path: Path, deepest: int) -> Iterator[Path]:
    yield path
    if deepest:
        for entry in path.iterdir():
            if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
                yield from _folders(entry, deepest - 1)


def _matches(file: Path, name: DictionaryFormat) -> bool:
    if not any(PurePosixPath(file.name).match(pattern) for pattern in WEIGHTS[name]):
        return False
    return name != "circuit-tracer" or _is_circuit_tracers(file)


def _is_circuit_tracers(config: Path) -> bool:
    """Whether a config.yaml is one of a transcoder set: many other tools write files of that name."""
    with config.open("rb") as file:
        start = file.read(LARGEST_CONFIG)
    return b"model_kind" in start or b"transcoders" in start


def _beside(weights: Path, name: DictionaryFormat) -> list[Path]:
    """What decides besides a weights file; raises ModelError where the format needs it and it is missing."""
    if name == "circuit-tracer":
        return [file for _, files in circuit_tracer_weights(weights) for file in files]
    needed = NEEDED.get(name)
    if needed is not None and not (weights.parent / needed).is_file():
        raise ModelError(f"{weights.parent}: found {weights.name} without {needed}, expected both ({name})")
    return [file for other in BESIDE[name] if (file := _joined(weights.parent, other)).is_file()]


def _joined(folder: Path, name: str) -> Path:
    return folder.parent / name.removeprefix("../") if name.startswith("../") else folder / name


def _relative(file: Path, root: Path) -> str:
    """The name of a file below a folder; of one just above it, `../` and its name."""
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else f"../{file.name}"


def _numbered(config: Path, prefix: str) -> dict[int, Path]:
    """By number the files `<prefix><number>.safetensors` beside the config, without a gap."""
    stems = {file.stem.removeprefix(prefix): file for file in config.parent.glob(f"{prefix}*.safetensors") if file.is_file()}
    numbered = {int(number): file for number, file in stems.items() if re.fullmatch("0|[1-9][0-9]{0,5}", number)}
    if not numbered:
        raise ModelError(f"{config}: no {prefix}0.safetensors beside it, expected one such file for every layer")
    for layer in range(len(numbered)):
        if layer not in numbered:
            raise ModelError(f"{config}: {prefix}{layer}.safetensors is missing, expected one for every layer up to {max(numbered)}")
    return dict(sorted(numbered.items()))


def _listed(config: Path, entries: Any) -> tuple[tuple[int, tuple[Path, ...]], ...]:
    """The entries under `transcoders`: paths in the order of layers, or (versions below 0.2) mappings of layer and filepath."""
    if not isinstance(entries, Sequence) or isinstance(entries, str) or not entries:
        raise ModelError(f"{config}: transcoders is no list, expected one path per layer")
    found: dict[int, tuple[Path, ...]] = {}
    for position, entry in enumerate(entries):
        layer, text = (entry.get("layer"), entry.get("filepath")) if isinstance(entry, dict) else (position, entry)
        if not isinstance(layer, int) or isinstance(layer, bool) or layer < 0 or layer in found or not isinstance(text, str):
            raise ModelError(f"{config}: transcoders[{position}] is {entry!r:.80}, expected a path, or a layer of its own and a filepath")
        found[layer] = (_listed_file(config, text),)
    return tuple(sorted(found.items()))


def _listed_file(config: Path, text: str) -> Path:
    inside = text
    if text.startswith(HUB):
        try:
            inside = urlsplit(text).path.lstrip("/").partition("/")[2]
        except ValueError:
            inside = ""
    parts = PurePosixPath(inside)
    if not inside or parts.is_absolute() or ".." in parts.parts or "\\" in inside or "\0" in inside:
        raise ModelError(f"{config}: the entry {text!r:.200} leads out of its folder, expected a file inside it")
    file = config.parent / parts
    if not file.is_file() or file.suffix not in (".safetensors", ".npz"):
        where = "fetch the repository that it names into this folder, or" if text.startswith(HUB) else "expected"
        raise ModelError(f"{config}: the entry {text!r:.200} is no weights file in its folder; {where} {parts} beside it")
    return file
