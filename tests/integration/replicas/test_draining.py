"""``tmpenv drain``: all replicas hand out nothing, and end with the last visitor."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from tests.command import run
from tests.integration.replicas.balancer import Balancer
from tests.integration.replicas.conftest import Pair
from tests.serving import API_KEY, Serving
from tests.waiting import eventually


def drain(serving: Serving, *flags: str) -> "Awaitable[Any]":
    return asyncio.to_thread(run, "drain", *flags, "--server", serving.url, "--api-key", API_KEY)


async def readiness(serving: Serving) -> tuple[int, str]:
    async with serving.session.get(f"{serving.url}/readyz") as response:
        return response.status, (await response.json())["status"]


async def test_replicas_end_when_the_last_visitor_has_left(pair: Pair, balancer: Balancer) -> None:
    _, launched = await pair.first.spawn("talk")
    waiting = asyncio.ensure_future(drain(pair.second, "--wait"))

    async def both_say_so() -> bool:
        return {await readiness(one) for one in (pair.first, pair.second)} == {(503, "draining")}

    await eventually(both_say_so)
    refused = [await one.spawn("talk") for one in (pair.first, pair.second)]
    async with pair.first.session.get(
        f"{pair.first.url}/launch/talk", headers={"Accept": "text/html"}
    ) as page:
        told = await page.text()
        assert (page.status, "Retry-After" in page.headers) == (503, True)
    assert [(status, body["type"]) for status, body in refused] == [(503, "draining")] * 2
    assert "No new environments for now" in told
    assert (await pair.second.status())["drain"]["draining"]
    # No replica is ready any more, and still the balancer leads to what runs.
    async with asyncio.timeout(20):
        while await balancer.are_up(2) or await balancer.are_up(1):
            await asyncio.sleep(0.1)
    async with pair.first.session.get(
        f"http://127.0.0.1:{balancer.port}{launched['url']}api"
    ) as visit:
        assert visit.status == 200

    pair.second.kill()  # and a crash in the middle of it changes nothing
    await pair.second.start()
    assert (await pair.second.spawn("talk"))[0] == 503
    assert await pair.first.visit(launched["id"]) == 200
    assert await pair.first.end(launched["id"]) == 200

    codes = await asyncio.gather(pair.first.ended(), pair.second.ended())
    said = await waiting
    assert codes == [0, 0]
    assert (said.returncode, "tmpenv has ended" in said.stdout) == (0, True), said.stderr
    await pair.first.start()
    await pair.first.until_spares(1, "talk")
    assert (await pair.first.spawn("talk"))[0] == 200


async def test_it_can_be_taken_back(pair: Pair) -> None:
    _, _launched = await pair.first.spawn("talk")
    begun = await drain(pair.first)
    assert (begun.returncode, (await pair.second.spawn("talk"))[0]) == (0, 503), begun.stderr

    ended = await drain(pair.second, "--off")

    assert ended.returncode == 0, ended.stderr
    assert (await pair.first.spawn("talk"))[0] == 200


async def test_it_is_for_the_operator_alone(pair: Pair) -> None:
    for method in ("GET", "POST", "DELETE"):
        async with pair.first.session.request(method, f"{pair.first.url}/api/drain") as answer:
            assert answer.status == 403
