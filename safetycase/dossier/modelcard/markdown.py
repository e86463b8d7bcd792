"""Untrusted text as Markdown that shows it and does nothing else: no markup, no links, no HTML, no headings."""

import re

from markupsafe import Markup

from safetycase.dossier.visible import visible

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "{": "&#123;", "}": "&#125;", "`": "&#96;"}
"""Never written as they are: HTML and the end marker, cells of tables, templates of other tools, and our own code spans."""
_PIECES = re.compile(r"([&<>|{}`\s]+)")
_LIVE = re.compile(r"[$@\\]|://|\bwww\.|\b(?:mailto|xmpp|data|javascript):|[^\W_]\.[^\W\d_]{2}", re.IGNORECASE)
"""What renderers make links, mentions or formulas of, even where it is escaped."""
_MARKUP = re.compile(r"([*_\[\]~])")
_BLOCK_START = re.compile(r"([#+\-=:]|\d{1,9}(?=[.)](?: |$)))")


def text(value: str) -> Markup:
    """One line that reads as the value does; words that a renderer would act on (`example.org`, `$x$`) are shown as code."""
    line = re.sub(r"[ \t\r\n\f\v]+", " ", visible(value)).strip(" ")
    return Markup(_not_a_block("".join(_piece(each) for each in _PIECES.split(line))))


def code(value: str) -> Markup:
    """A name or a digest as code; one that could end the span is text."""
    line = visible(value)
    return Markup(f"`{line}`") if line and not re.search(r"[&<>|{}`\s]", line) else text(value)


def _piece(piece: str) -> str:
    if _PIECES.fullmatch(piece):
        return "".join(_ENTITIES.get(character, character) for character in piece)
    if _LIVE.search(piece):
        return f"`{piece}`"
    return _MARKUP.sub(r"\\\1", piece)


def _not_a_block(line: str) -> str:
    """A line may begin a paragraph or the item of a list, where `#` or `1.` would begin a block."""
    found = _BLOCK_START.match(line)
    if not found:
        return line
    return f"{found[0]}\\{line[found.end() :]}" if found[0][0].isdigit() else f"\\{line}"
