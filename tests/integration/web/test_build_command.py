"""``tmpenv build`` and ``tmpenv logs`` of a build, as processes that ask a real site."""

import asyncio
import json
import os
import pty
import signal
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from spawner.builder.model import Build, LogEntry, Outcome
from spawner.errors import StoreUnavailable
from tests.command import run
from tests.integration.web.asking import Edge, begin, edge_of, read_until, tmpenv
from tests.integration.web.building import REPOSITORY, MemoryBuilds
from tests.integration.web.conftest import Open
from tests.integration.web.test_binder_builds import Building
from tests.waiting import eventually
from web.build_links import links_to


class CutBuilds(MemoryBuilds):
    """Builds whose log breaks off once, after two lines."""

    def __init__(self) -> None:
        super().__init__()
        self.read_after: list[str] = []

    async def log(
        self, build: Build, *, after: str = "", follow: bool = False
    ) -> AsyncGenerator[LogEntry]:
        self.read_after.append(after)
        left = 2 if len(self.read_after) == 1 else 1000
        async for entry in super().log(build, after=after, follow=follow):
            yield entry
            left -= 1
            if not left:
                raise StoreUnavailable


@pytest.fixture
async def edge(open_site: Open) -> AsyncIterator[Edge]:
    async with open_site() as site, edge_of(site) as edge:
        yield edge


@pytest.fixture
def building(edge: Edge) -> Building:
    return Building(edge.site)


async def followed(building: Building) -> None:
    """Wait until somebody follows a build."""

    async def is_followed() -> bool:
        return building.builds.followed > 0

    await eventually(is_followed)


async def test_a_build_that_is_not_followed_says_its_name_and_where_its_log_is(
    building: Building, edge: Edge
) -> None:
    told = await tmpenv(edge, "build", "--repo", REPOSITORY, "--ref", "main", "--force")

    server = edge.url
    first, second = told.out.splitlines()
    assert told.code == 0
    assert first == "org-repo-tree-main: queued"
    assert second == f"Its log: tmpenv logs org-repo-tree-main --build --follow --server {server}"
    asked = building.builds.asked[0]
    assert (asked["repository"], asked["ref"], asked["force"]) == (REPOSITORY, "main", True)


async def test_a_followed_build_prints_its_log_as_it_comes_and_then_its_links(
    building: Building, edge: Edge
) -> None:
    following = await begin(edge, "build", "--repo", REPOSITORY, "--follow")
    assert following.stdout is not None
    await followed(building)

    await building.builds.say("org-repo", "Step 1/3")
    assert await following.stdout.readline() == b"Step 1/3\n"
    await building.builds.say("org-repo", "Step 2/3")
    assert await following.stdout.readline() == b"Step 2/3\n"
    await building.builds.end("org-repo")
    rest = (await following.stdout.read()).decode()

    links = links_to(f"{edge.url}/", "org-repo", "Org/Repo")
    assert await following.wait() == 0
    assert "org-repo is ready." in rest
    for shown in (links.launch, links.markdown, links.html):
        assert f" {shown}\n" in rest
    assert all(f"    {line}\n" in rest for line in links.rst.splitlines())


async def test_a_build_that_failed_has_an_exit_code_of_its_own(
    building: Building, edge: Edge
) -> None:
    following = await begin(edge, "build", "--repo", REPOSITORY, "--follow")
    await followed(building)

    await building.builds.end("org-repo", Outcome.FAILED, error="pip found no such package")
    _, err = await following.communicate()
    later = await tmpenv(edge, "logs", "org-repo", "--follow")

    assert following.returncode == 3
    assert err == b"tmpenv: org-repo was not built: pip found no such package\n"
    assert (later.code, later.err) == (3, err.decode())


async def test_what_cannot_be_built_and_what_is_asked_wrongly_are_told_apart(
    building: Building, edge: Edge
) -> None:
    foreign = await tmpenv(edge, "build", "--repo", "https://elsewhere.example.org/r")
    neither = await tmpenv(edge, "build")
    unknown = await tmpenv(edge, "logs", "no-such", "--follow")
    nobody = await asyncio.to_thread(
        run, "build", "--repo", REPOSITORY, "--server", "http://127.0.0.1:1"
    )

    assert (foreign.code, neither.code, unknown.code, nobody.returncode) == (2, 2, 1, 1)
    assert "cannot be built here" in foreign.err
    assert neither.err == "tmpenv: give --repo URL to build, or --cancel NAME to end a build\n"
    assert nobody.stderr.startswith("tmpenv: no tmpenv answers at http://127.0.0.1:1")
    assert all(len(one.err.splitlines()) == 1 for one in (foreign, neither, unknown))


