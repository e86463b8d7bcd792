"""Forward passes of prompts under edits at a dictionary's sites, resumed from the stream below them and kept at the last position."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.lab.activations import residual_streams
from safetycase.lab.dictionaries.dictionary import Dictionary
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.features.edits import FeatureEdit, edited
from safetycase.lab.forward import Forward, Reduce, Tokens, left_padded
from safetycase.lab.hooks import edit_inputs, skip
from safetycase.lab.model import LoadedModel, last_logits

Opened = Callable[[list[int]], AbstractContextManager[None]]
"""Opens the edits of a batch, given which variant each of its rows is."""


@dataclass(frozen=True)
class EditedPasses:
    """Some prompts with what stands below a dictionary's sites when nothing is edited; made by `edited_passes`."""

    forward: Forward
    dictionary: Dictionary
    """The study's; where it reads and writes the end of a block, at the same tensor by its other name: the next block's input."""
    prompts: tuple[Tokens, ...]
    layer: int
    """The first block that is run again."""
    stream: Float[Tensor, "prompt pos d_model"]
    """Its input, padded on the left."""

    def under(self, edits: Sequence[Sequence[FeatureEdit]], reduce: Reduce) -> Float[Tensor, "edit prompt ..."]:
        """What `reduce` keeps of the last logits of every prompt under each combination of edits of features."""
        return self.variants(len(edits), self._opened(edits), reduce)

    def plain(self, reduce: Reduce) -> Float[Tensor, "prompt ..."]:
        """The same of the unedited model."""
        return self.under([()], reduce)[0]

    @torch.inference_mode()
    def variants(self, count: int, opened: Opened, reduce: Reduce) -> Float[Tensor, "variant prompt ..."]:
        """The same under so many variants of whatever edits `opened` opens at or above the dictionary's sites.

        Rows of a variant lie together as far as lengths allow, so that a batch holds few variants.
        """
        model, n = self.forward.model, len(self.prompts)

        def work(indices: list[int]) -> Tensor:
            prompt = [index % n for index in indices]
            encoded = left_padded([self.prompts[index] for index in prompt], model.device)
            with self._resumed(prompt, encoded.input_ids.shape[1]), opened([index // n for index in indices]):
                return reduce(last_logits(model, encoded), torch.tensor(prompt))

        loads = [self.forward.batches.load(len(prompt)) for prompt in self.prompts] * count
        kept = self.forward.batches.run(loads, work)
        return kept.reshape(count, n, *kept.shape[1:])

    def _opened(self, edits: Sequence[Sequence[FeatureEdit]]) -> Opened:
        return lambda which: edited(self.forward.model, self.dictionary, [edits[variant] for variant in which])

    @contextmanager
    def _resumed(self, prompt: Sequence[int], width: int) -> Iterator[None]:
        """Blocks below the layer are skipped, and the last MLP runs at the last position alone where that was confirmed.

        A padding position holds its row's last state: dictionaries that normalise would make NaN of a zero vector, which
        spreads to real positions even where attention gives it no weight.
        """
        model = self.forward.model
        blocks = model.sites.blocks
        stream = self.stream[torch.tensor(prompt, device=self.stream.device), -width:]
        lengths = torch.tensor([len(self.prompts[index]) for index in prompt], device=stream.device)
        padding = torch.arange(width, device=stream.device) < width - lengths[:, None]
        stream = torch.where(padding[..., None], stream[:, -1:], stream).to(model.device)
        with ExitStack() as stack:
            stack.enter_context(skip([block.module for block in blocks[: self.layer]]))
            stack.enter_context(edit_inputs({blocks[self.layer].module: lambda _: stream}))
            if self.forward.last_mlp_at_last_position and max(self._layers) < len(blocks) - 1:
                stack.enter_context(edit_inputs({blocks[-1].mlp: lambda x: x[:, -1:]}))
            yield

    @property
    def _layers(self) -> tuple[int, int]:
        return self.dictionary.reads.layer, self.dictionary.writes[0].layer


def edited_passes(forward: Forward, dictionary: Dictionary, prompts: Sequence[Tokens]) -> EditedPasses:
    """Ready to run these prompts: one pass over them records the stream below the dictionary's sites."""
    there = _as_next_input(dictionary, forward.model)
    layer = min(there.reads.layer, there.writes[0].layer)
    stream = residual_streams(forward, prompts, layer)[layer]
    return EditedPasses(forward, there, tuple(prompts), layer, stream)


def _as_next_input(dictionary: Dictionary, model: LoadedModel) -> Dictionary:
    """An autoencoder of the end of a block that is not the last stands at the next block's input: one block less to run."""
    site = dictionary.reads
    if not dictionary.is_autoencoder or site.name != "resid_post" or site.layer + 1 >= model.sites.n_layers:
        return dictionary
    after = Site("resid_pre", site.layer + 1)
    return replace(dictionary, reads=after, writes=(after,))
