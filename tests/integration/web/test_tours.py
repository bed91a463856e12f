"""The tours of the documentation, played against a site whose builds a test ends."""

import asyncio
import os
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from spawner.builder.model import Outcome
from tests.command import ROOT, variables
from tests.components import require
from tests.integration.web.asking import Edge, Told, edge_of
from tests.integration.web.building import REPOSITORY
from tests.integration.web.conftest import API_KEY, LAB, Open
from tests.integration.web.test_binder_builds import Building
from tests.serving import COMMAND
from tests.waiting import eventually

TOURS = ("tour.sh", "tour-cli.sh")


@pytest.fixture
async def edge(open_site: Open) -> AsyncIterator[Edge]:
    require("curl")
    # What the build makes, as it would register it.
    made = LAB.model_copy(update={"name": "org-repo"})
    async with open_site(templates=(made,)) as site, edge_of(site) as edge:
        await site.has_spares(1, "org-repo")
        yield edge


async def play(edge: Edge, tour: str, outcome: Outcome) -> Told:
    """Play a tour, whose build prints a line and ends."""
    building = Building(edge.site)
    process = await asyncio.create_subprocess_exec(
        "sh",
        str(ROOT / "docs" / tour),
        REPOSITORY,
        stdout=PIPE,
        stderr=PIPE,
        env=variables(
            TMPENV_SERVER=edge.url,
            TMPENV_API_KEY=API_KEY,
            PATH=f"{Path(COMMAND).parent}{os.pathsep}{os.environ['PATH']}",
        ),
    )

    async def is_followed() -> bool:
        return building.builds.followed > 0

    await eventually(is_followed, within=30)
    await building.builds.say("org-repo", "pip installs")
    await building.builds.end("org-repo", outcome, error="no such package")
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Told(process.returncode, out.decode(), err.decode())


@pytest.mark.parametrize("tour", TOURS)
async def test_a_tour_leads_from_a_repository_to_an_opened_notebook(edge: Edge, tour: str) -> None:
    told = await play(edge, tour, Outcome.COMPLETED)

    assert told.code == 0, told.err
    assert "pip installs\n" in told.out
    assert f"{edge.url}/launch/org-repo" in told.out + told.err
    assert told.out.splitlines()[-1].startswith(f"{edge.url}/user/")
    assert API_KEY not in told.out + told.err


@pytest.mark.parametrize("tour", TOURS)
async def test_a_tour_ends_where_the_build_fails(edge: Edge, tour: str) -> None:
    told = await play(edge, tour, Outcome.FAILED)

    assert told.code == (1 if tour == "tour.sh" else 3)
    assert "org-repo was not built: no such package" in told.err
    assert "/user/" not in told.out
