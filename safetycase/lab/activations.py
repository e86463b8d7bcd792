"""The residual stream at the inputs of blocks, recorded in batches."""

from collections.abc import Sequence
from contextlib import ExitStack

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.lab.forward import Forward, Tokens, left_padded
from safetycase.lab.hooks import edit_outputs, record_inputs, skip, subspace_ablation
from safetycase.lab.model import last_logits

# Streams of all layers are kept together up to this size, on a CPU and on a GPU.
STREAM_MEMORY = (256 * 2**20, 4 * 2**30)


@torch.inference_mode()
def activations(
    forward: Forward, prompts: Sequence[Tokens], positions: Sequence[int]
) -> Float[Tensor, "prompt position layer d_model"]:
    """The input of every block at positions counted from the end of every prompt; on the CPU, in the model's dtype."""
    blocks = [block.module for block in forward.model.sites.blocks]
    chosen = list(positions)

    def work(indices: list[int]) -> Tensor:
        with record_inputs(blocks, keep=lambda x: x[:, chosen].cpu()) as recorded:
            last_logits(forward.model, left_padded([prompts[index] for index in indices], forward.model.device))
        return torch.stack(recorded, dim=2)

    return forward.batches.run([forward.batches.load(len(prompt)) for prompt in prompts], work)


@torch.inference_mode()
def activations_at(
    forward: Forward,
    prompts: Sequence[Tokens],
    position: int,
    layer: int,
    ablated: Float[Tensor, "k d_model"],
) -> Float[Tensor, "prompt d_model"]:
    """The input of one block at one position (counted from the end), with an orthonormal basis ablated below it."""
    sites = forward.model.sites
    blocks = [block.module for block in sites.blocks]
    writers = [*sites.embeddings, *(writer for block in sites.blocks[:layer] for writer in block.writers)]
    edits = dict.fromkeys(writers, subspace_ablation(ablated.to(forward.model.device)))

    def work(indices: list[int]) -> Tensor:
        with ExitStack() as stack:
            stack.enter_context(edit_outputs(edits))
            stack.enter_context(skip(blocks[layer:]))
            recorded = stack.enter_context(record_inputs([blocks[layer]], keep=lambda x: x[:, position].cpu()))
            last_logits(forward.model, left_padded([prompts[index] for index in indices], forward.model.device))
        return recorded[0]

    return forward.batches.run([forward.batches.load(len(prompt)) for prompt in prompts], work)


@torch.inference_mode()
def residual_streams(
    forward: Forward, prompts: Sequence[Tokens], layer: int
) -> dict[int, Float[Tensor, "prompt pos d_model"]]:
    """By layer, the input of its block at every position, padded with zeros on the left: where `Forward.added` resumes.

    Every layer's from one pass where all of them fit into `STREAM_MEMORY`, else that of the one layer.
    """
    sites = forward.model.sites
    blocks = [block.module for block in sites.blocks]
    width = max(len(prompt) for prompt in prompts)
    size = len(prompts) * width * sites.d_model * forward.model.dtype.itemsize
    fits = size * len(blocks) <= STREAM_MEMORY[forward.model.device.type == "cuda"]
    layers = range(len(blocks)) if fits else [layer]

    def work(indices: list[int]) -> Tensor:
        encoded = left_padded([prompts[index] for index in indices], forward.model.device)
        with skip(blocks[layers[-1] :]), record_inputs([blocks[each] for each in layers]) as recorded:
            last_logits(forward.model, encoded)
        streams = torch.stack(recorded, dim=1) * encoded.attention_mask[:, None, :, None]
        return torch.nn.functional.pad(streams, (0, 0, width - streams.shape[2], 0))

    found = forward.batches.run([forward.batches.load(len(prompt)) for prompt in prompts], work)
    return dict(zip(layers, found.unbind(dim=1), strict=True))