async def test_a_log_that_the_server_broke_off_goes_on_with_each_line_once(edge: Edge) -> None:
    building = Building(edge.site)
    builds = building.builds = edge.site.service.builds = CutBuilds()
    await building.start()
    await builds.say("org-repo", "one", "two", "three", "four")

    following = await begin(edge, "logs", "org-repo", "--follow", "--json")
    assert following.stdout is not None
    lines = [json.loads(await following.stdout.readline()) for _ in range(4)]
    await builds.end("org-repo")
    out, err = await following.communicate()

    assert [line["text"] for line in lines] == ["one", "two", "three", "four"]
    assert builds.read_after == ["", "2-0"]
    assert err == b"tmpenv: the log broke off; asking for the rest\n"
    assert json.loads(out)["status"] == "completed"


async def test_a_log_outlives_a_server_that_is_away_for_a_moment(
    building: Building, edge: Edge
) -> None:
    following = await begin(edge, "build", "--repo", REPOSITORY, "--follow")
    assert following.stdout is not None
    assert following.stderr is not None
    await followed(building)
    await building.builds.say("org-repo", "one")
    assert await following.stdout.readline() == b"one\n"

    await edge.down()
    assert b"broke off" in await following.stderr.readline()
    await building.builds.say("org-repo", "two")
    await edge.up()
    assert await following.stdout.readline() == b"two\n"
    await building.builds.end("org-repo")

    assert await following.wait() == 0


async def test_ctrl_c_ends_following_and_says_how_to_end_the_build(
    building: Building, edge: Edge
) -> None:
    following = await begin(edge, "build", "--repo", REPOSITORY, "--follow")
    assert following.stdout is not None
    await followed(building)
    await building.builds.say("org-repo", "one")
    await following.stdout.readline()

    following.send_signal(signal.SIGINT)
    async with asyncio.timeout(30):
        _, err = await following.communicate()
    status = (await building.build())["status"]
    cancelled = await tmpenv(edge, "build", "--cancel", "org-repo")
    again = await tmpenv(edge, "build", "--cancel", "org-repo")

    assert (following.returncode, status) == (130, "running")
    assert b"the build goes on; end it with tmpenv build --cancel org-repo --server " in err
    assert (cancelled.code, cancelled.out) == (0, "org-repo: cancelled\n")
    assert (again.code, again.out) == (0, "org-repo: was over\n")
    assert (await building.build())["error"] == "cancelled"


async def test_the_log_of_a_build_is_read_as_lines_and_as_json(
    building: Building, edge: Edge
) -> None:
    await building.start()
    await building.builds.say("org-repo", "one", "two", "three")

    last = await tmpenv(edge, "logs", "org-repo", "--tail", "2")
    told = await tmpenv(edge, "logs", "org-repo", "--json")
    built = await tmpenv(edge, "build", "--repo", REPOSITORY, "--json")

    *entries, build = map(json.loads, told.out.splitlines())
    assert last.out == "two\nthree\n"
    assert [one["text"] for one in entries] == ["one", "two", "three"]
    assert build == json.loads(built.out)
    assert build["commit"] == (await building.build())["commit"]


async def test_on_a_terminal_a_bar_stands_below_a_log_that_controls_nothing(
    building: Building, edge: Edge
) -> None:
    ours, theirs = pty.openpty()
    following = await begin(edge, "build", "--repo", REPOSITORY, "-f", stdout=theirs, stderr=theirs)
    await followed(building)

    await building.builds.say("org-repo", "\x1b]0;mine\x07[bold]Größe[/bold]")
    shown = await read_until(ours, "step 1 of 3")
    await building.builds.end("org-repo")
    shown += await read_until(ours, "reST")
    assert await following.wait() == 0
    os.close(theirs)
    os.close(ours)

    assert "\\x1b]0;mine\\x07[bold]Größe[/bold]" in shown
    assert "\x1b]0;" not in shown
    assert "building" in shown


async def test_a_terminal_that_lacks_characters_gets_their_numbers(
    building: Building, edge: Edge
) -> None:
    await building.start()
    await building.builds.say("org-repo", "pip → done")
    await building.builds.end("org-repo")

    told = await tmpenv(edge, "logs", "org-repo", "-f", PYTHONIOENCODING="latin-1")

    assert told.code == 0
    assert told.out.startswith("pip \\u2192 done\n")


async def test_a_build_that_is_there_already_shows_its_links_at_once(
    building: Building, edge: Edge
) -> None:
    await building.start()
    await building.builds.end("org-repo")

    told = await tmpenv(edge, "logs", "org-repo", "--follow")

    assert told.code == 0
    assert "org-repo is ready." in told.out
