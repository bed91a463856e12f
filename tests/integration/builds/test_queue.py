"""Who is joined, who is refused, and whose turn it is: exact, whichever process is asked."""

import asyncio
from datetime import timedelta

import pytest

from spawner.builder.model import Build, Outcome
from spawner.errors import AlreadyBuilding, QueueFull, SourceUnavailable
from tests.integration.builds.conftest import MakeSite
from tests.integration.builds.fakes import COMMIT, HeldEngine, Repositories
from tests.integration.builds.site import settings

OTHER = "f" * 40


def address(name: str) -> str:
    return f"https://git.example.org/{name}"


async def test_the_same_request_joins_the_build_that_runs_from_any_process(site: MakeSite) -> None:
    async with site(engine=HeldEngine(held=True)) as one, site(keeps=False) as other:
        asked = [each.start() for each in (one, other) * 10]

        builds = await asyncio.gather(*asked)

        assert len({build.id for build in builds}) == 1
        one.engine.go.set()
        await one.until_ended(builds[0])
        assert len(one.engine.begun) == 1


async def test_another_commit_is_refused_while_the_image_is_built(site: MakeSite) -> None:
    async with site(keeps=False) as one:
        await one.start()
        one.sources.commits["repo"] = OTHER

        with pytest.raises(AlreadyBuilding, match="Already building the image"):
            await one.start()


async def test_other_dependencies_are_another_build(site: MakeSite) -> None:
    async with site(keeps=False) as one:
        build = await one.start(dependencies=("environment.yml",))

        assert build.dependencies == ("environment.yml",)
        with pytest.raises(AlreadyBuilding):
            await one.start()


async def test_a_forced_request_joins_a_forced_build_alone(site: MakeSite) -> None:
    async with site(keeps=False) as one:
        plain = await one.start()
        with pytest.raises(AlreadyBuilding):
            await one.start(force=True)
        await one.builds.cancel("repo")

        forced = await one.start(force=True)

        assert forced.id != plain.id
        assert (await one.start(force=True)).id == forced.id
        assert (await one.start()).id == forced.id


async def test_an_image_that_is_there_is_used_again_and_the_log_says_so(site: MakeSite) -> None:
    async with site() as one:
        one.builds.farewell = lambda build: (f"Open {build.name}",)
        first = await one.built()

        again = await one.start()

        assert (again.outcome, again.image) == (Outcome.COMPLETED, first.image)
        assert again.id != first.id
        assert await one.log(again, follow=True) == [
            f"The image of repo at {COMMIT[:12]} is there, and is used again: {first.image}",
            "Open repo",
        ]
        assert len(one.engine.begun) == 1


@pytest.mark.parametrize("missing", ["image", "template"])
async def test_what_is_not_there_any_more_is_built_again(site: MakeSite, missing: str) -> None:
    async with site() as one:
        await one.built()
        if missing == "image":
            one.engine.daemon.images.clear()
        else:
            await one.catalogue.remove("repo")

        again = await one.built()

        assert again.outcome is Outcome.COMPLETED
        assert len(one.engine.begun) == 2
        assert one.catalogue.templates["repo"].image == again.image


async def test_force_builds_under_a_new_tag_and_keeps_the_old_until_it_succeeds(
    site: MakeSite,
) -> None:
    async with site() as one:
        first = await one.built()
        one.engine.go.clear()
        forced = await one.start(force=True)
        await one.until(lambda: len(one.engine.begun) == 2)

        assert forced.image == f"{first.image}-{forced.id}"
        assert one.catalogue.templates["repo"].image == first.image
        one.engine.go.set()
        await one.until_ended(forced)
        assert one.catalogue.templates["repo"].image == forced.image
        # Whoever asks without force gets what was forced.
        assert (await one.start()).image == forced.image


async def test_no_more_wait_than_may_and_the_next_is_told_when_to_come(site: MakeSite) -> None:
    few = settings(at_once=1, queue=2)
    async with site(engine=HeldEngine(held=True), set_to=few) as one:
        begun = [await one.start(address(f"r{n}")) for n in range(3)]
        await one.until(lambda: one.engine.begun)

        with pytest.raises(QueueFull) as refused:
            await one.start(address("r3"))

        assert refused.value.retry_after is not None
        assert await one.builds.census() == (1, 2)
        # A request that joins needs no place.
        assert (await one.start(address("r2"))).id == begun[2].id


async def test_so_many_build_at_once_and_no_more(site: MakeSite) -> None:
    two = settings(at_once=2)
    async with site(engine=HeldEngine(held=True), set_to=two) as one:
        builds = [await one.start(address(f"r{n}")) for n in range(5)]
        await one.until(lambda: len(one.engine.begun) == 2)
        assert await one.builds.census() == (2, 3)

        one.engine.go.set()
        for build in builds:
            await one.until_ended(build)

        assert one.engine.most_at_once == 2
        assert await one.builds.census() == (0, 0)


async def test_callers_take_turns_and_each_in_the_order_they_asked(site: MakeSite) -> None:
    async with site(set_to=settings(at_once=1)) as one:
        one.engine.go.clear()
        first = await one.start(address("first"), caller="ada")
        await one.until(lambda: one.engine.begun)
        waiting: list[Build] = []
        for caller, name in (("ada", "a1"), ("ada", "a2"), ("ada", "a3"), ("bob", "b1")):
            waiting.append(await one.start(address(name), caller=caller))
        one.engine.go.set()
        for build in (first, *waiting):
            await one.until_ended(build)

        order = [image.split("/")[1].split(":")[0] for image in one.engine.begun]
        assert order == ["first", "a1", "b1", "a2", "a3"]


async def test_builds_are_listed_newest_first_and_one_for_each_name(site: MakeSite) -> None:
    async with site(keeps=False) as one:
        for name in ("r1", "r2"):
            await one.start(address(name))
        await one.builds.cancel("r1")
        again = await one.start(address("r1"))

        assert [build.name for build in await one.builds.all()] == ["r1", "r2"]
        assert (await one.builds.all())[0].id == again.id


class NeverAnswers(Repositories):
    """The host takes the question and says nothing."""

    async def resolve(self, source: object) -> str:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")


async def test_a_host_that_does_not_answer_is_told_as_that(
    site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spawner.builder.builds.RESOLVE_TIMEOUT", timedelta(seconds=0.05))
    async with site(sources=NeverAnswers(), keeps=False) as one:
        with pytest.raises(SourceUnavailable):
            await one.start()

        assert await one.builds.all() == []
