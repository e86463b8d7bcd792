"""Forward passes of many prompts under many edits of the residual stream, of which only the last logits are kept."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from safetycase.lab.batches import Batches
from safetycase.lab.chat import Encoded
from safetycase.lab.hooks import Edit, ablation, addition, edit_inputs, edit_outputs, skip
from safetycase.lab.model import LoadedModel, last_logits

Tokens = Int[Tensor, "pos"]
Reduce = Callable[[Float[Tensor, "row vocab"], Int[Tensor, "row"]], Float[Tensor, "row ..."]]
"""What is kept of the logits of a batch, given also which prompt each row belongs to."""

# The fewest prompts that pay for a pass over their shared prefix alone.
PROMPTS_PER_PREFIX = 8
# Largest change of a log-probability that a shortcut may cause; half precision rounds in another order.
SHORTCUT_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8}
HALF_PRECISION_TOLERANCE = 0.25


def tokenised(model: LoadedModel, texts: Sequence[str], prefill: str = "") -> list[Tokens]:
    """The token ids of each prompt in the model's format, followed by `prefill`; on the CPU, without padding."""
    if not texts:
        return []
    encoded = model.chat.encode(texts, "cpu", prefill)
    return [ids[mask.bool()] for ids, mask in zip(encoded.input_ids, encoded.attention_mask, strict=True)]


def left_padded(rows: Sequence[Tokens], device: torch.device) -> Encoded:
    """A batch whose last position is every row's last token. Padding holds id 0, which the mask hides."""
    width = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, width - len(row) :] = row
        mask[index, width - len(row) :] = 1
    return Encoded(ids.to(device), mask.to(device))


