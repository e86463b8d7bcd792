"""How the edges of an attribution graph run: from band to band through the gaps between nodes, so that none passes behind another node."""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from safetycase.dossier.figures.graph_layout import LEFT, RIGHT, Chip, Group, Placed
from safetycase.dossier.figures.graph_picture import PictureEdge

_INSET, _APART = 2.2, 2.4
"""Room between an edge and a chip, and between two edges of one gap where there is any."""
_MARGIN = 7.0
"""Of the sides of a chip, kept free of ends of edges."""
_LOOK_AHEAD, _SAMPLES = 24, 32

Point = tuple[float, float]


@dataclass(frozen=True)
class Route:
    """Where an edge starts, the vertical stretches that it passes, and where it ends; from below."""

    edge: PictureEdge
    points: tuple[Point, ...]
    """Pairs of points with equal x are stretches between chips."""


def routes(placed: Placed, edges: Sequence[PictureEdge]) -> tuple[Route, ...]:
    """In the order of the edges; each leaves its source at the top and enters its target at the bottom."""
    at = {chip.node.id: chip for chip in placed.chips}
    start, end = _ports(edges, at, "source"), _ports(edges, at, "target")
    gaps = _gaps(placed)
    used: dict[tuple[int, int], list[float]] = defaultdict(list)
    made: list[Route] = []
    # The strongest come last and are drawn on top; they choose their way first.
    for index in reversed(range(len(edges))):
        edge = edges[index]
        source, target = at[edge.source], at[edge.target]
        first, last = (start[index], source.y), (end[index], target.y + target.height)
        way = [first, *_through(placed, gaps, used, source, target, first, last), last]
        made.append(Route(edge, tuple(_pulled(placed, way, {edge.source, edge.target}))))
    return tuple(reversed(made))


def _pulled(placed: Placed, way: Sequence[Point], ends: Set[str]) -> list[Point]:
    """The same way without the bends that it can do without."""
    kept = [way[0]]
    place = 0
    while place < len(way) - 1:
        ahead = range(min(len(way) - 1, place + _LOOK_AHEAD), place + 1, -1)
        place = next((each for each in ahead if _is_free(placed, way[place], way[each], ends)), place + 1)
        kept.append(way[place])
    return kept


def _is_free(placed: Placed, first: Point, last: Point, ends: Set[str]) -> bool:
    """Whether the curve between two points passes no chip and no box but those at its ends."""
    (x0, y0), (x1, y1) = first, last
    low, high = min(y0, y1), max(y0, y1)
    left, right = min(x0, x1), max(x0, x1)
    boxes: list[Chip | Group] = [chip for chip in placed.chips if chip.node.id not in ends]
    boxes += [group for group in placed.groups if ends.isdisjoint(group.members)]
    near = [
        (each.x - 2, each.x + each.width + 2, each.y - 1, each.y + each.height + 1)
        for each in boxes
        if each.x - 2 < right and left < each.x + each.width + 2 and each.y < high and low < each.y + each.height
    ]
    if not near:
        return True
    for step in range(1, _SAMPLES):
        t = step / _SAMPLES
        # The cubic of `graph_marks`: it leaves and enters vertically, its control points at half the height.
        x = x0 + (x1 - x0) * t * t * (3 - 2 * t)
        y = y0 + (y1 - y0) * (1.5 * t * (1 - t) ** 2 + 1.5 * t * t * (1 - t) + t**3)
        if any(west < x < east and top < y < bottom for west, east, top, bottom in near):
            return False
    return True


def _through(
    placed: Placed,
    gaps: Sequence[Sequence[tuple[float, float]]],
    used: dict[tuple[int, int], list[float]],
    source: Chip,
    target: Chip,
    first: Point,
    last: Point,
) -> list[Point]:
    """The stretches past every band between source and target, each as near to the straight line as a gap allows."""
    points: list[Point] = []
    x, y = first
    for band in range(source.band - 1, target.band, -1):
        top, bottom = placed.bands[band].top, placed.bands[band].bottom
        share = (y - (top + bottom) / 2) / max(1.0, y - last[1])
        wish = x + (last[0] - x) * min(1.0, max(0.0, share))
        index = min(range(len(gaps[band])), key=lambda i: abs(_within(wish, gaps[band][i]) - wish))
        x = _apart(wish, gaps[band][index], used[band, index])
        used[band, index].append(x)
        y = top
        points += [(x, bottom + 1), (x, top - 1)]
    return points


def _apart(wish: float, gap: tuple[float, float], taken: Sequence[float]) -> float:
    """As near to the wish as other edges of the gap allow; upon another where it is full."""
    best = _within(wish, gap)
    steps = int((gap[1] - gap[0]) / _APART) + 1
    for step in range(2 * steps + 1):
        x = best + (step + 1) // 2 * _APART * (-1 if step % 2 else 1)
        if gap[0] <= x <= gap[1] and all(abs(x - other) >= _APART - 0.01 for other in taken):
            return x
    return best


def _within(x: float, gap: tuple[float, float]) -> float:
    return min(max(x, gap[0]), gap[1])


def _gaps(placed: Placed) -> list[list[tuple[float, float]]]:
    """Of every band, where an edge can pass; a gap without room is its middle."""
    made = []
    for index in range(len(placed.bands)):
        band = placed.bands[index]
        taken = [(chip.x, chip.x + chip.width) for chip in placed.chips if chip.band == index]
        taken += [(each.x, each.x + each.width) for each in placed.groups if band.top < each.y + each.height and each.y < band.bottom]
        gaps = []
        x = LEFT
        for low, high in [*sorted(taken), (placed.width - RIGHT, placed.width)]:
            if low - x >= 2 * _INSET:
                gaps.append((x + _INSET, low - _INSET))
            elif low > x:
                gaps.append(((x + low) / 2, (x + low) / 2))
            x = max(x, high)
        made.append(gaps or [(LEFT, LEFT)])
    return made


def _ports(edges: Sequence[PictureEdge], at: Mapping[str, Chip], end: str) -> dict[int, float]:
    """Where each edge meets the side of a chip: side by side, in the order of the chips at their other ends."""
    other = "source" if end == "target" else "target"
    meeting: dict[str, list[int]] = defaultdict(list)
    for index, edge in enumerate(edges):
        meeting[getattr(edge, end)].append(index)
    ports: dict[int, float] = {}
    for key, indices in meeting.items():
        chip = at[key]
        indices.sort(key=lambda index: (at[getattr(edges[index], other)].middle, index))
        room = chip.width - 2 * _MARGIN
        step = min(9.0, room / max(1, len(indices) - 1))
        for place, index in enumerate(indices):
            ports[index] = chip.middle + (place - (len(indices) - 1) / 2) * step
    return ports
