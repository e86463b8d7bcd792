"""Rules that say where a feature fires, read off its contexts: after all, many features fire at a few tokens or places."""

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

Form = Literal["token", "previous-token", "position", "none"]
Key = TypeVar("Key", bound=Hashable)

MOST_TOKENS = 8
"""Of a rule; a longer list would be a copy of the contexts."""
LEAST_PEAKS = 2
"""Windows in which a token or place has to hold the peak: once is chance."""
LEAST_GAIN = 0.01
"""Of agreement, by a further token."""
LEAST_LEAD = 0.02
"""Of a rule that is harder to state over one that is easier."""
FLOOR = 0.3
"""A rule that agrees less than this with the contexts says nothing worth a label."""
FOLDS = 5
OFFSETS = (-3, -2, -1, 2, 3, 4, 5, 6)
"""From a special token; at it and right behind it are what the forms `token` and `previous-token` say."""


@dataclass(frozen=True)
class Example:
    """A window and the feature's activation on each of its tokens."""

    tokens: tuple[int, ...]
    activations: tuple[float, ...]

    @property
    def fires(self) -> bool:
        """Whether the feature fires anywhere in it."""
        return any(value > 0 for value in self.activations)

    @property
    def peak(self) -> int:
        """Where it fires most."""
        return max(range(len(self.activations)), key=lambda position: self.activations[position])


@dataclass(frozen=True)
class Rule:
    """Where a feature is said to fire; the form decides what the rest means.

    token: at any of `tokens`. previous-token: right behind any of them. position: where `tokens` is empty, at `positions` counted from
    the start of the window (0, 1, ...) or from its end (-1, -2, ...); else so many tokens behind (or, negative, before) any of `tokens`.
    none: nothing is said.
    """

    form: Form
    tokens: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()

    def predicts(self, window: Sequence[int]) -> bool:
        """Whether the feature is said to fire somewhere in a window of tokens."""
        return any(self.at(window, position) for position in range(len(window)))

    def at(self, window: Sequence[int], position: int) -> bool:
        """Whether it is said to fire at a position."""
        match self.form:
            case "token":
                return window[position] in self.tokens
            case "previous-token":
                return position > 0 and window[position - 1] in self.tokens
            case "position" if self.tokens:
                return any(0 <= position - o < len(window) and window[position - o] in self.tokens for o in self.positions)
            case "position":
                return position in self.positions or position - len(window) in self.positions
            case "none":
                return False

    def as_json(self) -> dict[str, Any]:
        """What the table of labels stores."""
        placed = {"positions": list(self.positions)} if self.form == "position" else {}
        return {"form": self.form, "tokens": list(self.tokens), **placed}


def rule_of(stored: dict[str, Any]) -> Rule:
    """The rule that the table of labels holds."""
    return Rule(stored["form"], tuple(stored["tokens"]), tuple(stored.get("positions", ())))


def best_rule(examples: Sequence[Example], special: Collection[int] = ()) -> Rule:
    """The rule that agrees best with where a feature fires, of form none where no rule agrees better than "everywhere", or well.

    `special` are tokens that a place may be counted from: those of the chat template. Of rules that agree nearly alike the one that is
    easiest to state is taken: tokens, then what precedes, then places. How well a rule agrees is judged by cross-validation over the
    windows: among many tokens some stand at peaks by chance.
    """
    if not any(example.fires for example in examples):
        return Rule("none")
    forms = (
        _fitted(examples, lambda e, i: (e.tokens[i],), lambda keys: Rule("token", keys), MOST_TOKENS),
        _fitted(examples, lambda e, i: e.tokens[i - 1 : i] if i else (), lambda keys: Rule("previous-token", keys), MOST_TOKENS),
        _fitted(examples, _from_ends, lambda keys: Rule("position", (), keys), 1),
        _fitted(examples, _from_special(frozenset(special)), _place_of, 1),
    )
    chosen, reached = Rule("none"), max(FLOOR - LEAST_LEAD, _everywhere(examples))
    for rule, value in forms:
        if value >= reached + LEAST_LEAD:
            chosen, reached = rule, value
    return chosen


def agreement(rule: Rule, examples: Sequence[Example]) -> float:
    """How well a rule says where a feature fires: F1 of two shares, each in its natural unit.

    Precision: of the positions at which it says that the feature fires, those at which it does. Recall: of the windows in which the
    feature fires, those at whose peak it says so. Windows are chosen for firing, so that whole windows would not tell rules apart;
    the positions at which the feature is silent do. The few windows in which it is silent count as much as those in which it fires:
    else a rule that points into every window would pass for one.
    """
    return _f1(_total(examples, rule.at), sum(example.fires for example in examples))


