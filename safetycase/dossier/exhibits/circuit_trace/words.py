"""What the estimates of a circuit trace are called in sentences, how members and roles are named, and what stands beside every picture."""

from safetycase.case.claims import why_absent
from safetycase.dossier import numbers
from safetycase.dossier.tokens import LINE_END
from safetycase.evidence.kinds.circuit_trace.findings import Found, Member
from safetycase.evidence.record import Estimate, Unit

QUANTITIES = {
    "log_odds": "refusal log-odds",
    "replacement": "replacement score of the whole graph",
    "completeness": "completeness score of the whole graph",
    "error_share": "share of influence that enters through errors of the transcoders",
    "unattributed_share": "share that no node carries",
    "reconstructed": "share of the variance of what MLPs write that the transcoders reconstruct",
    "subgraph_replacement": "replacement score of the pruned graph",
    "subgraph_completeness": "completeness score of the pruned graph",
    "active_features": "active features",
    "kept_features": "features of the pruned graph",
    "recurrence": "share of pruned graphs in which it stands",
    "recurrence_difference": "difference of recurrence, harmful less harmless",
    "members_recovered": "share of members found again",
    "node_prediction": "rank correlation of predicted and measured change, single members ablated",
    "edge_prediction": "rank correlation of predicted and measured change of other members",
    "log_odds_change": "change of refusal log-odds",
    "faithfulness": "share of the effect on refusal log-odds",
    "refusal_rate": "share refused",
    "refusal_rate_change": "change of the share refused",
    "incoherent_rate": "share incoherent",
    "explained_change": "share of the variance of the change that is predicted",
    "patched_change": "change of refusal log-odds by one patched state",
    "cpr": "area under the faithfulness curve, as a share of its range",
    "cmd": "area between the faithfulness curve and 1, as a share of its range",
}
_POPULATIONS = {
    "harmful": "harmful prompts",
    "harmless": "harmless prompts",
    "paraphrase": "paraphrased harmful prompts",
    "matched": "matched pairs",
    "discovery": "discovery pairs",
    "confirmation": "confirmation prompts",
}
_CONDITIONS = {
    "baseline": "unmodified",
    "graph": "",
    "pruned": "",
    "discovery": "on discovery prompts",
    "confirmation": "on confirmation prompts",
    "reseeded": "with families drawn again",
    "nodes": "",
    "edges": "",
    "ablated": "members ablated",
    "kept": "members kept, all other features ablated",
    "rest": "members ablated, all other features kept",
    "circuit": "predicted by the graphs",
    "probe": "predicted by a linear probe",
    "class-mean": "predicted by the mean of the class",
    "denoised": "one harmful state into the harmless run",
    "noised": "one harmless state into the harmful run",
    "edge-circuit": "strongest edges",
    "edge-complement": "all but the strongest edges",
}
_UNITS = {
    "log_odds": Unit.NATS,
    "log_odds_change": Unit.NATS,
    "patched_change": Unit.NATS,
    "active_features": Unit.COUNT,
    "kept_features": Unit.COUNT,
    "node_prediction": Unit.CORRELATION,
    "edge_prediction": Unit.CORRELATION,
}
TESTS = {
    "necessity": (
        "log_odds_change.harmful.ablated",
        "ablating the members lowers refusal log-odds further than ablating random circuits does",
    ),
    "sufficiency": ("faithfulness.harmful.kept", "the members alone keep more of the effect than random circuits do"),
    "completeness": ("faithfulness.harmful.rest", "without the members, the rest keeps less of the effect than without random circuits"),
}
"""Test to the estimate that it rests on, and what it asks."""


def words(name: str) -> str:
    """An estimate as a sentence names it: `change of refusal log-odds: harmful prompts, members ablated`."""
    stem, _, item = name.partition("#")
    stem, _, judge = stem.partition("@")
    quantity, population, condition = (*stem.split(".", 2), "", "")[:3]
    said = (
        _POPULATIONS.get(population, population.replace("-", " ")),
        _CONDITIONS.get(condition, condition.replace("-", " ")),
        _item(quantity, item),
    )
    tail = ", ".join(part for part in said if part)
    head = QUANTITIES.get(quantity, quantity.replace("_", " "))
    return (f"{head}: {tail}" if tail else head) + (f" ({judge})" if judge else "")


