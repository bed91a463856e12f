"""A request has one name, in the environment, the application, the answer and the log."""

import json
import logging
import re

import pytest

from tests.integration.proxy.kit import Stage, get, header, status
from tests.integration.proxy.test_headers import forwarded

NAME = re.compile(rb"[0-9a-f]{12}-[0-9a-f]+")


@pytest.mark.parametrize("path", ["/user/abc/", "/"])
async def test_each_request_is_named_whatever_a_stranger_calls_it(stage: Stage, path: str) -> None:
    await stage.environment("abc")

    names = {
        name
        for _ in range(2)
        for name in header(await forwarded(stage, "X-Request-Id: mine", path=path), b"x-request-id")
    }

    assert len(names) == 2
    assert all(map(NAME.fullmatch, names))


async def test_each_request_of_one_connection_has_its_own_name(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    await visitor.send(get())
    target = await environment.accept()
    names = []

    for _ in range(3):
        names += header(await target.head(), b"x-request-id")
        await target.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await visitor.response()
        await visitor.send(get())

    assert len(set(names)) == 3


async def test_a_trusted_proxys_name_is_kept(bare_stage: Stage) -> None:
    stage = await bare_stage.start(trusted_proxies=["127.0.0.0/8"])
    await stage.environment("abc")

    head = await forwarded(stage, "X-Request-Id: from-the-balancer")

    assert header(head, b"x-request-id") == [b"from-the-balancer"]


async def test_what_the_edge_answers_by_itself_bears_the_name_that_is_logged(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    environment = await stage.environment("abc", template="course")
    await environment.stop()

    with caplog.at_level(logging.INFO, logger="proxy"):
        head, body = await stage.ask(get("/user/abc/secret?token=secret"))

    (name,) = header(head, b"x-request-id")
    (line,) = [one for one in caplog.records if one.name == "proxy.edge"]
    facts = vars(line)
    assert status(head) == 502
    assert json.loads(body)["type"] == facts["code"] == "refused"
    assert (facts["request"], facts["status"]) == (name.decode(), 502)
    assert (facts["environment"], facts["template"]) == ("abc", "course")
    assert "secret" not in str(facts)


async def test_what_a_client_does_wrong_fills_no_log(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="proxy"):
        head, _ = await stage.ask(b"GET / HTTP/1.1\r\n\r\n")

    assert status(head) == 400
    assert not caplog.records
