"""Corpora in memory, of the tiny tokenizer's words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from safetycase.sources.corpora import Corpus, Document, Message, Sensitivity
from tests.lab.tiny import WORDS


@dataclass(frozen=True)
class Texts(Corpus):
    """A corpus of these texts and conversations; the id of a document is its text's, so that the same text is the same document."""

    contents: Sequence[str | tuple[Message, ...]] = ()

    def documents(self) -> Iterator[Document]:
        """In their order."""
        for number, content in enumerate(self.contents, start=1):
            name = f"document {content!r}"
            text, messages = (content, None) if isinstance(content, str) else (None, content)
            yield Document(name, number, text, messages, name)


def texts(contents: Sequence[str | tuple[Message, ...]], sensitivity: Sensitivity = "public") -> Texts:
    """A corpus of these."""
    return Texts("texts", "made for this test", "none", sensitivity, None, (), contents)


def random_texts(count: int, *, longest: int = 60, seed: int = 0) -> Texts:
    """Documents of random words and lengths."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
    return texts([" ".join(WORDS[i] for i in torch.randint(len(WORDS), (n,), generator=generator).tolist()) for n in lengths])
