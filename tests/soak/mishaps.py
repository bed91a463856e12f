"""What visitors do who leave too early, come too late, or ask for what cannot end well."""

import asyncio

from tests.soak.visitor import Visitor
from tests.soak.wire import Broken
from tests.soak.world import Place

KIB = 1024
_PIECE = b"x" * (64 * KIB)
_STUCK_S = 0.3
_NONSENSE = (
    b"GET %b/echo HTTP/1.1\r\n\r\n",
    b"GET %b/../other/ HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET %b/echo HTTP/1.1\nHost: h\n\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03%b",
    b"POST %b/upload HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"POST %b/upload HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    b"GET %b/" + b"u" * 20_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET %b/echo HTTP/1.1\r\nHost: h\r\nX: " + b"h" * 40_000 + b"\r\n\r\n",
    b"TRACE %b/echo HTTP/1.1\r\nHost: h\r\n\r\n",
)
_REFUSALS = (400, 405, 414, 431)


# ---- visits of which only a part is made


async def leave_in_the_head(visitor: Visitor, place: Place) -> None:
    whole = visitor.head("GET", f"{place.path}/echo", "X-Token: none")
    async with visitor.line() as line:
        await line.send(whole[: visitor.chance.randint(0, len(whole) - 1)])
        await visitor.pause(0.2)


async def leave_in_the_upload(visitor: Visitor, place: Place) -> None:
    async with visitor.line() as line:
        await line.send(visitor.head("POST", f"{place.path}/upload", "Content-Length: 500000"))
        await line.send(bytes(visitor.chance.randint(0, 400_000)))
        await visitor.pause(0.2)


async def leave_in_the_download(visitor: Visitor, place: Place) -> None:
    async with visitor.line(limit=16 * KIB) as line:
        await line.send(visitor.head("GET", f"{place.path}/bytes/3000000"))
        await line.read(visitor.chance.randint(1, 100_000))
        await visitor.pause(0.2)


async def leave_while_waiting(visitor: Visitor, place: Place) -> None:
    async with visitor.line() as line:
        await line.send(visitor.head("GET", f"{place.path}/mute"))
        await visitor.pause(0.5)


async def leave_stuck(visitor: Visitor, place: Place) -> None:
    """Upload to who reads nothing until nothing more is taken, and be gone."""
    async with visitor.line() as line:
        size = 64 << 20
        await line.send(visitor.head("POST", f"{place.path}/deaf", f"Content-Length: {size}"))
        try:
            while True:
                async with asyncio.timeout(_STUCK_S):
                    await line.send(_PIECE)
        except TimeoutError:
            # Without a reset, the end would wait behind what nobody reads.
            line.leave(is_reset=True)


async def lie_idle(visitor: Visitor, place: Place) -> None:
    async with visitor.line() as line:
        if visitor.chance.random() < 0.5 and not await visitor.echo(line, place, "read"):
            return
        await visitor.linger(line)


# ---- visits that cannot end well


async def be_cut_off(visitor: Visitor, place: Place) -> None:
    """Ask for a body that breaks off: it must never look whole."""
    way = visitor.chance.choice(("reset", "close"))
    async with visitor.line() as line:
        await line.send(visitor.head("GET", f"{place.path}/cut/{way}"))
        try:
            answer = await line.answer()
        except Broken:
            visitor.note("cut off: right")
            return
        visitor.judge(place, answer, False, "cut off")


async def get_nonsense(visitor: Visitor, place: Place) -> None:
    action = visitor.chance.choice(("garbage", "silent"))
    async with visitor.line() as line:
        await line.send(visitor.head("GET", f"{place.path}/{action}"))
        answer = await line.answer()
        visitor.judge(place, answer, answer.status == 502, action)


async def talk_nonsense(visitor: Visitor, place: Place) -> None:
    async with visitor.line() as line:
        await line.send(visitor.chance.choice(_NONSENSE) % place.path.encode())
        answer = await line.answer()
        visitor.judge(place, answer, answer.status in _REFUSALS, "nonsense")


async def come_too_late(visitor: Visitor, place: Place) -> None:
    """Ask for a place that is gone, or never was."""
    path = visitor.gone()
    upgrades = visitor.chance.random() < 0.5
    head = visitor.upgrade_head(f"{path}/socket") if upgrades else visitor.head("GET", f"{path}/")
    async with visitor.line() as line:
        await line.send(head)
        answer = await line.answer()
        if answer.status != visitor.world.gone:
            visitor.fault(f"{path}, which is gone, answered {answer}")
        visitor.note("gone: right")
