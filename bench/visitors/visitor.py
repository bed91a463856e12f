"""One visitor: launches by a link, works, and leaves in its way.

Whatever is answered that a visitor would call an error is put down by its name.
That a pool is full is none (429), nor that an environment has ended (410) to who
let it: but it is to who works in it.
"""

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass, field

from bench.visitors.schedule import HOUR_S, Leaving, Visit
from tests.soak.wire import Answer, Broken, Line

_ENVIRONMENT = re.compile(rb"\r\nlocation: /user/([a-z0-9]+)/", re.IGNORECASE)
_WAITING = re.compile(rb"\r\nlocation: (/wait/\S+)", re.IGNORECASE)
#: What a browser would send as a keystroke: one byte of text, masked with zeros.
_KEYSTROKE = b"\x81\x81\0\0\0\0x"
_CLOSE = 0x8
#: Of the real hour: how often somebody works, and how often an open page asks by itself.
_WORK_S = 30.0
_PAGE_POLL_S = 60.0
_WAIT_POLL_S = 0.2
_SCRIPT_POLL_S = 1 / 20
#: A script goes on for so long after its environment has ended.
_SCRIPT_AFTER_END_S = 300.0
_RESTORED_AFTER_S = 1500.0
_LONGEST_WAIT_S = 60.0


@dataclass(slots=True)
class Tally:
    """What came of all visits."""

    handed_out_ms: list[float] = field(default_factory=list)  # of those who found a spare
    waited_s: list[float] = field(default_factory=list)  # of those who did not
    turned_away: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    left: Counter[Leaving] = field(default_factory=Counter)


class Visitor:
    """Comes to one template of the tmpenv on a port, in an hour that takes ``hour_s``."""

    def __init__(self, port: int, template: str, hour_s: float, tally: Tally) -> None:
        self._port = port
        self._template = template
        self._pace = hour_s / HOUR_S
        self._tally = tally

    async def visit(self, visit: Visit) -> None:
        """Come and go."""
        try:
            environment = await self._launch()
            if environment:
                await self._stay(environment, visit)
        except Broken as error:
            self._tally.errors[f"connection broke {error}"] += 1

    # ---- launching

    async def _launch(self) -> str:
        """Follow a launch link to the end; give the environment, or nothing if all are taken."""
        began = time.perf_counter()
        answer = await self._ask("GET", f"/launch/{self._template}", page=True)
        if waiting := _WAITING.search(answer.head):
            return await self._wait(waiting[1].decode(), began)
        if found := _ENVIRONMENT.search(answer.head):
            self._tally.handed_out_ms.append((time.perf_counter() - began) * 1000)
            return found[1].decode()
        return self._turned_away(answer)

    async def _wait(self, path: str, began: float) -> str:
        while time.perf_counter() - began < _LONGEST_WAIT_S:
            await asyncio.sleep(_WAIT_POLL_S)
            answer = await self._ask("GET", path, page=True)
            if found := _ENVIRONMENT.search(answer.head):
                self._tally.waited_s.append(time.perf_counter() - began)
                return found[1].decode()
            if answer.status != 200:
                return self._turned_away(answer)
        self._tally.errors["waited too long"] += 1
        return ""

    def _turned_away(self, answer: Answer) -> str:
        self._expect("launch", answer, 429)
        self._tally.turned_away += 1
        return ""

    # ---- staying

    async def _stay(self, environment: str, visit: Visit) -> None:
        tab = await self._open_tab(environment)
        try:
            until = time.perf_counter() + visit.stays_s * self._pace
            while time.perf_counter() < until:
                self._expect("work", await self._ask("GET", f"/user/{environment}/lab"), 200)
                await tab.send(_KEYSTROKE)
                await self._sleep(_WORK_S)
            await self._leave(environment, visit.leaving, tab)
        finally:
            tab.leave(is_reset=False)
        self._tally.left[visit.leaving] += 1

    async def _open_tab(self, environment: str) -> Line:
        tab = await Line.open(self._port, limit=1 << 16)
        path = f"/user/{environment}/api/kernels/k/channels"
        upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        await tab.send(f"GET {path} HTTP/1.1\r\nHost: h\r\n{upgrade}\r\n{key}\r\n\r\n".encode())
        self._expect("tab", await tab.answer(), 101)
        return tab

    # ---- leaving

    async def _leave(self, environment: str, leaving: Leaving, tab: Line) -> None:
        match leaving:
            case Leaving.STOPS:
                answer = await self._ask("DELETE", f"/api/environments/{environment}")
                self._expect("stop", answer, 200)
            case Leaving.LEAVES_OPEN:
                await self._poll_until_ended(environment, _PAGE_POLL_S * self._pace)
                frame = await tab.read()
                if not frame or frame[0] & 0xF != _CLOSE:
                    self._tally.errors["a tab was cut off without a word"] += 1
            case Leaving.RESTORES:
                tab.leave(is_reset=False)
                await self._sleep(_RESTORED_AFTER_S)
                answer = await self._ask("GET", f"/user/{environment}/lab", page=True)
                self._expect("restored tab", answer, 410)
                await self._launch()
            case Leaving.POLLS:
                tab.leave(is_reset=False)
                await self._poll_until_ended(environment, _SCRIPT_POLL_S)
                until = time.perf_counter() + _SCRIPT_AFTER_END_S * self._pace
                while time.perf_counter() < until:
                    answer = await self._ask("GET", f"/user/{environment}/api/kernels")
                    self._expect("script", answer, 410)
                    await asyncio.sleep(_SCRIPT_POLL_S)

    async def _poll_until_ended(self, environment: str, every_s: float) -> None:
        """Ask as a page does that nobody looks at, which is no use, until the end of it."""
        status = 0
        while status != 410:
            await asyncio.sleep(every_s)
            answer = await self._ask("GET", f"/user/{environment}/api/kernels")
            self._expect("poll", answer, 200, 410)
            status = answer.status

    # ---- asking

    async def _ask(self, method: str, path: str, *, page: bool = False) -> Answer:
        line = await Line.open(self._port, limit=1 << 16)
        try:
            accept = "text/html" if page else "application/json"
            head = f"{method} {path} HTTP/1.1\r\nHost: h\r\nAccept: {accept}\r\n\r\n"
            await line.send(head.encode())
            answer = await line.answer(method)
        finally:
            line.leave(is_reset=False)
        self._tally.answers[answer.status] += 1
        return answer

    def _expect(self, what: str, answer: Answer, *statuses: int) -> None:
        if answer.status not in statuses:
            self._tally.errors[f"{what}: {answer}"] += 1

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds * self._pace)
