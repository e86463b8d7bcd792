"""Which points the fragility curve has: how many directions were ablated together."""

from safetycase.evidence.kinds.refusal_direction.observed import Observed


def fragility_ks(seen: Observed) -> tuple[int, ...]:
    """Numbers of directions ablated together, from 2, in whatever table holds them."""
    found = set()
    if seen.tables.has("effects"):
        directions = seen.tables.table("effects").where(family="fragility")["direction"].tolist()
        found |= {name.removeprefix("k-") for name in directions}
    for table in ("collateral", "labels", "completions"):
        if seen.tables.has(table):
            arms = set(seen.tables.table(table)["arm"].tolist())
            found |= {arm.removeprefix("ablated-") for arm in arms if arm.startswith("ablated-")}
    return tuple(sorted(int(k) for k in found))


def why_no_more(seen: Observed) -> str:
    """Why the curve ends where it does: the tables do not say how far it was asked to go."""
    ks = fragility_ks(seen)
    return seen.stopped or f"no more than {ks[-1] if ks else 1} direction{'s were' if ks else ' was'} ablated together"
