"""Images that come from a real registry, which is sometimes away."""

import asyncio
import re
import secrets
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from spawner.backends.docker import DockerBackend
from spawner.errors import ImageUnavailable, PoolFailing
from spawner.model import Pool, Template
from tests.components import TINY, require
from tests.contract.rigs import DockerRig
from tests.contract.test_backend import answers
from tests.deployment import Deployment
from tests.images import build
from tests.redis_server import RedisServer
from tests.registry import Registry
from tests.waiting import eventually

#: Two layers of its own upon those of the tiny image, which are here already.
DOCKERFILE = f"FROM {TINY}\nCOPY first /first\nCOPY second /second\n"
LAYER_BYTES = 2 << 20
WITHIN = timedelta(seconds=20)


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def shelf() -> Iterator[Registry]:
    """A registry with one image, which is not on Docker's machine."""
    require("docker", "tiny-image", "docker-registry")
    with tempfile.TemporaryDirectory(prefix="tmpenv-") as directory:
        registry = Registry(Path(directory))
        registry.start()
        context = Path(directory, "context")
        context.mkdir()
        (context / "Dockerfile").write_text(DOCKERFILE)
        for layer in ("first", "second"):
            (context / layer).write_bytes(secrets.token_bytes(LAYER_BYTES))
        image = registry.name("tiny")
        build(image, context)
        run("docker", "push", image)
        run("docker", "image", "rm", image)
        yield registry
        registry.stop()


@pytest.fixture
def registry(shelf: Registry) -> Iterator[Registry]:
    """The registry, answering; nothing of it is on Docker's machine before and after."""
    yield shelf
    shelf.stop()
    shelf.start()
    subprocess.run(
        ["docker", "image", "rm", "--force", shelf.name("tiny")], check=False, capture_output=True
    )


@pytest.fixture
def image(registry: Registry) -> str:
    return registry.name("tiny")


@pytest.fixture
async def rig(registry: Registry) -> AsyncIterator[DockerRig]:
    rig = DockerRig()
    yield rig
    await rig.clear()  # before the image goes, which its containers use


@pytest.fixture
async def backend(rig: DockerRig) -> DockerBackend:
    backend = await rig.make()
    assert isinstance(backend, DockerBackend)
    return backend


async def test_an_image_is_pulled_told_in_percent_and_runs(
    rig: DockerRig, backend: DockerBackend, image: str
) -> None:
    order = rig.order(image=image)
    told: list[str] = []

    await backend.prepare(order.template, told.append)

    assert await answers(order, await backend.start(order))
    words, percents = parted(told)
    assert words == {f"pulling {image}: %"}
    assert percents == sorted(set(percents))
    assert (percents[0], percents[-1]) == (0, 100)


def parted(told: list[str]) -> tuple[set[str], list[int]]:
    """Part lines of progress into their words and their numbers."""
    numbers = re.compile(r"\b\d+ (?=%)")
    return {numbers.sub("", line) for line in told}, [
        int(numbers.findall(line)[0]) for line in told
    ]


async def test_two_who_want_one_image_share_its_pull(
    registry: Registry, rig: DockerRig, backend: DockerBackend, image: str
) -> None:
    template = rig.template(image=image)
    told: tuple[list[str], list[str]] = ([], [])
    # Events are told by the second, so what was pulled just before is counted too.
    began = int(time.time()) - 60
    before = await asyncio.to_thread(pulls, rig, image, began)
    registry.hold()
    both = [asyncio.create_task(backend.prepare(template, lines.append)) for lines in told]
    await asyncio.wait(both, timeout=0.3)

    registry.go_on()
    await asyncio.gather(*both)

    assert told[0] == told[1] != []
    assert await asyncio.to_thread(pulls, rig, image, began) == before + 1


def pulls(rig: DockerRig, image: str, since: int) -> int:
    """Count how often Docker has pulled an image."""
    wanted = {"type": "image", "event": "pull", "image": image}
    events = rig.client.events(since=since, until=int(time.time()) + 1, filters=wanted)
    return len(list(events))


