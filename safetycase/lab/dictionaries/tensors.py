"""The tensors of one weights file: read one at a time, without unpickling, each checked for presence, shape, kind and finiteness."""

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from safetycase.errors import ModelError, nearest
from safetycase.sources.model_files import check_whole

CHECKED_AT_ONCE = 1 << 20
"""Numbers whose finiteness is looked at in one go: a whole large matrix would need a mask of its own size."""
MOST_TIMES, BESIDE = 32, 16 << 20
"""An archive may unpack to so many times its own size, and so many bytes beside (small arrays of zeros); weights pack to half at best."""

Shape = tuple[int, ...]
Opened = tuple[Sequence[str], Callable[[str], Tensor], Callable[[str], Shape] | None]
"""Names, how a tensor is read, and how its shape is told without reading it, where a format can."""


class Tensors:
    """Tensors by name, in the precision and on the device wanted; widths are bound by name as they are met.

    `take("W_enc", "d_in feature")` binds `d_in` and `feature` to what the file has, or, where they are bound already
    (by the configuration or an earlier tensor), checks against it. Every raise is a ModelError of one line.
    """

    def __init__(
        self,
        path: Path,
        names: Sequence[str],
        get: Callable[[str], Tensor],
        shape_of: Callable[[str], Shape] | None = None,
        *,
        sizes: Mapping[str, int] | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.path = path
        self.names = frozenset(names)
        self.sizes: dict[str, int] = dict(sizes or {})
        self._get, self._shape_of = get, shape_of
        self._device, self._dtype = device, dtype
        self._taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def take(self, name: str, shape: str, *, dtype: torch.dtype | None = None) -> Tensor:
        """The tensor of a name; `shape` names its widths, and an empty one is a scalar."""
        if name not in self.names:
            raise ModelError(f"{self.path}: no tensor {name!r}; {nearest(name, self.names)}")
        self._taken.add(name)
        if self._shape_of is not None:
            self._check(name, self._shape_of(name), shape.split())
        raw = self._get(name)
        if not raw.is_floating_point() and not (shape == "" and raw.dtype in (torch.int32, torch.int64)):
            raise ModelError(f"{self.path}: tensor {name} is of {str(raw.dtype).removeprefix('torch.')}, expected floating point")
        self._check(name, raw.shape, shape.split())
        self.sizes.update(zip(shape.split(), raw.shape, strict=True))
        tensor = raw.to(device=self._device, dtype=dtype or self._dtype).detach()
        if not is_finite(tensor):
            raise ModelError(f"{self.path}: tensor {name} holds values that are not finite in {tensor.dtype}, expected numbers alone")
        return tensor

    def take_if_there(self, name: str, shape: str) -> Tensor | None:
        """`take`, or None where the file has no such tensor."""
        return self.take(name, shape) if name in self.names else None

    def none_left(self, reader: str, *, known: Sequence[str] = ()) -> None:
        """Refuses a file with tensors that nobody asked for: what they would do is not known."""
        left = sorted(self.names - self._taken - set(known))
        if left:
            raise ModelError(f"{self.path}: holds the tensor {left[0]!r}, which {reader} does not know, expected none beyond it")

    def _check(self, name: str, shape: Sequence[int], widths: Sequence[str]) -> None:
        found = " × ".join(map(str, shape)) or "a scalar"
        wanted = [self.sizes.get(width) for width in widths]
        if len(shape) != len(widths) or any(size not in (None, here) for size, here in zip(wanted, shape, strict=True)):
            expected = " × ".join(width if size is None else f"{size} ({width})" for width, size in zip(widths, wanted, strict=True))
            raise ModelError(f"{self.path}: tensor {name} is {found}, expected {expected or 'a scalar'}")
        if 0 in shape:
            raise ModelError(f"{self.path}: tensor {name} is {found}, expected at least one of each width")


@contextmanager
def open_tensors(
    path: Path,
    *,
    sizes: Mapping[str, int] | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Iterator[Tensors]:
    """The tensors of a .safetensors, .npz or .pt file; raises ModelError for one that is damaged, or that holds code."""
    opened = {".safetensors": _safetensors, ".npz": _npz, ".pt": _state_dict}[path.suffix]
    with ExitStack() as stack:
        names, get, shape_of = opened(path, stack)
        yield Tensors(path, names, get, shape_of, sizes=sizes, device=device, dtype=dtype)


def is_finite(tensor: Tensor) -> bool:
    """Whether no value is NaN or infinite; looks at a part at a time."""
    stored = tensor if tensor.is_contiguous() or tensor.ndim != 2 else tensor.mT  # a transposed view would be copied
    flat = stored.reshape(-1)
    return all(bool(flat[start : start + CHECKED_AT_ONCE].isfinite().all()) for start in range(0, flat.numel(), CHECKED_AT_ONCE))


def _safetensors(path: Path, stack: ExitStack) -> Opened:
    check_whole(path)

    def get(name: str) -> Tensor:
        try:
            tensor: Tensor = file.get_tensor(name)
        except (SafetensorError, RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelError(f"{path}: tensor {name} cannot be read ({_first_line(error)}), expected safetensors") from None
        return tensor

    try:
        file: Any = stack.enter_context(safe_open(path, framework="pt", device="cpu"))
        return list(file.keys()), get, None
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: not readable ({_first_line(error)}), expected safetensors") from None


def _npz(path: Path, stack: ExitStack) -> Opened:
    """Arrays are read without pickles, and only where the archive is as large as an array's header says."""

    def shape_of(name: str) -> Shape:
        with _one_line(path, name), archive.open(f"{name}.npy") as file:
            shape, dtype = _header(file)
            if dtype.hasobject:
                raise ModelError(f"{path}: array {name} holds pickled objects, refused: numbers only")
            if int(np.prod(shape, dtype=object)) * dtype.itemsize > archive.getinfo(f"{name}.npy").file_size:
                raise ModelError(f"{path}: array {name} is shorter than its header says, expected {shape} of {dtype}")
        return shape

    def get(name: str) -> Tensor:
        with _one_line(path, name), archive.open(f"{name}.npy") as file:
            return torch.from_numpy(np.lib.format.read_array(file, allow_pickle=False))

    archive = stack.enter_context(_archive(path, "an .npz of numbers"))
    return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")], get, shape_of


@contextmanager
def _one_line(path: Path, name: str) -> Iterator[None]:
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # what zipfile, zlib and numpy raise on damaged input is not listed anywhere
        raise ModelError(f"{path}: array {name} cannot be read ({_first_line(error)}), expected an .npz of numbers") from None


def _archive(path: Path, expected: str) -> zipfile.ZipFile:
    """An open zip file whose directory promises no more than weights of its size could unpack to; nothing is unpacked yet."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ModelError(f"{path}: not readable ({_first_line(error)}), expected {expected}") from None
    unpacked, most = sum(each.file_size for each in archive.infolist()), MOST_TIMES * path.stat().st_size + BESIDE
    if unpacked > most:
        archive.close()
        raise ModelError(
            f"{path}: its {path.stat().st_size} bytes would unpack to {unpacked}, expected at most {most}: weights pack to no less"
        )
    return archive


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _state_dict(path: Path, stack: ExitStack) -> Opened:
    """A state dict that torch saved, by its loader that builds tensors and containers and executes nothing."""
    if _begins_as_archive(path):
        _archive(path, "a state dict of tensors").close()
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on a hostile file the loader raises whatever its opcodes run into
        raise ModelError(f"{path}: refused ({_first_line(error)}), expected a state dict of tensors and nothing else") from None
    if not isinstance(content, dict) or not all(isinstance(name, str) and _is_plain(value) for name, value in content.items()):
        raise ModelError(f"{path}: holds something other than named, dense tensors, expected a state dict")
    return list(content), lambda name: content.pop(name).detach(), None  # taken once, and then freed where it is cast


def _begins_as_archive(path: Path) -> bool:
    """By its first bytes, as torch itself decides; its older format is no archive and holds nothing packed."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error}), expected a state dict of tensors") from None


def _is_plain(value: Any) -> bool:
    """A tensor that is as large in the file as it says: views that repeat themselves could be made beyond any memory."""
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
        return False
    return value.untyped_storage().nbytes() >= value.numel() * value.element_size()


def _first_line(error: Exception) -> str:
    text = (str(error).splitlines() or [""])[0].strip()
    return text[:160] or type(error).__name__
