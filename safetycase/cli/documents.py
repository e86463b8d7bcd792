"""The declared documents of a judged case, as files; shared by `render` and `build`."""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from safetycase import __version__
from safetycase.case.declared import DossierEntry
from safetycase.case.judging import Judged
from safetycase.evidence.store import Store
from safetycase.resources import Templates

if TYPE_CHECKING:
    from safetycase.case.changes import Changes
    from safetycase.dossier.page import Dossier, SampleText
    from safetycase.dossier.printing import Attachment

_AT_ONCE = 2
"""PDFs rendered side by side: each takes a process of its own and up to a gigabyte."""


def documents(
    entries: Sequence[DossierEntry],
    judged: Judged,
    store: Store,
    version: str,
    templates: Templates,
    changes: "Changes | None",
) -> dict[str, bytes]:
    """File name to bytes of every document asked for; raises RenderError."""
    from safetycase.dossier.render import render_html, render_pdf
    from safetycase.dossier.said import said

    samples = _samples(judged, store) if any(entry.profile == "restricted" for entry in entries) else {}
    quoted = said(judged.case, judged.findings, samples)
    files: dict[str, bytes] = {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting = {}
        for entry in entries:
            dossier = _assembled(entry, judged, version, templates, changes, samples)
            name = _name(entry)
            files |= {f"{name}{end}": data for end, data in _extras(entry, dossier, judged, templates).items()}
            if "html" in entry.formats:
                files[f"{name}.html"] = render_html(dossier, templates=templates, said=quoted).encode()
            if "pdf" in entry.formats:
                attached = _attachments(entry, judged)
                waiting[f"{name}.pdf"] = pool.submit(render_pdf, dossier, attachments=attached, templates=templates, said=quoted)
        files |= {name: made.result() for name, made in waiting.items()}
    return dict(sorted(files.items()))


def rendering_digest(templates: Templates) -> str:
    """Of what documents are made with: the tool's version and every template."""
    return hashlib.sha256(f"{__version__}\n{templates.digest}".encode()).hexdigest()


def _assembled(
    entry: DossierEntry,
    judged: Judged,
    version: str,
    templates: Templates,
    changes: "Changes | None",
    samples: Mapping[str, Sequence["SampleText"]],
) -> "Dossier":
    from safetycase.dossier.assemble import assemble

    return assemble(
        judged.case,
        judged.findings,
        dossier_type=entry.type,
        version=version,
        profile=entry.profile,
        samples=samples if entry.profile == "restricted" else {},
        made=judged.made,
        audience=entry.audience,
        templates=templates,
        changes=changes,
    )


def _name(entry: DossierEntry) -> str:
    name = f"{entry.type}-{entry.audience}" if entry.audience else entry.type
    return f"restricted/{name}" if entry.profile == "restricted" else name


def _extras(entry: DossierEntry, dossier: "Dossier", judged: Judged, templates: Templates) -> dict[str, bytes]:
    """Ending to bytes of what a type of document brings besides HTML and PDF."""
    from safetycase.cli.attach import attach_card
    from safetycase.dossier.doctypes import dossier_type
    from safetycase.dossier.exports.gsn2x import gsn2x

    made: dict[str, bytes] = {}
    for extra in dossier_type(entry.type, templates).extras:
        match extra:
            case "markdown":
                made[".md"] = attach_card(b"", judged.case, judged.findings, version=dossier.version, made=judged.made)
            case "gsn2x":
                for argument in judged.case.arguments:
                    made[f"-{Path(argument.pattern).stem}.gsn.yaml"] = gsn2x(argument).encode()
    return made


def _attachments(entry: DossierEntry, judged: Judged) -> tuple["Attachment", ...]:
    """The evidence as JSON, as far as the readers of the document may have it: never texts, never facts that are for others."""
    from safetycase.dossier.doctypes import dossier_type
    from safetycase.dossier.printing import Attachment
    from safetycase.dossier.requirements import for_audience
    from safetycase.evidence.store import canonical

    case = for_audience(judged.case, entry.audience)
    files = {"case.json": ("The judged case", canonical(case))}
    if dossier_type(entry.type, judged.paperwork.templates).shows_evidence:
        for step, found in judged.findings.items():
            files[f"findings-{step}.json"] = (f"Findings of step {step}, as shown", canonical(found))
    return tuple(
        Attachment(name=name, data=data, mime="application/json", description=what) for name, (what, data) in sorted(files.items())
    )


def _samples(judged: Judged, store: Store) -> Mapping[str, Sequence["SampleText"]]:
    """Texts of the random samples that the findings name, from the restricted tables where they are here."""
    from safetycase.dossier.page import SampleText
    from safetycase.evidence.samples import sample_texts

    return {
        step: [SampleText(**text) for text in sample_texts(judged.findings[step], store.tables(observation))]
        for step, observation in judged.observations.items()
    }
