"""From a request to a template: the course of a build, and every way it can go wrong."""

from datetime import timedelta

import pytest

from spawner.builder.model import Outcome, Stage
from spawner.errors import BadSource
from spawner.model import Pool, Template
from spawner.recorder import Unrecorded
from tests.integration.builds.conftest import MakeSite
from tests.integration.builds.fakes import (
    COMMIT,
    SECRET,
    BreaksInFetch,
    Chatters,
    FailsAStep,
    FailsToFetch,
    FailsToPush,
    HeldEngine,
    LosesTheDaemon,
)
from tests.integration.builds.site import REPOSITORY, settings


async def test_a_build_ends_with_a_template_that_runs_its_image(site: MakeSite) -> None:
    async with site() as one:
        begun = await one.start()
        ended = await one.until_ended(begun)

        assert (begun.outcome, begun.stage, begun.commit) == (
            Outcome.RUNNING,
            Stage.QUEUED,
            COMMIT,
        )
        assert (ended.outcome, ended.stage, ended.error) == (
            Outcome.COMPLETED,
            Stage.FINISHED,
            "",
        )
        assert ended.dependencies == ("requirements.txt",)
        assert one.engine.pushed == [ended.image]
        template = one.catalogue.templates["repo"]
        assert (template.image, template.title) == (ended.image, "repo")
        assert one.catalogue.pools["repo"] == Pool(size=10, spare=0)


async def test_the_log_tells_the_stages_and_ends_with_the_farewell(site: MakeSite) -> None:
    async with site() as one:
        one.builds.farewell = lambda build: (
            f"Open it: https://tmpenv.example/launch/{build.name}",
        )
        build = await one.built()

        entries = [entry async for entry in one.builds.log(build)]

        texts = [entry.text for entry in entries]
        assert texts[-2:] == [
            "The image is ready.",
            "Open it: https://tmpenv.example/launch/repo",
        ]
        assert [text for text in texts if "FROM tmpenv/jupyter" in text]
        order = list(dict.fromkeys(entry.stage for entry in entries))
        assert order == [Stage.QUEUED, Stage.FETCHING, Stage.BUILDING, Stage.REGISTERING]
        (said,) = [entry for entry in entries if entry.text == "Collecting six"]
        assert (said.step, said.steps) == (1, 2)
        assert [entry.id for entry in entries] == [f"{n + 1}-0" for n in range(len(entries))]


async def test_what_is_no_repository_is_refused_and_nothing_is_kept(site: MakeSite) -> None:
    async with site() as one:
        with pytest.raises(BadSource):
            await one.start("https://elsewhere.example.org/repo")

        assert await one.builds.all() == []


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"sources": FailsToFetch()}, "The repository is too large."),
        ({"engine": FailsAStep}, "Step 2 of 2 failed: pip install."),
        ({"engine": FailsToPush}, "The registry refused the image."),
    ],
    ids=["fetch", "build", "push"],
)
async def test_a_failed_build_says_why_and_leaves_the_last_good_template(
    site: MakeSite, parts: dict[str, object], reason: str
) -> None:
    made = {name: part() if isinstance(part, type) else part for name, part in parts.items()}
    async with site(**made) as one:
        await one.catalogue.put(Template(name="repo", image="the-last-good"), Pool(size=1))

        build = await one.built()

        assert (build.outcome, build.error) == (Outcome.FAILED, reason)
        assert (await one.log(build))[-1] == f"Failed: {reason}"
        assert one.catalogue.templates["repo"].image == "the-last-good"
        assert list(one.scratch.iterdir()) == []


async def test_a_mistake_of_ours_fails_the_build_and_tells_nobody_what_it_was(
    site: MakeSite,
) -> None:
    async with site(sources=BreaksInFetch()) as one:
        build = await one.built()

        assert build.outcome is Outcome.FAILED
        assert build.error.startswith("Internal error")
        assert SECRET not in "".join(await one.log(build))


async def test_an_image_that_would_run_as_root_fails_and_says_what_to_add(site: MakeSite) -> None:
    async with site() as one:
        one.engine.user = "0:0"

        build = await one.built()

        assert build.outcome is Outcome.FAILED
        assert "add USER" in build.error
        assert one.engine.pushed == []
        assert "repo" not in one.catalogue.templates


async def test_the_configurations_template_is_left_and_the_build_says_so(site: MakeSite) -> None:
    async with site(declared=(Template(name="repo", image="theirs"),)) as one:
        build = await one.built()

        assert build.outcome is Outcome.FAILED
        assert "declares the template" in build.error
        assert one.catalogue.templates["repo"].image == "theirs"


async def test_what_was_put_by_the_api_survives_a_rebuild(site: MakeSite) -> None:
    async with site() as one:
        first = await one.built()
        known = one.catalogue.templates["repo"]
        await one.catalogue.put(
            known.model_copy(update={"memory": 1 << 28, "env": {"A": "b"}}), Pool(size=3, spare=2)
        )
        one.planner.urlpath = "tree"

        second = await one.built(force=True)

        assert second.image != first.image
        template = one.catalogue.templates["repo"]
        assert (template.memory, template.env) == (1 << 28, {"A": "b"})
        assert (template.image, template.urlpath) == (second.image, "tree")
        assert one.catalogue.pools["repo"] == Pool(size=3, spare=2)


