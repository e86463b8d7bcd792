"""What the model's next-token predictions lose with a reconstruction in the output's place."""

import inspect
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.evidence.tables import Row
from safetycase.lab.chat import Encoded
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.features.corpus_passes import chunks, counted_mask, wide
from safetycase.lab.features.corpus_windows import Window
from safetycase.lab.features.dictionary_baselines import Fitted, Given, Method, Reconstruction, of_dictionary, sample
from safetycase.lab.features.document_sums import DocumentSums
from safetycase.lab.features.study import FeatureStudy, Stage
from safetycase.lab.forward import left_padded
from safetycase.lab.hooks import Edit
from safetycase.lab.model import LoadedModel
from safetycase.lab.observing import Absent, Progress
from safetycase.lab.site_access import edit_site, record_sites

CLEAN, ABLATED = "clean", "ablated"
SUMS = ("tokens", "cross_entropy", "kl")


def splice(study: FeatureStudy, fitted: Fitted) -> Stage[int]:
    """Yields the table `splice`, on up to `splice_tokens` tokens of the documents measured; returns how many were predicted.

    The output site (of several written ones the first) is replaced at the positions that count, so that a beginning-of-text
    token keeps what it had, and losses are those of the predictions made there. Sums are in float64, per document.
    """
    site, wanted = study.dictionary.writes[0], study.ask.splice_tokens
    if not wanted:
        yield Absent("splice", "the plan asks for no tokens to splice on")
        return 0
    if site.name == "mlp_in_normalized":
        yield Absent("splice", f"nothing can be put in the place of {site}: it is read inside a norm")
        return 0
    sums = DocumentSums(len(SUMS))
    if not study.shards.finished("splice", "all"):
        methods = (_ablation(study, fitted), of_dictionary(study.dictionary), *fitted.baselines)
        taken = 0
        for windows in chunks(sample(study, fitting=False, tokens=wanted)):
            yield Progress("splice", taken, wanted)
            sums.add(windows, _losses(study, windows, methods))
            taken += sum(int(window.counted.sum()) for window in windows)
    rows = yield from study.shards.rows("splice", "all", lambda: _rows(sums))
    return sum(row["tokens"] for row in rows if row["condition"] == CLEAN)


def _ablation(study: FeatureStudy, fitted: Fitted) -> Method:
    """The mean output, or zero, whatever stood there."""
    site = study.dictionary.writes[0]
    value = fitted.reference if study.ask.ablation == "mean" else torch.zeros_like(fitted.reference)

    def reconstruct(at: Given) -> Reconstruction:
        return Reconstruction(value.expand(len(at[site]), -1), value.new_zeros(len(at[site])))

    return Method(ABLATED, (), reconstruct)


def _losses(study: FeatureStudy, windows: Sequence[Window], methods: Sequence[Method]) -> dict[str, Float[Tensor, "window sum"]]:
    """By condition and window: predictions, the sum of their cross-entropies, and of their divergences from the clean ones."""

    def work(indices: list[int]) -> Tensor:
        with torch.inference_mode():
            return _Spliced(study, [windows[index] for index in indices]).losses(methods)

    loads = [study.batches.load(len(window.tokens), logits=len(window.tokens)) for window in windows]
    found = study.batches.run(loads, work)
    return {name: found[:, number] for number, name in enumerate((CLEAN, *(method.name for method in methods)))}


class _Spliced:
    """One batch of windows and its clean predictions."""

    def __init__(self, study: FeatureStudy, windows: Sequence[Window]) -> None:
        self.model, self.site = study.model, study.dictionary.writes[0]
        self.encoded = left_padded([window.tokens for window in windows], study.model.device)
        counted = counted_mask(windows)
        self.counted = counted.to(study.model.device)
        # The last position predicts nothing that is there.
        self.rows = counted[:, :-1].nonzero()[:, 0]
        """Of every prediction; on the CPU."""
        self.targets = self.encoded.input_ids[:, 1:][self.counted[:, :-1]]

    def losses(self, methods: Sequence[Method]) -> Float[Tensor, "row condition sum"]:
        """Of the clean pass and of every method, in float64 on the CPU."""
        clean = self._log_probabilities()
        found = [self._summed(clean, clean)]
        for method in methods:
            with ExitStack() as stack:
                recorded = stack.enter_context(record_sites(self.model, [site for site in method.reads if site != self.site]))
                stack.enter_context(edit_site(self.model, self.site, self._edit(method, recorded)))
                found.append(self._summed(clean, self._log_probabilities()))
        return torch.stack(found, dim=1)

    def _edit(self, method: Method, recorded: Mapping[Site, Tensor]) -> Edit:
        def edit(x: Float[Tensor, "row pos d_out"]) -> Float[Tensor, "row pos d_out"]:
            at = {site: recorded[site][self.counted].float() for site in recorded}
            edited = x.clone()
            edited[self.counted] = method.reconstruct({**at, self.site: x[self.counted].float()}).output.to(x.dtype)
            return edited

        return edit

    def _log_probabilities(self) -> Float[Tensor, "prediction vocab"]:
        logits = _all_logits(self.model, self.encoded)[:, :-1][self.counted[:, :-1]]
        return wide(logits).log_softmax(dim=-1)

    def _summed(self, clean: Float[Tensor, "prediction vocab"], found: Float[Tensor, "prediction vocab"]) -> Float[Tensor, "row sum"]:
        surprise = -found.gather(-1, self.targets.to(found.device)[:, None])[:, 0]
        divergence = torch.zeros_like(surprise) if found is clean else (clean.exp() * (clean - found)).sum(dim=-1)
        each = torch.stack([torch.ones_like(surprise), surprise, divergence], dim=1).cpu()
        return each.new_zeros(len(self.counted), len(SUMS)).index_add(0, self.rows, each)


def _all_logits(model: LoadedModel, encoded: Encoded) -> Float[Tensor, "row pos vocab"]:
    options: dict[str, Any] = {}
    if "position_ids" in inspect.signature(model.module.forward).parameters:
        options["position_ids"] = encoded.position_ids
    logits: Tensor = model.module(input_ids=encoded.input_ids, attention_mask=encoded.attention_mask, use_cache=False, **options).logits
    return logits


def _rows(sums: DocumentSums) -> list[Row]:
    return [
        {"document": document, "condition": condition, "tokens": int(tokens), "cross_entropy": cross_entropy, "kl": kl}
        for document, condition, (tokens, cross_entropy, kl) in sums.each()
        if tokens
    ]
