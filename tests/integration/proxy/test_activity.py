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


async def test_a_request_moves_the_http_clock(stage: Stage) -> None:
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
async def test_a_known_poll_moves_the_control_clock_alone(
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
async def test_what_only_resembles_a_poll_is_use(stage: Stage, method: str, path: str) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()

    await stage.ask(get(f"/user/abc/{path}", method=method))

    assert moved(stage)[0] == {"http"}


async def test_open_requests_are_counted_and_bodies_are_use(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    await visitor.send(get("/user/abc/", "Content-Length: 5", method="POST") + b"hel")
    upstream = await environment.accept()
    await upstream.head()
    await upstream.exactly(3)
    _, first = moved(stage)
    await visitor.send(b"lo")
    await upstream.exactly(2)

    clocks, second = moved(stage)

    assert clocks == {"http"}
    assert (first.open_requests, first.bytes_in, second.bytes_in) == (1, 3, 2)
    assert first.http is not None
    assert second.http is not None
    assert second.http >= first.http


async def test_a_stream_of_events_is_output(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    await visitor.send(get())
    upstream = await environment.accept()
    await upstream.head()
    await upstream.send(b"HTTP/1.1 200 OK\r\n\r\n")
    await visitor.head()
    before, _ = moved(stage)
    await upstream.send(b"data: 1\n\n")
    await visitor.exactly(14)

    assert "ws_out" not in before
    assert "ws_out" in moved(stage)[0]


async def test_frames_move_the_clock_of_their_kind_and_direction(stage: Stage) -> None:
    visitor, upstream = await tunnel(stage)
    assert moved(stage)[0] == {"control"}

    await visitor.send(b"\x89\x80mask")
    await upstream.exactly(6)
    await upstream.send(PING)
    await visitor.exactly(2)
    after_pings, _ = moved(stage)
    await upstream.send(TEXT)
    await visitor.exactly(4)
    after_output, _ = moved(stage)
    await visitor.send(MASKED_TEXT)
    await upstream.exactly(8)
    after_input, entry = moved(stage)

    assert after_pings == {"control"}
    assert after_output == {"control", "ws_out"}
    assert after_input == {"control", "ws_out", "ws_in"}
    assert entry.open_websockets == 1
    assert entry.open_requests == 0
    assert entry.bytes_in == 8


async def test_a_closed_websocket_is_no_longer_counted(stage: Stage) -> None:
    visitor, _ = await tunnel(stage)
    await visitor.close()
    await settled(lambda: stage.proxy.counts.websockets == 0)

    _, entry = moved(stage)

    assert entry.open_websockets == 0


async def test_the_application_has_no_clocks(stage: Stage) -> None:
    stage.application.answer_all()

    await stage.ask(get("/"))

    assert stage.activity.take() == []
