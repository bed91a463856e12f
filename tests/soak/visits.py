"""What visitors do who stay to the end, and what each is to be answered.

Every visit is to a place that is live when it begins, or to one that is known to be
gone. Who gets an answer gets the right one, of the right place; a place whose end has
been asked for may say farewell instead, or break off.
"""

import zlib

from tests.soak.environment import frame, pattern, read_frame
from tests.soak.visitor import Visitor
from tests.soak.wire import Answer, Line
from tests.soak.world import Place

KIB = 1024


async def read_on_one_connection(visitor: Visitor, place: Place) -> None:
    async with visitor.line() as line:
        for _ in range(visitor.chance.randint(1, 8)):
            if not await visitor.echo(line, place, "read"):
                return


async def read_once(visitor: Visitor, place: Place) -> None:
    version = visitor.chance.choice(("1.0", "1.1"))
    async with visitor.line() as line:
        await visitor.echo(line, place, "read once", "Connection: close", version=version)


async def look(visitor: Visitor, place: Place) -> None:
    async with visitor.line() as line:
        await line.send(visitor.head("HEAD", f"{place.path}/echo"))
        answer = await line.answer("HEAD")
        visitor.judge(place, answer, answer.status == 200, "look")


async def ask_ahead(visitor: Visitor, place: Place) -> None:
    tokens = [visitor.token() for _ in range(visitor.chance.randint(2, 8))]
    heads = [visitor.head("GET", f"{place.path}/echo", f"X-Token: {one}") for one in tokens]
    async with visitor.line() as line:
        await line.send(b"".join(heads))
        for token in tokens:
            answer = await line.answer()
            visitor.judge(place, answer, visitor.is_echo(answer, token), "ask ahead")


async def wait_for_an_answer(visitor: Visitor, place: Place) -> None:
    async with visitor.line() as line:
        path = f"{place.path}/slow/{visitor.chance.uniform(0.05, 0.5):.2f}"
        await visitor.echo(line, place, "wait", path=path)


async def download(visitor: Visitor, place: Place) -> None:
    size = visitor.chance.randint(0, 300 * KIB)
    kind = visitor.chance.choice(("bytes/{}", "bytes/{}?chunked", "until-close/{}"))
    async with visitor.line() as line:
        await line.send(visitor.head("GET", f"{place.path}/{kind.format(size)}"))
        answer = await line.answer()
        is_right = answer.status == 200 and answer.body in _patterns(place, size)
        visitor.judge(place, answer, is_right, "download")


async def download_slowly(visitor: Visitor, place: Place) -> None:
    """Take a large body in pieces, with pauses in which everything fills up."""
    size = visitor.chance.randint(1 << 20, 3 << 20)
    async with visitor.line(limit=16 * KIB) as line:
        await line.send(visitor.head("GET", f"{place.path}/bytes/{size}"))
        head = await line.head()
        if not head.startswith(b"HTTP/1.1 200"):
            visitor.judge(place, await line.answer(head=head), False, "download slowly")
            return
        got = bytearray()
        while len(got) < size and (piece := await line.read(256 * KIB)):
            got += piece
            await visitor.pause(0.05)
        answer = Answer(200, head, bytes(got))
        visitor.judge(place, answer, answer.body in _patterns(place, size), "download slowly")


async def upload(visitor: Visitor, place: Place) -> None:
    body = visitor.chance.randbytes(visitor.chance.randint(0, 200 * KIB))
    token = visitor.token()
    framing, sent = f"Content-Length: {len(body)}", body
    if visitor.chance.random() < 0.5:
        framing, sent = "Transfer-Encoding: chunked", _chunked(body)
    waits = visitor.chance.random() < 0.3
    lines = (framing, f"X-Token: {token}", *(("Expect: 100-continue",) if waits else ()))
    async with visitor.line() as line:
        await line.send(visitor.head("POST", f"{place.path}/upload", *lines))
        if waits and not (head := await line.head()).startswith(b"HTTP/1.1 100"):
            answer = await line.answer(head=head)
        else:
            await line.send(sent)
            answer = await line.answer()
        is_right = visitor.is_echo(answer, token) and (
            (answer.facts["size"], answer.facts["checksum"]) == (len(body), zlib.crc32(body))
        )
        visitor.judge(place, answer, is_right, "upload")


async def upload_what_is_refused(visitor: Visitor, place: Place) -> None:
    async with visitor.line() as line:
        await line.send(visitor.head("POST", f"{place.path}/early", "Content-Length: 40000"))
        await line.send(b"x" * 40000)
        answer = await line.answer()
        visitor.judge(place, answer, answer.status == 413, "refused upload")


async def talk(visitor: Visitor, place: Place) -> None:
    """Talk over a WebSocket, and end it in one of four ways."""
    async with visitor.line() as line:
        if not await visitor.upgrade(line, place):
            return
        for _ in range(visitor.chance.randint(0, 20)):
            size = visitor.chance.choice((1, 100, 5_000, 100_000))
            if not await _exchange(visitor, line, place, visitor.chance.randbytes(size)):
                return
        match visitor.chance.choice(("close", "leave", "leave talking", "idle")):
            case "close":
                await line.send(frame(8, b"\x03\xe8", is_masked=True))
                while await line.read():
                    pass
            case "leave talking":
                await line.send(frame(2, bytes(100_000), is_masked=True))
            case "idle":
                await visitor.linger(line)
        visitor.note("talk: right")


async def be_refused_an_upgrade(visitor: Visitor, place: Place) -> None:
    async with visitor.line() as line:
        await line.send(visitor.upgrade_head(f"{place.path}/refusal"))
        answer = await line.answer()
        visitor.judge(place, answer, answer.status == 403, "refused upgrade")


async def follow_events(visitor: Visitor, place: Place) -> None:
    async with visitor.line() as line:
        await line.send(visitor.head("GET", f"{place.path}/events"))
        head = await line.head()
        if not head.startswith(b"HTTP/1.1 200"):
            visitor.judge(place, await line.answer(head=head), False, "events")
            return
        events = [f"data: {name}\n\n".encode() for name in place.names]
        for _ in range(visitor.chance.randint(1, 20)):
            chunk = await line.piece()  # events that were read together leave together
            if not any(chunk and not chunk.replace(event, b"") for event in events):
                visitor.fault(f"events of {place} brought {chunk!r}")
                return
        if visitor.chance.random() < 0.3:
            await visitor.linger(line)
        visitor.note("events: right")


async def _exchange(visitor: Visitor, line: Line, place: Place, payload: bytes) -> bool:
    """Send a message and read its echo; False if the place said farewell instead."""
    await line.send(frame(2, payload, is_masked=True))
    opcode, echoed = await line.reading(read_frame)
    if echoed == payload:
        return True
    if not (place.is_ending and (opcode, echoed) == (8, b"\x03\xe9")):
        visitor.fault(f"a WebSocket to {place} brought {opcode} {echoed[:100]!r}")
    return False


def _patterns(place: Place, size: int) -> list[bytes]:
    return [pattern(name, size) for name in place.names]


def _chunked(body: bytes) -> bytes:
    pieces = [body[start : start + 30_000] for start in range(0, len(body), 30_000)]
    return b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n"
