"""What moves which clock."""

import pytest

from proxy.activity import ActivityEntry
from tests.integration.proxy.kit import OK, Stage, get, settled
from tests.integration.proxy.test_websocket import MASKED_TEXT, PING, TEXT, tunnel


def moved(stage: Stage) -> tuple[set[str], ActivityEntry]:
    """Return the clocks that have ever moved, and the newest entry."""
    (entry,) = stage.activity.take()
    clocks = ("http", "ws_in", "ws_out", "control")
    return {clock for clock in clocks if getattr(entry, clock) is not None}, entry


async def test_7_4_the_end_of_a_response_moves_the_http_clock(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()

    await stage.ask(get("/user/abc/lab"))
    clocks, entry = moved(stage)

    assert clocks == {"http"}
    assert entry.environment_id == "abc"
    assert entry.open_requests == 0
    assert entry.bytes_out >= len(OK)


@pytest.mark.parametrize("query", ["", "?1732150000000"])
@pytest.mark.parametrize(
    "path",
    [
        *("api/status", "api/kernels", "api/sessions", "api/terminals", "api/me"),
        *("api/kernelspecs", "api/contents", "api/contents/course/today", "lab/api/workspaces"),
    ],
)
async def test_7_5_a_known_poll_moves_the_control_clock_alone(
    stage: Stage, path: str, query: str
) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()

    await stage.ask(get(f"/user/abc/{path}{query}"))

    assert moved(stage)[0] == {"control"}


async def test_a_page_that_saves_its_layout_by_itself_is_not_in_use(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()
    path = "/user/abc/lab/api/workspaces/default"

    await stage.ask(get(path, "Content-Length: 2", method="PUT") + b"{}")

    assert moved(stage)[0] == {"control"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", "api/sessions"), ("GET", "api/kernels/1"), ("DELETE", "api/kernels")),
        *(("GET", "lab"), ("GET", "api/contentsx"), ("PUT", "api/contents/a.ipynb")),
        *(("DELETE", "lab/api/workspaces/x"), ("GET", "lab/api/workspacesx")),
    ],
)
async def test_7_5_what_only_resembles_a_poll_is_use(stage: Stage, method: str, path: str) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()

    await stage.ask(get(f"/user/abc/{path}", method=method))

    assert moved(stage)[0] == {"http"}


async def test_7_2_the_beginning_of_a_request_moves_the_http_clock(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/lab"))
    await environment.request()
    clocks, entry = moved(stage)

    assert clocks == {"http"}
    assert entry.open_requests == 1


async def test_7_3_bytes_of_a_body_move_the_http_clock(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    await visitor.send(get("/user/abc/", "Content-Length: 5", method="POST") + b"hel")
    upstream, _ = await environment.request()
    await upstream.exactly(3)
    _, first = moved(stage)
    await visitor.send(b"lo")
    await upstream.exactly(2)

    clocks, second = moved(stage)

    assert clocks == {"http"}
    assert first.http is not None
    assert second.http is not None
    assert second.http > first.http


async def test_7_13_open_requests_and_bytes_are_counted(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    await visitor.send(get("/user/abc/", "Content-Length: 5", method="POST") + b"hel")
    upstream, _ = await environment.request()
    await upstream.exactly(3)
    _, first = moved(stage)
    await visitor.send(b"lo")
    await upstream.exactly(2)
    _, second = moved(stage)
    await upstream.send(OK)
    await visitor.response()
    _, third = moved(stage)

    assert (first.open_requests, first.bytes_in, second.bytes_in) == (1, 3, 2)
    assert third.open_requests == 0
    assert third.bytes_out >= len(OK)


@pytest.mark.parametrize("length", ["", "Content-Length: 90\r\n"])
async def test_7_8_events_and_long_downloads_are_output(stage: Stage, length: str) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    await visitor.send(get())
    upstream, _ = await environment.request()
    await upstream.send(b"HTTP/1.1 200 OK\r\n%b\r\n" % length.encode())
    await visitor.head()
    before, _ = moved(stage)
    await upstream.send(b"data: 1\n\n")
    await visitor.until(b"data: 1\n\n")
    after, _ = moved(stage)

    assert "ws_out" not in before
    assert "ws_out" in after


CONTROL_FRAMES = (b"\x89\x80mask", b"\x8a\x80mask", b"\x88\x82mask\x6e\x88")


async def test_7_9_an_upgrade_moves_the_control_clock_alone(stage: Stage) -> None:
    await tunnel(stage)

    assert moved(stage)[0] == {"control"}


@pytest.mark.parametrize("frame", CONTROL_FRAMES)
async def test_7_9_a_control_frame_moves_the_control_clock_alone(
    stage: Stage, frame: bytes
) -> None:
    visitor, upstream = await tunnel(stage)
    _, before = moved(stage)

    await visitor.send(frame)
    await upstream.exactly(len(frame))
    _, after_visitor = moved(stage)
    await upstream.send(frame)
    await visitor.exactly(len(frame))
    clocks, after_both = moved(stage)

    assert clocks == {"control"}
    assert before.control < after_visitor.control < after_both.control


@pytest.mark.parametrize("opcode", [0, 1, 2])
async def test_7_6_data_of_a_client_is_input(stage: Stage, opcode: int) -> None:
    visitor, upstream = await tunnel(stage)
    frame = bytes([0x80 | opcode]) + b"\x82mask\x05\x08"

    await visitor.send(frame)
    await upstream.exactly(8)

    assert moved(stage)[0] == {"control", "ws_in"}


@pytest.mark.parametrize("opcode", [0, 1, 2])
async def test_7_7_data_of_an_environment_is_output(stage: Stage, opcode: int) -> None:
    visitor, upstream = await tunnel(stage)

    await upstream.send(bytes([0x80 | opcode]) + b"\x02hi")
    await visitor.exactly(4)

    assert moved(stage)[0] == {"control", "ws_out"}


async def test_7_11_frames_are_told_apart_however_they_are_cut(stage: Stage) -> None:
    visitor, upstream = await tunnel(stage)
    ping_that_looks_like_text = b"\x89\x04" + TEXT

    for byte in ping_that_looks_like_text * 3:
        await upstream.send(bytes([byte]))
        await visitor.exactly(1)

    assert moved(stage)[0] == {"control"}


async def test_7_13_frames_are_counted(stage: Stage) -> None:
    visitor, upstream = await tunnel(stage)
    await visitor.send(MASKED_TEXT)
    await upstream.exactly(8)
    await upstream.send(PING + TEXT)
    await visitor.exactly(6)

    _, entry = moved(stage)

    assert entry.open_websockets == 1
    assert entry.open_requests == 0
    assert entry.bytes_in == 8
    assert entry.bytes_out >= 6


async def test_7_13_a_closed_websocket_is_no_longer_counted(stage: Stage) -> None:
    visitor, _ = await tunnel(stage)
    await visitor.close()
    await settled(lambda: stage.proxy.counts.websockets == 0)

    _, entry = moved(stage)

    assert entry.open_websockets == 0


async def test_the_application_has_no_clocks(stage: Stage) -> None:
    stage.application.answer_all()

    await stage.ask(get("/"))

    assert stage.activity.take() == []
