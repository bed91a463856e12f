"""Which phase may follow which (design §4).

Pure. The Lua scripts of :mod:`spawner.store` enforce the same table; a test
holds the two together.
"""

from spawner.model import Phase

FOLLOWERS: dict[Phase, frozenset[Phase]] = {
    Phase.CREATING: frozenset({Phase.STARTING, Phase.DRAINING, Phase.FAILED}),
    Phase.STARTING: frozenset({Phase.READY, Phase.ASSIGNED, Phase.DRAINING, Phase.FAILED}),
    Phase.READY: frozenset({Phase.ASSIGNED, Phase.DRAINING, Phase.FAILED}),
    Phase.ASSIGNED: frozenset({Phase.DRAINING, Phase.FAILED}),
    Phase.DRAINING: frozenset({Phase.STOPPED}),
    Phase.STOPPED: frozenset(),
    Phase.FAILED: frozenset(),
}
#: Whose container may exist, and which therefore take a place in the pool.
PRESENT = tuple(phase for phase in Phase if phase is not Phase.STOPPED)
#: Whose container is to be ended and removed.
ENDING = (Phase.DRAINING, Phase.FAILED)
#: On the way to being a spare.
COMING = (Phase.CREATING, Phase.STARTING)


def may_follow(before: Phase, after: Phase) -> bool:
    """Say whether an environment may go from one phase to the other."""
    return after in FOLLOWERS[before]
