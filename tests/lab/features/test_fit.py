"""A dictionary that does not fit the model is refused in one line, whoever wants to edit with it."""

from dataclasses import replace

import pytest

from safetycase.errors import ModelError
from safetycase.lab.dictionaries.dictionary import Dictionary
from safetycase.lab.dictionaries.site import parse_site
from safetycase.lab.features.fit import check_fit
from safetycase.lab.features.steering_demo import side_by_side
from tests.lab.features.feature_studies import random_dictionary
from tests.lab.small import loaded

pytestmark = pytest.mark.lab


def fitting() -> Dictionary:
    """A transcoder of the tiny model."""
    return random_dictionary(loaded(), parse_site("mlp_in.1"), parse_site("mlp_out.1"))


def misfits() -> dict[str, tuple[Dictionary, str]]:
    """Dictionaries of other models, and what is said of them."""
    made = fitting()
    return {
        "several layers": (replace(made, writes=(parse_site("mlp_out.1"), parse_site("mlp_out.2"))), "which writes to 2 layers"),
        "narrow input": (replace(made, W_enc=made.W_enc[:, :7]), "it is 7 wide at mlp_in.1, where random is 32 wide"),
        "narrow output": (replace(made, W_dec=made.W_dec[..., :7]), "it is 7 wide at mlp_out.1, where random is 32 wide"),
    }


@pytest.mark.parametrize("name", ["several layers", "narrow input", "narrow output"])
def test_a_misfit_is_refused_by_the_analysis_and_by_the_demonstration(name: str) -> None:
    """With the same words, and where it was named."""
    dictionary, said = misfits()[name]

    for refused in (
        lambda: check_fit(loaded(), dictionary, "dictionaries.sae"),
        lambda: list(side_by_side(loaded(), dictionary, 0, 1.0, ["w3"], 2)),
    ):
        with pytest.raises(ModelError, match=said) as caught:
            refused()
        assert "\n" not in str(caught.value)


def test_what_fits_is_edited() -> None:
    """The check says nothing."""
    check_fit(loaded(), fitting(), "dictionary")
    (said,) = side_by_side(loaded(), fitting(), 0, 1.0, ["w3"], 2)
    assert said.prompt == "w3"
