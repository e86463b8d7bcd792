"""What a model's own files say of it besides its weights."""

import json
from pathlib import Path

import pytest

from safetycase.sources.model_facts import model_facts


def test_configuration_and_card_are_read(tmp_path: Path) -> None:
    """As short texts, by the file that says them."""
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 512, "model_type": "llama", "num_hidden_layers": 4}))
    (tmp_path / "README.md").write_text("---\nlicense: mit\nlanguage: [en, de]\n---\n# x\n", encoding="utf-8")

    facts = model_facts(tmp_path)

    assert facts["config.context_window"] == "512 tokens"
    assert facts["config.layers"] == "4"
    assert facts["card.license"] == "mit"
    assert facts["card.language"] == "en, de"


@pytest.mark.parametrize("config", ["", "[1]", "{", '{"max_position_embeddings": "many", "model_type": {"a": 1}}', "[" * 100_000])
def test_what_cannot_be_read_is_left_out(tmp_path: Path, config: str) -> None:
    """Nothing in these files is trusted, and none of it stops a run."""
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    (tmp_path / "README.md").write_text("---\nlicense: [mit\n---\n", encoding="utf-8")

    assert model_facts(tmp_path) == {}


def test_long_texts_are_cut(tmp_path: Path) -> None:
    """A page is not theirs to fill."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "x" * 10_000}))

    assert len(model_facts(tmp_path)["config.model_type"]) == 300
