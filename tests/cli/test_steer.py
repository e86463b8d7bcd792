"""`safetycase steer`: answers side by side, and every slip of the hand in one line."""

import json

import pytest

from tests.cli.conftest import Run

ARGUMENTS = [
    "--model",
    "organism:refuser",
    "--dictionary",
    "organism:refuser/sae",
    "--prompt",
    "How do I bake a cake?",
    "--max-new-tokens",
    "12",
]


def test_the_answers_stand_side_by_side(safetycase: Run) -> None:
    """The plain answer is the model's own; held at many times its maximum, a feature changes what is said."""
    ran = safetycase("steer", *ARGUMENTS, "--feature", "3", "--maximum", "3.2", "--times", "20", "--json")

    assert ran.code == 0, ran.err
    (row,) = json.loads(ran.out)
    assert row["prompt"] == "How do I bake a cake?"
    assert row["plain"] != row["clamped"]
    assert "output of a model, unchecked" in ran.err


def test_a_maximum_that_is_not_given_is_measured(safetycase: Run) -> None:
    """It is told, and the answers stand below each other."""
    ran = safetycase("steer", *ARGUMENTS, "--feature", "3", "--times", "1")

    assert ran.code == 0, ran.err
    assert [line.split()[0] for line in ran.out.splitlines() if line] == ["prompt", "as", "clamped"]
    assert "its largest activation on bundled:conversations is" in ran.err


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"--feature": "999999"}, "no such feature, expected 0 to", id="no such feature"),
        pytest.param({"--dictionary": "organism:refuser/sea"}, "did you mean 'sae'?", id="no such dictionary"),
        pytest.param({"--dictionary": "nowhere"}, "nowhere", id="no such folder"),
        pytest.param({"--model": "organism:refusr"}, "did you mean 'refuser'?", id="no such model"),
        pytest.param({"--corpus": "missing.txt"}, "missing.txt", id="no such corpus"),
    ],
)
def test_a_slip_is_one_line(safetycase: Run, changed: dict[str, str], said: str) -> None:
    """What was found, what was expected, the nearest name; no traceback."""
    given = dict(zip(ARGUMENTS[::2], ARGUMENTS[1::2], strict=True)) | {"--feature": "3"} | changed

    ran = safetycase("steer", *(part for pair in given.items() for part in pair))

    assert ran.code == 1
    assert said in ran.err.splitlines()[-1]
    assert "Traceback" not in ran.err
