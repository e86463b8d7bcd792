"""The register of findings against a model, kept across versions: opened by verdicts, answered and closed by people."""

import datetime
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import model_validator

from safetycase.case.claims import Judgement
from safetycase.errors import SourceError
from safetycase.evidence.record import Digest, Record
from safetycase.sources.located_yaml import load_yaml, parse

FILE = "findings.yaml"


class Closure(Record):
    """Why a finding is closed: newer evidence, or a reason that somebody answers for."""

    date: datetime.date
    by: str
    reason: str = ""
    evidence: Digest | None = None
    """Of the claim with newer findings that no longer bear it out."""

    @model_validator(mode="after")
    def _grounded(self) -> Self:
        if not self.by.strip():
            raise ValueError("by: expected who closed it")
        if not self.reason.strip() and self.evidence is None:
            raise ValueError("closing a finding needs evidence (the digest of newer findings) or a reason")
        return self

    @property
    def needs_evidence(self) -> bool:
        """Whether nothing but evidence closes it."""
        return not self.reason.strip()


class Finding(Record):
    """One finding against the model."""

    id: str
    claim: str
    summary: str
    verdict: str
    opened_on: Digest
    """Digest of the evidence that opened it: the claim and what its steps had found."""
    severity: Literal["unrated", "low", "moderate", "high", "critical"] = "unrated"
    owner: str = ""
    response: str = ""
    """Of the management, in its own words."""
    due: datetime.date | None = None
    closed: Closure | None = None


class RegisterFile(Record):
    """`findings.yaml` in the case directory."""

    schema_version: int = 1
    findings: tuple[Finding, ...] = ()

    @model_validator(mode="after")
    def _unique(self) -> Self:
        ids = [each.id for each in self.findings]
        if len(set(ids)) != len(ids):
            raise ValueError("findings: an id stands twice")
        for each in self.findings:
            if each.closed and each.closed.needs_evidence and each.closed.evidence == each.opened_on:
                raise ValueError(f"findings: {each.id} is closed by the evidence that opened it; expected newer evidence or a reason")
        return self


class RegisteredFinding(Record):
    """A finding beside the present verdict of its claim."""

    finding: Finding
    new: bool
    """Opened by this judging, not yet in the file."""
    stands: bool
    """The claim's verdict still counts against the model."""
    closed: bool
    """With a reason, or by evidence that no longer bears it out."""
    overdue: bool


def load_register(path: Path) -> RegisterFile:
    """The register of a case; empty where there is no file. Raises SourceError with file and line."""
    return parse(RegisterFile, load_yaml(path, SourceError), SourceError) if path.exists() else RegisterFile()


def register(
    file: RegisterFile, judgements: Sequence[Judgement], evidence: Mapping[str, Digest], as_of: datetime.date
) -> tuple[RegisteredFinding, ...]:
    """The register with what these verdicts open; `evidence` is by claim.

    A claim with an open finding opens no second one, and one that was closed with a reason is opened again only by other evidence.
    What was closed by evidence alone is open while the claim's verdict counts against the model, or the evidence is not that of the case.
    """
    against = {each.id: each for each in judgements if each.against_the_model}
    known = [
        RegisteredFinding(
            finding=each,
            new=False,
            stands=each.claim in against,
            closed=_is_closed(each, against, evidence),
            overdue=not _is_closed(each, against, evidence) and each.due is not None and each.due < as_of,
        )
        for each in file.findings
    ]
    opened: list[Finding] = []
    for claim, judgement in against.items():
        earlier = [each for each in file.findings if each.claim == claim]
        if any(not _is_closed(each, against, evidence) or each.opened_on == evidence[claim] for each in earlier):
            continue
        opened.append(
            Finding(
                id=f"F{_last(file) + len(opened) + 1}",
                claim=claim,
                summary=judgement.claim.text,
                verdict=f"{judgement.verdict} ({judgement.claim.bears})",
                opened_on=evidence[claim],
            )
        )
    return (*known, *(RegisteredFinding(finding=each, new=True, stands=True, closed=False, overdue=False) for each in opened))


def _is_closed(finding: Finding, against: Collection[str], evidence: Mapping[str, Digest]) -> bool:
    if finding.closed is None:
        return False
    borne_out = finding.claim in against or finding.closed.evidence != evidence.get(finding.claim)
    return not (finding.closed.needs_evidence and borne_out)


def _last(file: RegisterFile) -> int:
    """The highest number that an id of the file ends in: an id is never used twice."""
    return max((int(found[0]) for each in file.findings if (found := re.findall(r"\d+$", each.id))), default=0)


def appended(text: str, new: Sequence[Finding]) -> str:
    """The text of the file with findings added at its end; what people wrote in it stays as it is."""
    if not text.strip():
        text = (
            "# Findings against the model, kept across versions. Verdicts open them; severity, owner, response and due date are yours.\n"
            "# To close one, add   closed: {date: 2026-01-31, by: name, reason: ...}   or, for the reason, the digest of newer evidence.\n"
            "schema_version: 1\nfindings:\n"
        )
    text = re.sub(r"^findings:\s*\[\s*\]\s*$", "findings:", text, flags=re.MULTILINE)
    ended = text if text.endswith("\n") else text + "\n"
    dashes = re.findall(r"^( *)- ", text, flags=re.MULTILINE)
    return ended + "".join(_entry(each, dashes[0] if dashes else "  ") for each in new)


def _entry(finding: Finding, indent: str) -> str:
    listed = yaml.safe_dump([finding.model_dump(mode="json")], sort_keys=False, allow_unicode=True, width=140)
    return "".join(f"{indent}{line}\n" for line in listed.splitlines())
