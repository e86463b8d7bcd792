"""What each prompt contributes to the means and rates of a circuit trace, so that two versions can be compared prompt by prompt."""

from collections.abc import Iterator, Mapping

import numpy as np

from safetycase.evidence.kinds import ByItem, ItemValue
from safetycase.evidence.kinds.circuit_trace.answers import INCOHERENT, OWN, REFUSE, UNEDITED, labels_of, refused
from safetycase.evidence.kinds.circuit_trace.graphs import COUNTS
from safetycase.evidence.kinds.circuit_trace.interventions import OWN as OWN_CIRCUIT
from safetycase.evidence.kinds.circuit_trace.interventions import Ablated, ablated
from safetycase.evidence.kinds.circuit_trace.names import GRAPHED, SCORES, SUBGRAPH_SCORES
from safetycase.evidence.kinds.circuit_trace.names import members as slots_of
from safetycase.evidence.kinds.circuit_trace.observed import CONFIRMATION, HALVES, Observed, observed
from safetycase.evidence.kinds.circuit_trace.params import Read
from safetycase.evidence.kinds.circuit_trace.patching import ESTIMATES, cells_of, peak
from safetycase.evidence.kinds.circuit_trace.recurrence import Circuit, circuit_of, graphed, paraphrased, presence
from safetycase.evidence.tables import Tables

Values = Mapping[str, float]
"""Item to value; pairs go by their harmful item."""


def by_item(tables: Tables, read: Read) -> ByItem:
    """Estimate to item to value and family; the mean over the items is the value that `derive` gives the estimate.

    Left out is what is no mean over prompts: ratios, correlations, areas, what is explained, and members found again.
    """
    seen = observed(tables)
    if seen.stopped:
        return {}
    found = circuit_of(seen)
    named = [*_baseline(seen), *_graphs(seen), *_recurrence(seen, found), *_patching(seen)]
    if found.members:
        named += [*_ablated(seen)]
    named += [*_answers(seen, read)]
    clusters = {item: pair.family for half in HALVES for pair in seen.pairs[half] for item in pair[:2]}
    return {
        name: {
            item: ItemValue(float(value), clusters.get(item, seen.families[item]) if _paired(name) else seen.families[item])
            for item, value in sorted(values.items())
        }
        for name, values in named
        if values
    }


def _paired(name: str) -> bool:
    """Whether pairs are its units."""
    return name.startswith(("patched_change.", "recurrence_difference.")) or ".discovery" in name


def _baseline(seen: Observed) -> Iterator[tuple[str, Values]]:
    for population in GRAPHED:
        yield f"log_odds.{population}.baseline", {item: seen.baseline[item] for item in seen.tested(population) if item in seen.baseline}


def _graphs(seen: Observed) -> Iterator[tuple[str, Values]]:
    for population in GRAPHED:
        rows = seen.rows("graphs", population=population, split=CONFIRMATION)
        if isinstance(rows, str):
            continue
        columns = {f"{score}.{population}.graph": score for score in SCORES}
        columns |= {f"{score}.{population}.pruned": score for score in SUBGRAPH_SCORES}
        for quantity, column in COUNTS.items():
            columns[f"{quantity}.{population}.{'graph' if quantity == 'active_features' else 'pruned'}"] = column
        for name, column in columns.items():
            known = rows.take(np.isfinite(rows[column]))
            yield name, dict(zip(known["item"].tolist(), known[column].tolist(), strict=True))


def _recurrence(seen: Observed, found: Circuit) -> Iterator[tuple[str, Values]]:
    pairs = {half: graphed(seen, found.kept, half) for half in HALVES}
    paraphrases = paraphrased(seen, found)
    for slot, node in zip(slots_of(seen.ask), found.nodes, strict=False):
        for half in HALVES:
            harmful, harmless = (presence(found, node, [pair[side] for pair in pairs[half]]).astype(np.float64) for side in (0, 1))
            items = [pair.harmful for pair in pairs[half]]
            yield f"recurrence_difference.matched.{half}#{slot}", dict(zip(items, (harmful - harmless).tolist(), strict=True))
            if half == "discovery":
                yield f"recurrence.harmful.discovery#{slot}", dict(zip(items, harmful.tolist(), strict=True))
                own = [pair.harmless for pair in pairs[half]]
                yield f"recurrence.harmless.discovery#{slot}", dict(zip(own, harmless.tolist(), strict=True))
        if seen.ask.paraphrase is not None:
            yield (
                f"recurrence.paraphrase.confirmation#{slot}",
                {item: float(node in found.kept[item]) for item in paraphrases},
            )


def _ablated(seen: Observed) -> Iterator[tuple[str, Values]]:
    for population in GRAPHED:
        made = ablated(seen, population)
        if isinstance(made, Ablated):
            yield f"log_odds_change.{population}.ablated", dict(zip(made.items, made.change(OWN_CIRCUIT).tolist(), strict=True))


def _answers(seen: Observed, read: Read) -> Iterator[tuple[str, Values]]:
    for number, name in enumerate(read.judges):
        arms = labels_of(seen, name)
        if isinstance(arms, str):
            continue
        for condition, arm in (("baseline", UNEDITED), ("ablated", OWN)):
            labels = arms.get(arm, {})
            yield f"refusal_rate.harmful.{condition}@{name}", {item: float(label == REFUSE) for item, label in labels.items()}
        items, after, before = refused(arms, OWN)
        change = after.astype(np.float64) - before
        yield f"refusal_rate_change.harmful.ablated@{name}", dict(zip(items, change.tolist(), strict=True))
        if number == 0:
            yield "incoherent_rate.harmful.ablated", {item: float(label == INCOHERENT) for item, label in arms.get(OWN, {}).items()}


def _patching(seen: Observed) -> Iterator[tuple[str, Values]]:
    cells = {half: cells_of(seen, half) for half in HALVES}
    for direction, name in ESTIMATES.items():
        found = peak(cells["discovery"], direction)
        rows = None if found is None else cells["confirmation"].get(found)
        if rows is not None:
            yield name, dict(zip(rows["pair"].tolist(), (rows["patched"] - rows["corrupted"]).tolist(), strict=True))
