"""Which candidate the rule picks on the validation split, by how much, and how often it would be picked again."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence import stats
from safetycase.evidence.estimates import Estimates
from safetycase.evidence.kinds.refusal_direction.findings import CandidateScore
from safetycase.evidence.kinds.refusal_direction.observed import Observed
from safetycase.evidence.kinds.refusal_direction.params import Candidate, Read
from safetycase.evidence.kinds.refusal_direction.selection import Rule, Selection, select
from safetycase.evidence.record import Unit
from safetycase.evidence.stats import Interval, Undefined
from safetycase.evidence.tables import Table, Tables

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PerPrompt:
    """One score of every candidate on every prompt of a population."""

    items: tuple[str, ...]
    values: Floats
    """[candidate, prompt], in nats; NaN where a candidate was not asked."""


@dataclass(frozen=True)
class Scored:
    """Every candidate with its mean scores, by position and then layer."""

    positions: NDArray[np.int64]
    layers: NDArray[np.int64]
    refusal: Floats
    steering: Floats
    kl: Floats
    rows: dict[str, PerPrompt] | None
    """Quantity (ablated, added, kl) to scores per prompt; None where only means were kept."""


@dataclass(frozen=True)
class Selected:
    """What the rule makes of the candidates."""

    candidate: Candidate | None
    survivors: int
    candidates: tuple[CandidateScore, ...]
    not_finite: int
    """Candidates left out of `candidates` because a score is not a finite number."""


def selecting(seen: Observed, read: Read, estimates: Estimates) -> Selected:
    """Apply the rule as read, and put the estimates of the selection."""
    scored = read_scores(seen.tables)
    if scored is None:
        why = seen.stopped or f"no candidate was scored: {seen.tables.why_absent('candidates')}"
        estimates.miss((*_OF_PICKED, "selection_margin.harmful.ablated#validation", _SHARE), why)
        return Selected(None, 0, (), 0)
    rule = rule_of(read)
    chosen = select(scored.layers, scored.refusal, scored.steering, scored.kl, n_layers=seen.setup["n_layers"], rule=rule)
    shares = _picked_shares(seen, scored, rule, read)
    _put_scores(seen, scored, chosen, read, estimates)
    _put_share(shares, chosen, read, estimates)
    return Selected(
        candidate=None if chosen.picked is None else _candidate(scored, chosen.picked),
        survivors=int(chosen.survives.sum()),
        candidates=_scores(scored, chosen, shares),
        not_finite=int((~_finite(scored)).sum()),
    )


def rule_of(read: Read) -> Rule:
    """The thresholds that the plan reads with."""
    return Rule(max_layer_fraction=read.max_layer_fraction, max_kl=read.max_kl, min_steering=read.min_steering)


def read_scores(tables: Tables) -> Scored | None:
    """Scores per prompt where they were kept, else means; None where there is neither."""
    if tables.has("scores") and len(tables.table("scores")):
        return _from_rows(tables.table("scores"))
    if not tables.has("candidates") or not len(tables.table("candidates")):
        return None
    table = tables.table("candidates")
    table = table.take(np.lexsort((table["layer"], table["position"])))
    return Scored(table["position"], table["layer"], table["refusal_score"], table["steering_score"], table["kl"], rows=None)


_OF_PICKED = (
    "refusal_log_odds.harmful.ablated#validation",
    "refusal_log_odds.harmless.added#validation",
    "kl.harmless.ablated#validation",
)
_SHARE = "selection_share.candidates.resampled"


def _from_rows(table: Table) -> Scored:
    places, which = np.unique(np.stack([table["position"], table["layer"]], axis=1), axis=0, return_inverse=True)
    which = which.reshape(-1)
    rows = {}
    for quantity in ("ablated", "added", "kl"):
        mine = np.flatnonzero(table["quantity"] == quantity)
        items, column = np.unique(table["item"][mine].astype(np.str_), return_inverse=True)
        values = np.full((len(places), len(items)), np.nan)
        values[which[mine], column] = table["value"][mine]
        rows[quantity] = PerPrompt(tuple(items.tolist()), values)
    means = {name: each.values.sum(1) / max(1, len(each.items)) for name, each in rows.items()}
    for name, each in rows.items():
        if not each.items:
            means[name] = np.full(len(places), np.nan)
    return Scored(places[:, 0], places[:, 1], means["ablated"], means["added"], means["kl"], rows)


def _finite(scored: Scored) -> NDArray[np.bool_]:
    return np.isfinite(scored.refusal) & np.isfinite(scored.steering) & np.isfinite(scored.kl)


def _candidate(scored: Scored, index: int) -> Candidate:
    return Candidate(position=int(scored.positions[index]), layer=int(scored.layers[index]))


def _scores(scored: Scored, chosen: Selection, shares: "Shares | None") -> tuple[CandidateScore, ...]:
    front = np.zeros(len(scored.layers), dtype=bool)
    front[chosen.order] = stats.pareto(np.stack([scored.refusal, scored.kl], axis=1)[chosen.order])
    return tuple(
        CandidateScore(
            position=int(scored.positions[index]),
            layer=int(scored.layers[index]),
            refusal_score=float(scored.refusal[index]),
            steering_score=float(scored.steering[index]),
            kl=float(scored.kl[index]),
            survives=bool(chosen.survives[index]),
            on_pareto_front=bool(front[index]),
            picked_share=None if shares is None else float((shares.picks == index).mean()),
        )
        for index in np.flatnonzero(_finite(scored)).tolist()
    )


def _put_scores(seen: Observed, scored: Scored, chosen: Selection, read: Read, estimates: Estimates) -> None:
    margin = "selection_margin.harmful.ablated#validation"
    picked = chosen.picked
    if picked is None:
        estimates.miss((*_OF_PICKED, margin), "no candidate passed the filters")
        return
    runner_up = int(chosen.order[1]) if len(chosen.order) > 1 else None
    if scored.rows is None:
        means = (scored.refusal[picked], scored.steering[picked], scored.kl[picked])
        for name, value in zip(_OF_PICKED, means, strict=True):
            estimates.miss([name], f"only means were kept, without an interval: {value:.4g} nats")
        apart = "" if runner_up is None else f": {scored.refusal[runner_up] - scored.refusal[picked]:.3g} nats"
        estimates.miss([margin], f"only means were kept, without an interval{apart}")
        return
    for name, quantity in zip(_OF_PICKED, ("ablated", "added", "kl"), strict=True):
        estimates.put(name, partial(_of_picked, seen, scored.rows[quantity], picked, read), Unit.NATS)
    if runner_up is None:
        estimates.miss([margin], "one candidate alone passed the filters")
        return
    prompts = scored.rows["ablated"]
    after, before, clusters = prompts.values[runner_up], prompts.values[picked], seen.clusters(prompts.items)
    estimates.put(
        margin,
        lambda: stats.paired_difference(after, before, clusters, read.level, seen.tables.seed, read.resamples),
        Unit.NATS,
    )


def _of_picked(seen: Observed, prompts: PerPrompt, picked: int, read: Read) -> Interval:
    clusters = seen.clusters(prompts.items)
    made = stats.mean(prompts.values[picked], clusters, read.level, seen.tables.seed, read.resamples)
    return replace(made, method=f"{made.method}; on the prompts that selected the candidate, so optimistic")


@dataclass(frozen=True)
class Shares:
    """Which candidate each resample picked."""

    picks: NDArray[np.int64]
    """[resample], index of the candidate; -1 where none passed the filters."""
    method: str


def _picked_shares(seen: Observed, scored: Scored, rule: Rule, read: Read) -> Shares | None:
    """From whole selections made again where the lab ran them, else from resampled validation prompts."""
    if seen.tables.has("reselections"):
        again = seen.tables.table("reselections").where(family="resample")
        if len(again):
            places = list(zip(scored.positions.tolist(), scored.layers.tolist(), strict=True))
            index = {place: number for number, place in enumerate(places)}
            picks = [-1 if row["fallback"] else index.get((row["position"], row["layer"]), -1) for row in again.rows()]
            method = f"{len(picks)} bootstrap resamples of training and validation prompts, each through the selection"
            return Shares(np.array(picks), method)
    if scored.rows is None:
        return None
    picks_again = validation_bootstrap(seen, scored, rule, read.resamples)
    method = f"{read.resamples} bootstrap resamples of validation families; the directions themselves stay as they are"
    return Shares(picks_again, method)


def validation_bootstrap(seen: Observed, scored: Scored, rule: Rule, resamples: int) -> NDArray[np.int64]:
    """What the rule picks in each resample of validation families, harmful and harmless apart; -1 for none."""
    assert scored.rows is not None
    rng = np.random.default_rng(seen.tables.seed)
    refusal = _resampled_means(scored.rows["ablated"], seen, rng, resamples)
    # Steering and KL are scores of the same harmless prompts and must be resampled together.
    added, kls = scored.rows["added"], scored.rows["kl"]
    assert added.items == kls.items, "steering and KL were scored on different prompts"
    both = PerPrompt(added.items, np.concatenate([added.values, kls.values]))
    steering, kl = np.split(_resampled_means(both, seen, rng, resamples), 2, axis=1)
    in_range = scored.layers < int(rule.max_layer_fraction * seen.setup["n_layers"])
    finite = np.isfinite(refusal) & np.isfinite(steering) & np.isfinite(kl)
    survives = finite & in_range & (kl <= rule.max_kl) & (steering >= rule.min_steering)
    lowest = np.where(survives, refusal, np.inf)
    picks: NDArray[np.int64] = np.where(survives.any(1), lowest.argmin(1), -1)
    return picks


def _resampled_means(prompts: PerPrompt, seen: Observed, rng: np.random.Generator, resamples: int) -> Floats:
    """Means [resample, candidate] over families drawn with replacement."""
    names, which = np.unique(seen.clusters(prompts.items), return_inverse=True)
    member = np.eye(len(names))[which]
    draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples).astype(np.float64)
    with np.errstate(invalid="ignore"):
        sums = draws @ (prompts.values @ member).T
    means: Floats = sums / (draws @ member.sum(0))[:, None]
    return means


def _put_share(shares: Shares | None, chosen: Selection, read: Read, estimates: Estimates) -> None:
    if shares is None:
        estimates.miss([_SHARE], "only mean scores were kept: prompts cannot be resampled")
        return
    if chosen.picked is None:
        estimates.miss([_SHARE], "no candidate passed the filters")
        return

    def share() -> Interval:
        if len(shares.picks) < 2:
            raise Undefined("the selection was made again once, which gives no share")
        made = stats.rate(shares.picks == chosen.picked, None, read.level)
        return replace(made, method=f"{made.method}; {shares.method}")

    estimates.put(_SHARE, share, Unit.FRACTION)
