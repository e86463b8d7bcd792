"""A corpus as the model reads it: documents to tokens to windows, one after the other, none across two documents."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from safetycase.errors import ModelError
from safetycase.lab.chat import FIXED_DATE, SYSTEM, ChatFormat
from safetycase.lab.model import LoadedModel
from safetycase.sources.corpora import Corpus, Document, Message

# Documents that are tokenised together: fast tokenizers run them in parallel, and so much text is held at once.
DOCUMENTS_AT_ONCE = 256
CHARACTERS_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A piece of one document; it begins with the beginning-of-text token where the model's input does."""

    number: int
    """Running number in the corpus as it is cut, from 0."""
    document: str
    """Id of its document."""
    tokens: Int[Tensor, "pos"]
    """On the CPU, without padding."""
    counted: Bool[Tensor, "pos"]
    """All positions but those of beginning-of-text tokens, on which activations are out of scale; at least one."""


def windows(model: LoadedModel, corpus: Corpus, *, context: int, max_tokens: int) -> Iterator[Window]:
    """The first `max_tokens` counted tokens of a corpus in windows of at most `context` tokens.

    A document is cut from its start; what is left of it at the end is a shorter window. Nothing is kept but the documents that
    are tokenised together. Raises SourceError where the corpus cannot be read, ModelError where a conversation cannot be put
    into the model's chat format or a window is longer than the model reads.
    """
    _check_context(model, context)
    start, bos = _start(model), model.tokenizer.bos_token_id
    left, number = max_tokens, 0
    for document, ids in _tokenised(model, corpus):
        own = ids[len(start) :] if start and tuple(ids[: len(start)]) == start else ids
        for begin in range(0, len(own), context - len(start)):
            tokens = torch.tensor([*start, *own[begin : begin + context - len(start)]])
            counted = tokens != bos if bos is not None else torch.ones_like(tokens, dtype=torch.bool)
            found = int(counted.sum())
            if not found:
                continue
            if found > left:
                end = int(counted.nonzero()[left - 1]) + 1
                tokens, counted, found = tokens[:end], counted[:end], left
            yield Window(number, document.id, tokens, counted)
            left, number = left - found, number + 1
            if not left:
                return


def half(document: str, seed: int, purpose: str) -> bool:
    """On which side of a split a document lies: a fair coin from (seed, purpose, document) alone, so that adding one moves no other."""
    return bool(hashlib.sha256(f"{seed}\n{purpose}\n{document}".encode()).digest()[0] & 1)


def conversation_text(chat: ChatFormat, messages: Sequence[Message]) -> str:
    """A whole conversation as the model reads it: by the plan's template, else by the tokenizer's chat template, else the bare texts.

    The system prompt is the conversation's own, else the one that the plan declares; where the plan's template has no place for
    one it is left out. With that template an answer follows its request at once, as when the model writes it.
    Raises ModelError where the chat template refuses the messages.
    """
    system = next((message.content for message in messages if message.role == "system"), chat.system)
    turns = [message for message in messages if message.role != "system"]
    if chat.template is not None:
        return "".join(_templated(chat, system, message) for message in turns)
    if not chat.tokenizer.chat_template:
        return "\n\n".join(([] if system is None else [system]) + [message.content for message in turns])
    asked = [{"role": message.role, "content": message.content} for message in turns]
    if system is None:
        return _chat_text(chat, asked)
    try:
        return _chat_text(chat, [{"role": "system", "content": system}, *asked])
    except ModelError:
        if not asked or asked[0]["role"] != "user":
            raise
        # Templates without a system role (Gemma) refuse one; there its text stands before the first request.
        return _chat_text(chat, [{**asked[0], "content": f"{system}\n\n{asked[0]['content']}"}, *asked[1:]])


def _check_context(model: LoadedModel, context: int) -> None:
    config: Any = model.module.config.get_text_config()
    most = getattr(config, "max_position_embeddings", None)
    if isinstance(most, int) and 0 < most < context:
        raise ModelError(f"context: found {context} tokens, expected at most {most}: {model.source} reads no more at once")


def _start(model: LoadedModel) -> tuple[int, ...]:
    """The beginning-of-text token where the tokenizer, or the model's chat format, puts one before a text."""
    bos = model.tokenizer.bos_token_id
    if bos is None:
        return ()
    ids = model.tokenizer("a")["input_ids"]
    return (bos,) if ids[:1] == [bos] or model.chat.prefix_ids[:1] == (bos,) else ()


def _tokenised(model: LoadedModel, corpus: Corpus) -> Iterator[tuple[Document, list[int]]]:
    """Every document with its token ids; beginning-of-text tokens are there only where a chat template writes them."""
    for group in _groups(corpus.documents()):
        texts = [_text(model.chat, document) for document in group]
        # `verbose` would warn of documents that are longer than the model reads at once: they are cut.
        rows = model.tokenizer(texts, add_special_tokens=False, padding=False, truncation=False, verbose=False)["input_ids"]
        yield from zip(group, rows, strict=True)


def _groups(documents: Iterator[Document]) -> Iterator[list[Document]]:
    group: list[Document] = []
    held = 0
    for document in documents:
        group.append(document)
        held += len(document.text) if document.text is not None else sum(len(each.content) for each in document.messages or ())
        if len(group) == DOCUMENTS_AT_ONCE or held >= CHARACTERS_AT_ONCE:
            yield group
            group, held = [], 0
    if group:
        yield group


def _text(chat: ChatFormat, document: Document) -> str:
    if document.text is not None:
        return document.text
    try:
        return conversation_text(chat, document.messages or ())
    except ModelError as error:
        raise ModelError(f"document {document.number} of the corpus: {error}") from error


def _templated(chat: ChatFormat, system: str | None, message: Message) -> str:
    """A turn by the plan's template, which says how a request looks and where its answer begins."""
    assert chat.template is not None
    if message.role == "assistant":
        return message.content
    known = system if SYSTEM in chat.template else None
    return replace(chat, system=known).render([message.content])[0]


def _chat_text(chat: ChatFormat, messages: Sequence[dict[str, str]]) -> str:
    options: dict[str, Any] = {} if chat.thinking == "none" else {"enable_thinking": False}
    try:
        template = chat.tokenizer.get_chat_template()
        if "strftime_now" in template:
            options["chat_template"] = FIXED_DATE + template
        text = chat.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=False, **options)
    except Exception as error:  # the template is untrusted code (run in a sandbox): it may raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"the tokenizer's chat template cannot render the conversation: {reason}") from error
    assert isinstance(text, str), f"chat template gave {type(text).__name__}"
    return text
