"""Patching a place exchanges what is there and nothing else, whatever the lengths of the two prompts."""

import numpy as np
import pytest
import torch

from safetycase.lab.batches import batches_for
from safetycase.lab.circuits.metric import log_odds
from safetycase.lab.circuits.pairs import Pair
from safetycase.lab.circuits.patch_grid import patch_grid, roles
from safetycase.lab.hooks import edit_inputs, record_inputs
from safetycase.lab.scores import refusal_log_odds
from tests.lab.small import loaded

pytestmark = pytest.mark.lab

EQUAL = Pair("equal", "f", torch.tensor([3, 9, 20, 21, 22, 5, 6]), torch.tensor([3, 9, 30, 31, 32, 5, 6]), (7, 11), before=2, after=2)
LONGER = Pair("longer", "g", torch.tensor([3, 9, 20, 21, 22, 23, 5, 6]), torch.tensor([3, 9, 40, 41, 5, 6]), (7,), before=2, after=2)


def test_positions_have_the_roles_of_the_template() -> None:
    """Tokens before the instruction count from the start, those after it from the end; an instruction is one role, and each token too."""
    names = [role.name for role in roles(EQUAL, receiver="clean")]

    assert names == [
        "before.0", "before.1", "instruction", "instruction.0", "instruction.1", "instruction.2", "after.-2", "after.-1",
    ]  # fmt: skip
    assert [role.receiving for role in roles(EQUAL, receiver="clean")] == [(0,), (1,), (2, 3, 4), (2,), (3,), (4,), (5,), (6,)]


def test_instructions_of_different_length_are_stretched_over_each_other() -> None:
    """Four tokens receive two, each the nearest in relative place; two receive the middle of each half of four."""
    longer = {role.name: role for role in roles(LONGER, receiver="clean")}
    shorter = {role.name: role for role in roles(LONGER, receiver="corrupted")}

    assert (longer["instruction"].receiving, longer["instruction"].donating) == ((2, 3, 4, 5), (2, 2, 3, 3))
    assert (shorter["instruction"].receiving, shorter["instruction"].donating) == ((2, 3), (3, 5))
    assert (longer["after.-1"].receiving, longer["after.-1"].donating) == ((7,), (5,))
    assert "instruction.0" not in longer


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2"])
def test_every_cell_is_what_a_hook_at_that_place_gives(architecture: str) -> None:
    """Against one unbatched, unpadded, unresumed pass per cell."""
    model = loaded(architecture)
    blocks = [block.module for block in model.sites.blocks]

    for row in patch_grid(model, [EQUAL, LONGER], batches_for(model)):
        pair = EQUAL if row["item"] == "equal" else LONGER
        into, out = (pair.clean, pair.corrupted) if row["direction"] == "noise" else (pair.corrupted, pair.clean)
        side = "clean" if row["direction"] == "noise" else "corrupted"
        role = next(role for role in roles(pair, receiver=side) if role.name == row["role"])  # type: ignore[arg-type]
        with torch.inference_mode():
            with record_inputs(blocks) as donated:
                model.module(input_ids=out[None])

            def put(x: torch.Tensor, role: object = role, state: torch.Tensor = donated[row["layer"]]) -> torch.Tensor:
                patched = x.clone()
                patched[:, list(role.receiving)] = state[:, list(role.donating)]  # type: ignore[attr-defined]
                return patched

            with edit_inputs({blocks[row["layer"]]: put}):
                logits = model.module(input_ids=into[None]).logits[:, -1]
        assert row["patched"] == pytest.approx(float(log_odds(logits, pair.target)), abs=1e-3), row


def test_the_whole_difference_enters_with_the_instruction() -> None:
    """Of equal prompts, patching the instruction at layer 0 makes one prompt the other; patching what is alike changes nothing."""
    model = loaded("llama")

    cells = {(row["direction"], row["layer"], row["role"]): row for row in patch_grid(model, [EQUAL], batches_for(model))}

    for direction, other in (("denoise", "clean"), ("noise", "corrupted")):
        row = cells[direction, 0, "instruction"]
        assert row["patched"] == pytest.approx(row[other], abs=1e-4)
        own = "corrupted" if other == "clean" else "clean"
        assert cells[direction, 0, "after.-1"]["patched"] == pytest.approx(row[own], abs=1e-4)
    assert abs(row["clean"] - row["corrupted"]) > 0.01


def test_rows_do_not_depend_on_the_batch() -> None:
    """One pair alone and one row at a time give what all together give."""
    model = loaded("llama")
    narrow = batches_for(model)
    narrow.positions = 1

    together = [row["patched"] for row in patch_grid(model, [EQUAL, LONGER], batches_for(model)) if row["item"] == "longer"]
    alone = [row["patched"] for row in patch_grid(model, [LONGER], narrow)]

    np.testing.assert_allclose(alone, together, atol=1e-4)


def test_log_odds_are_those_of_the_refusal_score() -> None:
    """log P - log(1 - P), without the epsilon that the other needs, hence also where P is all but 1."""
    logits = torch.randn(5, 30, generator=torch.Generator().manual_seed(0)) * 3
    target = torch.tensor([2, 9])

    torch.testing.assert_close(log_odds(logits, target.tolist()), refusal_log_odds(logits, target), atol=1e-4, rtol=1e-4)
    assert float(log_odds(torch.tensor([[60.0, 0.0, 0.0]]), [0])) == pytest.approx(60 - np.log(2))
