"""One visitor: who it is, what it may choose, and what it says of each answer."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.soak.wire import Answer, Line
from tests.soak.world import Place, World

UNKNOWN_IDS = 50  # of which nobody has heard; few, since each is remembered


class Visitor:
    """Comes to one world until a moment of the monotonic clock."""

    def __init__(self, world: World, chance: random.Random, until: float) -> None:
        self.world = world
        self.chance = chance
        self.until = until

    # ---- connections

    @asynccontextmanager
    async def line(self, *, limit: int = 1 << 20) -> AsyncIterator[Line]:
        """Connect, and leave in one way or the other."""
        line = await Line.open(self.world.port, limit=limit)
        try:
            yield line
        finally:
            line.leave(is_reset=self.chance.random() < 0.5)

    async def pause(self, at_most_s: float) -> None:
        await asyncio.sleep(self.chance.uniform(0, at_most_s))

    async def linger(self, line: Line) -> None:
        """Stay, taking what comes, for a while or until all visitors leave."""
        stay_s = self.until - time.monotonic()
        if self.chance.random() < 0.8:
            stay_s = min(stay_s, self.chance.uniform(0, 5))
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0, stay_s)):
                while await line.read():
                    pass

    # ---- requests

    def token(self) -> str:
        return f"{self.chance.getrandbits(64):x}"

    def head(self, method: str, path: str, *lines: str, version: str = "1.1") -> bytes:
        head = (f"{method} {path} HTTP/{version}", "Host: soak.example", "Accept: */*", *lines)
        return "\r\n".join(head).encode() + b"\r\n\r\n"

    def upgrade_head(self, path: str) -> bytes:
        return self.head(
            "GET",
            path,
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )

    def gone(self) -> str:
        """Choose a path that leads nowhere."""
        if self.world.ended and self.chance.random() < 0.7:
            return self.chance.choice(self.world.ended)
        return f"/user/nobody{self.chance.randrange(UNKNOWN_IDS)}"

    async def echo(
        self, line: Line, place: Place, what: str, *lines: str, path: str = "", version: str = "1.1"
    ) -> bool:
        """Ask for what tells who answers whom; say whether it was so."""
        token = self.token()
        path = path or f"{place.path}/echo"
        await line.send(self.head("GET", path, f"X-Token: {token}", *lines, version=version))
        answer = await line.answer()
        return self.judge(place, answer, self.is_echo(answer, token), what)

    async def upgrade(self, line: Line, place: Place) -> bool:
        """Open a WebSocket; say whether it is open."""
        await line.send(self.upgrade_head(f"{place.path}/socket"))
        answer = await line.answer()
        names = [f"x-name: {name}\r\n".encode() for name in place.names]
        is_right = answer.status == 101 and any(name in answer.head.lower() for name in names)
        return self.judge(place, answer, is_right, "upgrade")

    # ---- what is said of answers

    def is_echo(self, answer: Answer, token: str) -> bool:
        return answer.status == 200 and answer.facts.get("token") == token

    def judge(self, place: Place, answer: Answer, is_right: bool, what: str) -> bool:
        return self.world.judge(place, answer, is_right=is_right, what=what)

    def note(self, what: str) -> None:
        self.world.ledger.note(what)

    def fault(self, text: str) -> None:
        self.world.ledger.fault(text)