def unit(name: str) -> Unit:
    """What an estimate is counted in, also where it is absent."""
    return _UNITS.get(name.split(".")[0], Unit.FRACTION)


def shown(found: Found, name: str) -> str:
    """An estimate as text; a dash where it is absent."""
    estimate = found.estimates.get(name)
    return str(numbers.measured(estimate, name)) if estimate else "–"


def answered(found: Found, rate: Estimate) -> str:
    """On how many of the prompts answers were generated: `24 of 32 prompts answered`."""
    prompts = found.estimates.get("log_odds_change.harmful.ablated")
    of = f" of {numbers.count(prompts.n)}" if prompts is not None and prompts.n > rate.n else ""
    return f"{numbers.count(rate.n)}{of} prompts answered"


def curve_range(found: Found) -> str:
    """The shares of edges that the faithfulness curve covers: `the range from 1 to 100 % of edges`."""
    shares = [point.share for point in found.curve]
    return f"the range from {numbers.percent(min(shares))} to {numbers.percent(max(shares))} of edges" if shares else "its range"


def p_words(p: float) -> str:
    """A p of a test, with two significant digits."""
    return f"p{_HARD}={_HARD}{p_number(p)}"


def p_number(p: float) -> str:
    """The number alone."""
    return f"{float(f'{p:.2g}'):g}"


def member_number(slot: str) -> str:
    """`member-3` as 3."""
    return slot.removeprefix("member-")


def one_line(name: str) -> str:
    """A name made of tokens, whose line ends are drawn and not broken at."""
    return name.replace("\r\n", "\n").replace("\n", LINE_END)


def place(member: Member) -> str:
    """Where a member lives: `layer 3, feature 1042, at end-1`."""
    return f"layer {member.layer}, feature {numbers.count(member.feature)}, at {member.role}"


def role_order(role: str) -> tuple[int, float, str]:
    """Roles as they stand in a prompt: start-1, start-2, …, instruction, …, end-2, end-1."""
    head, _, number = role.rpartition("-")
    place = float(number) if number.isdigit() else 0.0
    match head:
        case "start":
            return 0, place, role
        case "end":
            return 2, -place, role
        case _:
            return 1, 0.0, role


def decider(found: Found) -> str:
    """The judge whose reading of an answer decides."""
    judges = found.read.get("judges")
    return str(judges[0]) if isinstance(judges, list) and judges else "substring"


def error_beside(found: Found, population: str = "harmful") -> str:
    """The sentence that stands beside every picture of a graph: how much of it the transcoders' errors carry."""
    name = f"error_share.{population}.graph"
    if name not in found.estimates:
        return f"What share of the influence enters through errors of the transcoders is not known: {why_absent(name, found)}."
    given = f"reconstructed.{population}.graph"
    beside = f"; they reconstruct {shown(found, given)} of the variance of what MLPs write" if given in found.estimates else ""
    return f"Errors of the transcoders carry {shown(found, name)} of the influence on the target in graphs of {population} prompts{beside}."


_HARD = "\N{NO-BREAK SPACE}"


def _item(quantity: str, item: str) -> str:
    if not item:
        return ""
    return (
        f"member {member_number(item)}"
        if item.startswith("member-")
        else f"{numbers.percent(float(item))} of edges"
        if _is_share(item)
        else item
    )


def _is_share(item: str) -> bool:
    try:
        return 0 < float(item) <= 1
    except ValueError:
        return False


def between(low: float, high: float, unit: Unit, name: str) -> str:
    """Two ends of what nulls give, in the scale of the estimate beside them: `31 to 44 %`."""
    scale = numbers.scale_of(unit, name)
    if scale is numbers.Scale.PLAIN:
        return f"{numbers.plain(low, 2)} to {numbers.plain(high, 2)}"
    ending = f"{numbers.THIN}%" if scale is numbers.Scale.PERCENT else " points"
    return f"{numbers.plain(100 * low, 0)} to {numbers.plain(100 * high, 0)}{ending}"
