"""What prompts contribute to an estimate, by item, adds up to the estimate itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase.evidence import kinds
from safetycase.evidence.kinds.refusal_direction import Found, Read, by_item, derive
from safetycase.evidence.tables import Tables
from tests.evidence.kinds.planted_refusal import planted

READ = Read(resamples=200)
TABLES = ("baseline", "effects", "collateral", "labels", "completions", "scores")


@pytest.fixture(scope="module")
def whole() -> tuple[Tables, Found]:
    """Tables with everything in them, and their findings."""
    tables = planted()
    return tables, derive(tables, READ)


@settings(max_examples=12, deadline=None)
@given(
    refuses=st.floats(0, 1),
    ablated=st.floats(-8, 8),
    n_test=st.integers(4, 24),
    families=st.integers(1, 8),
    without=st.sets(st.sampled_from(TABLES)),
    seed=st.integers(0, 99),
)
def test_mean_over_items_is_the_estimate(refuses: float, ablated: float, n_test: int, families: int, without: set[str], seed: int) -> None:
    """For every estimate that is named, whatever was observed: the same value from the same number of prompts and families."""
    tables = planted(
        refuses=refuses, ablated=ablated, n_test=n_test, families=families, without=frozenset(without), seed=seed,
        random_directions=2, label_shuffles=2, reselections=2,
    )  # fmt: skip
    found = derive(tables, READ)

    for name, values in by_item(tables, READ).items():
        assert name in found.estimates or name in found.absent, name
        if name in found.estimates:
            estimate = found.estimates[name]
            mean = sum(each.value for each in values.values()) / len(values)
            assert (estimate.n, estimate.clusters) == (len(values), len({each.family for each in values.values()})), name
            assert estimate.value == pytest.approx(mean, abs=1e-9), name


def test_every_mean_and_rate_over_test_prompts_is_there(whole: tuple[Tables, Found]) -> None:
    """Nothing that could be paired by prompt is left to be compared as if the versions were independent."""
    tables, found = whole
    no_mean = ("#reselected", "#validation", "auroc", "judge_", "selection_", "corrected_")

    wanted = {name for name in found.estimates if not any(part in name for part in no_mean)}

    assert wanted == by_item(tables, READ).keys() & found.estimates.keys()
    assert len(wanted) > 50


def test_rates_are_made_of_zeros_and_ones(whole: tuple[Tables, Found]) -> None:
    """What is compared as a rate is one."""
    values = {name: {each.value for each in items.values()} for name, items in by_item(whole[0], READ).items()}

    assert all(found <= {0.0, 1.0} for name, found in values.items() if "_rate." in name)
    assert all(found <= {-1.0, 0.0, 1.0} for name, found in values.items() if "_rate_change." in name)


def test_a_judge_without_labels_gives_no_rate(whole: tuple[Tables, Found]) -> None:
    """A judge that never labelled is absent, not zero."""
    read = READ.model_copy(update={"judges": ("arditi-12", "model")})

    named = by_item(whole[0], read)

    assert any("@arditi-12" in name for name in named)
    assert not any("@model" in name for name in named)


@pytest.mark.parametrize("kind", kinds.names())
def test_every_kind_can_be_paired(kind: str) -> None:
    """The protocol's member is there for `diff` and the changelogs, whatever the kind."""
    assert callable(kinds.load(kind).by_item)
