"""Answers are counted by who gave them."""

from tests.integration.proxy.kit import Stage, get, settled
from tests.integration.proxy.test_websocket import tunnel


async def test_environments_the_application_and_the_edge_are_told_apart(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    for path, target in (("/user/abc/", environment), ("/elsewhere", stage.application)):
        await visitor.send(get(path))
        upstream, _ = await target.request()
        await upstream.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        await visitor.response()

    await visitor.send(get("/user/nobody/../"))
    await visitor.response()

    counts = stage.proxy.counts
    assert counts.environment_answers == {"204": 1}
    assert counts.other_answers == {"204": 1}
    assert counts.edge_answers == {"400": 1}
    assert counts.answers == {"204": 2, "400": 1}


async def test_a_websocket_is_counted_when_it_is_opened_and_after_it_has_ended(
    stage: Stage,
) -> None:
    visitor, _ = await tunnel(stage)
    assert stage.proxy.counts.opened_websockets == 1

    await visitor.close()
    await settled(lambda: stage.proxy.counts.websockets == 0)

    assert stage.proxy.counts.opened_websockets == 1
    assert stage.proxy.counts.answers == {}
