"""Whatever ends in the middle of a build, somebody else ends the build."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from spawner.builder import making
from spawner.builder.model import Build, Outcome, Source, Tell
from spawner.store.connection import Connection
from spawner.store.store import Store
from tests.integration.builds.conftest import MakeSite
from tests.integration.builds.fakes import Crashes, Daemon, HeldEngine, Repositories
from tests.integration.builds.site import Site
from tests.redis_server import RedisServer


class CrashesInFetch(Repositories):
    """Has the process end with half of the files there."""

    def __init__(self) -> None:
        super().__init__()
        self.crash: Callable[[], None] = lambda: None

    async def fetch(self, source: Source, commit: str, into: Path, tell: Tell) -> None:
        await super().fetch(source, commit, into, tell)
        self.crash()
        await HeldEngine(held=True).go.wait()


async def crashed(site: MakeSite, at: str, daemon: Daemon) -> tuple[Site, Build]:
    """Start a build whose process ends at a point, and give what is left."""
    sources = CrashesInFetch() if at == "in fetch" else Repositories()
    engine = Crashes(at, daemon)
    first = site(engine=engine, sources=sources)
    engine.crash = first.crash
    if isinstance(sources, CrashesInFetch):
        sources.crash = first.crash
    async with first:
        build = await first.start()
        await first.until(lambda: first.has_ended)
    return first, build


POINTS = ("in fetch", "in build", "after build", "before push", "after push")


@pytest.mark.parametrize("at", POINTS)
async def test_the_next_one_starts_over_from_the_same_commit_and_says_so(
    site: MakeSite, at: str
) -> None:
    daemon = Daemon()
    first, build = await crashed(site, at, daemon)
    leftover = first.scratch / "1-9" / "files"
    leftover.mkdir(parents=True)

    async with site(engine=HeldEngine(daemon)) as second:
        second.sources.commits["repo"] = "e" * 40
        ended = await second.until_ended(build)

        assert (ended.outcome, ended.commit) == (Outcome.COMPLETED, build.commit)
        assert second.catalogue.templates["repo"].image == build.image
        assert sum("Started over" in line for line in await second.log(build)) == 1
        assert not leftover.exists()
        assert list(second.scratch.iterdir()) == []
        assert await second.builds.census() == (0, 0)


async def test_a_build_whose_template_was_put_before_the_crash_ends_all_the_same(
    site: MakeSite,
) -> None:
    async with site(engine=HeldEngine(held=True)) as first:
        build = await first.start()
        await first.until(lambda: first.engine.begun)
        put = first.catalogue.put

        async def put_and_crash(*args: object, **how: object) -> object:
            recipe = await put(*args, **how)  # type: ignore[arg-type]
            first.crash()
            return recipe

        first.catalogue.put = put_and_crash  # type: ignore[method-assign, assignment]
        first.engine.go.set()
        await first.until(lambda: first.has_ended)

    async with site() as second:
        ended = await second.until_ended(build)

        assert ended.outcome is Outcome.COMPLETED
        assert second.catalogue.templates["repo"].image == build.image


async def test_what_ends_tmpenv_each_time_fails_with_a_reason(site: MakeSite) -> None:
    daemon = Daemon()
    _, build = await crashed(site, "in build", daemon)
    for _ in range(making.MOST_TRIES - 1):
        assert (await crashed(site, "in build", daemon))[1].id == build.id

    async with site(engine=HeldEngine(daemon)) as last:
        ended = await last.until_ended(build)

        assert ended.outcome is Outcome.FAILED
        assert "interrupted" in ended.error
        assert last.engine.begun == []


async def test_a_process_that_lost_the_lease_writes_nothing_and_ends_its_build(
    site: MakeSite,
) -> None:
    async with site(engine=HeldEngine(held=True)) as first:
        build = await first.start()
        await first.until(lambda: first.engine.begun)
        async with site(keeps=False) as second:
            claim = await Store(second.connection).claim(
                "keeper", "second", timedelta(minutes=1), dead=first.holder
            )
            tell = first.planner.told[-1]
            tell("too late")
            await first.until(lambda: first.engine.ended_early)

            work = asyncio.create_task(second.builds.run(claim.fence))
            ended = await second.until_ended(build)
            work.cancel()

        assert ended.outcome is Outcome.COMPLETED
        assert "too late" not in await first.log(build)


async def test_a_build_goes_on_while_the_store_is_away_and_nothing_is_lost(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    engine = HeldEngine(held=True)
    async with Site(own_redis.url, "i", tmp_path / "scratch", engine=engine) as one:
        build = await one.start()
        await one.until(lambda: engine.begun)
        engine.lines = []
        own_redis.stop()
        tell = one.planner.told[-1]
        for number in range(100):
            tell(f"line {number}")
        engine.go.set()
        await one.until(lambda: engine.pushed)
        own_redis.start()

        ended = await one.until_ended(build)

        assert ended.outcome is Outcome.COMPLETED
        told = [line for line in await one.log(build) if line.startswith("line ")]
        assert told == [f"line {number}" for number in range(100)]


async def test_a_store_that_was_emptied_leaves_nothing_that_runs(
    site: MakeSite, connection: Connection
) -> None:
    async with site(engine=HeldEngine(held=True)) as one:
        await one.start()
        await one.until(lambda: one.engine.begun)
        async for key in connection.client.scan_iter(f"{connection.keys.prefix}build*"):
            await connection.client.delete(key)

        await one.until(lambda: one.engine.ended_early)

        assert await one.builds.find("repo") is None
        assert await one.builds.census() == (0, 0)
