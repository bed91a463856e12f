"""A click puts a visitor inside a running notebook: real JupyterLab, real Chromium."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page

from tests.components import JUPYTER, require
from tests.e2e.browser import LAB_TIMEOUT_MS, is_in_lab, open_browser, run_cell
from tests.serving import PERL, TINY_SERVER, Serving

PROCESS = """
backend = "process"
on_exit = "stop"
[proxy]
drain_timeout_s = 0.5
[pools.jupyter]
size = 3
spare = {spare}
"""
DOCKER = """
backend = "docker"
on_exit = "stop"
[proxy]
drain_timeout_s = 0.5
[templates.jupyter]
title = "JupyterLab"
image = "{image}"
[pools.jupyter]
# No refill, whose new interface would disturb the browser.
size = 1
"""
TINY = """
backend = "process"
on_exit = "stop"
[proxy]
drain_timeout_s = 0.5
[templates.jupyter]
title = "The Lab"
description = "A notebook with all that the course needs, ready to be changed and broken."
command = ["{perl}", "{tiny}"]
urlpath = "files"
stop_grace = "0s"
[pools.jupyter]
size = 2
spare = {spare}
"""


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as browser:
        yield browser


@pytest.fixture
async def page(browser: Browser) -> Page:
    return await browser.new_page()


async def click_launch(page: Page, server: Serving) -> None:
    await page.goto(server.url)
    await page.get_by_role("link", name="Launch").click()


async def test_a_click_leads_into_jupyterlab_where_a_cell_runs(directory: Path, page: Page) -> None:
    require("jupyterlab")
    async with Serving(directory, PROCESS.format(spare=1)) as server:
        await server.until_spares(1, "jupyter")

        await click_launch(page, server)
        await is_in_lab(page)

        assert await run_cell(page, "6 * 7") == "42"


async def test_a_click_leads_into_jupyterlab_under_a_path_of_the_service(
    directory: Path, page: Page
) -> None:
    require("jupyterlab")
    async with Serving(directory, PROCESS.format(spare=1), base_url="/a/lab.1/") as server:
        await server.until_spares(1, "jupyter")

        await page.goto(f"http://127.0.0.1:{server.port}/")
        await page.get_by_role("link", name="Launch").click()
        environment = await is_in_lab(page)

        assert page.url.startswith(f"{server.url}/user/{environment}/lab")
        assert await run_cell(page, "6 * 7") == "42"


async def test_a_click_leads_into_a_container_where_a_cell_runs(
    directory: Path, docker_instance: str, page: Page
) -> None:
    require("jupyter-image")
    config = DOCKER.format(image=JUPYTER)
    async with Serving(directory, config, instance=docker_instance) as server:
        await server.until_spares(1, "jupyter")

        await click_launch(page, server)
        await is_in_lab(page)

        printed = await run_cell(page, "import os; print(6 * 7, os.getuid())")
        assert printed == "42 1000"


async def test_without_a_spare_the_waiting_page_goes_on_by_itself(
    directory: Path, page: Page
) -> None:
    require("jupyterlab")
    async with Serving(directory, PROCESS.format(spare=0)) as server:
        await click_launch(page, server)
        assert "/wait/" in page.url
        await page.get_by_role("heading", name="Starting JupyterLab").wait_for()

        await is_in_lab(page)


async def test_a_returning_visitor_comes_back_unless_they_ask_for_a_new_one(
    directory: Path, browser: Browser
) -> None:
    async with Serving(directory, tiny(spare=2)) as server:
        await server.until_spares(2, "jupyter")
        visitor = await browser.new_context()

        first = await launch(visitor, server)
        again = await launch(visitor, server)
        other = await launch(visitor, server, "?new=1")
        last = await launch(visitor, server)

        assert first == again != other == last


async def test_a_full_service_says_so_and_goes_on_when_there_is_room(
    directory: Path, browser: Browser
) -> None:
    async with Serving(directory, tiny(spare=2)) as server:
        await server.until_spares(2, "jupyter")
        taken, _ = [(await server.spawn("jupyter"))[1]["id"] for _ in range(2)]
        page = await browser.new_page()

        answer = await page.goto(f"{server.url}/launch/jupyter")
        assert answer is not None
        assert answer.status == 429
        await page.get_by_role("heading", name="Every seat is taken").wait_for()
        await server.end(taken)

        await page.wait_for_url("**/user/*/files", timeout=LAB_TIMEOUT_MS)


async def launch(visitor: BrowserContext, server: Serving, query: str = "") -> str:
    """Follow the launch link in a tab of its own; give the environment it leads to."""
    page = await visitor.new_page()
    await page.goto(f"{server.url}/launch/jupyter{query}")
    await page.wait_for_url("**/user/*/files*", timeout=LAB_TIMEOUT_MS)
    environment_id = page.url.split("/user/")[1].split("/")[0]
    await page.close()
    return environment_id


def tiny(*, spare: int) -> str:
    """Configure the tiny server, which is up at once."""
    require("perl")
    return TINY.format(perl=PERL, tiny=TINY_SERVER, spare=spare)
