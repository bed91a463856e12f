"""What a build says is kept within bounds, masked, and followed from anywhere."""

import asyncio
from contextlib import aclosing

from spawner.builder.model import Build
from spawner.store.build_logs import BuildLogs, Progress, entry_of
from spawner.store.builds import LogLimits
from spawner.store.connection import Connection
from tests.integration.builds.conftest import MakeSite
from tests.integration.builds.fakes import SECRET, HeldEngine
from tests.integration.builds.site import Site, settings

SMALL = 64 << 10


def printed(*lines: str, held: bool = False) -> HeldEngine:
    engine = HeldEngine(held=held)
    engine.lines = list(lines)
    return engine


async def follow(one: Site, build: Build, after: str = "") -> list[str]:
    return await one.log(build, follow=True, after=after)


async def test_a_follower_gets_the_past_then_what_comes_and_ends_with_the_build(
    site: MakeSite,
) -> None:
    async with site(engine=printed("before", held=True)) as one, site(keeps=False) as other:
        build = await one.start()
        seen: list[str] = []
        async with asyncio.timeout(15), aclosing(other.builds.log(build, follow=True)) as entries:
            async for entry in entries:
                seen.append(entry.text)
                if entry.text == "before":
                    one.planner.told[-1]("live")
                if entry.text == "live":
                    one.engine.go.set()

        assert seen.index("before") < seen.index("live")
        assert seen[-1] == "The image is ready."


async def test_many_follow_one_build_and_all_see_the_same(site: MakeSite) -> None:
    async with site(engine=printed("a", "b", held=True)) as one, site(keeps=False) as other:
        build = await one.start()
        followers = [asyncio.create_task(follow(other, build)) for _ in range(200)]
        await one.until(lambda: one.engine.begun)
        one.engine.go.set()

        logs = await asyncio.gather(*followers)

        assert len({tuple(lines) for lines in logs}) == 1
        assert logs[0] == await one.log(build)


async def test_a_reader_goes_on_after_the_line_it_saw_last(site: MakeSite) -> None:
    async with site(engine=printed(*map(str, range(20)))) as one:
        build = await one.built()
        entries = [entry async for entry in one.builds.log(build)]

        for at in (0, 7, len(entries) - 1):
            rest = await one.log(build, after=entries[at].id)

            assert rest == [entry.text for entry in entries[at + 1 :]]


async def test_a_log_that_is_too_long_keeps_its_head_and_its_tail(site: MakeSite) -> None:
    lines = [f"{number:05} " + "x" * 90 for number in range(5000)]
    async with site(engine=printed(*lines), set_to=settings(log_size=SMALL)) as one:
        build = await one.built()

        entries = [entry async for entry in one.builds.log(build)]

        texts = [entry.text for entry in entries]
        (gap,) = [at for at, text in enumerate(texts) if text.endswith("lines left out …")]
        assert texts[0].startswith("Waiting for its turn")
        assert texts[-1] == "The image is ready."
        left_out = int(texts[gap].split()[1])
        told = [text for text in texts if text[:5].isdigit()]
        assert left_out == len(lines) - len(told)
        assert told[0] == lines[0]
        assert told[-1] == lines[-1]
        head = sum(map(len, texts[:gap]))
        tail = sum(map(len, texts[gap + 1 :]))
        assert SMALL * 0.3 < head < SMALL / 2
        assert SMALL * 0.3 < tail < SMALL / 2
        # Who saw that line last does not see it again.
        assert await one.log(build, after=entries[gap].id) == texts[gap + 1 :]


async def test_what_the_store_keeps_of_a_log_is_bounded(
    site: MakeSite, connection: Connection
) -> None:
    lines = ["x" * 1000] * 3000
    async with site(engine=printed(*lines), set_to=settings(log_size=SMALL)) as one:
        build = await one.built()

        used = await connection.client.memory_usage(connection.keys.build_log(build.id), samples=0)

        assert used < 2 * SMALL


async def test_record_and_log_go_some_time_after_the_end_and_not_before(
    site: MakeSite, connection: Connection
) -> None:
    keys = connection.keys
    async with site(engine=HeldEngine(held=True)) as one:
        build = await one.start()
        await one.until(lambda: one.engine.begun)
        names = (keys.build(build.id), keys.build_log(build.id))
        assert [await connection.client.ttl(name) for name in names] == [-1, -1]

        one.engine.go.set()
        await one.until_ended(build)

        for name in names:
            assert 0 < await connection.client.ttl(name) <= 7 * 86400
        await connection.client.delete(*names)
        assert await one.builds.all() == []
        assert await follow(one, build) == []


async def test_secrets_of_sources_and_settings_are_never_kept(
    site: MakeSite, connection: Connection
) -> None:
    secret = settings(
        registry_password="hunter2-of-the-registry",
        pip_index_url="https://me:p%40ss-w@pip.example.org/simple",
    )
    lines = (
        f"cloning with {SECRET}",
        "docker login -p hunter2-of-the-registry",
        "Looking in indexes: https://me:p%40ss-w@pip.example.org/simple",
        "cannot log in as me with p@ss-w",
        "hunter2-\x1b[1mof-the-registry",
    )
    async with site(engine=printed(*lines), set_to=secret) as one:
        build = await one.built()

        kept = str(await connection.client.xrange(connection.keys.build_log(build.id)))

        assert "docker login -p ***" in kept
        for one_secret in (SECRET, "hunter2", "p%40ss-w", "p@ss-w"):
            assert one_secret not in kept


async def test_a_batch_that_is_sent_twice_is_kept_once(site: MakeSite) -> None:
    async with site(engine=HeldEngine(held=True)) as one:
        build = await one.start()
        await one.until(lambda: one.engine.begun)
        logs = BuildLogs(one.connection, LogLimits(SMALL, settings().log_ttl))
        lease = f"{one.connection.keys.prefix}lease:keeper"
        fence = int(await one.connection.client.hget(lease, "fence"))
        batch = [(1000 + n, entry_of(f"again {n}", Progress())) for n in range(3)]

        for _ in range(2):
            await logs.note(build.id, Progress(), batch, used=None, fence=fence)

        assert (await one.log(build))[-3:] == ["again 0", "again 1", "again 2"]
