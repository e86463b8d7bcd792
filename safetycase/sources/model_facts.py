"""What a model's own files say of it besides its weights: configuration and card, untrusted and unverified."""

import json
from pathlib import Path

from safetycase.sources.front_matter import card_metadata

_LONGEST = 300
_CONTEXT = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")


def model_facts(folder: Path) -> dict[str, str]:
    """`config.…` and `card.…` facts as short texts; whatever cannot be read is left out."""
    facts = {f"card.{name}": value for name, value in card_metadata(folder).items()}
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        config = {}
    if not isinstance(config, dict):
        config = {}
    context = next((config[name] for name in _CONTEXT if isinstance(config.get(name), int)), None)
    found = {
        "config.context_window": f"{context} tokens" if context is not None else "",
        "config.model_type": config.get("model_type"),
        "config.layers": config.get("num_hidden_layers") or config.get("n_layer"),
        "config.vocabulary": config.get("vocab_size"),
    }
    facts |= {name: str(value) for name, value in found.items() if value and isinstance(value, str | int)}
    return {name: value[:_LONGEST] for name, value in sorted(facts.items())}
