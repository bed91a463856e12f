"""Images made by a real BuildKit: what is told, what is left, and what a build fails of."""

import asyncio
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from spawner.builder.docker_cli import DockerCli, find_cli
from spawner.builder.settings import BuildSettings
from spawner.errors import BackendUnavailable, BuildFailed
from tests.building import Site, building, runs
from tests.components import TINY, require
from tests.own_docker import OwnDocker
from tests.waiting import eventually


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    require("buildkit", "tiny-image")
    async with building(tmp_path) as site:
        yield site


async def until_told(site: Site, line: str) -> None:
    async def is_told() -> bool:
        return line in site.told.lines

    await eventually(is_told)


async def test_a_build_tells_its_steps_in_order_and_what_they_print(site: Site) -> None:
    nonce = secrets.token_hex(4)

    image = await site.build(site.plan(f"RUN echo one-{nonce}", "RUN echo two; echo >&2 three"))

    # The first may be numbered as in another build that goes on at the daemon.
    assert len(site.told.steps) >= 3
    assert site.told.steps == sorted(set(site.told.steps))
    assert site.told.steps[-1][0] == site.told.steps[-1][1] >= 3
    first, second = (site.told.lines.index(line) for line in (f"one-{nonce}", "two"))
    assert first < second
    assert "three" in site.told.lines
    assert "sha256:" not in site.told.text
    assert await site.engine.exists(image)
    assert await site.engine.user_of(image) == "1000:1000"


async def test_an_image_says_whose_it_is_and_what_it_was_made_from(site: Site) -> None:
    labels = {"tmpenv.repository": "https://an.example/a, b=c", "tmpenv.instance": "another"}

    image = await site.build(site.plan("LABEL tmpenv.kind=environment"), labels=labels)

    found = site.client.images.get(image).labels
    assert found["tmpenv.repository"] == "https://an.example/a, b=c"
    assert (found["tmpenv.instance"], found["tmpenv.kind"]) == ("test-engine", "image")


async def test_who_an_image_runs_as_is_known(site: Site) -> None:
    image = await site.build(site.plan("USER root"))

    assert await site.engine.user_of(image) == "root"


async def test_a_step_that_fails_is_named_with_its_last_words(site: Site) -> None:
    image = site.new_image()

    with pytest.raises(BuildFailed) as failure:
        await site.build(
            site.plan("RUN echo one", "RUN echo two; echo no such thing; exit 3"), image
        )

    assert str(failure.value) == (
        "[3/3] RUN echo two; echo no such thing; exit 3: exit code: 3 | two | no such thing"
    )
    assert site.told.lines[-3:] == ["two", "no such thing", "ERROR: exit code: 3"]
    assert not await site.engine.exists(image)


async def test_a_dockerfile_that_cannot_be_read_is_said(site: Site) -> None:
    with pytest.raises(BuildFailed, match="unknown instruction: NONSENSE"):
        await site.build(site.plan("NONSENSE"))


async def test_a_base_that_is_not_to_be_had_fails_the_build(site: Site) -> None:
    with pytest.raises(BuildFailed, match=r"127\.0\.0\.1:1/nowhere"):
        await site.build(site.plan(base="127.0.0.1:1/nowhere"))


@pytest.mark.parametrize("what", ["Dockerfile", "a file"])
async def test_a_link_that_leads_out_of_the_context_leads_nowhere(
    site: Site, tmp_path: Path, what: str
) -> None:
    word = secrets.token_hex(8)
    outside = tmp_path / "outside"
    outside.write_text(f"FROM {TINY}\nRUN echo {word}\n")
    plan = site.plan("COPY link /x", "RUN cat /x")
    link = plan.dockerfile if what == "Dockerfile" else plan.context / "link"
    link.unlink(missing_ok=True)
    link.symlink_to(outside)

    with pytest.raises(BuildFailed, match=r"not found|no such file") as failure:
        await site.build(plan)

    assert word not in site.told.text + str(failure.value)


