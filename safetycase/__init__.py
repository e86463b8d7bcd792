"""From a declared plan and a language model's weights to a dossier that can be re-checked."""

__version__ = "0.1.0"
