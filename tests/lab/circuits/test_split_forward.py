"""Components that are each given what they would have read anyway leave the model as it is."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor

from safetycase.errors import ModelError
from safetycase.lab.circuits.split_forward import Moment, as_it_stands, split_forward
from tests.lab.small import loaded
from tests.lab.tiny import ARCHITECTURES, N_LAYERS, NORM_BEFORE_STREAM

pytestmark = pytest.mark.lab

IDS = torch.tensor([[3, 14, 15, 9, 26, 5, 35, 8, 97], [58, 9, 7, 93, 23, 84, 62, 6, 43]])
SEPARATE = {"llama", "mistral", "qwen2", "qwen3", "gemma", "mixtral"}
every_architecture = pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))


@every_architecture
def test_the_plain_pass_is_the_models_own(architecture: str) -> None:
    """Logits agree with an unhooked pass, sliding windows included, and the model is left as it was."""
    model = loaded(architecture)
    split = split_forward(model)
    with torch.inference_mode():
        expected = model.module(input_ids=IDS).logits[:, -1]

        found = split.run(IDS, as_it_stands).logits
        again = model.module(input_ids=IDS).logits[:, -1]

    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert torch.equal(again, expected)
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in model.module.modules())


@every_architecture
def test_heads_are_told_apart_but_where_a_norm_stands_behind_them(architecture: str) -> None:
    """Gemma 2 and 3 and OLMo 2 have one attention node to a layer, and say why; separate matrices need no copies."""
    split = split_forward(loaded(architecture))

    assert split.n_heads == (None if architecture in NORM_BEFORE_STREAM else 4)
    assert ("norm stands between" in split.heads_absent) is (architecture in NORM_BEFORE_STREAM)
    assert split.direct is (architecture in SEPARATE)


@every_architecture
def test_writers_sum_to_the_stream(architecture: str) -> None:
    """Two prompts' streams before the logits differ by the sum of what their writers put out: no writer is missed, biases cancel."""
    split = split_forward(loaded(architecture))
    last: list[Tensor] = []

    def keep(moment: Moment) -> Tensor:
        last.append(moment.stream)
        return as_it_stands(moment)

    with torch.inference_mode():
        written = torch.stack(split.run(IDS, keep).written)

    total = written.sum(dim=0)
    torch.testing.assert_close(total[0] - total[1], last[-1][0] - last[-1][1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("architecture", ["llama", "phi3", "gpt_neox", "gemma2"])
def test_each_reader_reads_its_own_input(architecture: str) -> None:
    """What one reader is given changes the logits, and exchanging the inputs of two readers is not the same."""
    split = split_forward(loaded(architecture))

    def shifted(reader: int) -> Callable[[Moment], Tensor]:
        def read(moment: Moment) -> Tensor:
            inputs = as_it_stands(moment).clone()
            if moment.readers.start <= reader < moment.readers.stop:
                inputs[:, reader - moment.readers.start] += torch.linspace(-1, 1, inputs.shape[-1])
            return inputs

        return read

    readers = range(0, len(split.graph.readers), 3)
    with torch.inference_mode():
        plain = split.run(IDS, as_it_stands).logits
        changed = {split.graph.readers[reader]: split.run(IDS, shifted(reader)).logits for reader in readers}

    assert all((logits - plain).abs().max() > 1e-4 for logits in changed.values()), changed
    assert all((one - other).abs().max() > 1e-5 for one, other in combinations(changed.values(), 2))


def test_heads_of_foreign_attention_are_not_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where attention does not go through the interface, the whole of it is one node, and the reason is given."""
    import safetycase.lab.circuits.split_forward as module

    def failing(*args: Any, **kwargs: Any) -> Any:
        raise ValueError("no such attention")

    monkeypatch.setattr(module, "split_attention", failing)

    split = split_forward(loaded("llama"))

    assert split.n_heads is None
    assert "attention interface" in split.heads_absent
    assert len(split.graph.writers) == 1 + 2 * N_LAYERS


def test_a_reader_that_is_not_where_it_should_be_is_one_line() -> None:
    """An MLP that reads something else than the stream is not understood."""
    model = loaded("llama")
    for block in model.sites.blocks:
        block.mlp.register_forward_pre_hook(lambda module, args: (args[0] * 2,))

    with pytest.raises(ModelError, match=r"block 0: the MLP does not read the residual stream through at most one norm"):
        split_forward(model)
