"""What the edits cost on harmless test prompts: divergence of the first token, cross-entropy of the unedited answer."""

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence import stats
from safetycase.evidence.estimates import Estimates
from safetycase.evidence.kinds.refusal_direction.fragility import fragility_ks, why_no_more
from safetycase.evidence.kinds.refusal_direction.observed import Observed
from safetycase.evidence.kinds.refusal_direction.params import Read
from safetycase.evidence.record import Unit
from safetycase.evidence.stats import Interval


def collateral(seen: Observed, read: Read, estimates: Estimates) -> None:
    """Put KL and cross-entropy changes of every edit."""
    if not seen.tables.has("collateral"):
        why = seen.stopped or seen.tables.why_absent("collateral")
        conditions = ("ablated", "added", "ablated-*")
        estimates.miss([f"kl.harmless.{each}" for each in conditions], why)
        estimates.miss([f"cross_entropy_change.harmless.{each}" for each in conditions], why + _mean_losses(seen))
        return
    estimates.miss(("kl.harmless.ablated-*", "cross_entropy_change.harmless.ablated-*"), why_no_more(seen))
    table = seen.tables.table("collateral")
    baseline = table.where(arm="baseline")
    before = dict(zip(baseline["item"].tolist(), baseline["cross_entropy"].tolist(), strict=True))
    for condition in ("ablated", "added", *(f"ablated-{k}" for k in fragility_ks(seen))):
        kl, loss = f"kl.harmless.{condition}", f"cross_entropy_change.harmless.{condition}"
        arm = table.where(arm=condition)
        if not len(arm):
            estimates.miss([kl, loss], "the cost of this edit was not measured")
            continue
        estimates.put(kl, partial(_mean_kl, seen, arm["item"].tolist(), arm["kl"], read), Unit.NATS)
        paired = [item in before for item in arm["item"]]
        after = arm.take(np.array(paired, dtype=bool))
        items = after["item"].tolist()
        if not items:
            estimates.miss([loss], "the cross-entropy of the unedited model was not measured on these prompts")
            continue
        changes = after["cross_entropy"] - np.array([before[item] for item in items])
        estimates.put(loss, partial(_mean, seen, items, changes, read), Unit.NATS_PER_TOKEN)


def _mean(seen: Observed, items: list[str], values: NDArray[np.float64], read: Read) -> Interval:
    return stats.mean(values, seen.clusters(items), read.level, seen.tables.seed, read.resamples)


def _mean_kl(seen: Observed, items: list[str], values: NDArray[np.float64], read: Read) -> Interval:
    made = _mean(seen, items, values, read)
    # A divergence is never negative; the constants in its logarithms can make it so by a hair.
    return replace(made, low=max(made.low, min(0.0, made.value)))


def _mean_losses(seen: Observed) -> str:
    """The means that an import kept, in words: without an interval they are no estimate."""
    if not seen.tables.has("losses"):
        return ""
    losses = {(row["arm"], row["text"]): row["cross_entropy"] for row in seen.tables.table("losses").rows()}
    told = [
        f"{text} {arm} {value - losses['baseline', text]:+.4f}"
        for (arm, text), value in losses.items()
        if arm != "baseline" and ("baseline", text) in losses
    ]
    if not told:
        return ""
    return f"; mean changes of cross-entropy in nats per token, without an interval: {', '.join(told)}"
