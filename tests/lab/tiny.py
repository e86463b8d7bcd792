"""Random tiny models of every architecture that the lab promises to read, and tokenizers of every kind it may meet."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizer, PreTrainedTokenizerFast

D_MODEL = 32
N_LAYERS = 3
VOCAB = 100
SPECIAL = ("<s>", "</s>", "<pad>", "<unk>", "<|user|>", "<|assistant|>")
THINKING = ("<think>", "</think>")
WORDS = tuple(f"w{i}" for i in range(VOCAB - len(SPECIAL) - len(THINKING)))

CHAT_TEMPLATE = (
    "{% if bos_token %}{{ bos_token }}{% endif %}"
    "{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] }} {% else %}"
    "<|user|> {{ message['content'] }} {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|> w1 w2{% endif %}"
)
THINKING_TEMPLATE = (
    "{% for message in messages %}<|user|> {{ message['content'] }} {% endfor %}<|assistant|>"
    "{% if enable_thinking is defined and enable_thinking is false %}\n<think>\n\n</think>\n\n{% endif %}"
)

_COMMON: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": D_MODEL,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}
_GROUPED: dict[str, Any] = {**_COMMON, "num_key_value_heads": 2}

# Architecture -> configuration keywords. Options that add biases or norms are switched on: they are what goes unnoticed.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {**_GROUPED, "attention_bias": True, "mlp_bias": True},
    "mistral": {**_GROUPED, "sliding_window": 6},
    "qwen2": _GROUPED,
    "qwen3": {**_GROUPED, "head_dim": 8},
    "gemma": {**_GROUPED, "head_dim": 8},
    "gemma2": {**_GROUPED, "head_dim": 8, "sliding_window": 6},
    "gemma3_text": {**_GROUPED, "head_dim": 8, "sliding_window": 6},
    "phi3": _GROUPED,
    "gpt_neox": _COMMON,
    "gpt2": {
        "vocab_size": VOCAB,
        "n_embd": D_MODEL,
        "n_layer": N_LAYERS,
        "n_head": 4,
        "n_positions": 128,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 2,
    },
    "olmo2": _GROUPED,
    "mixtral": {**_GROUPED, "num_local_experts": 4, "num_experts_per_tok": 2},
}
_FastTokenizer: Any = PreTrainedTokenizerFast  # untyped
NORM_BEFORE_STREAM = frozenset({"gemma2", "gemma3_text", "olmo2"})


def random_model(architecture: str, seed: int = 0) -> Any:
    """A float32 model in eval mode; norm weights and all biases are random too, since fresh ones hide mistakes."""
    torch.manual_seed(seed)
    auto: Any = AutoModelForCausalLM  # untyped
    model = auto.from_config(AutoConfig.for_model(architecture, **ARCHITECTURES[architecture])).float()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim == 1:
                parameter.copy_(noise * 0.5 + (0.0 if name.endswith("bias") else 1.0))
            else:
                parameter.copy_(noise * parameter.shape[-1] ** -0.5)
    return model.eval().requires_grad_(False)


def word_tokenizer(
    *,
    bos: Literal["added", "known", "none"] = "added",
    padding_side: Literal["left", "right"] = "right",
    chat_template: str | None = None,
    thinking: bool = False,
    pad: bool = True,
) -> Any:
    """A fast tokenizer of whole words `w0` ... with `<s>` as id 0; `bos` says whether it is added, known or absent."""
    marks = (*SPECIAL, *THINKING) if thinking else SPECIAL
    vocabulary = {word: index for index, word in enumerate((*marks, *WORDS))}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if bos == "added":
        core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer = _FastTokenizer(
        tokenizer_object=core,
        bos_token=None if bos == "none" else "<s>",
        eos_token="</s>",
        pad_token="<pad>" if pad else None,
        unk_token="<unk>",
        additional_special_tokens=list(marks[4:]),
        padding_side=padding_side,
    )
    tokenizer.chat_template = chat_template
    return tokenizer


def byte_tokenizer(*, chat_template: str | None = None) -> Any:
    """A fast byte-level BPE tokenizer that merges punctuation with the newline behind it, as Llama 3 and Qwen do."""
    alphabet = {symbol: index + len(SPECIAL) for index, symbol in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocabulary = {**{token: index for index, token in enumerate(SPECIAL)}, **alphabet}
    merges = [(".", "Ċ"), ("?", "Ċ"), ("t", "h"), ("th", "e")]
    for left, right in merges:
        vocabulary[left + right] = len(vocabulary)
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = _FastTokenizer(
        tokenizer_object=core,
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=list(SPECIAL[4:]),
    )
    tokenizer.chat_template = chat_template
    return tokenizer


class SlowTokenizer(PreTrainedTokenizer):
    """A pure-python tokenizer of whole words, which puts its BOS before every text."""

    def __init__(self, **kwargs: Any) -> None:
        self._ids = {word: index for index, word in enumerate((*SPECIAL, *WORDS))}
        self._words = {index: word for word, index in self._ids.items()}
        super().__init__(  # type: ignore[no-untyped-call]  # transformers' base class is untyped
            **{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", **kwargs}
        )

    @property
    def vocab_size(self) -> int:
        return len(self._ids)

    def get_vocab(self) -> dict[str, int]:
        return {**self._ids, **self.added_tokens_encoder}

    def _tokenize(self, text: str, **kwargs: Any) -> list[str]:
        return text.split()

    def _convert_token_to_id(self, token: str) -> int:
        return self._ids.get(token, self._ids["<unk>"])

    def _convert_id_to_token(self, index: int) -> str:
        return self._words[index]

    def build_inputs_with_special_tokens(self, token_ids_0: list[int], token_ids_1: list[int] | None = None) -> list[int]:
        return [0, *token_ids_0, *(token_ids_1 or [])]

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str, ...]:
        path = Path(save_directory) / "vocab.txt"
        path.write_text("\n".join(self._ids), encoding="utf-8")
        return (str(path),)


def save_model(
    folder: Path,
    architecture: str = "llama",
    *,
    seed: int = 0,
    tokenizer: Callable[[], Any] = word_tokenizer,
    max_shard_size: str = "1GB",
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Saves a random tiny model and its tokenizer, as a model folder that `load_model` reads."""
    random_model(architecture, seed).to(dtype).save_pretrained(folder, max_shard_size=max_shard_size)
    tokenizer().save_pretrained(folder)
    return folder
