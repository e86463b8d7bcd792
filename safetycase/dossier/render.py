"""One frozen dossier to one HTML file and one PDF: from one source, the same bytes each time, and nothing fetched."""

from collections.abc import Sequence

from safetycase import resources
from safetycase.case.wording import INSTEAD
from safetycase.dossier.colours import bounded
from safetycase.dossier.doctypes import dossier_types
from safetycase.dossier.lint import overclaims, unprinted
from safetycase.dossier.markup import markup
from safetycase.dossier.page import Dossier
from safetycase.dossier.printing import Attachment, printed
from safetycase.errors import RenderError
from safetycase.resources import Templates

__all__ = ["Attachment", "dossier_types", "render_html", "render_pdf"]


def render_html(dossier: Dossier, *, templates: Templates | None = None, said: frozenset[str] = frozenset()) -> str:
    """A single file that needs nothing else: fonts, style and figures lie inside it.

    `said` is what people and models supplied; in it, and nowhere else, words may stand that the tool never says.
    Raises RenderError, also where a warning is not printed or a sentence claims too much.
    """
    return _checked(dossier, templates, said, paper=False)


def render_pdf(
    dossier: Dossier,
    *,
    attachments: Sequence[Attachment] = (),
    templates: Templates | None = None,
    said: frozenset[str] = frozenset(),
    timeout: float = 900,
) -> bytes:
    """The same pages as one file of PDF/A-3a and PDF/UA-1, with associated files; made in a child process.

    `timeout` is in seconds. Raises RenderError as `render_html` does, and for whatever becomes of the child.
    """
    html = _checked(dossier, templates, said, paper=True)
    return printed(html, name=dossier.type, made=dossier.made, attachments=attachments, timeout=timeout)


def _checked(dossier: Dossier, templates: Templates | None, said: frozenset[str], *, paper: bool) -> str:
    """The page, if it keeps the two promises that no template may break."""
    dossier = bounded(dossier, paper=paper)
    html = markup(dossier, templates or resources.bundled(), paper=paper)
    for warning in unprinted(html, dossier.warnings):
        raise RenderError(f"{dossier.type}: warning {warning} is not printed; templates must print every warning, id and text")
    for claim in overclaims(html, said | dossier.quoted):
        raise RenderError(f"{dossier.type}: says {claim}; say instead what was done: {', '.join(INSTEAD)}")
    return html
