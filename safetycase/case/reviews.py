"""Who reviewed which claim on which evidence; a claim whose evidence changed since is suspect until somebody reviews it again."""

import datetime
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from safetycase.case.claims import Claim
from safetycase.errors import SourceError, nearest
from safetycase.evidence.record import Digest, Findings, Record, digest_of
from safetycase.sources.located_yaml import load_yaml, parse

FILE = "reviews.yaml"


class Review(Record):
    """One person's review of one claim."""

    reviewer: str
    date: datetime.date
    evidence: Digest
    """Of the claim and of what its steps had found, as reviewed."""
    note: str = ""


class ReviewFile(Record):
    """`reviews.yaml` in the case directory: the last review of each claim."""

    schema_version: int = 1
    reviews: dict[str, Review] = {}


class ReviewedClaim(Record):
    """A review beside what stands now."""

    claim: str
    reviewer: str
    date: datetime.date
    note: str
    suspect: bool
    """The claim or its evidence changed since."""


def load_reviews(path: Path) -> ReviewFile:
    """The reviews of a case; none where there is no file. Raises SourceError with file and line."""
    return parse(ReviewFile, load_yaml(path, SourceError), SourceError) if path.exists() else ReviewFile()


def evidence_digest(claim: Claim, findings: Mapping[str, Findings]) -> Digest:
    """Digest of a claim and of the findings that its criteria rest on.

    Findings at the level that pages show: the simultaneous level of verdicts depends on claims that have nothing to do with this one.
    """
    steps = sorted({criterion.step for criterion in claim.criteria})
    rest = {step: findings[step].model_dump(mode="json") if step in findings else None for step in steps}
    return digest_of([claim.model_dump(mode="json"), rest])


def reviewed(file: ReviewFile, claims: Mapping[str, Claim], findings: Mapping[str, Findings]) -> tuple[ReviewedClaim, ...]:
    """Every review of a claim that the plan still declares."""
    return tuple(
        ReviewedClaim(
            claim=name,
            reviewer=review.reviewer,
            date=review.date,
            note=review.note,
            suspect=review.evidence != evidence_digest(claims[name], findings),
        )
        for name, review in sorted(file.reviews.items())
        if name in claims
    )


def with_reviews(
    file: ReviewFile, names: Iterable[str], claims: Mapping[str, Claim], findings: Mapping[str, Findings], *,
    reviewer: str, date: datetime.date, note: str,
) -> bytes:  # fmt: skip
    """The file with these claims reviewed as they stand now; raises SourceError for a claim that the plan does not declare."""
    made = dict(file.reviews)
    for name in names:
        if name not in claims:
            raise SourceError(f"no claim {name!r}; {nearest(name, claims)}")
        made[name] = Review(reviewer=reviewer, date=date, evidence=evidence_digest(claims[name], findings), note=note)
    data = ReviewFile(reviews=made).model_dump(mode="json")
    head = "# The last review of each claim; `safetycase review` writes it. A claim whose evidence changed since is suspect.\n"
    return (head + yaml.safe_dump(data, sort_keys=False, allow_unicode=True)).encode()