@dataclass
class _Count:
    """Of the positions that a rule, or one key of it, points at."""

    matched: float = 0
    fired: int = 0
    peaks: int = 0

    def add(self, example: Example, position: int, weight: float) -> None:
        self.matched += weight
        self.fired += example.activations[position] > 0
        self.peaks += example.fires and position == example.peak

    def __add__(self, other: "_Count") -> "_Count":
        return _Count(self.matched + other.matched, self.fired + other.fired, self.peaks + other.peaks)

    def __sub__(self, other: "_Count") -> "_Count":
        return _Count(self.matched - other.matched, self.fired - other.fired, self.peaks - other.peaks)


def _f1(count: _Count, firing: int) -> float:
    if not count.fired or not count.peaks:
        return 0.0
    precision, recall = count.fired / count.matched, count.peaks / firing
    return 2 * precision * recall / (precision + recall)


def _everywhere(examples: Sequence[Example]) -> float:
    """The agreement of a rule that points at every position."""
    return _f1(_total(examples, lambda tokens, position: True), sum(example.fires for example in examples))


def _total(examples: Sequence[Example], points_at: Callable[[Sequence[int], int], bool]) -> _Count:
    count = _Count()
    for example, weight in zip(examples, _weights(examples), strict=True):
        for position in range(len(example.tokens)):
            if points_at(example.tokens, position):
                count.add(example, position, weight)
    return count


def _weights(examples: Sequence[Example]) -> list[float]:
    """1 for a window in which the feature fires; those in which it is silent weigh as much together as those."""
    firing = sum(example.fires for example in examples)
    silent = len(examples) - firing
    return [1.0 if example.fires else firing / silent for example in examples]


def _fitted(
    examples: Sequence[Example],
    keys_at: Callable[[Example, int], Sequence[Key]],
    rule_from: Callable[[tuple[Key, ...]], Rule],
    most: int,
) -> tuple[Rule, float]:
    """The rule of one form, made of all windows, and the agreement of rules made of the other windows with each fifth of them."""
    weights = _weights(examples)
    folds = [_counted(examples[start::FOLDS], weights[start::FOLDS], keys_at) for start in range(FOLDS)]
    firing = [sum(example.fires for example in examples[start::FOLDS]) for start in range(FOLDS)]
    every: dict[Key, _Count] = defaultdict(_Count)
    for fold in folds:
        for key, count in fold.items():
            every[key] += count
    unseen = _Count()
    for fold, fires in zip(folds, firing, strict=True):
        others = {key: count - fold.get(key, _Count()) for key, count in every.items()}
        for key in _greedy(others, sum(firing) - fires, most):
            unseen += fold.get(key, _Count())
    return rule_from(_greedy(every, sum(firing), most)), _f1(unseen, sum(firing))


def _counted(examples: Sequence[Example], weights: Sequence[float], keys_at: Callable[[Example, int], Sequence[Key]]) -> dict[Key, _Count]:
    counts: dict[Key, _Count] = defaultdict(_Count)
    for example, weight in zip(examples, weights, strict=True):
        for position in range(len(example.tokens)):
            for key in keys_at(example, position):
                counts[key].add(example, position, weight)
    return counts


def _greedy(counts: Mapping[Key, _Count], firing: int, most: int) -> tuple[Key, ...]:
    """Adds the key that raises the agreement most, while one does; every position has one key, so that counts of keys add up.

    (Where positions have several keys, `most` is 1.)
    """
    left = {key: count for key, count in counts.items() if count.peaks >= LEAST_PEAKS}
    chosen: list[Key] = []
    total, value = _Count(), 0.0
    while left and len(chosen) < most:
        key = max(left, key=lambda each: (_f1(total + left[each], firing), left[each].peaks))
        raised = _f1(total + left[key], firing)
        if raised < value + LEAST_GAIN:
            break
        total, value = total + left.pop(key), raised
        chosen.append(key)
    return tuple(chosen)


def _from_ends(example: Example, position: int) -> Sequence[int]:
    return position, position - len(example.tokens)


def _from_special(special: frozenset[int]) -> Callable[[Example, int], Sequence[tuple[int, int]]]:
    def keys(example: Example, position: int) -> Sequence[tuple[int, int]]:
        return tuple(_around(example.tokens, position, special))

    return keys


def _around(tokens: Sequence[int], position: int, special: frozenset[int]) -> Iterator[tuple[int, int]]:
    """Special tokens near a position, with how far behind them it is."""
    for offset in OFFSETS:
        place = position - offset
        if 0 <= place < len(tokens) and tokens[place] in special:
            yield tokens[place], offset


def _place_of(keys: tuple[tuple[int, int], ...]) -> Rule:
    return Rule("position", tuple(token for token, _ in keys), tuple(offset for _, offset in keys))
