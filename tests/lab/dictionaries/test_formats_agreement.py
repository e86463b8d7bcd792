"""Every published format encodes and decodes as in the library that defines it, by goldens that those libraries wrote."""

from pathlib import Path

import pytest

from safetycase.lab.dictionaries.reading import FORMATS
from tests.benchmarks.dictionary_formats import CASES, DICTIONARY, TOLERANCE, compare
from tests.source import ROOT

pytestmark = pytest.mark.lab

GOLDENS = ROOT / "tests/data/dictionaries"


@pytest.mark.parametrize("name", CASES)
def test_activations_and_reconstructions_are_the_librarys(name: str) -> None:
    """Of every layer, to 1e-5 of the largest value."""
    differences = list(compare(GOLDENS / name))

    assert differences
    assert max(difference for _, _, difference in differences) <= TOLERANCE


def test_every_format_has_a_golden_and_every_golden_is_compared() -> None:
    """A reader without a reference would be a reader that nobody has checked."""
    folders = {folder.name for folder in GOLDENS.iterdir() if (folder / DICTIONARY).is_dir()}

    assert folders == set(CASES)
    assert {name for name in FORMATS if any(case.startswith(name) for case in CASES)} == set(FORMATS)


def test_a_golden_tells_a_wrong_reading_from_a_right_one(tmp_path: Path) -> None:
    """Another dictionary of the same shape, read for these inputs, is far outside the tolerance."""
    golden = GOLDENS / "saelens-standard"
    (tmp_path / DICTIONARY).symlink_to(GOLDENS / "saelens-standard-uncentred" / DICTIONARY, target_is_directory=True)
    (tmp_path / "expected.safetensors").symlink_to(golden / "expected.safetensors")

    assert max(difference for _, _, difference in compare(tmp_path)) > 1000 * TOLERANCE
