"""How well a dictionary reconstructs its output site on the model under assessment, beside baselines at equal L0."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from safetycase.errors import SourceError
from safetycase.evidence.tables import Row
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.features.corpus_passes import Passed, chunks, passes, wide
from safetycase.lab.features.corpus_windows import Window
from safetycase.lab.features.dictionary_baselines import Fitted, Method, fit_baselines, of_dictionary, sample
from safetycase.lab.features.dictionary_splice import splice
from safetycase.lab.features.document_sums import DocumentSums
from safetycase.lab.features.study import FeatureStudy, Stage
from safetycase.lab.observing import Progress

SUMS = ("tokens", "active", "error", "spread", "power", "cosine", "legacy")


@dataclass(frozen=True)
class Quality:
    """What later stages need of the documents that were measured."""

    residual_norm: float
    """Mean norm of the residual stream after the block of the first written site."""
    spread_offset: float
    """Squared norm of (mean output - reference mean): explained variance is 1 - sum(error) / (sum(spread) - tokens * offset)."""
    fired: Int[Tensor, "feature"]
    """On how many tokens each feature fires; on the CPU."""
    negative_share: float
    """Of all activations that are not zero, the share of negative ones."""
    tokens: int
    splice_tokens: int
    """Predictions that losses were taken of."""
    documents: int


def quality(study: FeatureStudy) -> Stage[Quality]:
    """Yields the tables `quality` and `splice`; measures up to `quality_tokens` tokens of documents that no baseline was fitted on.

    What is reconstructed is the output site, of several written ones (a cross-layer transcoder) the first. The reference mean of
    the spread is that of the documents that baselines were fitted on. A resumed step recalls `splice` and measures the rest
    again: later stages need what the tables do not hold.

    Raises SourceError where the corpus has too few documents to fit on some and measure on others.
    """
    fitted = yield from fit_baselines(study)
    measured = _Measured(study, fitted)
    for windows in chunks(sample(study, fitting=False, tokens=study.ask.quality_tokens)):
        yield Progress("quality", measured.tokens, study.ask.quality_tokens)
        measured.add(windows)
    if not measured.tokens:
        raise SourceError(f"{study.corpus.source}: found no document to measure beside those fitted on, expected more documents")
    rows = yield from study.shards.rows("quality", "all", measured.rows)
    spliced = yield from splice(study, fitted)
    return Quality(
        residual_norm=measured.residual / measured.tokens,
        spread_offset=float((measured.output / measured.tokens).pow(2).sum()),
        fired=measured.fired,
        negative_share=measured.negative_share(),
        tokens=measured.tokens,
        splice_tokens=spliced,
        documents=len({row["document"] for row in rows}),
    )


@dataclass(frozen=True)
class _Part:
    """What one pass adds, on the CPU."""

    indices: tuple[int, ...]
    sums: dict[str, Float[Tensor, "row sum"]]
    residual: float
    output: Float[Tensor, "d_out"]
    fired: Int[Tensor, "feature"]


class _Measured:
    """Sums over the windows seen so far."""

    def __init__(self, study: FeatureStudy, fitted: Fitted) -> None:
        self._study, self._fitted = study, fitted
        self._stream = Site("resid_post", study.dictionary.writes[0].layer)
        self._methods = (of_dictionary(study.dictionary), *fitted.baselines)
        read = (study.dictionary.writes[0], self._stream, *(site for method in self._methods for site in method.reads))
        self._sites = tuple(dict.fromkeys(read))
        self._sums = DocumentSums(len(SUMS))
        self.tokens = 0
        self.residual = 0.0
        self.output = torch.zeros(study.dictionary.d_out, dtype=torch.float64)
        """Sum over tokens of output minus reference mean; [d_out]."""
        self.fired = torch.zeros(study.dictionary.n_features, dtype=torch.long)

    def add(self, windows: Sequence[Window]) -> None:
        """Measure some windows."""
        sums = {method.name: torch.zeros(len(windows), len(SUMS), dtype=torch.float64) for method in self._methods}
        for part in passes(self._study.model, self._study.batches, windows, self._sites, self._part):
            for name, rows in part.sums.items():
                sums[name][torch.tensor(part.indices)] = rows
            self.residual += part.residual
            self.output += part.output
            self.fired += part.fired
        self._sums.add(windows, sums)
        self.tokens += sum(int(window.counted.sum()) for window in windows)

    def rows(self) -> list[Row]:
        """Of the table `quality`."""
        return [
            {"document": document, "method": method, **dict(zip(SUMS, sums, strict=True)), "tokens": int(sums[0])}
            for document, method, sums in self._sums.each()
        ]

    def negative_share(self) -> float:
        """Of the dictionary's activations that are not zero, the share of negative ones."""
        active = sum(sums[1] for _, method, sums in self._sums.each() if method == "dictionary")
        return 1 - float(self.fired.sum()) / active if active else 0.0

    def _part(self, passed: Passed) -> _Part:
        y = passed.at[self._study.dictionary.writes[0]]
        sums: dict[str, Tensor] = {}
        fired = torch.zeros_like(self.fired)
        for method in self._methods:
            sums[method.name], of_features = self._of_method(passed, y, method)
            fired = fired if of_features is None else of_features.cpu()
        return _Part(
            passed.indices,
            sums,
            float(wide(passed.at[self._stream]).norm(dim=-1).sum()),
            (wide(y) - wide(self._fitted.reference)).sum(dim=0).cpu(),
            fired,
        )

    def _of_method(self, passed: Passed, y: Float[Tensor, "token d_out"], method: Method) -> tuple[Tensor, Tensor | None]:
        found = method.reconstruct(passed.at)
        made, true, reference = wide(found.output), wide(y), wide(self._fitted.reference)
        error, spread = (true - made).pow(2).sum(dim=-1), (true - reference).pow(2).sum(dim=-1)
        power, tiny = true.pow(2).sum(dim=-1), torch.finfo(true.dtype).tiny
        cosine = (true * made).sum(dim=-1) / (power.sqrt() * made.norm(dim=-1)).clamp_min(tiny)
        each = [torch.ones_like(error), wide(found.active), error, spread, power, cosine, 1 - error / spread.clamp_min(tiny)]
        tokens = torch.stack(each, dim=1).cpu()
        return tokens.new_zeros(len(passed.indices), len(SUMS)).index_add(0, passed.row, tokens), found.fired
