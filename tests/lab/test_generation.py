"""Greedy answers are those of the obvious loop, row by row, whatever shares their batch."""

from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor

from safetycase.lab.batches import GENERATED_POSITIONS, batches_for
from safetycase.lab.forward import Tokens, tokenised
from safetycase.lab.generation import Answer, Intervention, end_tokens, greedy_answers
from safetycase.lab.hooks import addition, edit_inputs, edit_outputs, subspace_ablation
from safetycase.lab.model import LoadedModel
from tests.lab.small import loaded, texts
from tests.lab.tiny import ARCHITECTURES, D_MODEL

pytestmark = pytest.mark.lab

NEW_TOKENS = 6


def obvious(model: LoadedModel, prompt: Tokens, edit: AbstractContextManager[Any]) -> list[int]:
    """One prompt, no cache, no padding: the whole text again for every token."""
    said: list[int] = []
    ends = end_tokens(model).tolist()
    with edit, torch.no_grad():
        while len(said) < NEW_TOKENS and not (said and said[-1] in ends):
            ids = torch.cat([prompt, torch.tensor(said, dtype=torch.long)]).unsqueeze(0)
            said.append(int(model.module(input_ids=ids, use_cache=False).logits[0, -1].argmax()))
    return said


def edits(model: LoadedModel, done: Intervention) -> AbstractContextManager[Any]:
    stack = ExitStack()
    if done.ablated is not None:
        stack.enter_context(edit_outputs(dict.fromkeys(model.sites.writers, subspace_ablation(done.ablated))))
    if done.added is not None:
        stack.enter_context(edit_inputs({model.sites.blocks[done.layer].module: addition(done.added)}))
    return stack


def basis(k: int) -> Tensor:
    q: Tensor = torch.linalg.qr(torch.randn(D_MODEL, k, generator=torch.Generator().manual_seed(k))).Q
    return q.T.contiguous()


def answers(model: LoadedModel, prompts: list[Tokens], done: list[Intervention]) -> list[Answer]:
    return greedy_answers(model, batches_for(model), prompts, done, NEW_TOKENS)


@pytest.mark.parametrize("architecture", [pytest.param(name, id=name) for name in ARCHITECTURES])
def test_rows_of_one_batch_are_each_edited_in_their_own_way(architecture: str) -> None:
    """Nothing, one direction, three directions and an added vector in one batch give what each gives alone."""
    model = loaded(architecture)
    prompts = tokenised(model, texts(4, seed=1))
    done = [
        Intervention(),
        Intervention(ablated=basis(1)),
        Intervention(ablated=basis(3)),
        Intervention(added=4 * basis(1)[0], layer=1),
    ]

    found = answers(model, prompts, done)

    for prompt, how, answer in zip(prompts, done, found, strict=True):
        assert answer.tokens.tolist() == obvious(model, prompt, edits(model, how))


def test_an_answer_ends_with_the_end_token() -> None:
    """Once the end token has come, nothing after it is kept, and the answer counts as finished."""
    model = loaded()
    prompts = tokenised(model, texts(6, seed=2))
    first = obvious(model, prompts[0], nullcontext())
    model.module.generation_config.eos_token_id = [first[2], 1]

    found = answers(model, prompts, [Intervention()] * 6)

    assert found[0].finished
    assert found[0].tokens.tolist() == first[: first.index(first[2]) + 1]
    assert all(answer.finished or len(answer.tokens) == NEW_TOKENS for answer in found)


def test_sampling_settings_of_the_model_are_not_used() -> None:
    """A model that brings a repetition penalty and sampling is still asked for its most probable tokens."""
    model = loaded()
    prompts = tokenised(model, texts(3, seed=3))
    before = answers(model, prompts, [Intervention()] * 3)
    model.module.generation_config.do_sample = True
    model.module.generation_config.repetition_penalty = 5.0

    after = answers(model, prompts, [Intervention()] * 3)

    assert [a.tokens.tolist() for a in before] == [a.tokens.tolist() for a in after]


def test_answers_do_not_depend_on_the_batch_size() -> None:
    """One row at a time or all at once."""
    model = loaded("gpt2")
    prompts = tokenised(model, texts(5, seed=4))
    together = answers(model, prompts, [Intervention()] * 5)
    single = batches_for(model)
    single.positions = 1

    alone = greedy_answers(model, single, prompts, [Intervention()] * 5, NEW_TOKENS)

    assert [a.tokens.tolist() for a in together] == [a.tokens.tolist() for a in alone]


def test_rows_that_end_early_leave_the_others_as_they_are() -> None:
    """Batches shrink while answers end at different lengths, each row keeping its own edit and its own past."""
    model = loaded()
    prompts = tokenised(model, texts(8, seed=5))
    done = [Intervention(ablated=basis(2)) if i % 2 else Intervention(added=3 * basis(1)[0]) for i in range(8)]
    unbounded = [obvious(model, prompt, edits(model, how)) for prompt, how in zip(prompts, done, strict=True)]
    model.module.generation_config.eos_token_id = [said[i % 4] for i, said in enumerate(unbounded)]

    found = answers(model, prompts, done)

    assert len({len(answer.tokens) for answer in found}) > 1
    for prompt, how, answer in zip(prompts, done, found, strict=True):
        assert answer.tokens.tolist() == obvious(model, prompt, edits(model, how))


def test_further_edits_are_opened_for_the_rows_of_each_batch() -> None:
    """Of three batches, each told which prompts its rows are; what the edits do to a prompt stays with it while it is answered."""
    model = loaded()
    prompts = tokenised(model, texts(5, seed=3))
    vectors = 4 * torch.randn(5, 1, D_MODEL, generator=torch.Generator().manual_seed(0))
    batches = batches_for(model)
    batches.positions = 2 * GENERATED_POSITIONS
    told: list[list[int]] = []

    def opened(indices: list[int]) -> AbstractContextManager[None]:
        told.append(indices)
        return edit_inputs({model.sites.blocks[1].module: lambda x: x + vectors[indices] if x.shape[1] > 1 else x})

    found = greedy_answers(model, batches, prompts, [Intervention()] * 5, NEW_TOKENS, opened)

    assert sorted(index for rows in told for index in rows) == [0, 1, 2, 3, 4]
    assert len(told) == 3
    for prompt, vector, answer in zip(prompts, vectors, found, strict=True):

        def at_the_prompt(x: Tensor, n: int = len(prompt), vector: Tensor = vector) -> Tensor:
            return torch.cat([x[:, :n] + vector, x[:, n:]], dim=1)

        assert answer.tokens.tolist() == obvious(model, prompt, edit_inputs({model.sites.blocks[1].module: at_the_prompt}))
    assert [answer.tokens.tolist() for answer in found] != [
        answer.tokens.tolist() for answer in answers(model, prompts, [Intervention()] * 5)
    ]
