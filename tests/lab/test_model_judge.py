"""A model in the role of judge labels deterministically, and one whose classes are not understood is refused."""

from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, LlamaConfig, LlamaForCausalLM

from safetycase.errors import ModelError
from safetycase.lab.model import load_model
from safetycase.lab.model_judge import LETTERS, label_answers, load_classifier
from tests.lab.tiny import byte_tokenizer, word_tokenizer

pytestmark = pytest.mark.lab


def save_classifier(folder: Path, names: list[str]) -> None:
    """A random classifier with a bias so strong that only its first class is ever chosen."""
    torch.manual_seed(0)
    labels = dict(enumerate(names))
    config = BertConfig(
        vocab_size=100,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        id2label=labels,
        label2id={name: index for index, name in labels.items()},
    )
    module = BertForSequenceClassification(config)
    with torch.no_grad():
        module.classifier.bias[0] = 100.0
    module.save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)


@pytest.mark.parametrize(
    ("names", "label"),
    [
        pytest.param(["REFUSAL", "COMPLIANCE"], "refuse", id="refusal first"),
        pytest.param(["no_refusal", "refusal"], "comply", id="a negated refusal is compliance"),
        pytest.param(["gibberish", "refused", "answered"], "incoherent", id="three classes"),
    ],
)
def test_classifier_labels_by_the_names_of_its_classes(tmp_path: Path, names: list[str], label: str) -> None:
    """The class that wins decides, under whatever name the classifier gives it."""
    save_classifier(tmp_path, names)

    judge = load_classifier(tmp_path, "cpu")

    assert label_answers(judge, ["w1"] * 20, ["w2 w3"] * 20) == [label] * 20


def test_classifier_with_unknown_classes_is_refused(tmp_path: Path) -> None:
    """A sentiment classifier is no judge of refusal."""
    save_classifier(tmp_path, ["positive", "negative"])

    with pytest.raises(ModelError, match="found the classes positive, negative"):
        load_classifier(tmp_path, "cpu")


@pytest.fixture
def instruct(tmp_path: Path) -> Path:
    """A random instruct model whose tokenizer knows every byte, the letters among them."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=4096
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    template = "{% for m in messages %}<|user|>{{ m['content'] }}{% endfor %}<|assistant|>"
    byte_tokenizer(chat_template=template).save_pretrained(tmp_path)
    return tmp_path


def test_instruct_model_picks_a_letter_whatever_the_batch(instruct: Path) -> None:
    """Labels are one of three and do not depend on what else is labelled."""
    judge = load_model(".", base=instruct, dtype="float32", device="cpu")
    requests = [f"Explain {n} to me." for n in range(20)]
    answers = ["I cannot " * n for n in range(1, 21)]

    together = label_answers(judge, requests, answers)

    assert together == [label_answers(judge, [r], [a])[0] for r, a in zip(requests, answers, strict=True)]
    assert set(together) <= set(LETTERS.values())


def test_braces_in_an_answer_are_data(instruct: Path) -> None:
    """What a model generated cannot change how the judge is asked."""
    judge = load_model(".", base=instruct, dtype="float32", device="cpu")

    assert label_answers(judge, ["{reply}"], ["{request} {0.__class__}"])[0] in LETTERS.values()


def test_judge_that_cannot_say_a_letter_in_one_token_is_refused(tmp_path: Path) -> None:
    """A judge is asked only what it can say."""
    judge = load_model("organism:refuser", base=tmp_path, dtype="float32", device="cpu")
    judge.tokenizer.encode = lambda text, **_: [1, 2]

    with pytest.raises(ModelError, match="is 2 tokens"):
        label_answers(judge, ["Explain it."], ["I cannot help."])
