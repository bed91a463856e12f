"""An hour of visitors, made short: nobody meets an error, and memory stays as it is."""

from bench.visitors.run import Hour, play
from tests.components import require

#: Interpreter and allocator warm up for longer than this hour takes.
MOST_GROWTH_KIB = 4096


async def test_nobody_meets_an_error_in_an_hour_of_visitors() -> None:
    require("docker", "tiny-image")

    outcome = await play(Hour(visitors=60, takes_s=60.0, size=40, spare=6, seed=7))

    tally = outcome.tally
    came = len(tally.handed_out_ms) + len(tally.waited_s) + tally.turned_away
    assert not tally.errors
    assert came >= 40
    assert tally.answers[200] > came
    assert tally.answers[410]
    assert len(tally.left) >= 4
    assert outcome.growth_kib < MOST_GROWTH_KIB
