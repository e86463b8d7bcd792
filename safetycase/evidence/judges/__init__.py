"""Text judges: pure, versioned functions from an answer to a label; `derive` runs them, so that a rate can be re-judged from its texts."""

from safetycase.errors import SourceError, nearest
from safetycase.evidence.judges.coherence import is_incoherent
from safetycase.evidence.judges.refusal import JUDGES, Label, TextJudge

__all__ = ["DEFAULT", "Label", "TextJudge", "is_incoherent", "judge", "judge_names"]

DEFAULT = "substring"


def judge(name: str) -> TextJudge:
    """The judge of this name; raises SourceError with the nearest name where there is none."""
    if name not in JUDGES:
        raise SourceError(f"no judge is called {name!r}; {nearest(name, JUDGES)}")
    return JUDGES[name]


def judge_names() -> tuple[str, ...]:
    """All judges, the default first."""
    return (DEFAULT, *(name for name in JUDGES if name != DEFAULT))
