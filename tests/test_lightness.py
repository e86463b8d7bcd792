"""The reading half answers on a laptop without torch, and `--help` answers at once."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAB = ("torch", "transformers", "tokenizers", "huggingface_hub", "jaxtyping")
SLOW_TO_IMPORT = (*LAB, "weasyprint", "scipy", "numpy", "pyarrow", "pydantic", "jinja2", "yaml", "rich", "safetensors")
WITHOUT_THE_LAB = f"import sys; sys.modules.update(dict.fromkeys({LAB!r})); from safetycase.cli import main; main()"


def without_the_lab(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in a process where the packages of the extra `lab` cannot be imported."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_LAB, *arguments], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


def test_check_needs_no_torch(tmp_path: Path) -> None:
    """A plan is validated, down to the sizes of its model's weights, where no lab is installed."""
    shutil.copy(ROOT / "examples" / "quickstart" / "plan.yaml", tmp_path)

    ran = without_the_lab(tmp_path, "check", "plan.yaml")

    assert (ran.returncode, ran.stdout.split()[:2]) == (0, ["refusal", "refusal_direction"]), ran.stderr


def test_import_and_render_need_no_torch(tmp_path: Path, published_run: Path) -> None:
    """A run that others published becomes a case and a document on an auditor's laptop; an unsupported claim is exit code 3."""
    shutil.copy(ROOT / "examples" / "published-run" / "plan.yaml", tmp_path)

    imported = without_the_lab(tmp_path, "import", "refusal-direction", published_run.name, "--plan", "plan.yaml")
    rendered = without_the_lab(tmp_path, "render", "plan.yaml")

    assert imported.returncode == 0, imported.stderr
    assert rendered.returncode == 3, rendered.stderr
    assert [Path(line).suffix for line in rendered.stdout.splitlines()] == [".html", ".pdf"]


@pytest.mark.parametrize("command", ["run", "build"])
def test_asking_without_the_lab_says_how_to_get_it(tmp_path: Path, command: str) -> None:
    """One line, exit code 1, and the command to type."""
    shutil.copy(ROOT / "examples" / "quickstart" / "plan.yaml", tmp_path)

    ran = without_the_lab(tmp_path, command, "plan.yaml")

    assert ran.returncode == 1
    assert "pip install 'safetycase[lab]'" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_the_command_line_loads_nothing_heavy() -> None:
    """What is slow to import waits until a command needs it, so that `--help` answers within a fifth of a second."""
    script = f"import sys, safetycase.cli; print(*[name for name in {SLOW_TO_IMPORT!r} if name in sys.modules])"

    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert ran.stdout.split() == []
