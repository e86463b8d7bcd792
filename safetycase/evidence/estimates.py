"""Where a derivation gathers its numbers: each an estimate with its interval, or the reason why there is none."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from safetycase.evidence.record import Estimate, Null, Unit
from safetycase.evidence.stats import Interval, NullTest, Undefined


@dataclass(frozen=True)
class Estimates:
    """Estimates by name, and the reasons of those that could not be had."""

    found: dict[str, Estimate] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, interval: Callable[[], Interval], unit: Unit, nulls: Iterable[Null] = ()) -> None:
        """Keep what `interval` gives, or the reason that it raises as Undefined."""
        try:
            made = interval()
        except Undefined as undefined:
            self.absent[name] = undefined.reason
            return
        self.keep(name, made, unit, nulls)

    def keep(self, name: str, made: Interval, unit: Unit, nulls: Iterable[Null] = ()) -> None:
        """Keep an interval; one of zero width would claim certainty and is absent instead, unless it counts what is the same everywhere."""
        assert name not in self.found, name
        if made.low == made.high and unit is not Unit.COUNT:
            self.absent[name] = f"all {made.n} values leave an interval of zero width, which would claim certainty"
            return
        self.found[name] = Estimate(
            value=made.value, low=made.low, high=made.high, level=made.level, n=made.n, clusters=made.clusters,
            method=made.method, unit=unit, nulls=tuple(nulls),
        )  # fmt: skip

    def miss(self, names: Iterable[str], reason: str) -> None:
        """Keep the reason why these estimates are not there; a name may end in `*`."""
        self.absent.update(dict.fromkeys(names, reason))

    def why_absent(self, names: Iterable[str]) -> dict[str, str]:
        """Of these names each that has no estimate, with the reason; a name that has neither is a breach of our own and asserts.

        A reason that was given for the name itself goes before one for a common beginning, and a longer beginning before a shorter.
        """
        patterns = sorted((each for each in self.absent if each.endswith("*")), key=len, reverse=True)
        found = {}
        for name in names:
            if name not in self.found:
                given = name if name in self.absent else next((each for each in patterns if name.startswith(each[:-1])), None)
                assert given is not None, f"{name} is neither estimated nor said to be absent"
                found[name] = self.absent[given]
        return found


def null_record(what: str, test: NullTest) -> Null:
    """A null as it is stored beside its estimate."""
    return Null(what=what, n=test.n, quantiles=test.quantiles, p=test.p)
