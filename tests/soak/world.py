"""What visitors and the sites they visit know of each other, and what went wrong."""

from collections import Counter
from dataclasses import dataclass, field

from tests.soak.wire import Answer

_SHOWN_FAULTS = 20


@dataclass(slots=True, eq=False)
class Place:
    """An environment or a route, as its visitors know it."""

    path: str  # without a slash at the end
    names: set[str]  # who may answer there
    is_ending: bool = False  # from before its end is asked for


class Ledger:
    """Counts what happened, and keeps what must not have."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []

    def note(self, what: str) -> None:
        self.counts[what] += 1

    def fault(self, text: str) -> None:
        self.faults.append(text)

    def check(self) -> None:
        """Raise if anything happened that must not."""
        shown = "\n".join(self.faults[:_SHOWN_FAULTS])
        assert not self.faults, f"{len(self.faults)} faults, the first of them:\n{shown}"


@dataclass(slots=True)
class World:
    """One proxy under test, with what is behind it at the moment."""

    port: int
    #: What one may be told of a place that ends or has ended, beside a broken connection.
    farewells: frozenset[int]
    #: The answer for a place that is gone for good, or never was.
    gone: int
    ledger: Ledger
    places: list[Place] = field(default_factory=list)
    #: Paths that lead nowhere any more; none is ever asked for before it is here.
    ended: list[str] = field(default_factory=list)

    def judge(self, place: Place, answer: Answer, *, is_right: bool, what: str) -> bool:
        """Note an answer and say whether it was the right one; only an end excuses another."""
        name = answer.facts.get("name") if isinstance(answer.facts, dict) else None
        if name is not None and name not in place.names:
            self.ledger.fault(f"{what} at {place} was answered by another: {answer}")
        elif is_right:
            self.ledger.note(f"{what}: right")
            return True
        elif place.is_ending and answer.status in self.farewells:
            self.ledger.note(f"{what}: farewell {answer.status}")
        else:
            self.ledger.fault(f"{what} at {place} was answered wrongly: {answer}")
        return False