async def test_whoever_gives_up_leaves_the_pull_to_the_other(
    registry: Registry, rig: DockerRig, backend: DockerBackend, image: str
) -> None:
    template = rig.template(image=image)
    registry.hold()
    first, second = (asyncio.create_task(backend.prepare(template, print)) for _ in range(2))
    await asyncio.wait([first], timeout=0.2)

    first.cancel()
    registry.go_on()
    await second

    assert await backend.has_image(image)


async def test_a_tag_that_is_not_there_is_said_in_one_line(
    rig: DockerRig, backend: DockerBackend, image: str
) -> None:
    with pytest.raises(ImageUnavailable) as failure:
        await backend.prepare(rig.template(image=f"{image}:never"), print)

    assert str(failure.value).startswith(f"The image {image}:never is not here")
    assert "manifest unknown" in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("is_asked", [False, True], ids=["before", "meanwhile"])
async def test_a_registry_that_goes_away_is_said_and_asked_again(
    registry: Registry, rig: DockerRig, backend: DockerBackend, image: str, is_asked: bool
) -> None:
    template = rig.template(image=image)
    if is_asked:
        registry.hold()
        preparing = asyncio.create_task(backend.prepare(template, print))
        await asyncio.wait([preparing], timeout=0.5)
    registry.stop()
    with pytest.raises(ImageUnavailable, match=f"The image {image} is not here") as failure:
        await (preparing if is_asked else backend.prepare(template, print))
    assert "\n" not in str(failure.value)

    registry.start()

    await backend.prepare(template, print)
    assert await backend.has_image(image)


async def test_a_pool_shows_that_its_registry_is_away_and_fills_when_it_is_back(
    registry: Registry, backend: DockerBackend, rig: DockerRig, redis_server: RedisServer
) -> None:
    template = rig.template(image=registry.name("tiny"))
    registry.stop()
    async with deployed(redis_server, rig, backend, template) as tmpenv:

        async def is_in_trouble() -> str:
            trouble = (await tmpenv.status("tiny")).trouble
            return trouble.reason if trouble else ""

        assert "connection refused" in await eventually(is_in_trouble)
        with pytest.raises(PoolFailing, match=template.image):
            await tmpenv.service.launch("tiny", within=WITHIN)

        registry.start()

        await tmpenv.until_spares(1, "tiny")
        assert (await tmpenv.status("tiny")).trouble is None
        environment = await tmpenv.service.launch("tiny", within=WITHIN)
        assert environment.address


async def test_a_pull_that_takes_long_is_shown_and_holds_up_no_other_pool(
    registry: Registry, backend: DockerBackend, rig: DockerRig, redis_server: RedisServer
) -> None:
    slow, quick = rig.template(image=registry.name("tiny")), rig.template(name="quick")
    registry.hold()
    async with deployed(redis_server, rig, backend, slow, quick) as tmpenv:
        for _ in range(2):
            await tmpenv.until_spares(1, "quick")
            await tmpenv.service.launch("quick", within=WITHIN)

        assert not await backend.has_image(slow.image)
        registry.go_on()

        await tmpenv.until_spares(1, "tiny")
        assert (await tmpenv.status("tiny")).trouble is None


async def test_an_image_that_is_removed_while_its_pool_runs_is_pulled_again(
    backend: DockerBackend, rig: DockerRig, redis_server: RedisServer, image: str
) -> None:
    async with deployed(redis_server, rig, backend, rig.template(image=image)) as tmpenv:
        await tmpenv.until_spares(1, "tiny")
        await asyncio.to_thread(rig.client.remove_image, image, force=True)

        await tmpenv.service.launch("tiny", within=WITHIN)

        await tmpenv.until_spares(1, "tiny")
        assert await backend.has_image(image)


def deployed(
    server: RedisServer, rig: DockerRig, backend: DockerBackend, *templates: Template
) -> Deployment:
    return Deployment(
        server.url, rig.instance(), backend, templates=templates, pool=Pool(size=3, spare=1)
    )
