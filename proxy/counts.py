"""Count what a data path does, in numbers that several of them can be added up from."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What is open at this moment, and what there has been since the start."""

    connections: int = 0
    requests: int = 0
    websockets: int = 0
    idle_upstreams: int = 0
    busy_upstreams: int = 0  # lent, or being opened
    tasks: int = 0

    all_requests: int = 0  # but for those to open a WebSocket
    all_websockets: int = 0  # asked for, granted or not
    # Answers by their code: relayed from environments, relayed from elsewhere, our own.
    environment_answers: Mapping[str, int] = field(default_factory=dict)
    other_answers: Mapping[str, int] = field(default_factory=dict)
    edge_answers: Mapping[str, int] = field(default_factory=dict)
    opened_websockets: int = 0
    bytes_in: int = 0  # of bodies and frames, from clients to targets
    bytes_out: int = 0  # of responses and frames, from targets to clients
    lags: Mapping[str, int] = field(default_factory=dict)  # of the event loop (proxy/lag.py)
    lag_s: float = 0.0  # their sum

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> Self:
        """Return the counts that :meth:`facts` told of."""
        return cls(**facts)

    def facts(self) -> dict[str, Any]:
        """Return the counts as what JSON can hold."""
        return asdict(self)

    @property
    def answers(self) -> Mapping[str, int]:
        """All answers, by their code."""
        kinds = (self.environment_answers, self.other_answers, self.edge_answers)
        return sum(map(Counter, kinds), Counter())

    def past(self) -> Self:
        """Return what stays when the process that counted has ended."""
        return replace(
            self,
            connections=0,
            requests=0,
            websockets=0,
            idle_upstreams=0,
            busy_upstreams=0,
            tasks=0,
        )

    def __add__(self, other: "Counts") -> "Counts":
        """Return the sum."""
        mine, theirs = self.facts(), other.facts()
        return Counts(**{name: _sum(mine[name], theirs[name]) for name in mine})


def _sum(one: Any, other: Any) -> Any:
    if isinstance(one, Mapping):
        return dict(Counter(one) + Counter(other))
    return one + other