@dataclass(frozen=True)
class Forward:
    """One model and the shortcuts that were confirmed on it; made by `forward_for`."""

    model: LoadedModel
    batches: Batches
    prefix: int = 0
    """Number of leading tokens that all prompts share and that are computed once per direction; 0 for none."""
    last_mlp_at_last_position: bool = False
    """The last block's MLP runs at the last position alone: nothing after it reads the others."""

    @torch.inference_mode()
    def unedited(self, prompts: Sequence[Tokens], reduce: Reduce) -> Float[Tensor, "prompt ..."]:
        """What `reduce` keeps of the last logits of each prompt."""

        def work(indices: list[int]) -> Tensor:
            encoded = left_padded([prompts[index] for index in indices], self.model.device)
            with self._last_position_only():
                return reduce(last_logits(self.model, encoded), torch.tensor(indices))

        return self.batches.run([self.batches.load(len(prompt)) for prompt in prompts], work)

    @torch.inference_mode()
    def ablated(
        self, prompts: Sequence[Tokens], bases: Float[Tensor, "direction k d_model"], reduce: Reduce
    ) -> Float[Tensor, "direction prompt ..."]:
        """The same with each orthonormal basis of k directions ablated at every writer to the residual stream."""
        shared = self.prefix if len(prompts) >= PROMPTS_PER_PREFIX else 0
        most = max(1, self.batches.positions // shared) if shared else len(bases)
        if len(bases) > most:
            return torch.cat([self.ablated(prompts, part, reduce) for part in torch.split(bases, most)])
        count = len(bases)
        bases = bases.to(self.model.device)
        head = self._head(prompts[0][:shared], bases) if shared else None

        def work(indices: list[int]) -> Tensor:
            which = torch.tensor(indices)
            prompt, direction = which // count, (which % count).to(bases.device)
            rows = [prompts[index][shared:] for index in prompt.tolist()]
            with self._ablated(bases[direction]), self._last_position_only():
                if head is None:
                    return reduce(last_logits(self.model, left_padded(rows, self.model.device)), prompt)
                return reduce(self._after_head(rows, head, direction, shared), prompt)

        loads = [self.batches.load(len(prompt) - shared) for prompt in prompts for _ in range(count)]
        kept = self.batches.run(loads, work)
        return kept.reshape(len(prompts), count, *kept.shape[1:]).transpose(0, 1)

    @torch.inference_mode()
    def added(
        self,
        prompts: Sequence[Tokens],
        stream: Float[Tensor, "prompt pos d_model"],
        vectors: Float[Tensor, "direction d_model"],
        layer: int,
        reduce: Reduce,
    ) -> Float[Tensor, "direction prompt ..."]:
        """The same with each vector added to the input of block `layer` at every position.

        `stream` is that input in an unedited pass, padded on the left (`activations.residual_streams`): what lies below
        the layer is not computed again.
        """
        count = len(vectors)
        blocks = [block.module for block in self.model.sites.blocks]
        vectors = vectors.to(self.model.device)

        def work(indices: list[int]) -> Tensor:
            which = torch.tensor(indices)
            prompt, direction = which // count, which % count
            encoded = left_padded([prompts[index] for index in prompt.tolist()], self.model.device)
            width = encoded.input_ids.shape[1]
            resumed = stream[prompt.to(stream.device), -width:].to(vectors.device)
            edited = addition(vectors[direction.to(vectors.device)])(resumed)
            with skip(blocks[:layer]), edit_inputs({blocks[layer]: lambda _: edited}), self._last_position_only():
                return reduce(last_logits(self.model, encoded), prompt)

        loads = [self.batches.load(len(prompt)) for prompt in prompts for _ in range(count)]
        kept = self.batches.run(loads, work)
        return kept.reshape(len(prompts), count, *kept.shape[1:]).transpose(0, 1)

    def _head(self, tokens: Tokens, bases: Float[Tensor, "direction k d_model"]) -> Any:
        """Keys and values of the shared prefix under the ablation of each basis."""
        ids = tokens.to(self.model.device).expand(len(bases), -1)
        with self._ablated(bases):
            return self.model.module(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values

    def _after_head(
        self, rows: Sequence[Tokens], head: Any, which: Int[Tensor, "row"], shared: int
    ) -> Float[Tensor, "row vocab"]:
        """The rest of every row, on the keys and values of its own prefix."""
        cache = copy.deepcopy(head)
        cache.batch_select_indices(which)
        rest = left_padded(rows, self.model.device)
        seen = rest.attention_mask.new_ones(len(rows), shared)
        output = self.model.module(
            input_ids=rest.input_ids,
            attention_mask=torch.cat([seen, rest.attention_mask], dim=1),
            position_ids=rest.position_ids + shared,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1].float()
        return logits

    @contextmanager
    def _ablated(self, bases: Float[Tensor, "row k d_model"]) -> Iterator[None]:
        with edit_outputs(dict.fromkeys(self.model.sites.writers, ablation_per_row(bases))):
            yield

    @contextmanager
    def _last_position_only(self) -> Iterator[None]:
        """The last MLP's output at one position is broadcast to all; only the last, where it is right, is read."""
        with ExitStack() as stack:
            if self.last_mlp_at_last_position:
                stack.enter_context(edit_inputs({self.model.sites.blocks[-1].mlp: lambda x: x[:, -1:]}))
            yield


def forward_for(model: LoadedModel, batches: Batches, prompts: Sequence[Tokens]) -> Forward:
    """The forward passes of a model over these prompts, with each shortcut that leaves its answers as they are.

    A shortcut is tried on the shortest, the median and the longest prompts under the ablation of a random direction.
    Where the architecture does not take it (an error, or a log-probability off by more than `SHORTCUT_TOLERANCE`), it
    is left out.
    """
    plain = Forward(model, batches)
    by_length = sorted(prompts, key=len)
    sample = [by_length[0], by_length[len(by_length) // 2], *[by_length[-1]] * (PROMPTS_PER_PREFIX - 2)]
    directions = torch.randn(1, 1, model.sites.d_model, generator=torch.Generator().manual_seed(0))
    bases = directions / directions.norm()
    expected = plain.ablated(sample, bases, _log_probabilities)

    def holds(forward: Forward) -> bool:
        try:
            found = forward.ablated(sample, bases, _log_probabilities)
        except Exception:  # the forward of a foreign architecture may raise anything: then it has no such shortcut
            return False
        return bool((found - expected).abs().max() <= SHORTCUT_TOLERANCE.get(model.dtype, HALF_PRECISION_TOLERANCE))

    forward = plain
    shorter = replace(plain, last_mlp_at_last_position=True)
    if holds(shorter):
        forward = shorter
    prefix = min(_common_prefix(prompts), len(by_length[0]) - 1)
    if prefix and holds(replace(forward, prefix=prefix)):
        forward = replace(forward, prefix=prefix)
    return forward


def ablation_per_row(bases: Float[Tensor, "row k d_model"]) -> Edit:
    """x - B^T B x with an orthonormal basis B of its own for every row; rows of zeros in B remove nothing."""
    if bases.shape[1] == 1:
        return ablation(bases[:, 0])

    def edit(x: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"]:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        rows = bases.to(wide)
        return (wide - (wide @ rows.mT) @ rows).to(x.dtype)

    return edit


def _common_prefix(prompts: Sequence[Tokens]) -> int:
    """How many leading tokens all prompts share."""
    shortest = min(len(prompt) for prompt in prompts)
    same = torch.stack([prompt[:shortest] == prompts[0][:shortest] for prompt in prompts]).all(dim=0)
    return int(same.long().cumprod(dim=0).sum())


def _log_probabilities(logits: Float[Tensor, "row vocab"], prompt: Int[Tensor, "row"]) -> Float[Tensor, "row vocab"]:
    return logits.log_softmax(dim=-1)
