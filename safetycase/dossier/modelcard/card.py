"""A model card with the evidence of a case in it; everything that others wrote keeps its bytes."""

from collections.abc import Mapping
from dataclasses import replace

from safetycase.case.judged import JudgedCase
from safetycase.case.wording import INSTEAD
from safetycase.dossier.lint import worded
from safetycase.dossier.modelcard.markers import with_section
from safetycase.dossier.modelcard.metrics import is_ours, model_name, results
from safetycase.dossier.modelcard.section import section
from safetycase.dossier.said import said
from safetycase.errors import RenderError
from safetycase.evidence.record import Findings
from safetycase.resources import Templates
from safetycase.sources.front_matter import split
from safetycase.sources.model_index import with_results


def attach_card(
    text: bytes,
    case: JudgedCase,
    findings: Mapping[str, Findings],
    *,
    version: str,
    made: str,
    content: str = "",
    link: str = "",
    name: str = "README.md",
    templates: Templates | None = None,
) -> bytes:
    """A model card with the case's section between its markers and its estimates in the `model-index`; all else keeps its bytes.

    `made` is the ISO 8601 time of the newest evidence, `content` the SHA-256 of the sealed version's manifest (empty for a draft), `link`
    where its documents can be read, `name` what error lines call the card. Raises SourceError where the card is broken or cannot be
    edited without touching what others wrote, RenderError where the template fails or claims too much, or the link is not of the web.
    """

    def at(level: int) -> str:
        made_text = section(case, findings, version=version, made=made, level=level, content=content, link=link, templates=templates)
        for claim in worded(made_text, said(case, findings, {})):
            raise RenderError(f"{name}: says {claim}; say instead what was done: {', '.join(INSTEAD)}")
        return made_text

    card = split(text, name)
    body = with_section(card.body, at, newline=card.newline, name=name, first_line=card.body_line)
    return with_results(replace(card, body=body), model_name(case), results(case, findings, link=link), is_ours).data
