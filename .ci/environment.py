"""Makes a virtual environment with safetycase in it, from nothing but Python and pango: the Makefile's commands run in it.

    python3 .ci/environment.py .venv --extra lab --group dev

Standard library only, and readable by an old Python up to the line that says it is too old.
"""

import argparse
import ctypes
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
CPU_TORCH = "https://download.pytorch.org/whl/cpu"
"""Where torch has builds without the CUDA libraries, which are several gigabytes that a machine without a GPU never loads."""
PIP = "https://pypi.org/pypi/pip/json"
PANGO = (("libpango-1.0.so.0", "libpango-1.0.dylib"), ("libpangoft2-1.0.so.0", "libpangoft2-1.0.dylib"))
ENVIRONMENT = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}


def main() -> None:
    """Make the environment, or say in one line what is missing."""
    if sys.version_info < (3, 11):  # noqa: UP036  (this file may be run by whatever python3 is)
        sys.exit(f"python3 is {sys.version.split()[0]}; safetycase needs 3.11 or newer: make PYTHON=/path/to/python3.12 ...")
    if not all(any(_loads(name) for name in names) for names in PANGO):
        sys.exit("pango is missing: apt-get install libpango-1.0-0 libpangoft2-1.0-0   (macOS: brew install pango)")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--package", default=None, help="A wheel instead of this checkout.")
    parser.add_argument("--extra", choices=["lab"])
    parser.add_argument("--group", choices=["dev"], help="Dependency group of pyproject.toml.")
    parser.add_argument("--oldest", action="store_true", help="The lowest versions that pyproject.toml allows, instead of the pinned ones.")
    given = parser.parse_args()
    if not (given.folder / "bin" / "pip").exists():
        _make(given.folder)
    _install(given)


def _make(folder: Path) -> None:
    """A virtual environment with a pip that knows dependency groups; Debian's python3 has no ensurepip, so pip may come from the index."""
    _say(f"making {folder}")
    if importlib.util.find_spec("ensurepip"):
        venv.create(folder, with_pip=True, clear=True)
        _pip(folder, "install", "--upgrade", "pip>=25.1")
    else:
        venv.create(folder, with_pip=False, clear=True)
        _pip_from_index(folder)


def _pip_from_index(folder: Path) -> None:
    """Pip by its own wheel, checked against the digest that the index states."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            with urllib.request.urlopen(PIP, timeout=60) as answer:
                files = json.load(answer)["urls"]
            wheel = next(file for file in files if file["packagetype"] == "bdist_wheel")
            with urllib.request.urlopen(urllib.parse.urljoin(PIP, wheel["url"]), timeout=60) as answer:
                data = answer.read()
        except (OSError, ValueError, LookupError, StopIteration) as problem:
            shutil.rmtree(folder)
            sys.exit(f"python3 cannot make virtual environments here ({problem}): apt-get install python3-venv")
        if hashlib.sha256(data).hexdigest() != wheel["digests"]["sha256"]:
            sys.exit(f"{wheel['url']}: not the bytes that the index states")
        path = Path(scratch) / wheel["filename"]
        path.write_bytes(data)
        _run([str(folder / "bin" / "python"), f"{path}/pip", "install", "-qq", str(path)])


def _install(given: argparse.Namespace) -> None:
    constraints = CONSTRAINTS
    if given.oldest:
        constraints = given.folder / "constraints.txt"
        constraints.write_text("\n".join(_lower_bounds()) + "\n", encoding="utf-8")
    if given.extra == "lab":
        _say(f"installing into {given.folder}: torch is large, the first time takes some minutes")
        _torch_without_cuda(given.folder, constraints)
    package = given.package or str(ROOT)
    target = f"{package}[{given.extra}]" if given.extra else package
    group = ["--group", f"{ROOT / 'pyproject.toml'}:{given.group}"] if given.group else []
    _pip(given.folder, "install", "-c", str(constraints), *([] if given.package else ["-e"]), target, *group)


def _lower_bounds() -> "list[str]":
    """Each `name>=1.2` of both halves as `name==1.2.*`."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [f"{requirement.replace('>=', '==')}.*" for requirement in project["dependencies"] + project["optional-dependencies"]["lab"]]


def _torch_without_cuda(folder: Path, constraints: Path) -> None:
    """Where there is no NVIDIA GPU, torch's CPU build from disk or from its own index; where neither has it, the package index will do."""
    if sys.platform != "linux" or shutil.which("nvidia-smi"):
        return
    source = ["--index-url", CPU_TORCH, "--retries", "0", "--timeout", "10"]
    command = [str(folder / "bin" / "pip"), "install", "--no-deps", "-c", str(constraints), *source, "torch"]
    subprocess.run(command, env=ENVIRONMENT, capture_output=True, check=False)


def _pip(folder: Path, *arguments: str) -> None:
    _run([str(folder / "bin" / "python"), "-m", "pip", *arguments, "-qq"])


def _run(command: "list[str]") -> None:
    """Run a command; where it fails, its own words have been printed."""
    code = subprocess.run(command, env=ENVIRONMENT, check=False).returncode
    if code:
        sys.exit(code)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
