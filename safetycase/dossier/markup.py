"""One frozen dossier to one HTML text, by templates that are looked up in an overlay first and trusted with nothing."""

import base64
import hashlib
import re
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import jinja2.exceptions
import jinja2.runtime
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup, escape

from safetycase.dossier.doctypes import dossier_type
from safetycase.dossier.faces import face_rules
from safetycase.dossier.page import Dossier
from safetycase.dossier.visible import visible
from safetycase.errors import RenderError
from safetycase.resources import Templates

_BREAKS = re.compile(r"([@_/|]|[.,](?!\d))")
"""Where a name may break; never inside a number."""
_EXPLORER = "attribution_graph"
"""The script and the style of figures that can be explored."""
_TALKS = re.compile(r"content\s*:\s*[\"'][^\"']*[A-Za-z]{2}[^\"']*[\"']|[#.]warnings?\b|@import\b", re.IGNORECASE)
"""What the style sheet of an overlay may not hold: words of its own, and rules for the warnings."""
_MISTAKES = (
    jinja2.TemplateError, OSError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError, MemoryError,
)  # fmt: skip
"""What a template that somebody edited can raise."""


def markup(dossier: Dossier, templates: Templates, *, paper: bool) -> str:
    """The page of a dossier; on paper, what the bundled fonts lack is spelt out. Raises RenderError."""
    kind = dossier_type(dossier.type, templates)
    folder = f"dossiers/{dossier.type}"
    explored = dossier.is_explored and not paper
    style = face_rules() + _style(templates, folder, kind.style) + (_ours(templates, f"{_EXPLORER}.css") if explored else "")
    script = _ours(templates, f"{_EXPLORER}.js") if explored else ""
    try:
        template = _environment(templates, paper=paper).get_template(_own_or_shared(templates, folder, kind.document))
        return template.render(
            dossier=dossier, style=Markup(style), style_hash=_hash(style), script=Markup(script), script_hash=_hash(script)
        )
    except jinja2.TemplateSyntaxError as error:
        where = templates.short(Path(error.filename)) if error.filename else str(error.name)
        raise RenderError(f"{where}:{error.lineno}: {error.message}") from error
    except jinja2.TemplateNotFound as error:
        raise RenderError(f"templates/{error.name}: not found, or not readable") from error
    except _MISTAKES as error:
        raise RenderError(f"{_place(error, templates) or dossier.type}: {error}") from error


def _hash(text: str) -> str:
    """As a content security policy names what it allows."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _environment(templates: Templates, *, paper: bool) -> SandboxedEnvironment:
    """Templates and what they show are untrusted: sandboxed, strict, all text escaped and made visible."""
    shown = partial(visible, bundled_only=paper)
    environment = _Bounded(
        loader=_Loader(templates),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else shown(value) if isinstance(value, str) else value,
    )
    for name in ("range", "lipsum"):
        environment.globals.pop(name)
    environment.globals["paper"] = paper
    # A zero-width space is text and costs nothing; a thousand <wbr> are a thousand boxes and tags to the PDF renderer.
    opportunity = "\N{ZERO WIDTH SPACE}" if paper else "<wbr>"
    environment.filters["breakable"] = lambda text: _breakable(shown(text), opportunity)
    return environment


class _Bounded(SandboxedEnvironment):
    """Templates show what is there and compute nothing: without products, powers and ranges none can ask for a page without end."""

    intercepted_binops = frozenset(("*", "**"))

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        raise jinja2.exceptions.SecurityError(f"found {operator!r}; expected a template without arithmetic")


class _Loader(jinja2.FileSystemLoader):
    """The overlay's file before the bundled one; names the template that cannot be read, not the one that asks for it."""

    def __init__(self, templates: Templates) -> None:
        super().__init__([*templates.folders])
        self._templates = templates

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        try:
            return super().get_source(environment, template)
        except jinja2.TemplateNotFound:
            raise
        except (OSError, UnicodeDecodeError) as error:
            path = self._templates.find(template)
            where = self._templates.short(path) if path else f"templates/{template}"
            raise RenderError(f"{where}: cannot be read: {error}") from error


def _breakable(text: str, opportunity: str) -> Markup:
    """Names such as `refusal_rate.harmful.ablated` may break after their punctuation."""
    return Markup(_BREAKS.sub(rf"\1{opportunity}", str(escape(text))))


def _place(error: BaseException, templates: Templates) -> str:
    """File and line of the innermost template in a traceback; Jinja rewrites its frames to template lines."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if any(Path(frame.filename).is_relative_to(folder) for folder in templates.folders)
    ]
    return f"{templates.short(Path(frames[-1].filename))}:{frames[-1].lineno}" if frames else ""


def _own_or_shared(templates: Templates, folder: str, name: str) -> str:
    """A file of the type's own folder, or the one at the top of the templates that all types share."""
    return f"{folder}/{name}" if templates.find(f"{folder}/{name}") else name


def _ours(templates: Templates, name: str) -> str:
    """A file that no overlay replaces: what a page runs is the tool's own."""
    path = templates.folders[-1] / name
    try:
        return _whole(path.read_text(encoding="utf-8"), templates.short(path))
    except (OSError, UnicodeDecodeError) as error:
        raise RenderError(f"{templates.short(path)}: cannot be read: {error}") from error


def _style(templates: Templates, folder: str, name: str) -> str:
    """The style sheet of a type of document: its own, or one that stands at the top of the templates for all."""
    path = templates.find(_own_or_shared(templates, folder, name))
    if path is None:
        raise RenderError(f"templates/{folder}/{name}: not found, nor templates/{name}")
    try:
        style = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RenderError(f"{templates.short(path)}: cannot be read: {error}") from error
    if path.is_relative_to(templates.folders[-1]):
        return _whole(style, templates.short(path))
    for found in _TALKS.findall(style):
        raise RenderError(f"{templates.short(path)}: {found!r}: a style sheet neither writes words nor reaches the warnings")
    return _whole(style, templates.short(path))


def _whole(style: str, where: str) -> str:
    if "</" in style:
        raise RenderError(f"{where}: holds '</', which would end its element in the page")
    return style
