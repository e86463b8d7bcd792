"""The hub's own library reads an attached card, and writes it back without losing what it carries."""

from typing import Any

import pytest
import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from safetycase.dossier.modelcard import attach_card, is_ours, results
from safetycase.sources.front_matter import read, split
from tests.dossier.cases import MADE, plausible

pytestmark = pytest.mark.lab

STORY = plausible()
LINK = "https://example.org/dossier"


def attached(card: str, **more: Any) -> str:
    """The card with a plausible case."""
    return attach_card(card.encode(), STORY.case, STORY.findings, version="1.0.0", made=MADE, **more).decode()


def template() -> str:
    """The hub's template as its library fills it, with a result of somebody else."""
    theirs = EvalResult(task_type="text-generation", dataset_type="mmlu", dataset_name="MMLU", metric_type="acc", metric_value=0.251)
    data = ModelCardData(license="mit", language=["no", "en"], tags=["a"], model_name="refuser", eval_results=[theirs])
    return str(ModelCard.from_template(data, model_id="refuser"))


@pytest.mark.parametrize("link", ["", LINK])
def test_the_library_reads_every_metric_with_its_arguments(link: str) -> None:
    """Value, interval, n and digest arrive as they were written; results of others are still there."""
    data: Any = ModelCard(attached(template(), link=link)).data

    read_back = {each.metric_args["estimate"]: each for each in data.eval_results if each.metric_args}
    written = [(result, metric) for result in results(STORY.case, STORY.findings, link=link) for metric in result["metrics"]]
    assert len(data.eval_results) == len(written) + 1
    for result, metric in written:
        found = read_back[metric["args"]["estimate"]]
        assert (found.metric_value, found.metric_args, found.metric_type) == (metric["value"], metric["args"], metric["type"])
        assert (found.dataset_type, found.dataset_args) == (result["dataset"]["type"], result["dataset"].get("args"))
        assert found.source_url == (link or None)
    assert [each.metric_value for each in data.eval_results if not each.metric_args] == [0.251]


def test_section_stands_where_the_template_keeps_its_place() -> None:
    """Below its heading, above the next one."""
    text = ModelCard(attached(template())).text

    assert text.index("## Model Examination [optional]") < text.index("### Claims and verdicts") < text.index("## Environmental Impact")


def test_a_card_that_the_library_rewrote_is_brought_back() -> None:
    """It joins all entries of the index into one; ours are taken from there, those of others and the body keep their bytes."""
    before = attached(template())
    rewritten = str(ModelCard(before))

    after = attached(rewritten)

    ours = [result for entry in _index(after) for result in entry["results"] if is_ours(result)]
    theirs = [result for entry in _index(after) for result in entry["results"] if not is_ours(result)]
    assert ours == results(STORY.case, STORY.findings)
    assert [result["metrics"] for result in theirs] == [[{"type": "acc", "value": 0.251}]]
    assert split(after.encode()).body == split(rewritten.encode()).body
    assert _others(after) == _others(template())
    assert attached(after) == after


def test_results_alone_come_back_as_they_were() -> None:
    """The library's own dump of the index equals ours."""
    text = attached("# Refuser\n")

    dumped = yaml.safe_load(ModelCard(text).data.to_yaml())["model-index"]

    assert dumped == _index(text)


def _index(text: str) -> Any:
    return read(split(text.encode())).data["model-index"]


def _others(text: str) -> dict[str, Any]:
    return {key: value for key, value in read(split(text.encode())).data.items() if key != "model-index"}