async def test_a_build_that_is_cancelled_ends_at_the_daemon(site: Site) -> None:
    image = site.new_image()
    number = f"{secrets.randbelow(10**6) + 10**6}"
    started = asyncio.create_task(
        site.build(site.plan(f"RUN echo begun; exec sleep {number}"), image)
    )
    await until_told(site, "begun")
    assert await asyncio.to_thread(runs, f"sleep {number}")
    asked = time.monotonic()

    started.cancel()
    with pytest.raises(asyncio.CancelledError):
        await started

    async def is_gone() -> bool:
        return not await asyncio.to_thread(runs, f"sleep {number}")

    await eventually(is_gone)
    assert time.monotonic() - asked < 10
    assert not await site.engine.exists(image)


async def test_a_secret_is_there_for_its_step_and_not_in_the_image(
    site: Site, tmp_path: Path
) -> None:
    word = secrets.token_hex(8)
    secret = tmp_path / "secret"
    secret.write_text(word)
    step = f"RUN : {secrets.token_hex(4)}; test -s /run/secrets/pip && echo it is there"
    step = step.replace("RUN", "RUN --mount=type=secret,id=pip,uid=1000")

    image = await site.build(site.plan(step, secrets={"pip": secret}))

    assert "it is there" in site.told.lines
    saved = await asyncio.to_thread(
        lambda: subprocess.run(["docker", "save", image], check=True, capture_output=True).stdout
    )
    assert len(saved) > 1 << 20
    assert word.encode() not in saved


async def test_arguments_reach_the_build_and_no_list_of_processes(site: Site) -> None:
    word = secrets.token_hex(8)
    plan = site.plan(
        "ARG index", 'RUN echo "${#index} letters"; sleep 1', arguments={"index": word}
    )
    started = asyncio.create_task(site.build(plan))

    await until_told(site, "16 letters")

    assert await asyncio.to_thread(runs, plan.context.name)
    assert not await asyncio.to_thread(runs, word)
    await started


async def test_an_image_that_is_removed_is_not_there_and_again_is_no_error(site: Site) -> None:
    image = await site.build(site.plan("RUN true"))

    for _ in range(2):
        await site.engine.remove(image)

    assert not await site.engine.exists(image)
    with pytest.raises(BuildFailed, match="does not have the image"):
        await site.engine.user_of(image)


async def test_an_image_in_use_is_left(site: Site) -> None:
    image = await site.build(site.plan("RUN true"))
    container = site.client.containers.run(image, detach=True)
    try:
        await site.engine.remove(image)

        assert await site.engine.exists(image)
    finally:
        container.remove(force=True)


async def test_a_command_that_says_it_built_is_not_believed(tmp_path: Path) -> None:
    require("buildkit", "tiny-image")
    liar = tmp_path / "docker"
    liar.write_text("#!/bin/sh\nexit 0\n")
    liar.chmod(0o755)
    async with building(tmp_path, docker_cli=str(liar)) as site:
        with pytest.raises(BuildFailed, match="does not have the image"):
            await site.build(site.plan())


async def test_without_a_command_that_can_build_it_is_said_what_to_do(tmp_path: Path) -> None:
    async with building(tmp_path, docker_cli="/nowhere/docker") as site:
        with pytest.raises(BuildFailed, match="install docker-buildx, or set docker_cli"):
            await site.build(site.plan())


def command(directory: Path, version: str, *, has_buildx: bool = False) -> str:
    """Put a docker command of a version into a directory of its own."""
    directory.mkdir()
    path = directory / "docker"
    answer = f"echo 'Docker version {version}, build 1'"
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && {answer} || exit {int(not has_buildx)}\n')
    path.chmod(0o755)
    return str(path)


