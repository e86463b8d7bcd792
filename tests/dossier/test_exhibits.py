"""What all kinds of evidence show alike."""

from collections.abc import Sequence

import pytest

from safetycase.dossier import exhibits
from safetycase.dossier.exhibits import general
from safetycase.dossier.page import Quoted
from safetycase.evidence.record import Outcome, Unit
from tests.dossier import synthetic


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        pytest.param(["kl.harmless.ablated", "kl.harmless.added"], ["kl.harmless.{ablated|added}"], id="one part differs"),
        pytest.param(
            [f"rate.{population}.added@{judge}*" for population in ("harmful", "harmless") for judge in ("a", "b")],
            ["rate.{harmful|harmless}.added@{a*|b*}"],
            id="a product of two parts",
        ),
        pytest.param(
            ["kl.harmless.added", "rate.harmful.ablated"],
            ["kl.harmless.added", "rate.harmful.ablated"],
            id="nothing alike",
        ),
        pytest.param(["*"], ["*"], id="everything"),
    ],
)
def test_folded_names(names: Sequence[str], folded: Sequence[str]) -> None:
    """Absent estimates are named in few lines, and none is added or lost."""
    assert sorted(general.folded(names)) == sorted(folded)


def test_methods_without_sizes() -> None:
    """Captions name each family of intervals once."""
    named = (
        "Wilson on design-effect n 46.8 (deff 2.5, t with 28 df)",
        "Wilson on design-effect n 0.1 (deff 1.9, t with 1 df)",
    )
    estimates = [synthetic.estimate(0.5, 0.1, method=method) for method in (*named, "BCa bootstrap of 32 clusters, 2000 resamples")]

    assert general.methods(estimates) == "Wilson on design-effect n; BCa bootstrap"


def test_kind_without_exhibits_of_its_own() -> None:
    """A kind from elsewhere still shows its estimates, its nulls and what is absent."""
    foreign = synthetic.found().model_copy(update={"kind": "foreign_kind"})

    shown = exhibits.exhibit(foreign, Quoted())

    assert {"estimates", "nulls", "absent"} == set(shown.tables)
    assert "conclusive" in shown.sentence
    assert exhibits.unit("foreign_kind", "refusal_rate.x") is Unit.FRACTION


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_its_sentence(outcome: Outcome) -> None:
    """Whatever a step came to, the page says so, with its reason where there is one."""
    result = synthetic.found().model_copy(update={"outcome": outcome, "reasons": ("it was so",)})

    said = general.ended(result, "thing")

    assert said.startswith("The analysis of the thing")
    assert ("It was so." in said) == (outcome is not Outcome.CONCLUSIVE)
