"""What graphs are traced from is what is measured in the free model."""

import pytest
import torch

from safetycase.lab.attribution.frozen_pass import frozen_pass
from safetycase.lab.model import LoadedModel
from safetycase.lab.tracing.functional import Functional
from safetycase.lab.tracing.graphs import Graphs
from tests.lab.attribution.cases import PROMPT, double, transcoders
from tests.lab.tracing.studies import COMPLIANCE, PER_LAYER, REFUSAL, in_float64, one_by_one, study

pytestmark = pytest.mark.lab

UNIT = torch.nn.functional.normalize(torch.randn(32, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=0)
DIRECTION = Functional("direction", REFUSAL, COMPLIANCE, UNIT, layer=2, position=-3)


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    """A random Llama of three layers in float64."""
    return double()


def test_a_difference_of_tokens_is_measured_before_a_soft_cap() -> None:
    """Gemma 2 caps its logits: the target is linear in what the final norm puts out, and so is what the free model is asked for."""
    capped = double("gemma2")
    capped.module.config.final_logit_softcapping = 3.0
    functional = Functional("token-difference", REFUSAL, COMPLIANCE)
    traced = study(capped, transcoders(PER_LAYER), functional=functional, batches=one_by_one(capped))
    items = list(traced.tokens)[:3]

    measured = traced.unedited(items)[:, 1].tolist()

    for item, value in zip(items, measured, strict=True):
        pass_ = frozen_pass(capped, traced.transcoders, traced.tokens[item])
        free = pass_.logits[list(REFUSAL)].mean() - pass_.logits[list(COMPLIANCE)].mean()
        target = functional.target(pass_)
        assert value == pytest.approx(float(pass_.final[-1] @ target.vector), rel=1e-4)  # norms compute in float32
        assert value != pytest.approx(float(free), rel=0.01)


@pytest.mark.parametrize(
    ("functional", "kind", "site"),
    [
        pytest.param(Functional("token-difference", REFUSAL, COMPLIANCE), "logit-difference", "final_norm", id="token difference"),
        pytest.param(DIRECTION, "direction", "resid_pre.2", id="direction"),
    ],
)
def test_a_graph_starts_from_the_value_that_the_free_model_shows(model: LoadedModel, functional: Functional, kind: str, site: str) -> None:
    """At the unedited prompt, in a padded batch: the target's own value, and it tells where it is read."""
    traced = study(model, transcoders(PER_LAYER), functional=functional)
    made = Graphs(traced)
    items = list(traced.tokens)[:4]

    measured = traced.unedited(items)[:, 1]

    for item, value in zip(items, measured.tolist(), strict=True):
        graph = made.of(item)
        assert graph.sums is not None
        assert value == pytest.approx(float(graph.sums.found[-1]), rel=1e-5)
        assert (graph.targets[0].kind, graph.targets[0].site, functional.site) == (kind, site, site)
        assert graph.targets[0].position == len(traced.tokens[item]) + (-3 if functional is DIRECTION else -1)
    assert functional.role(model, 9) == ("end-3" if functional is DIRECTION else "end-1")
    assert float(measured.std()) > 0.01


def test_refusal_log_odds_are_traced_from_their_gradient(model: LoadedModel) -> None:
    """Finite differences of the measured log-odds, along random directions at the final norm, are the target's inner products."""
    functional = Functional("log-odds", REFUSAL, COMPLIANCE)
    pass_ = frozen_pass(model, transcoders(PER_LAYER), PROMPT)
    target = functional.target(pass_)
    step, nudges = 1e-4, torch.randn(8, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def log_odds(final: torch.Tensor) -> torch.Tensor:
        return functional.log_odds(final @ model.module.lm_head.weight.mT)

    slopes = (log_odds(pass_.final[-1] + step * nudges) - log_odds(pass_.final[-1] - step * nudges)) / (2 * step)

    torch.testing.assert_close(slopes, nudges @ target.vector, rtol=1e-4, atol=1e-6)
    assert float(slopes.abs().max()) > 0.1
    with functional.reading(model) as read:
        assert torch.equal(read(pass_.logits[None]), functional.log_odds(pass_.logits[None]))


def test_measured_values_are_read_off_the_logits_and_the_stream(model: LoadedModel) -> None:
    """Log-odds of the tokens' probability; the difference of mean logits."""
    logits = torch.zeros(1, 100, dtype=torch.float64)
    logits[0, [20, 31]] = in_float64(3.0, 1.0)

    assert Functional("log-odds", REFUSAL, ()).log_odds(logits).item() == pytest.approx(
        float((in_float64(3, 1).exp().sum() / 98).log()), rel=1e-6
    )
    with Functional("token-difference", REFUSAL, COMPLIANCE).reading(model) as read:
        assert read(logits).item() == 2.0
