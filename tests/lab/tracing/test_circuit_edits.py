"""Circuits ablated and kept do to the model what their definition says: by hand in double precision, and by theorem."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from safetycase.evidence.kinds.circuit_trace.selection import Node
from safetycase.lab.batches import batches_for
from safetycase.lab.dictionaries.dictionary import DictionarySet
from safetycase.lab.forward import left_padded
from safetycase.lab.generation import Intervention, greedy_answers
from safetycase.lab.model import LoadedModel, last_logits
from safetycase.lab.site_access import record_sites
from safetycase.lab.tracing.circuit_edits import ALL_ABLATED, UNEDITED, ZEROED, CircuitEdit, circuits_edited
from tests.lab.attribution.cases import KINDS, N_FEATURES, Kind, double, transcoders
from tests.lab.tiny import N_LAYERS
from tests.lab.tracing.by_hand import by_hand
from tests.lab.tracing.studies import CROSS_LAYER, PER_LAYER, one_by_one, study

pytestmark = pytest.mark.lab

PROMPTS = [torch.tensor([0, *range(6 + length, 6 + 2 * length)]) for length in (4, 8, 5)]
ROLES = [(ZEROED, "start-1", *["instruction"] * (len(prompt) - 4), "end-2", "end-1") for prompt in PROMPTS]
CIRCUITS: Sequence[frozenset[Node]] = (
    frozenset({(0, feature, "instruction") for feature in range(0, N_FEATURES, 2)} | {(2, 3, "end-1"), (2, 4, "end-2"), (1, 1, "start-1")}),
    frozenset({(1, feature, "end-1") for feature in range(N_FEATURES)} | {(0, 1, "absent"), (0, 7, "start-1")}),
)
EDITS = [CircuitEdit(circuit, kind) for circuit in CIRCUITS for kind in ("ablated", "kept")] + [UNEDITED, ALL_ABLATED]
EVERYTHING = frozenset((layer, feature, role) for layer in range(N_LAYERS) for feature in range(N_FEATURES) for role in set(ROLES[1]))


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    """A random Llama of three layers in float64."""
    return double()


def under(model: LoadedModel, made: DictionarySet, edits: Sequence[CircuitEdit], which: Sequence[int]) -> Tensor:
    """Last logits of prompts, in one batch padded on the left, each under its own edit."""
    with circuits_edited(model, made, [ROLES[place] for place in which], edits), torch.inference_mode():
        return last_logits(model, left_padded([PROMPTS[place] for place in which], model.device)).double()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_rows_of_one_batch_carry_their_own_circuits(model: LoadedModel, kind: Kind) -> None:
    """Prompts of three lengths, circuits ablated and kept, in one batch: each row is the model edited by hand."""
    made = transcoders(kind)
    which = [place % len(PROMPTS) for place in range(2 * len(EDITS))]
    edits = [edit for edit in EDITS for _ in range(2)]

    found = under(model, made, edits, which)

    unedited = under(model, made, [UNEDITED] * len(which), which)
    for place, edit, row, plain in zip(which, edits, found, unedited, strict=True):
        expected = by_hand(model, made, PROMPTS[place], ROLES[place], edit).logits
        torch.testing.assert_close(row, expected, atol=1e-5, rtol=1e-5)
        assert edit == UNEDITED or float((row - plain).abs().max()) > 1e-2


@pytest.mark.parametrize("kind", [PER_LAYER, CROSS_LAYER], ids=str)
def test_keeping_everything_and_ablating_nothing_change_nothing(model: LoadedModel, kind: Kind) -> None:
    """Of a circuit of all features at all roles, kept; of one whose features are silent, ablated; beside rows that are edited."""
    made = transcoders(kind)
    silent = CircuitEdit(frozenset({(0, 2, "absent")}), "ablated")

    found = under(model, made, [CircuitEdit(EVERYTHING, "kept"), silent, ALL_ABLATED], [1, 1, 1])

    plain = under(model, made, [UNEDITED], [1])
    torch.testing.assert_close(found[:2], plain.expand(2, -1), atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(found[2:], under(model, made, [CircuitEdit(EVERYTHING, "ablated")], [1]), atol=1e-9, rtol=1e-9)
    assert float((found[2] - plain[0]).abs().max()) > 1e-2


def test_positions_without_nodes_are_never_edited(model: LoadedModel) -> None:
    """What every MLP writes there is as before under any edit, to the bit: nothing before them can have changed."""
    made = transcoders(CROSS_LAYER)
    sites = [dictionary.writes[0] for dictionary in made.dictionaries]

    def written(edit: CircuitEdit) -> list[Tensor]:
        with circuits_edited(model, made, [ROLES[1]], [edit]), record_sites(model, sites) as at, torch.inference_mode():
            last_logits(model, left_padded([PROMPTS[1]], model.device))
            return [at[site][0] for site in sites]

    after, before = written(ALL_ABLATED), written(UNEDITED)

    assert all(torch.equal(one[0], other[0]) for one, other in zip(after, before, strict=True))
    assert all(float((one[1] - other[1]).abs().max()) > 1e-3 for one, other in zip(after, before, strict=True))


def test_results_do_not_depend_on_the_batch(model: LoadedModel) -> None:
    """Log-odds and target of every edit, all rows in one pass and each in its own."""
    made = transcoders(PER_LAYER)
    together, alone = study(model, made), study(model, made, batches=one_by_one(model))
    rows = [(item, edit) for item in together.tokens for edit in EDITS]

    found = together.under(rows)

    torch.testing.assert_close(found, alone.under(rows), atol=1e-5, rtol=1e-5)
    assert float(found[:, 0].std()) > 0.1


@pytest.mark.parametrize("kind", [PER_LAYER, CROSS_LAYER], ids=str)
def test_what_is_generated_is_not_edited(model: LoadedModel, kind: Kind) -> None:
    """Greedy answers with a circuit per row are those of prompts that are edited by hand and answers that are not."""
    made, new_tokens = transcoders(kind), 3
    edits = [EDITS[0], EDITS[3], ALL_ABLATED]

    @contextmanager
    def opened(indices: list[int]) -> Iterator[None]:
        with circuits_edited(model, made, [ROLES[index] for index in indices], [edits[index] for index in indices]):
            yield

    found = greedy_answers(model, batches_for(model), PROMPTS, [Intervention()] * len(PROMPTS), new_tokens, opened)

    plain = greedy_answers(model, batches_for(model), PROMPTS, [Intervention()] * len(PROMPTS), new_tokens)
    for prompt, roles, edit, answer in zip(PROMPTS, ROLES, edits, found, strict=True):
        said: list[int] = []
        for _ in range(new_tokens):
            tokens = torch.cat([prompt, torch.tensor(said, dtype=torch.long)])
            said.append(int(by_hand(model, made, tokens, (*roles, *[ZEROED] * len(said)), edit).logits.argmax()))
        assert answer.tokens.tolist() == said
    assert [answer.tokens.tolist() for answer in found] != [answer.tokens.tolist() for answer in plain]