async def test_a_landing_page_that_somebody_changed_survives_a_rebuild(site: MakeSite) -> None:
    async with site() as one:
        await one.built()
        changed = one.catalogue.templates["repo"].model_copy(update={"urlpath": "lab/tree/a.ipynb"})
        await one.catalogue.put(changed)

        build = await one.built(force=True)

        template = one.catalogue.templates["repo"]
        assert (template.image, template.urlpath) == (build.image, "lab/tree/a.ipynb")


async def test_a_daemon_that_comes_back_is_waited_for(site: MakeSite) -> None:
    async with site(engine=LosesTheDaemon(2)) as one:
        build = await one.built()

        assert build.outcome is Outcome.COMPLETED
        assert sum("Docker does not answer" in line for line in await one.log(build)) == 2
        assert one.sources.fetched == ["repo"]


async def test_a_daemon_that_stays_away_fails_the_build(site: MakeSite) -> None:
    async with site(engine=LosesTheDaemon(3)) as one:
        build = await one.built()

        assert build.outcome is Outcome.FAILED
        assert "did not come back" in build.error


async def test_a_build_that_prints_nothing_is_ended(site: MakeSite) -> None:
    quiet = settings(quiet_timeout=timedelta(seconds=0.2))
    async with site(engine=HeldEngine(held=True), set_to=quiet) as one:
        build = await one.built()

        assert build.outcome is Outcome.FAILED
        assert "printed nothing" in build.error
        assert one.engine.ended_early == [build.image]


async def test_a_build_that_takes_too_long_is_ended_though_it_prints(site: MakeSite) -> None:
    short = settings(timeout=timedelta(seconds=1), quiet_timeout=timedelta(seconds=0.5))
    async with site(engine=Chatters(), set_to=short) as one:
        build = await one.built()

        assert build.outcome is Outcome.FAILED
        assert "took longer" in build.error


async def test_a_running_build_is_cancelled_from_another_process(site: MakeSite) -> None:
    async with site(engine=HeldEngine(held=True)) as one, site(keeps=False) as other:
        build = await one.start()
        await one.until(lambda: one.engine.begun)

        assert await other.builds.cancel("repo")
        ended = await one.until_ended(build)

        assert ended.outcome is Outcome.CANCELLED
        assert one.engine.ended_early == [build.image]
        assert (await one.log(build))[-1] == "Cancelled."
        assert list(one.scratch.iterdir()) == []
        assert not await other.builds.cancel("repo")


async def test_a_waiting_build_is_cancelled_at_once(site: MakeSite) -> None:
    async with site(keeps=False) as one:
        build = await one.start()

        assert await one.builds.cancel("repo")

        found = await one.builds.find("repo")
        assert found is not None
        assert found.outcome is Outcome.CANCELLED
        assert await one.log(build, follow=True) == [
            "Waiting for its turn: repo at 0123456789ab",
            "Cancelled.",
        ]
        assert await one.builds.census() == (0, 0)


async def test_a_build_that_has_ended_can_be_forgotten_and_its_template_stays(
    site: MakeSite,
) -> None:
    async with site(engine=HeldEngine(held=True)) as one:
        build = await one.start()
        assert not await one.builds.remove("repo")
        one.engine.go.set()
        await one.until_ended(build)

        assert await one.builds.remove("repo")

        assert await one.builds.find("repo") is None
        assert await one.builds.all() == []
        assert await one.log(build) == []
        assert "repo" in one.catalogue.templates
        assert not await one.builds.remove("repo")


async def test_a_build_is_found_by_its_repository(site: MakeSite) -> None:
    async with site(keeps=False) as one:
        build = await one.start()

        assert await one.builds.of_repository(REPOSITORY) == build
        assert await one.builds.of_repository(f"{REPOSITORY}-other") is None


class Counts(Unrecorded):
    """Keeps what it hears of builds."""

    def __init__(self) -> None:
        self.builds: list[tuple[str, float]] = []

    def built(self, outcome: str, took_s: float) -> None:
        self.builds.append((outcome, took_s))


async def test_what_came_of_a_build_is_measured(site: MakeSite) -> None:
    counts = Counts()
    async with site(engine=FailsAStep(), recorder=counts) as one:
        build = await one.built()
        await one.until(lambda: counts.builds)

        assert build.ended_at is not None
        took = build.ended_at - build.started_at
        assert counts.builds == [("failed", took.total_seconds())]


async def test_images_of_templates_and_of_builds_going_on_are_never_pruned(site: MakeSite) -> None:
    async with site(keeps=False) as one:
        await one.catalogue.put(Template(name="t", image="kept"), Pool(size=1))
        build = await one.start()
        async with one.tidying():
            await one.until(lambda: one.engine.kept)

        assert one.engine.kept[0] == {"kept", build.image}
