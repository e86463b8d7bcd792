"""What names tell of whether a dictionary was trained on the model under assessment, and what they leave open."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetycase.lab.features.same_model import same_model

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    ("source", "trained_on", "expected"),
    [
        pytest.param("openai-community/gpt2", "gpt2-small", True, id="a library's name"),
        pytest.param("openai-community/gpt2", "gpt2", True, id="the bare name"),
        pytest.param("openai-community/gpt2", "gpt2-medium", False, id="another size by a library's name"),
        pytest.param("google/gemma-2-2b", "google/gemma-2-2b", True, id="the id"),
        pytest.param("google/Gemma-2-2B", "google/gemma-2-2b", True, id="another spelling of case"),
        pytest.param("someone/gemma-2-2b", "google/gemma-2-2b", False, id="a fine-tune by id"),
        pytest.param("someone/gemma-2-2b", "gemma-2-2b", False, id="a fine-tune by a known bare name"),
        pytest.param("someone/gpt2", "gpt2-small", False, id="a fine-tune by a library's name"),
        pytest.param("google/gemma-2-2b-it", "google/gemma-2-2b", False, id="the tuned sibling"),
        pytest.param("EleutherAI/pythia-70m-deduped", "pythia-70m-deduped", True, id="deduped"),
        pytest.param("EleutherAI/pythia-70m-deduped", "pythia-70m", False, id="not deduped"),
        pytest.param("org/new-model", "new-model", True, id="a bare name that is not known"),
        pytest.param("org/new-model", "other-model", None, id="another bare name that is not known"),
        pytest.param("org/new-model", "/data/checkpoints/step-3", None, id="files that name a folder"),
        pytest.param("org/new-model", "", None, id="files that name none"),
        pytest.param("organism:refuser", "organism:refuser", True, id="an organism"),
        pytest.param("organism:refuser", "organism:decoy-refuser", False, id="another organism"),
        pytest.param("organism:refuser", "google/gemma-2-2b", False, id="an organism and a published model"),
    ],
)
def test_published_names(source: str, trained_on: str, expected: bool | None) -> None:
    """In full where both name an organisation."""
    assert same_model(source, trained_on, local=False) is expected


@pytest.mark.parametrize(
    ("source", "trained_on", "expected"),
    [
        pytest.param("models/gemma-2-2b", "google/gemma-2-2b", True, id="named alike"),
        pytest.param("/data/gemma-2-2b/", "gemma-2-2b", True, id="named alike, bare"),
        pytest.param("gpt2-small", "openai-community/gpt2", True, id="named as a library does"),
        pytest.param("models/mine", "google/gemma-2-2b", None, id="any folder"),
        pytest.param("google/gemma-2-2b", "google/gemma-2-9b", None, id="a folder that reads like an id"),
        pytest.param("./refuser", "organism:refuser", True, id="a copy of an organism"),
        pytest.param("./mine", "organism:refuser", None, id="a folder beside an organism"),
    ],
)
def test_a_folder_may_hold_any_model(source: str, trained_on: str, expected: bool | None) -> None:
    """Only a name that agrees says something."""
    assert same_model(source, trained_on, local=True) is expected


names = st.from_regex(r"[A-Za-z][\w.-]{0,8}/[A-Za-z][\w.-]{0,8}", fullmatch=True)


@given(names, names)
def test_published_ids_are_compared_in_full_either_way(ours: str, theirs: str) -> None:
    """The same id is the same model; the order of the two does not matter."""
    assert same_model(ours, ours, local=False) is True
    assert same_model(ours, theirs, local=False) is same_model(theirs, ours, local=False) is (ours.lower() == theirs.lower())
