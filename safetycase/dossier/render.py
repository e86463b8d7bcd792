"""One frozen dossier to one HTML file and one PDF: from one source, the same bytes each time, and nothing fetched."""

import base64
import hashlib
import logging
import os
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup, escape

from safetycase import resources
from safetycase.dossier.doctypes import dossier_type, dossier_types, short
from safetycase.dossier.page import Dossier
from safetycase.dossier.visible import visible
from safetycase.errors import RenderError

__all__ = ["dossier_types", "render_html", "render_pdf"]

_FACES = (
    ("Dossier Serif", 400, "normal", "dossier-serif-regular"),
    ("Dossier Serif", 400, "italic", "dossier-serif-italic"),
    ("Dossier Serif", 600, "normal", "dossier-serif-semibold"),
    ("Dossier Sans", 400, "normal", "dossier-sans-regular"),
    ("Dossier Sans", 600, "normal", "dossier-sans-semibold"),
    ("Dossier Mono", 400, "normal", "dossier-mono-regular"),
)
"""Family, weight, style, file: names of our own, because generic ones are resolved to fonts of the system."""
_BREAKS = re.compile(r"([@_/|]|[.,](?!\d))")
"""Where a name may break; never inside a number."""


def render_html(dossier: Dossier) -> str:
    """A single file that needs nothing else: fonts, style and figures lie inside it. Raises RenderError."""
    return _render(dossier, bundled_only=False)


def render_pdf(dossier: Dossier) -> bytes:
    """The same pages as PDF/UA-1. Raises RenderError, also where the pango library is missing."""
    try:
        import weasyprint
        from weasyprint.urls import FatalURLFetchingError, URLFetcher
    except OSError as error:
        raise RenderError(
            f"the PDF renderer finds no pango library ({error}); "
            "on Debian and Ubuntu: apt-get install libpango-1.0-0 libpangoft2-1.0-0"
        ) from error

    class InMemory(URLFetcher):  # type: ignore[misc]  # WeasyPrint is untyped
        """Fetches nothing but what the document itself carries."""

        def fetch(self, url: str, headers: Any = None) -> Any:
            if not url.startswith("data:"):
                raise FatalURLFetchingError(f"the document asks for {url[:80]!r}")
            return super().fetch(url, headers)

    html = _render(dossier, bundled_only=True)
    identifier = hashlib.sha256(html.encode()).digest()[:16]
    with _epoch(dossier.made), _complaints() as complaints:
        try:
            document = weasyprint.HTML(
                string=html, url_fetcher=InMemory(allowed_protocols=("data",), allow_redirects=False)
            )
            pdf = document.write_pdf(pdf_variant="pdf/ua-1", pdf_identifier=identifier)
        except FatalURLFetchingError as error:
            raise RenderError(f"{dossier.type}: {error}; a dossier carries all that it shows") from error
    if complaints:
        raise RenderError(f"{dossier.type}: {complaints[0]}")
    return bytes(pdf)


def _render(dossier: Dossier, *, bundled_only: bool) -> str:
    kind = dossier_type(dossier.type)
    root = resources.directory("templates")
    style = _fonts() + _style(root / "dossiers" / dossier.type / kind.style)
    environment = _environment(root, bundled_only=bundled_only)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    try:
        template = environment.get_template(f"dossiers/{dossier.type}/{kind.document}")
        return template.render(dossier=dossier, style=Markup(style), style_hash=f"sha256-{digest}")
    except jinja2.TemplateSyntaxError as error:
        where = short(Path(error.filename)) if error.filename else str(error.name)
        raise RenderError(f"{where}:{error.lineno}: {error.message}") from error
    except jinja2.TemplateNotFound as error:
        raise RenderError(f"templates/{error.name}: not found, or not readable") from error
    except (jinja2.TemplateError, OSError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise RenderError(f"{_place(error, root) or dossier.type}: {error}") from error


def _environment(root: Path, *, bundled_only: bool) -> SandboxedEnvironment:
    """Templates and what they show are untrusted: sandboxed, strict, all text escaped and made visible."""
    shown = partial(visible, bundled_only=bundled_only)
    environment = SandboxedEnvironment(
        loader=_Templates(root),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: (
            value if isinstance(value, Markup) else shown(value) if isinstance(value, str) else value
        ),
    )
    environment.filters["breakable"] = lambda text: _breakable(shown(text))
    return environment


class _Templates(jinja2.FileSystemLoader):
    """Names the template that cannot be read, not the one that asks for it."""

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        try:
            return super().get_source(environment, template)
        except jinja2.TemplateNotFound:
            raise
        except (OSError, UnicodeDecodeError) as error:
            raise RenderError(f"templates/{template}: cannot be read: {error}") from error


def _breakable(text: str) -> Markup:
    """Names such as `refusal_rate.harmful.ablated` may break after their punctuation."""
    return Markup(_BREAKS.sub(r"\1<wbr>", str(escape(text))))


def _place(error: BaseException, root: Path) -> str:
    """File and line of the innermost template in a traceback; Jinja rewrites its frames to template lines."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(root)]
    return f"{short(Path(frames[-1].filename))}:{frames[-1].lineno}" if frames else ""


def _style(path: Path) -> str:
    try:
        style = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RenderError(f"{short(path)}: cannot be read: {error}") from error
    if "</" in style:
        raise RenderError(f"{short(path)}: holds '</', which would end the style of the page")
    return style


@cache
def _fonts() -> str:
    """The bundled faces as data inside the style sheet."""
    folder = Path(__file__).parent / "fonts"
    rules = []
    for family, weight, style, file in _FACES:
        data = base64.b64encode((folder / f"{file}.woff2").read_bytes()).decode()
        source = f"url(data:font/woff2;base64,{data}) format('woff2')"
        rules.append(f"@font-face{{font-family:'{family}';font-weight:{weight};font-style:{style};src:{source}}}\n")
    return "".join(rules)


@contextmanager
def _epoch(made: str) -> Iterator[None]:
    """Subset fonts and metadata carry the time of the evidence, not of the rendering."""
    name = "SOURCE_DATE_EPOCH"
    before = os.environ.get(name)
    os.environ[name] = str(_seconds(made))
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _seconds(made: str) -> int:
    """Seconds since 1970 of an ISO 8601 time, in UTC where it names no zone; 0 without one."""
    if not made:
        return 0
    when = datetime.fromisoformat(made)
    return max(0, int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()))


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collects what the renderer calls an error and keeps its remarks from the console."""
    found: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR:
                found.append(record.getMessage())

    handler = Collect()
    loggers = [logging.getLogger(name) for name in ("weasyprint", "fontTools")]
    before = [(logger.propagate, logger.level) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield found
    finally:
        for logger, (propagate, level) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate
            logger.setLevel(level)
