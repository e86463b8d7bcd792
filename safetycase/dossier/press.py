"""The child that turns HTML into one file of PDF/A-3a and PDF/UA-1: run as a script, an order on stdin, the PDF on stdout.

Beside the standard library it imports WeasyPrint alone, and that only once the order is read.
"""

import base64
import gc
import io
import json
import logging
import os
import re
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

REFUSED = 3
"""Exit code: the document cannot become such a PDF, and stdout says why in one line."""
_LOG = logging.getLogger("weasyprint")
"""An error in this log refuses the document, whoever wrote it."""
_PANGO = "the PDF renderer finds no pango library ({}); on Debian and Ubuntu: apt-get install libpango-1.0-0 libpangoft2-1.0-0"
_ACCESSIBLE = b"""\
<rdf:Description xmlns:pdfuaid="http://www.aiim.org/pdfua/ns/id/" rdf:about="" pdfuaid:part="1"/>
<rdf:Description xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/" xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#"
 xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#" rdf:about=""><pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource">
<pdfaSchema:schema>PDF/UA identification</pdfaSchema:schema>
<pdfaSchema:namespaceURI>http://www.aiim.org/pdfua/ns/id/</pdfaSchema:namespaceURI><pdfaSchema:prefix>pdfuaid</pdfaSchema:prefix>
<pdfaSchema:property><rdf:Seq><rdf:li rdf:parseType="Resource"><pdfaProperty:name>part</pdfaProperty:name>
<pdfaProperty:valueType>Integer</pdfaProperty:valueType><pdfaProperty:category>internal</pdfaProperty:category>
<pdfaProperty:description>Part of ISO 14289 to which the file conforms</pdfaProperty:description></rdf:li></rdf:Seq></pdfaSchema:property>
</rdf:li></rdf:Bag></pdfaExtension:schemas></rdf:Description>
"""
"""What WeasyPrint writes of PDF/A lacks of PDF/UA: its mark, and the schema by which PDF/A allows a mark that it does not know."""


def main() -> int:
    """Read the order, print the PDF or one line; whatever libraries say goes to stderr."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    order = json.load(sys.stdin.buffer)
    # One document, then the process ends: collecting what it leaves costs a tenth of the time and frees little.
    gc.disable()
    try:
        made, code = press(order), 0
    except Refused as refused:
        made, code = " ".join(str(refused).split()).encode(), REFUSED
    with output:
        output.write(made)
    return code


class Refused(Exception):
    """The document cannot become such a PDF."""


def press(order: dict[str, Any]) -> bytes:
    """The PDF of an order: html, identifier, seconds (of its time, since 1970) and attachments. Raises Refused."""
    complaints = _Complaints()
    for log in (_LOG, logging.getLogger("fontTools")):
        log.addHandler(complaints)
        log.propagate = False
    try:
        from weasyprint.urls import FatalURLFetchingError
    except OSError as error:
        raise Refused(_PANGO.format(error)) from error
    pdf = b""
    try:
        document = _page(order["html"]).render(pdf_variant="pdf/a-3a")
        document.metadata.attachments = _attachments(order)
        identifier = bytes.fromhex(order["identifier"])
        pdf = bytes(document.write_pdf(finisher=_finish, pdf_variant="pdf/a-3a", pdf_identifier=identifier))
    except FatalURLFetchingError as error:
        complaints.found.append(str(error))
    for complaint in complaints.found:
        raise Refused(complaint)
    return pdf


class _Complaints(logging.Handler):
    """Collects what the renderer calls an error; its remarks on style sheets are nobody's business."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(record.getMessage())


def _page(html: str) -> Any:
    """The document, with a fetcher that reads nothing but what lies in it."""
    from weasyprint import CSS, HTML
    from weasyprint.html import UA, UA_COUNTER_STYLE
    from weasyprint.urls import FatalURLFetchingError, URLFetcher

    class InMemory(URLFetcher):  # type: ignore[misc]  # WeasyPrint is untyped
        def fetch(self, url: str, headers: Any = None) -> Any:
            if not url.lower().startswith("data:"):
                # Logged as well: what is raised while a drawing is drawn, WeasyPrint keeps to itself.
                _LOG.error(asked := f"the document asks for {url[:80]!r}; a dossier carries all that it shows")
                raise FatalURLFetchingError(asked)
            return super().fetch(url, headers)

    class Page(HTML):  # type: ignore[misc]  # WeasyPrint is untyped
        # By WeasyPrint's own style every element has six pseudo-elements for notes and list marks, each with a style of its own:
        # a third of the memory of a long document that has no notes.
        def _ua_stylesheets(self, forms: bool = False) -> Any:
            if "footnote" in html or "note-call" in html:
                return super()._ua_stylesheets(forms)
            plain = re.sub(r"(?m)^::(?:footnote|note)-.*$", "", UA).replace("\n::marker", "\nli::marker")
            return [CSS(string=plain, counter_style=UA_COUNTER_STYLE)]

    return Page(string=html, url_fetcher=InMemory(allowed_protocols=("data",), allow_redirects=False))


def _attachments(order: dict[str, Any]) -> list[Any]:
    from weasyprint import Attachment

    when = datetime.fromtimestamp(order["seconds"], UTC)
    made = []
    for each in order["attachments"]:
        attachment = Attachment(
            string="", name=each["name"], description=each["description"], created=when, modified=when, relationship="Data"
        )
        # Only a source tells the media type; guessed from the name, it would depend on the machine's own list of types.
        attachment.source = nullcontext((io.BytesIO(base64.b64decode(each["data"])), None, None, each["mime"]))
        made.append(attachment)
    return made


def _finish(document: Any, pdf: Any) -> None:
    """Adds the mark of PDF/UA, and looks for what would break its promise unsaid."""
    for font in document.fonts.values():
        for character in font.missing:
            _LOG.error(f"no bundled font draws U+{character:04X}; what a template says itself must be in the bundled characters")
    for each in pdf.objects:
        if isinstance(each, dict) and each.get("S") == "/Figure" and not each.get("Alt"):
            _LOG.error("a figure has no alternative text: an <svg> needs a <title> as its child, an <img> an alt")
    if "AF" in pdf.catalog:
        # Listed once as files of the document and once more as files of whatever names them.
        pdf.catalog["AF"][:] = dict.fromkeys(pdf.catalog["AF"])
    metadata = pdf.objects[int(pdf.catalog["Metadata"].split()[0])]
    metadata.stream = [part.replace(b"</rdf:RDF>", _ACCESSIBLE + b"</rdf:RDF>", 1) for part in metadata.stream]


if __name__ == "__main__":
    sys.exit(main())
