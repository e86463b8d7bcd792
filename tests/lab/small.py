"""Loaded models in memory, made of the random tiny ones, with prompts of their own words."""

from typing import Any

import torch

from safetycase.lab.chat import chat_format
from safetycase.lab.model import LoadedModel
from safetycase.lab.sites import find_sites
from safetycase.sources.prompts import Prompt, PromptSet, Split
from tests.lab.tiny import WORDS, random_model, word_tokenizer

TEMPLATE = "<|user|> {instruction} <|assistant|> w1 w2"
LONG_TEMPLATE = "<|user|> w3 w4 w5 w6 w7 w8 w9 w10 w11 {instruction} <|assistant|> w1 w2"


def loaded(architecture: str = "llama", *, seed: int = 0, template: str = TEMPLATE) -> LoadedModel:
    """A random tiny model, as `load_model` would hand it out."""
    module = random_model(architecture, seed)
    tokenizer = word_tokenizer()
    return LoadedModel(
        module=module,
        tokenizer=tokenizer,
        sites=find_sites(module),
        chat=chat_format(tokenizer, template=template),
        digest="0" * 64,
        weights_digest="0" * 64,
        source="random",
        dtype=torch.float32,
        device=torch.device("cpu"),
        n_parameters=sum(parameter.numel() for parameter in module.parameters()),
    )


def texts(count: int, *, seed: int, first: int = 12, last: int = 50) -> list[str]:
    """Prompts of three to nine words, of which no two have to be alike in length."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, 10, (count,), generator=generator).tolist()
    return [" ".join(WORDS[i] for i in torch.randint(first, last, (n,), generator=generator).tolist()) for n in lengths]


def prompt_set(name: str, sizes: dict[Split, int], **words: Any) -> PromptSet:
    """A prompt set with two prompts to a family and two categories."""
    listed = []
    for number, (split, count) in enumerate(sizes.items()):
        for i, text in enumerate(texts(count, seed=len(name) * 10 + number, **words)):
            asked = text + " ?" if i % 3 == 0 else text
            listed.append(Prompt(f"{name}-{split}-{i}", asked, f"topic-{i % 2}", f"{name}-{split}-{i // 2}", split))
    return PromptSet(name, "made for this test", "0" * 64, tuple(listed))
