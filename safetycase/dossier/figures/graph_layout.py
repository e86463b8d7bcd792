"""Where the nodes of an attribution graph stand: layers are rows from below, positions are columns, supernodes have a lane of their own."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from safetycase.dossier.figures.graph_picture import GraphPicture, PictureNode
from safetycase.dossier.figures.wrapping import width as text_width
from safetycase.dossier.figures.wrapping import wrapped

LEFT, RIGHT, TOP = 46.0, 8.0, 6.0
"""Of the area of nodes: room for the names of layers, and margins."""
TEXT, LEADING, PAD = 9.0, 10.5, 4.0
_BETWEEN_LANES, _BETWEEN_COLUMNS = 12.0, 15.0
_BETWEEN_SLOTS, _BETWEEN_ROWS = 13.0, 26.0
_HEADER = 13.0
"""Room for the name of a supernode."""
_COMFORTABLE = 560.0
"""Height up to which wide nodes are worth more than a low drawing."""
_WIDE, NARROW, _WIDEST = 84.0, 58.0, 112.0
"""Width of a chip: what is good for the eye, what still holds a word, and where more would be waste."""
MOST_LINES = (3, 2)
"""Of a label: as many as are read with ease, and fewer where that makes room for more nodes."""

Cell = tuple[int, int]
"""Row and column."""


@dataclass(frozen=True)
class Chip:
    """A node in its place."""

    node: PictureNode
    x: float
    y: float
    width: float
    height: float
    lines: tuple[str, ...]
    band: int
    """The horizontal band that it stands in, counted from above."""

    @property
    def middle(self) -> float:
        """Of its width."""
        return self.x + self.width / 2


@dataclass(frozen=True)
class Group:
    """The members of a supernode in one column."""

    name: str
    members: frozenset[str]
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Band:
    """A row of chips side by side."""

    top: float
    bottom: float


@dataclass(frozen=True)
class Placed:
    """A whole layout, in pixels."""

    width: float
    bottom: float
    """Of the lowest chip; names of columns stand below."""
    chip: float
    """Width of its chips, but for targets, which may be wider."""
    chips: tuple[Chip, ...]
    groups: tuple[Group, ...]
    bands: tuple[Band, ...]
    rows: tuple[tuple[int, float], ...]
    """Layer and middle of each row, from above."""
    columns: tuple[tuple[int, float, float], ...]
    """Position, start and end of each column."""


@dataclass(frozen=True)
class _Lanes:
    """Which lane of which column each node has, and which slot of its row; slots are counted from below."""

    count: Mapping[int, int]
    """Lanes by column."""
    lane: Mapping[str, int]
    slot: Mapping[str, int]
    slots: Mapping[int, int]
    """Slots by layer."""
    grouped: Mapping[tuple[str, int], tuple[PictureNode, ...]]
    """Supernode and column to its members."""


def placed(picture: GraphPicture, nodes: Sequence[PictureNode], width: float | None, most_lines: int = MOST_LINES[0]) -> Placed:
    """Nodes as chips of one width, as wide as the room allows; without a width, as wide as is good for the eye."""
    columns = sorted({node.position for node in nodes if node.kind != "target"}) or sorted({node.position for node in nodes})
    extra: Mapping[int, int] = dict.fromkeys(columns, 0)
    lanes = _lanes(nodes, columns, extra)
    while True:
        best = _wider(nodes, columns, extra, lanes, width, most_lines)
        if best is None:
            break
        extra, lanes = best
    chip = _chip_width(lanes, columns, width)
    return _stacked(picture, nodes, columns, lanes, chip, width, most_lines)


def _wider(
    nodes: Sequence[PictureNode], columns: Sequence[int], extra: Mapping[int, int], lanes: _Lanes, width: float | None, most_lines: int
) -> tuple[dict[int, int], _Lanes] | None:
    """One more lane for the column that most lowers the drawing by it, if chips stay wide enough."""
    height = _slots_height(lanes, most_lines)
    wish = _WIDE if height <= _COMFORTABLE else NARROW
    options = []
    for column in columns:
        more = {**extra, column: extra[column] + 1}
        tried = _lanes(nodes, columns, more)
        if sum(tried.slots.values()) < sum(lanes.slots.values()) and (width is None or _chip_width(tried, columns, width) >= wish):
            options.append((sum(tried.slots.values()), column, more, tried))
    if not options or (width is None and max(lanes.slots.values()) <= 3):
        return None
    _, _, more, tried = min(options, key=lambda option: option[:2])
    return more, tried


def _slots_height(lanes: _Lanes, most_lines: int) -> float:
    return sum(lanes.slots.values()) * (most_lines * LEADING + PAD * 2 + _BETWEEN_SLOTS) + len(lanes.slots) * _BETWEEN_ROWS


def _chip_width(lanes: _Lanes, columns: Sequence[int], width: float | None) -> float:
    if width is None:
        return _WIDE
    count = sum(lanes.count.values())
    room = width - LEFT - RIGHT - _BETWEEN_COLUMNS * (len(columns) - 1) - _BETWEEN_LANES * (count - len(columns)) - 2 * _BETWEEN_LANES
    return min(_WIDEST, room / count)


def _lanes(nodes: Sequence[PictureNode], columns: Sequence[int], extra: Mapping[int, int]) -> _Lanes:
    """Supernodes of several rows first, each in a lane that it shares with none there; the others fill what is left of their rows."""
    count: dict[int, int] = {}
    lane: dict[str, int] = {}
    slot: dict[str, int] = {}
    slots: dict[int, int] = defaultdict(int)
    grouped: dict[tuple[str, int], tuple[PictureNode, ...]] = {}
    for column in columns:
        here = [node for node in nodes if node.position == column and node.kind != "target"]
        spans = _spans(here)
        taken: list[list[tuple[int, int]]] = []
        at: dict[str, int] = {}
        for low, high, key in spans:
            index = next((i for i, rows in enumerate(taken) if all(high < first or low > last for first, last in rows)), len(taken))
            if index == len(taken):
                taken.append([])
            taken[index].append((low, high))
            at[key] = index
            grouped[key, column] = tuple(node for node in here if node.supernode == key)
        units = _units(here, at)
        full = any(sum(low <= layer <= high for low, high, _ in spans) >= len(taken) for layer, _ in units)
        count[column] = max(1, len(taken) + full) + extra[column]
        filled: dict[tuple[int, int], int] = defaultdict(int)
        for node in (node for node in here if node.supernode in at):
            _put([node], at[node.supernode or ""], lane, slot, filled)
        for layer, unit in units:
            blocked = {at[key] for low, high, key in spans if low <= layer <= high}
            free = [index for index in range(count[column]) if index not in blocked]
            _put(unit, min(free, key=lambda index: (filled[layer, index], index)), lane, slot, filled)
        grouped |= {(unit[0].supernode, column): tuple(unit) for _, unit in units if unit[0].supernode is not None}
        for (layer, _), n in filled.items():
            slots[layer] = max(slots[layer], n)
    return _Lanes(count, lane, slot, slots, grouped)


def _units(here: Sequence[PictureNode], at: Mapping[str, int]) -> list[tuple[int, list[PictureNode]]]:
    """What stands together on one row, by layer: single nodes, and supernodes whose members all stand on it."""
    units: dict[tuple[int, str], list[PictureNode]] = defaultdict(list)
    for node in here:
        if node.supernode not in at:
            units[node.layer, f"group {node.supernode}" if node.supernode is not None else f"node {node.id}"].append(node)
    return [(layer, unit) for (layer, _), unit in units.items()]


def _put(unit: Sequence[PictureNode], place: int, lane: dict[str, int], slot: dict[str, int], filled: dict[tuple[int, int], int]) -> None:
    for node in unit:
        lane[node.id], slot[node.id] = place, filled[node.layer, place]
        filled[node.layer, place] += 1


def _spans(here: Sequence[PictureNode]) -> list[tuple[int, int, str]]:
    """Lowest and highest layer of each supernode of a column that stands on several rows, the longest first."""
    layers: dict[str, list[int]] = defaultdict(list)
    for node in here:
        if node.supernode is not None:
            layers[node.supernode].append(node.layer)
    spans = [(min(each), max(each), key) for key, each in layers.items() if min(each) < max(each)]
    return sorted(spans, key=lambda span: (span[0] - span[1], span))


def _stacked(
    picture: GraphPicture,
    nodes: Sequence[PictureNode],
    columns: Sequence[int],
    lanes: _Lanes,
    chip: float,
    width: float | None,
    most_lines: int,
) -> Placed:
    """From above: targets, then layer by layer down to the tokens."""
    starts, end = _starts(columns, lanes, chip)
    whole = width if width is not None else max(end + RIGHT, 600.0)
    lines = {node.id: clipped_lines(node.label or node.id, chip - 2 * PAD, TEXT, most_lines) for node in nodes if node.kind != "target"}
    targets = [node for node in nodes if node.kind == "target"]
    chips: list[Chip] = []
    bands: list[Band] = []
    rows: list[tuple[int, float]] = []
    y = TOP
    if targets:
        y = _targets(targets, (LEFT, whole - RIGHT), chips, bands)
        rows.append((picture.n_layers, (TOP + y) / 2))
        y += _BETWEEN_ROWS
    heads = {_highest(members, lanes) for members in lanes.grouped.values()}
    for layer in sorted(lanes.slots, reverse=True):
        here = [node for node in nodes if node.kind != "target" and node.layer == layer]
        top = y
        for slot in reversed(range(lanes.slots[layer])):
            level = [node for node in here if lanes.slot[node.id] == slot]
            head = _HEADER if any(node.id in heads for node in level) else 0.0
            tallest = _height(max((len(lines[node.id]) for node in level), default=1))
            for node in level:
                x = starts[node.position] + lanes.lane[node.id] * (chip + _BETWEEN_LANES)
                height = _height(len(lines[node.id]))
                middle = y + head + (tallest - height) / 2
                chips.append(Chip(node, x, middle, chip, height, lines[node.id], len(bands)))
            bands.append(Band(y, y + head + tallest))
            y += head + tallest + _BETWEEN_SLOTS
        y -= _BETWEEN_SLOTS
        rows.append((layer, (top + y) / 2))
        y += _BETWEEN_ROWS
    ends = [(column, starts[column], starts[column] + lanes.count[column] * (chip + _BETWEEN_LANES) - _BETWEEN_LANES) for column in columns]
    groups = _groups(picture, lanes, chips)
    return Placed(whole, max(band.bottom for band in bands), chip, tuple(chips), groups, tuple(bands), tuple(rows), tuple(ends))


def _highest(members: Sequence[PictureNode], lanes: _Lanes) -> str:
    """The member below the name of its supernode."""
    return max(members, key=lambda node: (node.layer, lanes.slot[node.id])).id


def _starts(columns: Sequence[int], lanes: _Lanes, chip: float) -> tuple[dict[int, float], float]:
    """Where each column starts, and where the last one ends."""
    starts: dict[int, float] = {}
    x = LEFT + _BETWEEN_LANES
    for column in columns:
        starts[column] = x
        x += lanes.count[column] * (chip + _BETWEEN_LANES) - _BETWEEN_LANES + _BETWEEN_COLUMNS
    return starts, x - _BETWEEN_COLUMNS + _BETWEEN_LANES


def _targets(
    targets: Sequence[PictureNode],
    room: tuple[float, float],
    chips: list[Chip],
    bands: list[Band],
) -> float:
    """Targets side by side in the middle, in as few bands as hold them; returns where the lowest ends."""
    chip = max(_WIDE, min(_WIDEST, (room[1] - room[0]) / len(targets) - _BETWEEN_LANES))
    lines = {node.id: clipped_lines(node.label or node.id, chip - 2 * PAD - 4, TEXT, MOST_LINES[0]) for node in targets}
    most = max(1, int((room[1] - room[0]) // (chip + _BETWEEN_LANES)))
    y = TOP
    for start in range(0, len(targets), most):
        level = targets[start : start + most]
        height = _height(max(len(lines[node.id]) for node in level))
        x = sum(room) / 2 - (len(level) * (chip + _BETWEEN_LANES) - _BETWEEN_LANES) / 2
        for index, node in enumerate(level):
            chips.append(Chip(node, x + index * (chip + _BETWEEN_LANES), y, chip, height, lines[node.id], len(bands)))
        bands.append(Band(y, y + height))
        y += height + _BETWEEN_SLOTS
    return y - _BETWEEN_SLOTS


def _groups(picture: GraphPicture, lanes: _Lanes, chips: Sequence[Chip]) -> tuple[Group, ...]:
    at = {chip.node.id: chip for chip in chips}
    names = {each.id: each.name for each in picture.supernodes}
    made = []
    for (key, _), members in lanes.grouped.items():
        boxes = [at[node.id] for node in members]
        top, bottom = min(box.y for box in boxes) - _HEADER, max(box.y + box.height for box in boxes) + 3
        made.append(Group(names[key], frozenset(node.id for node in members), boxes[0].x - 3.5, top, boxes[0].width + 7, bottom - top))
    return tuple(made)


def _height(lines: int) -> float:
    """Of a chip: its lines, and the bar of its influence below them."""
    return lines * LEADING + PAD * 2 + 1


def clipped_lines(text: str, room: float, size: float, most: int) -> tuple[str, ...]:
    """A text in at most so many lines of a given width, the last with an ellipsis where there is more."""
    lines = wrapped(text, room, size)
    if len(lines) <= most:
        return lines or ("",)
    last = lines[most - 1]
    while last and text_width(f"{last}…", size) > room:
        last = last[:-1]
    return (*lines[: most - 1], f"{last}…")
