"""Exact edge patching: what is left of a behaviour when the edges of a circuit alone carry it and all others carry the corrupted run."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from safetycase.evidence.circuits.edges import EdgeGraph, Mask
from safetycase.evidence.circuits.faithfulness import SHARES, strongest
from safetycase.evidence.circuits.random_circuits import Matching, random_circuits
from safetycase.evidence.tables import Row
from safetycase.lab.batches import Batches, Load
from safetycase.lab.circuits.edge_attribution import EdgeScores, check_lengths
from safetycase.lab.circuits.metric import Metric, log_odds
from safetycase.lab.circuits.pairs import Pair
from safetycase.lab.circuits.split_forward import Moment, SplitForward, as_it_stands

ABLATION = "interchange"
"""Edges outside a circuit carry what the paired prompt writes there, position by position; nothing is set to zero or to a mean."""

Edit = Literal["circuit", "complement"]


@torch.inference_mode()
def circuit_values(
    split: SplitForward, pairs: Sequence[Pair], circuits: NDArray[np.bool_], batches: Batches, metric: Metric = log_odds
) -> NDArray[np.float64]:
    """[pair, circuit]: the metric when a circuit's edges carry what their writers put out in this very run, and others the corrupted value.

    The clean prompt goes in. A reader's input is the corrupted run's stream plus, of each of its edges in the circuit, what the writer
    puts out now less what it put out in the corrupted run; so all edges give the clean run and none the corrupted one, to rounding.

    Raises ModelError for a pair whose prompts differ in length and where one circuit does not fit into memory.
    """
    assert circuits.ndim == 2, circuits.shape
    assert circuits.shape[1] == len(split.graph), (circuits.shape, len(split.graph))
    masks = _by_reader(split.graph, circuits).to(split.model.device)
    found = np.empty((len(pairs), len(circuits)))
    for place, pair in enumerate(pairs):
        check_lengths(pair)
        found[place] = _of_pair(split, pair, masks, batches, metric)
    return found


def baselines(split: SplitForward, pairs: Sequence[Pair], metric: Metric = log_odds) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """([pair], [pair]): the metric of the clean and of the corrupted run, through plain passes."""

    def of(ids: Tensor, pair: Pair) -> float:
        return float(metric(split.run(ids[None].to(split.model.device), as_it_stands).logits, pair.target))

    with torch.inference_mode():
        clean, corrupted = [of(pair.clean, pair) for pair in pairs], [of(pair.corrupted, pair) for pair in pairs]
    return np.array(clean), np.array(corrupted)


def curve_rows(
    split: SplitForward,
    pairs: Sequence[Pair],
    scores: EdgeScores,
    batches: Batches,
    *,
    shares: Sequence[float] = SHARES,
    metric: Metric = log_odds,
) -> Iterator[Row]:
    """The whole faithfulness curve, one row per pair, share and edit: the circuit of the strongest edges, and its complement.

    Columns: item, family, edit (`circuit`: its edges carry the run, `complement`: all others do), share, n_edges (of the circuit), value,
    clean, corrupted (the metric of this run and of the two plain ones) and ablation. Faithfulness follows by
    `evidence.circuits.faithfulness`. The scores had best come from other pairs than these.
    """
    chosen = np.stack([strongest(scores.mean, share) for share in shares])
    edits: list[tuple[Edit, float, Mask]] = [("circuit", share, mask) for share, mask in zip(shares, chosen, strict=True)]
    edits += [("complement", share, mask) for share, mask in zip(shares, chosen, strict=True)]
    values = circuit_values(split, pairs, np.concatenate([chosen, ~chosen]), batches, metric)
    clean, corrupted = baselines(split, pairs, metric)
    for place, pair in enumerate(pairs):
        for (edit, share, mask), value in zip(edits, values[place], strict=True):
            yield {
                "item": pair.item,
                "family": pair.family,
                "edit": edit,
                "share": float(share),
                "n_edges": int(mask.sum()),
                "value": float(value),
                "clean": float(clean[place]),
                "corrupted": float(corrupted[place]),
                "ablation": ABLATION,
            }


def random_rows(
    split: SplitForward,
    pairs: Sequence[Pair],
    claimed: Mask,
    batches: Batches,
    *,
    n: int,
    seed: int,
    matching: Matching = "layers",
    metric: Metric = log_odds,
) -> Iterator[Row]:
    """The claimed circuit and n random ones of its size, and the complements of all, one row per pair, circuit and edit.

    Columns: item, family, circuit (-1 the claimed one, then 0 to n - 1), edit, n_edges (of the circuit), value, clean, corrupted, matching,
    ablation. The claim's place among them follows by `evidence.circuits.random_circuits.standing`.
    """
    drawn = np.concatenate([claimed[None], random_circuits(split.graph, claimed, n, seed, matching)])
    values = circuit_values(split, pairs, np.concatenate([drawn, ~drawn]), batches, metric).reshape(len(pairs), 2, n + 1)
    clean, corrupted = baselines(split, pairs, metric)
    edits: tuple[Edit, Edit] = ("circuit", "complement")
    for place, pair in enumerate(pairs):
        for side, edit in enumerate(edits):
            for number, value in enumerate(values[place, side]):
                yield {
                    "item": pair.item,
                    "family": pair.family,
                    "circuit": number - 1,
                    "edit": edit,
                    "n_edges": int(claimed.sum()),
                    "value": float(value),
                    "clean": float(clean[place]),
                    "corrupted": float(corrupted[place]),
                    "matching": matching,
                    "ablation": ABLATION,
                }


def _of_pair(
    split: SplitForward, pair: Pair, masks: Bool[Tensor, "circuit reader writer"], batches: Batches, metric: Metric
) -> NDArray[np.float64]:
    """[circuit]; the circuits are the rows of a pass."""
    device, dtype = split.model.device, split.model.dtype
    streams: dict[int, Tensor] = {}

    def note(moment: Moment) -> Float[Tensor, "row reader pos d_model"]:
        streams[moment.readers.start] = moment.stream[0]
        return as_it_stands(moment)

    base = split.run(pair.corrupted[None].to(device), note).written

    def work(rows: list[int]) -> Tensor:
        chosen = masks[torch.tensor(rows, device=device)].to(dtype)
        changes: list[Tensor] = []

        def patched(moment: Moment) -> Float[Tensor, "row reader pos d_model"]:
            new = range(len(changes), len(moment.written))
            changes.extend(moment.written[writer] - base[writer] for writer in new)
            change = torch.stack(changes[: len(moment.written)], dim=1)  # [row, writer, pos, d_model]
            carried: Tensor = chosen[:, moment.readers, : change.shape[1]] @ change.flatten(2)
            return streams[moment.readers.start] + carried.reshape(*carried.shape[:2], *change.shape[2:])

        return metric(split.run(pair.clean.to(device).expand(len(rows), -1), patched).logits, pair.target)

    return batches.run([_load(split, pair, batches)] * len(masks), work).cpu().numpy()


def _load(split: SplitForward, pair: Pair, batches: Batches) -> Load:
    """One circuit's row: a layer's copies for all its readers, and what every writer put out, now and in change."""
    copies, length = max(1, (len(split.graph.readers) - 1) // len(split.layers) - 1), len(pair.clean)
    kept = (2 * len(split.graph.writers) + 3 * copies) * length * split.model.sites.d_model * split.model.dtype.itemsize
    one = batches.load(length)
    # Where copies pass through attention's projections, that is about a third of what a position of a whole layer costs.
    return Load(length * (1 if split.direct else 1 + copies // 3), one.memory * (1 if split.direct else copies) + kept)


def _by_reader(graph: EdgeGraph, circuits: NDArray[np.bool_]) -> Bool[Tensor, "circuit reader writer"]:
    """The masks of edges as tables of readers by writers."""
    table = torch.zeros(len(circuits), len(graph.readers), len(graph.writers), dtype=torch.bool)
    writer, reader = torch.from_numpy(graph.edges).unbind(dim=1)
    table[:, reader, writer] = torch.from_numpy(np.ascontiguousarray(circuits))
    return table
