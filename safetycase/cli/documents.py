"""The declared documents of a judged case, as files; shared by `render` and `build`."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from safetycase import __version__, resources
from safetycase.case.declared import Declared
from safetycase.case.judging import Judged
from safetycase.evidence.store import Store

if TYPE_CHECKING:
    from safetycase.dossier.page import SampleText


def documents(declared: Declared, judged: Judged, store: Store, version: str) -> dict[str, bytes]:
    """File name to bytes of every declared document; raises RenderError."""
    from safetycase.dossier.assemble import assemble
    from safetycase.dossier.render import render_html, render_pdf

    files = {}
    for entry in declared.dossiers:
        samples = _samples(judged, store) if entry.profile == "restricted" else {}
        dossier = assemble(
            judged.case,
            judged.findings,
            dossier_type=entry.type,
            version=version,
            profile=entry.profile,
            samples=samples,
            made=judged.made,
        )
        name = f"restricted/{entry.type}" if entry.profile == "restricted" else entry.type
        if "html" in entry.formats:
            files[f"{name}.html"] = render_html(dossier).encode()
        if "pdf" in entry.formats:
            files[f"{name}.pdf"] = render_pdf(dossier)
    return files


def rendering_digest() -> str:
    """Of what documents are made with: the tool's version and every template."""
    digest = hashlib.sha256(__version__.encode())
    root = resources.directory("templates")
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        digest.update(f"\n{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _samples(judged: Judged, store: Store) -> Mapping[str, Sequence["SampleText"]]:
    """Texts of the random samples that the findings name, from the restricted tables where they are here."""
    from safetycase.dossier.page import SampleText
    from safetycase.evidence.samples import sample_texts

    return {
        step: [SampleText(**text) for text in sample_texts(judged.findings[step], store.tables(observation))]
        for step, observation in judged.observations.items()
    }