async def test_the_first_command_that_can_build_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = command(tmp_path / "a", "28.2.2")
    old = command(tmp_path / "b", "20.10.24+dfsg1")
    new = command(tmp_path / "c", "28.2.2", has_buildx=True)
    found = []

    for order in ((without, old, new), (without, new, old)):
        monkeypatch.setenv("PATH", os.pathsep.join(str(Path(one).parent) for one in order))
        found.append(await find_cli(BuildSettings()))

    assert found == [DockerCli(old, has_buildx=False), DockerCli(new, has_buildx=True)]
    with pytest.raises(BuildFailed):
        await find_cli(BuildSettings(docker_cli=without))


@pytest.fixture
def own_daemon() -> Iterator[OwnDocker]:
    require("buildkit", "tiny-image", "dockerd", "root")
    with tempfile.TemporaryDirectory(prefix="td-", ignore_cleanup_errors=True) as directory:
        daemon = OwnDocker(Path(directory))
        daemon.start()
        daemon.load(TINY)
        yield daemon
        daemon.clear()


@pytest.mark.parametrize("way", ["kill", "stop"])
async def test_a_daemon_that_goes_away_in_mid_build_leaves_nothing_known(
    own_daemon: OwnDocker, tmp_path: Path, way: str
) -> None:
    async with building(tmp_path, own_daemon.url) as site:
        image = site.new_image()
        started = asyncio.create_task(site.build(site.plan("RUN echo begun; sleep 60"), image))
        await until_told(site, "begun")

        await asyncio.to_thread(getattr(own_daemon, way))
        with pytest.raises(BackendUnavailable):
            await started

        for call in (site.build(site.plan()), site.engine.exists(image), site.engine.prune(())):
            with pytest.raises(BackendUnavailable):
                await call
        await asyncio.to_thread(own_daemon.start)
        assert not await site.engine.exists(image)
        await site.build(site.plan("RUN echo again"), image)
        assert await site.engine.exists(image)


@pytest.fixture
def small_daemon() -> Iterator[OwnDocker]:
    """A daemon whose disk has little more room than the tiny image needs."""
    require("buildkit", "tiny-image", "dockerd", "root")
    with tempfile.TemporaryDirectory(prefix="td-", ignore_cleanup_errors=True) as directory:
        disk, place = Path(directory, "disk"), Path(directory, "d")
        place.mkdir()
        with disk.open("wb") as file:
            file.truncate(640 << 20)
        subprocess.run(["mkfs.ext4", "-q", disk], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", disk, place], check=True)
        daemon = OwnDocker(place)
        try:
            daemon.start()
            daemon.load(TINY)
            yield daemon
        finally:
            try:
                daemon.clear()
            finally:
                subprocess.run(["umount", "--lazy", place], check=True)


def percent_used(daemon: OwnDocker) -> float:
    found = shutil.disk_usage(Path(daemon.url.removeprefix("unix://")).parent)
    return 100 * found.used / (found.used + found.free)


async def test_a_full_disk_is_said_and_the_oldest_unused_image_makes_room(
    small_daemon: OwnDocker, tmp_path: Path
) -> None:
    step = "RUN head -c {size}M /dev/urandom >/tmp/{name}"
    names = ("used", "run", "old", "new")
    async with building(tmp_path, small_daemon.url) as site:
        with pytest.raises(BuildFailed, match="Docker's disk is full") as failure:
            await site.build(site.plan(step.format(size=900, name="x")))
        assert "\n" not in str(failure.value)
        used, run, old, new = [
            await site.build(site.plan(step.format(size=40, name=name))) for name in names
        ]
        container = site.client.containers.run(run, detach=True, network_mode="none")
        await site.engine.prune({used})
        assert all(site.has(image) for image in (used, run, old, new))

        # Each image has about seven percent of this disk.
        now = percent_used(small_daemon)
        async with building(
            tmp_path, small_daemon.url, disk_high=now - 1, disk_low=now - 4
        ) as fuller:
            await fuller.engine.prune({used})

            assert [site.has(image) for image in (used, run, old, new)] == [True, True, False, True]
            container.remove(force=True)
